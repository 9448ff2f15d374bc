"""Losses of class scores and of probabilities."""

from __future__ import annotations

import numpy as np

from ...backends import module_of
from ...dtypes import FLOATS
from ...functions import (
    exp,
    gather,
    log_softmax,
    mean,
    reshape,
    unsqueeze,
    where,
)
from ...functions import sum as _sum
from ...functions.arguments import one_dim
from ...tensor import Tensor
from .activation import softplus
from .arguments import reduced, same_shape

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "kl_div", "nll_loss"]


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
        return reduced(picked, reduction)
    zero = Tensor._wrap(module_of(raw).zeros((), dtype))
    loss = where(Tensor._wrap(kept), picked * Tensor._wrap(weights), zero)  # not a product: 0 * inf is NaN
    if reduction == "mean":
        return _sum(loss) / Tensor._wrap(weights.sum())
    return reduced(loss, reduction)


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
    if target._array.dtype in FLOATS:
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
            else reduced(loss, reduction)
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
    return _sum(loss) / int(kept.sum()) if reduction == "mean" else reduced(loss, reduction)


def _per_class(weight: Tensor, input: Tensor, d: int) -> Tensor:
    return reshape(weight, *[-1 if i == one_dim(d, input.ndim) else 1 for i in range(input.ndim)])


def binary_cross_entropy_with_logits(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    same_shape(input, target, "binary_cross_entropy_with_logits")
    return reduced(softplus(input) - input * target, reduction)


def binary_cross_entropy(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """Of probabilities; logarithms are clamped at -100, as PyTorch does."""
    same_shape(input, target, "binary_cross_entropy")
    if not bool(((input._array >= 0) & (input._array <= 1)).all()):
        raise RuntimeError(
            "all elements of input should be between 0 and 1; binary_cross_entropy_with_logits takes what no sigmoid has seen"
        )
    low = -100.0
    return reduced(
        -(target * input.log().clamp(min=low) + (1 - target) * (1 - input).log().clamp(min=low)), reduction
    )


def kl_div(input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False) -> Tensor:
    if log_target:
        loss = exp(target) * (target - input)
    else:
        loss = target * where(target > 0, target, 1.0).log() - target * input
    return _sum(loss) / input._array.shape[0] if reduction == "batchmean" else reduced(loss, reduction)
