"""Distinct elements, places in sorted rows, membership, counts and histograms. None of these has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import float64
from ..grad_mode import state as grad_state
from ..ops.order import comparable, order_of
from ..ops.registry import arrays, cast_inputs
from ..ops.searching import counted, distinct, places, row_order
from ..tensor import Tensor
from .arguments import common_dtype, named, one_dim, tensor_of, truth_of, whole_number
from .catalogue import public

__all__ = [
    "argwhere", "bincount", "bucketize", "histc", "histogram", "is_nonzero", "isin", "nonzero", "nonzero_static", "searchsorted", "unique",
    "unique_consecutive",
]  # fmt: skip


def _answers(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    found = [values] + [inverse] * return_inverse + [counts] * return_counts
    wrapped = tuple([Tensor._wrap(a) for a in found])
    return wrapped if len(wrapped) > 1 else wrapped[0]


def _distinct(t: Tensor, dim: Any, ordered: bool, return_inverse: bool, return_counts: bool) -> Any:
    a = t._array
    if dim is None:
        flat = a.reshape(-1)
        values, inverse, counts = distinct(flat, order_of(flat, 0, False) if ordered else None)
        inverse = inverse.reshape(a.shape)
    else:
        if not t.ndim:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        d = one_dim(dim, t.ndim)
        rows = a.swapaxes(0, d)
        if not a.size and a.shape[d]:
            raise RuntimeError(
                "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
            )
        if not a.size:
            if 0 in rows.shape[1:]:
                raise RuntimeError(
                    "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
                )
            none = module_of(a).zeros((0,), np.int64)
            return _answers(a.copy(), none, none, return_inverse, return_counts)
        rows = a.transpose(d, *[i for i in range(t.ndim) if i != d])
        found, inverse, counts = distinct(rows, row_order(rows) if ordered else None)
        back = list(range(1, t.ndim))
        back.insert(d, 0)
        values = found.transpose(*back)
    return _answers(values, inverse, counts, return_inverse, return_counts)


@public()
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:  # fmt: skip
    """The distinct elements in order, or the distinct slices along `dim`; each NaN is one of its own.

    return_inverse: also where each element went. return_counts: also how many each was.
    """
    t = tensor_of(input, "unique")
    for value, name in (
        (sorted, "sorted"),
        (return_inverse, "return_inverse"),
        (return_counts, "return_counts"),
    ):
        truth_of(value, "unique", name)
    return _distinct(t, dim, True, return_inverse, return_counts)


@public()
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """`input` flattened with equal neighbours joined, or its slices along `dim`."""
    t = tensor_of(input, "unique_consecutive")
    for value, name in ((return_inverse, "return_inverse"), (return_counts, "return_counts")):
        truth_of(value, "unique_consecutive", name)
    return _distinct(t, dim, False, return_inverse, return_counts)


def _placed(rows: Any, values: Any, right: bool, out_int32: bool) -> Tensor:
    found = places(rows, values, right) if rows.shape[-1] else module_of(rows).zeros(values.shape, np.int64)
    return Tensor._wrap(found.astype(np.int32) if out_int32 else found)


def _number(x: Any, like: Tensor, name: str, argument: str) -> Tensor:
    """A 0-d tensor of a number, on the device of `like`; a tensor as it is."""
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, (int, float)):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor or Number, not {type(x).__name__}")
    dtype = np.float64 if isinstance(x, float) else np.int64
    return Tensor._wrap(module_of(like._array).asarray(x, dtype))


def _comparable(rows: Tensor, values: Tensor, name: str) -> tuple[Any, Any]:
    """Both in a dtype that holds them; two bool tensors have no order here."""
    if rows._array.dtype.kind == values._array.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not implemented for torch.bool; convert with .int() first")
    if rows.device != values.device:
        raise RuntimeError(
            f"torch.{name}(): boundaries and input value tensors should have same device type, but got boundaries tensor "
            f"device type {rows.device} and input value tensor device type {values.device}"
        )
    a, v = comparable(rows._array), comparable(values._array)
    to = np.promote_types(a.dtype, v.dtype)
    return a.astype(to, copy=False), v.astype(to, copy=False)


@public(method=False, out=True, exact=True)
def searchsorted(
    sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """For each of `input` the place in `sorted_sequence` (in its row of it) where it could go in before equal ones.

    right, or side "right": behind equal ones. sorter: the order in which the sequence is sorted.
    """
    rows = tensor_of(sorted_sequence, "searchsorted", "sorted_sequence")
    values = _number(input, rows, "searchsorted", "input")
    truth_of(right, "searchsorted", "right")
    truth_of(out_int32, "searchsorted", "out_int32")
    if side not in (None, "left", "right"):
        raise RuntimeError(f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}")
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True"
        )
    if not rows.ndim:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension"
        )
    if not values.ndim and rows.ndim != 1:
        raise RuntimeError(
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
            f"boundaries tensor dim({rows.ndim}) and input value's dim(0) numel(1)"
        )
    if rows.ndim != 1 and rows.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
            f"and input value tensor must match, but we got boundaries tensor {list(rows.shape)} and input value tensor "
            f"{list(values.shape)}"
        )
    a, v = _comparable(rows, values, "searchsorted")
    if sorter is not None:
        a = a[..., :0] if not a.size else module_of(a).take_along_axis(a, _order_given(sorter, rows), -1)
    return _placed(a, v, right or side == "right", out_int32)


def _order_given(sorter: Tensor, rows: Tensor) -> Any:
    tensor_of(sorter, "searchsorted", "sorter")
    if sorter.shape != rows.shape:
        raise RuntimeError(
            "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor "
            f"{list(rows.shape)} and got sorter tensor {list(sorter.shape)}"
        )
    if sorter._array.dtype != np.int64:
        raise RuntimeError(
            f"torch.searchsorted(): sorter must be a tensor of long dtype but got dtype {sorter.dtype}"
        )
    if sorter.numel() and not 0 <= int(sorter._array.min()) <= int(sorter._array.max()) < rows.shape[-1]:
        raise RuntimeError("torch.searchsorted(): sorter index out of range")
    return sorter._array


@public(method=False, out=True, exact=True)
def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """For each of `input` the number of the bucket between sorted 1-D `boundaries` that it falls into."""
    rows = tensor_of(boundaries, "bucketize", "boundaries")
    values = _number(input, rows, "bucketize", "input")
    truth_of(right, "bucketize", "right")
    truth_of(out_int32, "bucketize", "out_int32")
    if rows.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({rows.ndim})")
    return _placed(*_comparable(rows, values, "bucketize"), right, out_int32)


def _one_tensor(named: dict[str, Any], out: Any) -> None:
    if named.get("as_tuple"):
        raise TypeError("nonzero(): out= is taken without as_tuple only")


@public(out=True, exact=True, prepare=_one_tensor)
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not zero, a row for each; as_tuple: one tensor for each dimension."""
    t = tensor_of(input, "nonzero")
    truth_of(as_tuple, "nonzero", "as_tuple")
    a = t._array
    xp = module_of(a)
    found = xp.nonzero((a if t.ndim else a.reshape(1)) != 0)  # of bools: NumPy takes a fifth of the time
    if as_tuple:
        return tuple([Tensor._wrap(i.astype(np.int64, copy=False)) for i in found])
    if not t.ndim:
        return Tensor._wrap(xp.zeros((found[0].shape[0], 0), np.int64))
    joined = xp.concatenate([i.reshape(-1, 1) for i in found], axis=1)
    return Tensor._wrap(joined.astype(np.int64, copy=False))


@public(out=True, exact=True)
def nonzero_static(input: Tensor, *, size: int, fill_value: int = -1) -> Tensor:
    """The first `size` rows of nonzero, filled up with rows of `fill_value`."""
    found = nonzero(tensor_of(input, "nonzero_static"))._array
    size = whole_number(size, "size")
    if size < 0:
        raise RuntimeError(f"nonzero_static: 'size' must be an non-negative integer, but got {size}")
    xp = module_of(found)
    rest = xp.full(
        (max(size - found.shape[0], 0), found.shape[1]), whole_number(fill_value, "fill_value"), np.int64
    )
    return Tensor._wrap(xp.concatenate((found[:size], rest)))


@public()
def argwhere(input: Tensor) -> Tensor:
    """The indices of all elements that are not zero, a row for each."""
    found: Tensor = nonzero(tensor_of(input, "argwhere"))
    return found


@public()
def is_nonzero(input: Tensor) -> bool:
    """Whether the only element is not zero; RuntimeError where there are none or several."""
    t = tensor_of(input, "is_nonzero")
    if t.numel() != 1:
        how_many = "no values" if not t.numel() else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {how_many} is ambiguous")
    return bool(t.item())


@public(method=False, out=True, exact=True)
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each of `elements` is among `test_elements` (with `invert`, whether it is not); NaN never is."""
    tensors = [x for x in (elements, test_elements) if isinstance(x, Tensor)]
    if not tensors:
        raise TypeError("isin(): one of elements and test_elements must be Tensor")
    truth_of(invert, "isin", "invert")
    truth_of(assume_unique, "isin", "assume_unique")
    x = _number(elements, tensors[0], "isin", "elements")
    among = _number(test_elements, tensors[0], "isin", "test_elements")
    for t in (x, among):
        if t._array.dtype.kind == "b":
            raise RuntimeError("Unsupported input type encountered for isin(): Bool")
    to = common_dtype([x, among])
    a, row = cast_inputs(x.detach(), to)._array, cast_inputs(among.detach(), to)._array.reshape(-1)
    xp = module_of(a)
    if row.size:
        row = row[order_of(row, 0, False)]
        found = row[xp.minimum(places(row, a, False), row.size - 1)] == a
    else:
        found = xp.zeros(a.shape, bool)
    return Tensor._wrap(~found if invert else found)


@public()
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number is in a 1-D tensor of non-negative integers, or the sum of its `weights`."""
    t = tensor_of(input, "bincount")
    a = t._array
    minlength = whole_number(minlength, "minlength")
    if a.dtype.kind not in "iu":
        raise NotImplementedError(f"bincount: not implemented for {t.dtype}; convert with .long() first")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if t.ndim != 1 or (a.size and int(a.min()) < 0):
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    xp = module_of(a)
    if not a.size:
        return Tensor._wrap(xp.zeros((minlength,), np.int64))
    n = max(int(a.max()) + 1, minlength)
    if weights is None:
        return Tensor._wrap(counted(a, n))
    w = tensor_of(weights, "bincount", "weights").detach()
    if w.shape != t.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    if w._array.dtype != np.float32:
        w = cast_inputs(w, float64)
    return Tensor._wrap(arrays.put_items(w._array, (a,), (n,)))


def _range(a: Any, low: Any, high: Any, name: str) -> tuple[float, float]:
    """From where to where a histogram goes: of the data where both are equal and nothing else is said."""
    if low == high and a.size:
        low, high = float(a.min()), float(a.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise RuntimeError(f"torch.{name}: range of [{low}, {high}] is not finite")
    if low > high:
        raise RuntimeError(f"torch.{name}: max must be larger than min")
    return float(low), float(high)


def _needs_full_float(t: Tensor, name: str) -> None:
    if not t.is_floating_point():
        raise NotImplementedError(f"{name}: not implemented for {t.dtype}; convert with .float() first")


@public(out=True, exact=True)
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements fall into each of `bins` equal parts of [min, max] (of the data's range where both are equal)."""
    t = tensor_of(input, "histc")
    bins = whole_number(bins, "bins")
    for value, argument in ((min, "min"), (max, "max")):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"histc(): argument '{argument}' must be Number, not {type(value).__name__}")
    _needs_full_float(t, "histc")
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    a = t._array.reshape(-1)
    low, high = _range(a, min, max, "histc")
    at = grad_state.quiet(_bins, a, low, high, bins)
    return Tensor._wrap(counted(at, bins).astype(t._array.dtype))


def _bins(a: Any, low: float, high: float, bins: int) -> Any:
    """The numbers of the bins of what lies in [low, high], found in a's dtype."""
    number = a.dtype.type
    a = a[(a >= number(low)) & (a <= number(high))]
    at = ((a - number(low)) * number(bins) / (number(high) - number(low))).astype(np.int64)
    return module_of(a).minimum(at, bins - 1)


@public()
def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """How many elements (or how much of their `weight`) fall into each bin, and the edges of the bins.

    bins: how many equal ones over `range` (the data's where None), or their edges in order. density: so that the
    histogram's integral is 1.
    """
    t = tensor_of(input, "histogram")
    truth_of(density, "histogram", "density")
    if t._array.dtype.itemsize < 4:
        raise NotImplementedError(f"histogram: not implemented for {t.dtype}; convert with .float() first")
    _needs_full_float(t, "histogram")
    a = t._array.reshape(-1)
    xp = module_of(a)
    if isinstance(bins, Tensor):
        if range is not None:
            raise TypeError("histogram(): takes edges or a range, not both")
        if bins.ndim != 1 or bins.dtype is not t.dtype:
            raise RuntimeError("torch.histogram(): bins tensor should be 1-D and of the input's dtype")
        edges = bins._array.copy()
    else:
        n = whole_number(bins, "bins")
        if n <= 0:
            raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {n} for dimension 0")
        if range is None:
            low, high = (float(a.min()), float(a.max())) if a.size else (0.0, 1.0)
            if not (np.isfinite(low) and np.isfinite(high)):
                raise RuntimeError(f"torch.histogram: dimension 0's range [{low}, {high}] is not finite")
            if low == high:
                low, high = low - 0.5, high + 0.5
        else:
            low, high = (float(x) for x in range)
            if not low <= high:
                raise RuntimeError(f"torch.histogram: left edge {low} must not exceed the right edge {high}")
            if low == high:
                low, high = low - 0.5, high + 0.5
        edges = xp.asarray(np.linspace(low, high, n + 1), a.dtype)
    w = None
    if weight is not None:
        if tensor_of(weight, "histogram", "weight").shape != t.shape or weight.dtype is not t.dtype:
            raise RuntimeError("torch.histogram(): weight should have the input's shape and dtype")
        w = weight._array.reshape(-1)
    n = edges.shape[0] - 1
    inside = (a >= edges[0]) & (a <= edges[-1])
    at = xp.minimum(places(edges, a[inside], True) - 1, n - 1)
    if w is None:
        hist = counted(at, n).astype(a.dtype)
    else:
        hist = arrays.put_items(w[inside], (at,), (n,))
    counts, bin_edges = Tensor._wrap(hist), Tensor._wrap(edges)
    if density:
        counts = counts / (counts.sum() * (bin_edges[1:] - bin_edges[:-1]))
    return named("histogram", hist=counts, bin_edges=bin_edges)
