"""Losses that ask for a margin between scores or distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autocast import runs_in_float32
from ...backends import module_of
from ...dtypes import FLOATS
from ...functions import clamp, masked_fill, minimum, pairwise_distance, reshape, sqrt, where
from ...functions import sum as _sum
from ...functions.indexing import getitem
from ...ops import gates as _gates
from ...ops import order as _order
from ...ops.registry import apply
from ...tensor import Tensor
from .activation import logsigmoid, relu
from .arguments import entered, in_full, reduced, reduction_of

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss",
]  # fmt: skip


def _needs_float(input: Tensor, name: str) -> None:
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')


@entered
@runs_in_float32("cpu", "cuda")
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """input where target is 1, max(0, margin - input) where it is -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    apart = where(target != 1, clamp(margin - input, min=0), 0.0)
    return reduced(apart + where(target != -1, input, 0.0), reduction)


@entered
@runs_in_float32("cpu", "cuda")
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin - target * (input1 - input2)); target is 1 where input1 ought to be larger, else -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(clamp(-target * (input1 - input2) + margin, min=0), reduction)


@entered
@runs_in_float32("cpu", "cuda")
def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:  # fmt: skip
    """log(1 + exp(-target * input)), of targets 1 and -1."""
    reduction = reduction_of(size_average, reduce, reduction)
    each = in_full(lambda x, t: apply(_gates.Softplus, (-t * x,), (1.0, float("inf"))), input, target)
    return reduced(each, reduction)


@entered
def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over the classes (last dimension) of binary_cross_entropy_with_logits; weight: of each class."""
    reduction = reduction_of(size_average, reduce, reduction)
    loss = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced(_sum(loss, -1) / input._array.shape[-1], reduction)


def _rows(name: str, input: Tensor) -> tuple[int, int]:
    """How many examples of how many classes there are in (C) or (N, C)."""
    _needs_float(input, name)
    if input.ndim > 2 or (not input._array.size and not (input.ndim == 2 and input._array.shape[1])):
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    shape = input._array.shape
    return (shape[0] if input.ndim == 2 else 1), (shape[-1] if shape else 1)


@entered
@runs_in_float32("cpu", "cuda")
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The sum over other classes i than the target y of max(0, margin - input[y] + input[i])^p, over the count of classes.

    input: (C) or (N, C). target: () or (N). weight: of each class as target, (C).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    examples, classes = _rows("multi_margin_loss", input)
    if target.ndim > 1 or target._array.size != examples:
        raise RuntimeError(f"inconsistent target size, expected {examples} but got {list(target.shape)}")
    if target._array.dtype != np.int64:
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}")
    if weight is not None and (weight.ndim > 1 or weight._array.size != classes):
        raise RuntimeError(f"inconsistent weight size, expected {classes} but got {list(weight.shape)}")
    y = target._array.reshape(-1)
    _in_range(y, classes)
    x = reshape(input, examples, classes)
    own = apply(_order.Pick, (x, Tensor._wrap(y)), (1, False, True, "MultiMarginLossBackward0"))
    short = relu(margin - reshape(own, examples, 1) + x)
    if p == 2:
        short = short * short
    if weight is not None:
        short = short * Tensor._wrap(weight._array[y][:, None])
    mask = module_of(y).arange(classes)[None] == y[:, None]
    loss = _sum(masked_fill(short, Tensor._wrap(mask), 0.0), 1) / classes
    return reduced(loss if target.ndim else reshape(loss, ()), reduction)


def _in_range(y: Any, classes: int) -> None:
    if y.size and (int(y.min()) < 0 or int(y.max()) >= classes):
        raise RuntimeError(f"target out of range: expected classes from 0 to {classes - 1}")


@entered
@runs_in_float32("cpu", "cuda")
def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:  # fmt: skip
    """The sum over target classes j and other classes i of max(0, 1 - input[j] + input[i]), over the count of classes.

    input: (C) or (N, C). target: of input's shape, the target classes of each row and then -1.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    examples, classes = _rows("multilabel_margin_loss", input)
    if target._array.shape != input._array.shape and not (input.ndim == 0 and target._array.size == 1):
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if target._array.dtype != np.int64:
        raise RuntimeError(f"expected scalar type Long but found {target.dtype}")
    xp = module_of(target._array)
    y = target._array.reshape(examples, classes)
    if y.size and (int(y.min()) < -1 or int(y.max()) >= classes):
        raise RuntimeError(
            f"target out of range: expected classes from 0 to {classes - 1}, and -1 at the end"
        )
    listed = xp.cumsum((y < 0).astype(np.int64), axis=1) == 0
    safe = xp.where(listed, y, 0)
    is_target = ((xp.arange(classes)[None, None] == safe[:, :, None]) & listed[:, :, None]).any(axis=1)
    x = reshape(input, examples, classes)
    own = getitem(x, (Tensor._wrap(xp.arange(examples)[:, None]), Tensor._wrap(safe)))
    short = relu(1 - reshape(own, examples, classes, 1) + reshape(x, examples, 1, classes))
    left_out = ~(listed[:, :, None] & ~is_target[:, None, :])
    loss = _sum(masked_fill(short, Tensor._wrap(left_out), 0.0), (1, 2)) / classes
    return reduced(loss if input.ndim > 1 else reshape(loss, ()), reduction)


def _same_ndim(anchor: Tensor, positive: Tensor, negative: Tensor) -> None:
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )


@entered
@runs_in_float32("cpu", "cuda")
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin + |anchor - positive| - |anchor - negative|), of p-norms along the last dimension.

    swap: the negative's distance is the nearer one of those to anchor and positive. Balntas et al., BMVC 2016.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, distance_function=lambda a, b: pairwise_distance(a, b, p, eps), margin=margin, swap=swap,
        reduction=reduction,
    )  # fmt: skip


@entered
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """triplet_margin_loss by any distance of two tensors; pairwise_distance where none is given."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    _same_ndim(anchor, positive, negative)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp(margin + near - far, min=0), reduction)


@entered
@runs_in_float32("cpu", "cuda")
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos of the angle between the vectors where target is 1, max(0, cos - margin) where it is -1.

    input1, input2: (D) or (N, D). target: () or (N).
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.ndim != target.ndim + 1 or input2.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    least = 1e-12
    dot = _sum(input1 * input2, -1)
    squares = (_sum(input1 * input1, -1) + least) * (_sum(input2 * input2, -1) + least)
    cos = dot / sqrt(squares)
    same = where(target == 1, 1 - cos, 0.0)
    apart = where(target == -1, clamp(cos - margin, min=0), 0.0)
    return reduced(same + apart, reduction)
