"""torch.nn.functional: stateless forms of layers, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random
from ..backends import module_of, to_device
from ..dtypes import float32
from ..functions import (
    erf,
    exp,
    gather,
    log_softmax,
    matmul,
    mean,
    relu,
    reshape,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    unsqueeze,
    where,
)
from ..functions import sum as _sum
from ..functions.arguments import one_dim as _dim
from ..functions.indexing import getitem
from ..ops import activation as _act
from ..ops import convolution as _conv
from ..ops import matrix as _mx
from ..ops import normalization as _norm
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor

__all__ = [
    "avg_pool2d", "batch_norm", "binary_cross_entropy_with_logits", "conv2d", "cross_entropy", "dropout", "embedding", "gelu",
    "l1_loss", "layer_norm", "linear", "log_softmax", "logsigmoid", "max_pool2d", "mse_loss", "nll_loss", "one_hot", "relu",
    "sigmoid", "silu", "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (…, in) @ weight (out, in) transposed + bias (out,)."""
    if not input.ndim or input._array.shape[-1] != weight._array.shape[-1]:
        raise RuntimeError(
            f"linear: expected an input whose last size is {weight._array.shape[-1]} (weight {tuple(weight.shape)}), got {tuple(input.shape)}"
        )
    if bias is None:
        return matmul(input, weight.t())
    _same_dtype("linear", input, weight, bias)
    if input.ndim == 2:
        return apply(_mx.Linear, (input, weight, bias))
    out = apply(_mx.Linear, (reshape(input, -1, input._array.shape[-1]), weight, bias))
    return reshape(out, *input._array.shape[:-1], weight._array.shape[0])


def _same_dtype(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Raises RuntimeError for operands of different dtypes, which NumPy would promote without a word."""
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"{name}: input and {what} must have the same dtype, but got {input.dtype} and {t.dtype}"
            )


def _pair(x: int | Sequence[int]) -> tuple[int, int]:
    return (x, x) if isinstance(x, int) else (int(x[0]), int(x[1]))


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """input (N, C, H, W) with weight (O, C, kh, kw) -> (N, O, oh, ow)."""
    if _pair(dilation) != (1, 1) or groups != 1:
        raise NotImplementedError(
            f"conv2d: dilation 1 and groups 1 are supported, got dilation={dilation}, groups={groups}"
        )
    if input.ndim != 4 or input._array.shape[1] != weight._array.shape[1]:
        raise RuntimeError(
            f"conv2d: expected an input of shape (N, {weight._array.shape[1]}, H, W) for weight {tuple(weight.shape)}, got {tuple(input.shape)}"
        )
    _same_dtype("conv2d", input, weight, bias)
    stride, padding = _pair(stride), _pair(padding)
    if min(padding) < 0:
        raise RuntimeError(f"negative padding is not supported, got {padding}")
    if min(stride) <= 0:
        raise RuntimeError(f"non-positive stride is not supported, got {stride}")
    if bias is not None and bias._array.shape != weight._array.shape[:1]:
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {weight._array.shape[0]} "
            f"elements, but got bias of size {list(bias.shape)} instead"
        )
    for axis in (0, 1):
        if input._array.shape[2 + axis] + 2 * padding[axis] < weight._array.shape[2 + axis]:
            raise RuntimeError(
                f"Calculated padded input size per channel is smaller than the kernel: input {tuple(input.shape)}, padding {padding}, weight {tuple(weight.shape)}"
            )
    out = apply(_conv.Conv2d, (input, weight), (stride, padding))
    return out if bias is None else out + reshape(bias, 1, -1, 1, 1)


def _pool_args(input: Tensor, kernel_size: Any, stride: Any, padding: Any, name: str) -> tuple[Any, Any, Any]:
    kernel, pad = _pair(kernel_size), _pair(padding)
    if input.ndim != 4:
        raise RuntimeError(f"{name}: expected an input of shape (N, C, H, W), got {tuple(input.shape)}")
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={pad}, kernel_size={kernel}"
        )
    if any(n + 2 * p < k for n, p, k in zip(input._array.shape[2:], pad, kernel, strict=True)):
        raise RuntimeError(
            f"{name}: output size is too small: input {tuple(input.shape)} with padding {pad} is smaller than the kernel {kernel}"
        )
    step = kernel if stride is None else _pair(stride)
    if min(step) <= 0:
        raise RuntimeError(f"{name}: stride should not be zero, got {step}")
    return kernel, step, pad


def max_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    return apply(_conv.MaxPool2d, (input,), _pool_args(input, kernel_size, stride, padding, "max_pool2d"))


def avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    args = _pool_args(input, kernel_size, stride, padding, "avg_pool2d")
    return apply(_conv.AvgPool2d, (input,), (*args, input._array.shape))


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415)."""
    if approximate == "tanh":
        return input * 0.5 * (tanh((input + input * input * input * 0.044715) * 0.7978845608028654) + 1.0)
    if approximate != "none":
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    return input * 0.5 * (erf(input * 0.7071067811865476) + 1.0)


def silu(input: Tensor) -> Tensor:
    return input * sigmoid(input)


def softplus(input: Tensor) -> Tensor:
    return apply(_act.Softplus, (input,))


def logsigmoid(input: Tensor) -> Tensor:
    return -softplus(-input)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes elements with probability p and scales the rest by 1 / (1 - p)."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if inplace:
        return input.mul_(_kept(input, p))  # type: ignore[no-any-return]
    return input * _kept(input, p)


def _kept(input: Tensor, p: float) -> Tensor:
    """What dropout multiplies with: 0 for what is dropped, else 1 / (1 - p)."""
    dtype = input._array.dtype
    if p == 1.0:
        return Tensor._wrap(module_of(input._array).zeros(input._array.shape, dtype))
    kept = random.current().numpy.random(input._array.shape, np.float32) >= np.float32(p)
    scale = kept.astype(dtype) * dtype.type(1.0 / (1.0 - p))
    return Tensor._wrap(to_device(scale, input.device))


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    n = len(normalized_shape)
    if tuple(input._array.shape[input.ndim - n :]) != tuple(normalized_shape) or n > input.ndim:
        raise RuntimeError(
            f"Given normalized_shape={list(normalized_shape)}, expected input with shape [*, {', '.join(map(str, normalized_shape))}], "
            f"but got input of size{list(input.shape)}"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given._array.shape) != tuple(normalized_shape):
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(given.shape)} "
                f"and normalized_shape = {list(normalized_shape)}"
            )
    x = _with_room_for_sums(input)
    out = apply(_norm.Standardize, (x,), (tuple(range(input.ndim - n, input.ndim)), eps))
    out = out if weight is None else out * weight
    out = out if bias is None else out + bias
    return out if x is input else cast_inputs(out, input.dtype)


def _with_room_for_sums(x: Tensor) -> Tensor:
    """float16 as float32: squares of a few hundred are beyond its largest number."""
    return cast_inputs(x, float32) if x._array.dtype == np.float16 else x


def batch_norm(
    input: Tensor, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalises each channel (dimension 1) over all others; in training also updates the running statistics."""
    shape = input._array.shape
    channel = (1, -1) + (1,) * (input.ndim - 2)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, given in named.items():
        if given is not None and given._array.size != shape[1]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not {given._array.size}")
    original, input = input, _with_room_for_sums(input)
    if training:
        dims = (0, *range(2, input.ndim))
        count = input._array.size // shape[1]
        if count <= 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {input.shape}"
            )
        if running_mean is not None:
            a = input._array
            centre = a.mean(axis=dims)
            spread = ((a - centre.reshape(channel)) ** 2).sum(axis=dims) / a.dtype.type(count - 1)
            running_mean._write(running_mean._array * (1 - momentum) + centre * momentum)
            running_var._write(running_var._array * (1 - momentum) + spread * momentum)
        out = apply(_norm.Standardize, (input,), (dims, eps))
    else:
        out = (input - reshape(running_mean, channel)) * (1.0 / sqrt(reshape(running_var, channel) + eps))
    out = out if weight is None else out * reshape(weight, channel)
    out = out if bias is None else out + reshape(bias, channel)
    return out if input is original else cast_inputs(out, original.dtype)


def embedding(input: Tensor, weight: Tensor) -> Tensor:
    """Rows of weight (count, size) by integer index."""
    if input._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"embedding: expected indices of int64 or int32, got {input.dtype}; convert them with .long()"
        )
    if input._array.size and (
        int(input._array.max()) >= weight._array.shape[0] or int(input._array.min()) < 0
    ):
        raise IndexError(f"embedding: index out of range: indices must be in [0, {weight._array.shape[0]})")
    return getitem(weight, input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if tensor._array.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, got {tensor.dtype}")
    n = int(tensor._array.max()) + 1 if num_classes == -1 else num_classes
    if tensor._array.size and (int(tensor._array.min()) < 0 or int(tensor._array.max()) >= n):
        raise RuntimeError(f"one_hot: class values must be in [0, {n})")
    xp = module_of(tensor._array)
    return Tensor._wrap((tensor._array[..., None] == xp.arange(n)).astype(np.int64))


# Losses


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return _sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood: input (N, C, …) of log-probabilities, target (N, …) of classes."""
    if input.ndim < 1 or target._array.dtype not in (np.int64, np.uint8):
        raise RuntimeError(
            f"nll_loss: expected class indices of dtype int64 (or uint8) as target, got {target.dtype} of shape {tuple(target.shape)}"
        )
    d = 1 if input.ndim > 1 else 0
    expected = input._array.shape[:d] + input._array.shape[d + 1 :]
    if target._array.shape != expected:
        raise ValueError(
            f"Expected target of shape {list(expected)} for input {list(input.shape)}, got {list(target.shape)}"
        )
    classes = input._array.shape[d]
    raw = target._array
    kept = raw != ignore_index
    valid = raw[kept]
    if valid.size and (int(valid.max()) >= classes or int(valid.min()) < 0):
        raise IndexError(
            f"Target {int(valid.max()) if int(valid.max()) >= classes else int(valid.min())} is out of bounds (classes 0 to {classes - 1})."
        )
    safe = module_of(raw).where(kept, raw, 0).astype(np.int64)
    picked = -reshape(gather(input, d, unsqueeze(Tensor._wrap(safe), d)), *expected)
    dtype = input._array.dtype
    weights = kept.astype(dtype) if weight is None else weight._array[safe] * kept
    if weight is None and valid.size == raw.size:
        return _reduce(picked, reduction)
    zero = Tensor._wrap(module_of(raw).zeros((), dtype))
    loss = where(Tensor._wrap(kept), picked * Tensor._wrap(weights), zero)  # not a product: 0 * inf is NaN
    if reduction == "mean":
        return _sum(loss) / Tensor._wrap(weights.sum())
    return _reduce(loss, reduction)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """log_softmax then nll_loss; target may also hold probabilities of input's shape."""
    d = 1 if input.ndim > 1 else 0
    logp = log_softmax(input, d)
    if target._array.dtype.kind == "f":
        if target._array.shape != input._array.shape:
            raise RuntimeError(
                f"cross_entropy: expected probabilities of input's shape {tuple(input.shape)}, got {tuple(target.shape)}"
            )
        p = (
            target * (1 - label_smoothing) + label_smoothing / input._array.shape[d]
            if label_smoothing
            else target
        )
        loss = -_sum(logp * p if weight is None else logp * p * _per_class(weight, input, d), d)
        return (
            _sum(loss) / (input._array.size // input._array.shape[d])
            if reduction == "mean"
            else _reduce(loss, reduction)
        )
    if not label_smoothing:
        return nll_loss(logp, target, weight, ignore_index, reduction)
    if weight is not None:
        raise NotImplementedError("cross_entropy: label_smoothing together with weight is not supported yet")
    kept = target._array != ignore_index
    smooth = -mean(logp, d) * Tensor._wrap(kept.astype(input._array.dtype))
    loss = (
        nll_loss(logp, target, None, ignore_index, "none") * (1 - label_smoothing) + smooth * label_smoothing
    )
    return _sum(loss) / int(kept.sum()) if reduction == "mean" else _reduce(loss, reduction)


def _per_class(weight: Tensor, input: Tensor, d: int) -> Tensor:
    return reshape(weight, *[-1 if i == _dim(d, input.ndim) else 1 for i in range(input.ndim)])


def _same_shape(input: Tensor, target: Tensor, name: str) -> None:
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"{name}: expected input and target of one shape, got {tuple(input.shape)} and {tuple(target.shape)}; "
            "reshape one of them (a broadcast here is nearly always a mistake)"
        )


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    _same_shape(input, target, "mse_loss")
    difference = input - target
    return _reduce(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    _same_shape(input, target, "l1_loss")
    return _reduce((input - target).abs(), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    _same_shape(input, target, "smooth_l1_loss")
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction)
    distance = (input - target).abs()
    return _reduce(
        where(distance < beta, distance * distance * (0.5 / beta), distance - 0.5 * beta), reduction
    )


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    _same_shape(input, target, "binary_cross_entropy_with_logits")
    return _reduce(softplus(input) - input * target, reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Of probabilities; logarithms are clamped at -100, as PyTorch does."""
    _same_shape(input, target, "binary_cross_entropy")
    if not bool(((input._array >= 0) & (input._array <= 1)).all()):
        raise RuntimeError(
            "all elements of input should be between 0 and 1; binary_cross_entropy_with_logits takes what no sigmoid has seen"
        )
    low = -100.0
    return _reduce(
        -(target * input.log().clamp(min=low) + (1 - target) * (1 - input).log().clamp(min=low)), reduction
    )


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    if log_target:
        loss = exp(target) * (target - input)
    else:
        loss = target * where(target > 0, target, 1.0).log() - target * input
    return _sum(loss) / input._array.shape[0] if reduction == "batchmean" else _reduce(loss, reduction)
