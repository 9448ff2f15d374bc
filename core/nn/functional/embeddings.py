"""Tables of vectors, sums of their rows, and classes as vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...backends import module_of, to_numpy
from ...functions import div, embedding_renorm_, masked_fill, mul, reshape
from ...functions.arguments import tensor_of
from ...functions.indexing import getitem
from ...functions.tables import checked_indices, looked_up, no_sparse
from ...ops import indexing as _ix
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import entered

__all__ = ["embedding", "embedding_bag", "one_hot"]


def _row(padding_idx: int | None, weight: Tensor) -> int | None:
    """The row that padding_idx, which may count from the end, stands for."""
    if padding_idx is None:
        return None
    n = weight._array.shape[0]
    if not -n <= padding_idx < n and padding_idx:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % n if n else padding_idx


@entered
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of weight (count, size) by integer index: input's shape and size behind it.

    padding_idx: a row without a gradient. max_norm: longer rows are shortened to it, in place. scale_grad_by_freq: a row's
    gradient is over the count of its index in input.
    """
    no_sparse(sparse)
    raw = checked_indices("embedding", weight, input)
    padding = _row(padding_idx, weight)
    if max_norm is not None:
        embedding_renorm_(weight, input, max_norm, norm_type)
    return looked_up(weight, raw, padding, scale_grad_by_freq)


@entered
def embedding_bag(
    input: Tensor, weight: Tensor, offsets: Tensor | None = None, max_norm: float | None = None, norm_type: float = 2.0,
    scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False, padding_idx: int | None = None,
) -> Tensor:  # fmt: skip
    """The sum, mean or largest of the rows of each bag of indices; zeros for an empty one.

    input: (bags, indices), or all indices one after the other and where in them each bag begins, `offsets`.
    include_last_offset: offsets hold the end of the last bag too. padding_idx: counts in no bag.
    """
    no_sparse(sparse)
    tensor_of(input, "embedding_bag")
    if per_sample_weights is not None and input.shape != per_sample_weights.shape:
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then it must have the same shape as "
            f"the input ({input.shape})"
        )
    if tensor_of(weight, "embedding_bag", "weight").ndim != 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed length sequences. "
                f"However, found offsets of type {type(offsets)}"
            )
        sizes = np.full(input._array.shape[0], input._array.shape[1])
    elif input.ndim == 1:
        if offsets is None:
            raise ValueError("offsets has to be a 1D Tensor but got None")
        if offsets.ndim != 1:
            raise ValueError("offsets has to be a 1D Tensor")
        sizes = _sizes(offsets, int(input._array.size), include_last_offset)
    else:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for mode='sum' "
            f"(got mode='{mode}')."
        )
    raw = _indices(input, weight)
    padding = _row(padding_idx, weight)
    if max_norm is not None:
        embedding_renorm_(weight, reshape(input, -1), max_norm, norm_type)
    bags = np.repeat(np.arange(len(sizes)), sizes)
    shares = None if per_sample_weights is None else reshape(per_sample_weights, -1)
    rows = looked_up(weight, raw, None, scale_grad_by_freq)
    if padding is not None:
        kept = to_numpy(raw) != padding
        if not kept.all():
            places = _there(np.flatnonzero(kept), raw)
            bags, rows = bags[kept], apply(_ix.Index, (rows,), (places,))
            shares = None if shares is None else getitem(shares, Tensor._wrap(places))
    if shares is not None:
        if shares._array.dtype != weight._array.dtype:
            raise RuntimeError(
                f"embedding_bag: expected per_sample_weights of {weight.dtype}, which weight has, got {shares.dtype}"
            )
        rows = mul(rows, reshape(shares, -1, 1))
    if mode == "max" and bags.size:
        return _largest(rows, bags, len(sizes))
    total = apply(_ix.PutItems, (rows,), ((_there(bags, raw),), (len(sizes), rows._array.shape[1])))
    if mode != "mean":
        return total
    count = np.maximum(np.bincount(bags, minlength=len(sizes)), 1).astype(weight._array.dtype)
    return div(total, Tensor._wrap(_there(count[:, None], raw)))


def _there(a: Any, like: Any) -> Any:
    """A host array on the device of another."""
    return module_of(like).asarray(a)


def _indices(input: Tensor, weight: Tensor) -> Any:
    try:
        return checked_indices("embedding_bag", weight, input).reshape(-1)
    except IndexError as e:
        raise RuntimeError(f"embedding_bag: {e}") from None


def _sizes(offsets: Tensor, n: int, include_last_offset: bool) -> Any:
    """How many indices each bag has."""
    edges = to_numpy(offsets._array)
    if edges.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'offsets' to have one of the following scalar types: Long, Int; but got "
            f"{offsets.dtype} instead (while checking arguments for embedding_bag)"
        )
    if include_last_offset and not edges.size:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if edges.size and edges[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. However, got "
            f"{edges[0]}"
        )
    if edges.size and edges[-1] > n:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {n} but got offsets[-1] of {edges[-1]}"
        )
    if include_last_offset:
        if edges[-1] != n:
            raise RuntimeError(
                f"embedding_bag: with include_last_offset the last offset is the count of indices, {n}, got {edges[-1]}"
            )
        edges = edges[:-1]
    sizes = np.diff(np.append(edges, n)) if edges.size else np.zeros(0, np.int64)
    if (sizes < 0).any():
        raise RuntimeError("embedding_bag: offsets have to rise")
    if not edges.size and n:
        raise RuntimeError(f"embedding_bag: {n} indices are in no bag; offsets are empty")
    return sizes


def _largest(rows: Tensor, bags: Any, count: int) -> Tensor:
    """The largest of each bag in each column; the first of equal ones gets the gradient."""
    a = rows._array
    xp = module_of(a)
    sizes = np.bincount(bags, minlength=count)
    starts = np.cumsum(sizes) - sizes
    steps = np.arange(sizes.max())
    places = np.where(steps < sizes[:, None], starts[:, None] + steps, -1)  # (bags, the most rows of one)
    spread = xp.where(
        xp.asarray((places >= 0)[..., None]), a[xp.asarray(np.maximum(places, 0))], a.dtype.type(-np.inf)
    )
    which = spread.argmax(axis=1) + xp.asarray(starts * (sizes > 0))[:, None]
    columns = xp.arange(a.shape[1])[None, :]
    found = apply(_ix.Index, (rows,), ((which, columns),))
    return masked_fill(found, Tensor._wrap(xp.asarray((sizes == 0)[:, None])), 0.0)


@entered
def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the index of the class and 0 elsewhere, in a new last dimension; -1: as many classes as there must be."""
    a = tensor_of(input, "one_hot")._array
    if a.dtype != np.int64:
        raise RuntimeError(
            f"one_hot is only applicable to index tensor of type LongTensor, got {input.dtype}"
        )
    if not a.size and num_classes <= 0:
        raise RuntimeError("Can not infer total number of classes from empty tensor.")
    if a.size and int(a.min()) < 0:
        raise RuntimeError("Class values must be non-negative.")
    n = int(a.max()) + 1 if num_classes == -1 else num_classes
    if a.size and int(a.max()) >= n:
        raise RuntimeError(f"Class values must be smaller than num_classes, which is {n}.")
    return Tensor._wrap((a[..., None] == module_of(a).arange(n)).astype(np.int64))
