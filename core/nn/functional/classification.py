"""Losses of class scores and of probabilities."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ...autocast import runs_in_float32
from ...backends import module_of
from ...dtypes import FLOATS, FULL
from ...functions import exp, log_softmax, masked_fill, reshape, xlogy
from ...functions import sum as _sum
from ...functions.arguments import tensor_of
from ...ops import losses as _losses
from ...ops import order as _order
from ...ops.registry import apply, apply_several
from ...tensor import Tensor
from .activation import logsigmoid
from .arguments import entered, in_full, reduced, reduction_of
from .products import linear

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div", "linear_cross_entropy", "nll_loss",
]  # fmt: skip


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> int:
    """The dimension of the classes. Raises PyTorch's errors for shapes and dtypes that don't fit."""
    if input.ndim < 1:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    d = 1 if input.ndim > 1 else 0
    shape, own = input._array.shape, target._array.shape
    if input.ndim == 2 and len(own) < 2 and own != shape[:1]:
        raise ValueError(
            f"Expected input batch_size ({shape[0]}) to match target batch_size ({own[0] if own else 0})."
        )
    if input.ndim <= 2 and len(own) > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input.ndim == 1 and len(own) == 1 and own[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {own[0]}")
    expected = shape[:d] + shape[d + 1 :]
    if expected != own and not (input.ndim == 1 and own == (1,)):
        if input.ndim == 4 and len(own) != 3:
            raise RuntimeError(
                f"only batches of spatial targets supported (3D tensors) but got targets of dimension: {len(own)}"
            )
        if input.ndim == 4:
            raise RuntimeError(f"size mismatch (got input: {list(shape)} , target: {list(own)}")
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(own)}")
    if target._array.dtype not in (np.int64, np.uint8):
        raise RuntimeError(
            f"expected scalar type Long but found {target.dtype}: class indices as target are int64 or uint8"
        )
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(
            f'"nll_loss" not implemented for {input.dtype}; convert with .float() first'
        )
    if weight is not None and (weight.ndim != 1 or weight._array.size != shape[d]):
        raise RuntimeError(
            f"weight tensor should be defined either for all {shape[d]} classes or no classes but got weight tensor of shape: "
            f"{list(weight.shape)}"
        )
    if weight is not None and weight._array.dtype != input._array.dtype:
        raise RuntimeError(f"expected scalar type {input.dtype} but found {weight.dtype} for weight")
    return d


def _safe_target(target: Tensor, ignore_index: int, classes: int) -> tuple[Any, Any]:
    """Class indices with 0 in place of ignored ones, and where they are kept (None: everywhere)."""
    raw = target._array
    kept = raw != ignore_index
    every = bool(kept.all())
    valid = raw if every else raw[kept]
    if valid.size:
        largest, smallest = int(valid.max()), int(valid.min())
        if largest >= classes or smallest < 0:
            raise IndexError(
                f"Target {largest if largest >= classes else smallest} is out of bounds. (classes 0 to {classes - 1})"
            )
    if every:
        return raw.astype(np.int64, copy=False), None
    return module_of(raw).where(kept, raw, 0).astype(np.int64), kept


@entered
@runs_in_float32("cpu", "cuda")
def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Negative log likelihood: input (C), (N, C) or (N, C, …) of log-probabilities, target (), (N) or (N, …) of classes.

    weight: of each class, (C). The mean is over the weights of the targets, those of ignore_index left out.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    d = _check_classes(input, target, weight)
    if target.ndim and input.ndim == 1:
        target = reshape(target, ())
    safe, kept = _safe_target(target, ignore_index, input._array.shape[d])
    xp, dtype = module_of(safe), input._array.dtype
    picked = -apply(_order.Pick, (input, Tensor._wrap(safe)), (d, False, True, "NllLossBackward0"))
    if weight is None and kept is None:
        return reduced(picked, reduction)
    weights = kept.astype(dtype) if weight is None else weight._array[safe]
    if kept is not None and weight is not None:
        weights = xp.where(kept, weights, dtype.type(0))
    loss = picked * Tensor._wrap(weights)
    if kept is not None:  # not by the product alone: 0 * inf is NaN
        loss = masked_fill(loss, Tensor._wrap(~kept), 0.0)
    if reduction == "mean":
        return _sum(loss) / _sum(Tensor._wrap(weights))
    return reduced(loss, reduction)


def _ordinary(input: Any, target: Any, ignore_index: int, reduction: str) -> Tensor | None:
    """The cross-entropy of rows of scores with a class each, in one operation; None for any other call."""
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)) or reduction not in ("mean", "none"):
        return None
    x, classes = input._array, target._array
    if x.ndim != 2 or classes.ndim != 1 or len(x) != len(classes) or not len(x) or classes.dtype != np.int64:
        return None
    if x.dtype not in FULL or x.__class__ is not classes.__class__:
        return None
    # read without sign, negative ones are the largest; one reduction then tells both ends
    if int(classes.view(np.uint64).max()) >= x.shape[1]:
        return None
    if ignore_index >= 0 and bool((classes == ignore_index).any()):
        return None
    return apply_several(_losses.CrossEntropy, (input,), (classes, reduction == "mean"))[0]


@entered
@runs_in_float32("cpu", "cuda")
def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, ignore_index: int = -100,
    reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """log_softmax then nll_loss; target may also hold probabilities, of input's shape.

    label_smoothing: the share of the target that is spread over all classes. Szegedy et al., arXiv:1512.00567.
    """
    if weight is None and not label_smoothing and size_average is None and reduce is None:
        loss = _ordinary(input, target, ignore_index, reduction)
        if loss is not None:
            return loss
    reduction = reduction_of(size_average, reduce, reduction)
    tensor_of(target, "cross_entropy", "target")
    d = 1 if tensor_of(input, "cross_entropy").ndim > 1 else 0
    if input._array.shape == target._array.shape and input.ndim:
        return _of_probabilities(input, target, d, weight, ignore_index, reduction, label_smoothing)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if not input.ndim:
        _check_classes(input, target, weight)
    logp = log_softmax(input, d)
    nll = nll_loss(logp, target, weight, ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return nll
    classes = input._array.shape[d]
    smooth = -_sum(logp if weight is None else logp * _per_class(weight, input, d), d)
    ignored = target._array == ignore_index
    if bool(ignored.any()):
        smooth = masked_fill(smooth, Tensor._wrap(ignored), 0.0)
    if reduction == "mean":
        safe, _ = _safe_target(target, ignore_index, classes)
        if weight is None:
            count: Any = int((~ignored).sum())
        else:
            count = _sum(masked_fill(Tensor._wrap(weight._array[safe]), Tensor._wrap(ignored), 0.0))
        smooth = _sum(smooth) / count
    else:
        smooth = reduced(smooth, reduction)
    return nll * (1 - label_smoothing) + smooth * (label_smoothing / classes)


def _of_probabilities(
    input: Tensor, target: Tensor, d: int, weight: Tensor | None, ignore_index: int, reduction: str, smoothing: float
) -> Tensor:  # fmt: skip
    if target._array.dtype not in FLOATS:
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {target.dtype}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    if not 0.0 <= smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {smoothing}")
    classes = input._array.shape[d]
    if weight is not None and (weight.ndim != 1 or weight._array.size != classes):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {classes} classes or no classes but got weight "
            f"tensor of shape: {list(weight.shape)}"
        )
    logp = log_softmax(input, d)
    p = target * (1 - smoothing) + smoothing / classes if smoothing else target
    loss = -_sum(logp * p if weight is None else logp * p * _per_class(weight, input, d), d)
    if reduction != "mean":
        return reduced(loss, reduction)
    count = input._array.size // classes if classes else 0
    return _sum(loss) / count if count else _sum(loss) * math.nan


def _per_class(weight: Tensor, input: Tensor, d: int) -> Tensor:
    return reshape(weight, *[-1 if i == d else 1 for i in range(input.ndim)])


@entered
def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None, weight: Tensor | None = None,
    reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0, options: Any = None,
) -> Tensor:  # fmt: skip
    """cross_entropy of linear(input, linear_weight, linear_bias).

    input: (in) or (N, in). linear_weight: (C, in), or (C, …, in) for a target of (N, …).
    """
    if options is not None:
        raise NotImplementedError("linear_cross_entropy: chunks are not supported; leave options=None")
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    size, *batch = reversed(input._array.shape)
    outer = tuple(linear_weight._array.shape[:-1])
    if linear_weight._array.shape[-1] != size:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), "
            f"got {size} and {linear_weight._array.shape[-1]}, respectively"
        )
    if linear_bias is not None and tuple(linear_bias.shape) != outer:
        raise RuntimeError(f"expected linear_bias shape {outer}, got {tuple(linear_bias.shape)}")
    if len(outer) > 1 and not batch:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires batched input, "
            f"(N, {size}), got unbatched input with shape {tuple(input.shape)}"
        )
    shape = (*batch, *outer)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    flat = math.prod(outer)
    scores = linear(
        input, reshape(linear_weight, flat, size), None if linear_bias is None else reshape(linear_bias, flat)
    )
    return cross_entropy(
        reshape(scores, *shape), target, weight, ignore_index=-100 if ignore_index is None else ignore_index, reduction=reduction,
        label_smoothing=label_smoothing,
    )  # fmt: skip


@entered
@runs_in_float32("cpu", "cuda")
def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """binary_cross_entropy of sigmoid(input), without loss of digits. pos_weight: of the positive targets."""
    reduction = reduction_of(size_average, reduce, reduction)
    if target._array.shape != input._array.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if target._array.dtype not in FLOATS and target._array.dtype.kind != "b":
        kinds = f"result type {input.dtype} can't be cast to the desired output type {target.dtype}"
        raise RuntimeError(f"{kinds}: give the targets as floats")
    given = [t for t in (weight, pos_weight) if t is not None]
    if not given and input._array.dtype == target._array.dtype and input._array.dtype in FLOATS:
        return reduced(apply(_losses.BceLogits, (input, target)), reduction)

    def loss(x: Tensor, t: Tensor, *more: Tensor) -> Tensor:
        log_p = logsigmoid(x)
        if pos_weight is not None:
            log_p = ((more[-1] - 1) * t + 1) * log_p
        each = (1 - t) * x - log_p
        return each if weight is None else each * more[0]

    # PyTorch writes into 1 - target: the loss has the target's dtype, whatever the scores are.
    return reduced(in_full(loss, input, target, *given).to(target.dtype), reduction)


@entered
@runs_in_float32("cpu", "cuda")
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Of probabilities; logarithms are at least -100, as in PyTorch."""
    reduction = reduction_of(size_average, reduce, reduction)
    if target._array.shape != input._array.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(f'"binary_cross_entropy" not implemented for {input.dtype}')
    if target._array.dtype != input._array.dtype:
        raise RuntimeError(f"Found dtype {target.dtype} but expected {input.dtype}")
    with np.errstate(invalid="ignore"):  # of NaN, which ml_dtypes warns of where NumPy does not
        within = bool(((input._array >= 0) & (input._array <= 1)).all())
    if not within:
        raise RuntimeError(
            "all elements of input should be between 0 and 1; binary_cross_entropy_with_logits takes what no sigmoid has seen"
        )
    loss = apply(_losses.Bce, (input, target))
    if weight is not None:
        loss = loss * weight.expand(input.shape)
    return reduced(loss, reduction)


@entered
@runs_in_float32("cpu", "cuda")
def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:  # fmt: skip
    """target * (log(target) - input): of log-probabilities `input` from probabilities (log_target: their logarithms).

    reduction "batchmean" divides the sum by the first dimension, which is the definition; "mean" by all.
    """
    if size_average is not None or reduce is not None:
        reduction = reduction_of(size_average, reduce, reduction)
    elif reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition."
            "'mean' will be changed to behave the same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    loss = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction != "batchmean":
        return reduced(loss, reduction)
    total = _sum(loss)
    return total / input._array.shape[0] if input.ndim else total
