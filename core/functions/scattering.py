"""Functions that read or write along one dimension by index: gather, scatter, index_add and their kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS
from ..ops import indexing as _ix
from ..ops import scattering as _sc
from ..ops.ordered import combine_in_order, places_of, rounds
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import beside, on_one_device, one_dim, spelled, tensor_of
from .arithmetic import mul
from .catalogue import public
from .indexing import getitem, put, stored_number
from .shape import clone, expand, reshape

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_reduce", "index_select", "scatter", "scatter_add",
    "scatter_reduce",
]  # fmt: skip


def _lines(index: Any, name: str) -> Tensor:
    """An index tensor for gather and scatter."""
    tensor_of(index, name, "index")
    if index._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    return index  # type: ignore[no-any-return]


def _at_least_one(t: Tensor) -> Tensor:
    return t if t.ndim else reshape(t, 1)


def _checked(input: Tensor, d: int, index: Tensor, src: Tensor | None) -> None:
    """`input` and the others with one dimension at least: that `index` fits into both and leads into `input`."""
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    if src is not None and src.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    own = index._array.shape
    for i, n in enumerate(own):
        if (i != d and n > input._array.shape[i]) or (src is not None and n > src._array.shape[i]):
            rest = f" and to be no larger size than src {list(src.shape)}" if src is not None else ""
            if src is None:
                raise RuntimeError(
                    f"Size does not match at dimension {i} expected index {list(own)} to be no larger than self "
                    f"{list(input.shape)} apart from dimension {d}"
                )
            raise RuntimeError(
                f"Expected index {list(own)} to be no larger than self {list(input.shape)} apart from dimension {d}{rest}"
            )
    n = input._array.shape[d]
    if _beyond(index._array, n):
        low, high = int(index._array.min()), int(index._array.max())
        raise RuntimeError(
            f"index {low if low < 0 else high} is out of bounds for dimension {d} with size {n}"
        )


def _beyond(raw: Any, n: int) -> bool:
    """Whether an index array leads out of [0, n); as unsigned numbers negative ones are large: one pass and not two."""
    return bool(raw.size) and int(raw.view(f"u{raw.itemsize}").max()) >= n


@public(out=True)
def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j][k] = input[index[i][j][k]][j][k] for dim 0, and so on."""
    d, lines = one_dim(dim, input.ndim), _lines(index, "gather")
    on_one_device("gather", input, lines)
    one, several = _at_least_one(input), _at_least_one(lines)
    _checked(one, d, several, None)
    out = apply(_ix.Gather, (one, several), (d,))
    return out if lines.ndim else reshape(out, ())


def _scattered(name: str, input: Tensor, dim: int, index: Tensor, src: Tensor, how: Any) -> Tensor:
    """`how(input, raw index, src)` where src and the index are brought to one shape."""
    d, lines = one_dim(dim, input.ndim), _lines(index, name)
    if src.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    on_one_device(name, input, lines, src)
    if not lines._array.size:
        return clone(input)
    one, several = _at_least_one(input), _at_least_one(lines)
    from_ = _at_least_one(src)
    _checked(one, d, several, from_)
    shape = several._array.shape
    if from_._array.shape != shape:
        from_ = getitem(from_, tuple(slice(0, n) for n in shape))
    out: Tensor = how(one, _ix.grid(several._array, d), from_)
    return out if input.ndim else reshape(out, ())


def _replaced(input: Tensor, index: Any, src: Tensor) -> Tensor:
    return put(input, index, src, False)


def _added(input: Tensor, index: Any, src: Tensor) -> Tensor:
    return put(input, index, src, True)


@public(in_place=True, out=True)
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, reduce: str | None = None, value: Any = None
) -> Tensor:
    """A copy with out[index[i][j][k]][j][k] = src[i][j][k] for dim 0, and so on; src: a tensor or a number. reduce: "add" or
    "multiply" combines with what is there."""
    if (src is None) == (value is None):
        raise TypeError("scatter(): expected one of 'src' and 'value'")
    src = value if src is None else src
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    lines = _lines(index, "scatter")
    if not isinstance(src, Tensor):
        number = stored_number(src, input, "scatter")
        src = expand(number, lines._array.shape)
    if reduce is None:
        return _scattered("scatter", input, dim, lines, src, _replaced)
    return scatter_reduce(input, dim, lines, src, "sum" if reduce == "add" else "prod")


@public(in_place=True, out=True)
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy with out[index[i][j][k]][j][k] += src[i][j][k] for dim 0, and so on, in order."""
    return _scattered("scatter_add", input, dim, index, tensor_of(src, "scatter_add", "src"), _added)


@public(in_place=True, out=True)
def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy where each place that the index leads to holds the sum, prod, mean, amax or amin of the values for it and,
    with include_self, of what was there."""
    tensor_of(src, "scatter_reduce", "src")
    kind = {"sum": "sum", "add": "sum", "prod": "prod", "multiply": "prod", "mean": "mean", "amax": "amax", "max": "amax",
            "amin": "amin", "min": "amin"}.get(reduce)  # fmt: skip
    if kind is None:
        raise RuntimeError(f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}")
    return _scattered("scatter_reduce", input, dim, index, src, _reducer(kind, include_self))


def _reducer(kind: str, include_self: bool) -> Any:
    if kind in ("amax", "amin"):
        return lambda input, index, src: apply(
            _sc.ScatterExtreme, (input, src), (index, kind == "amax", include_self)
        )

    def run(input: Tensor, index: Any, src: Tensor) -> Tensor:
        if not include_self:
            input = apply(_sc.PutNumber, (input,), (index, 1 if kind == "prod" else 0))
        if kind == "prod":
            return _multiplied(input, index, src)
        total = put(input, index, src, True)
        return total if kind == "sum" else _divided(total, index, include_self)

    return run


def _divided(total: Tensor, index: Any, include_self: bool) -> Tensor:
    """Sums as means: by how many values, and what was there, each is of."""
    a = total._array
    if a.dtype.kind == "b":
        raise NotImplementedError("scatter_reduce: mean of bools")
    xp = module_of(a)
    places, lead = places_of(a.shape, index, xp)
    counts = xp.full(a.shape[:lead], int(include_self), np.int64)
    combine_in_order("add", counts.reshape(-1), (places.reshape(-1),), xp.ones(places.size, np.int64))
    counts = xp.maximum(counts, xp.ones((), np.int64)).reshape(*counts.shape, *[1] * (a.ndim - lead))
    if a.dtype not in FLOATS:
        return Tensor._wrap((a // counts.astype(a.dtype)).astype(a.dtype))
    result: Tensor = total / Tensor._wrap(counts.astype(a.dtype))
    return result


def _multiplied(input: Tensor, index: Any, src: Tensor) -> Tensor:
    """Products in order; where gradients flow by rounds of single products, whose gradient is right at zeros too."""
    a = input._array
    if not (input.requires_grad or src.requires_grad):
        product = a.copy(order="C")
        combine_in_order("mul", product, index, src._array)
        return Tensor._wrap(product)
    places, lead = places_of(a.shape, index, module_of(a))
    out, values = reshape(input, (-1, *a.shape[lead:])), reshape(src, (places.size, *a.shape[lead:]))
    for targets, numbers in rounds(places.reshape(-1)):
        factor = apply(_ix.Index, (values,), ((numbers,),))
        product = mul(apply(_ix.Index, (out,), ((targets,),)), factor)
        out = apply(_sc.IndexPut, (out, product), ((targets,), False))
    return reshape(out, a.shape)


# By a vector of indices along one dimension


def _vector(index: Any, name: str, size: int | None, error: type[Exception] = IndexError) -> Any:
    """The raw index vector; with `size` checked to be in [0, size)."""
    tensor_of(index, name, "index")
    if index.ndim > 1:
        raise IndexError(
            f"{name}_(): Index is supposed to be a vector, but got dim: {index.ndim} with type: {spelled(index.dtype)} and "
            f"size: {list(index.shape)}"
        )
    raw = index._array.reshape(-1)
    if size is not None and _beyond(raw, size):
        raise error("index out of range in self")
    return raw


def _along(d: int, raw: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * d, raw)


@public(out=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The parts along a dimension that a vector of indices says."""
    d = one_dim(dim, input.ndim)
    if tensor_of(index, "index_select", "index")._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError("index_select(): Expected dtype int32 or int64 for index")
    on_one_device("index_select", input, index)
    one = _at_least_one(input)
    raw = _vector(index, "index_select", one._array.shape[d])
    if not input.ndim and raw.size != 1:
        raise RuntimeError(f"index_select(): Index to scalar can have only 1 value, got {raw.size} value(s)")
    out = apply(_ix.Index, (one,), (_along(d, raw),))
    return out if input.ndim else reshape(out, ())


def _same_dtype(name: str, input: Tensor, source: Tensor) -> None:
    if source.dtype is not input.dtype:
        own, other = spelled(input.dtype), spelled(source.dtype)
        raise RuntimeError(f"{name}_(): self ({own}) and source ({other}) must have the same scalar type")


def _rows(name: str, input: Tensor, dim: int, index: Tensor, source: Tensor) -> tuple[int, Any]:
    """The dimension and the raw index of index_add and index_reduce."""
    d = one_dim(dim, input.ndim)
    tensor_of(source, name, "source")
    if tensor_of(index, name, "index")._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(f"{name}(): Expected dtype int32/int64 for index")
    _same_dtype(name, input, source)
    on_one_device(name, input, index, source)
    own, other = input._array.shape, source._array.shape
    raw = _vector(index, name, (own or (1,))[d])
    if len(own) == len(other) and raw.size != (other or (1,))[d]:
        raise RuntimeError(
            f"{name}_(): Number of indices ({raw.size}) should be equal to source.size(dim): ({(other or (1,))[d]}), "
            f"for dim: {d}"
        )
    if len(own) != len(other) or (own and own[:d] + own[d + 1 :] != other[:d] + other[d + 1 :]):
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(own)} source.shape = {list(other)}"
        )
    return d, raw


def _through(input: Tensor, how: Any, d: int, raw: Any, source: Tensor) -> Tensor:
    out: Tensor = how(_at_least_one(input), _along(d, raw), _at_least_one(source))
    return out if input.ndim else reshape(out, ())


@public(in_place=True, out=True)
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """A copy with alpha times the parts of `source` added to the parts that `index` says, in order."""
    d, raw = _rows("index_add", input, dim, index, source)
    if alpha != 1:
        source = mul(source, stored_number(alpha, source, "index_add"))
    return _through(input, _added, d, raw, source)


@public(in_place=True, out=True)
def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """A copy where the parts that `index` says hold the prod, mean, amax or amin of the parts of `source` for them and, with
    include_self, of what was there."""
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            f"index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got {reduce}."
        )
    d, raw = _rows("index_reduce", input, dim, index, source)
    if not raw.size:
        return clone(input)
    return _through(input, _reducer(reduce, include_self), d, raw, source)


@public(in_place=True, out=True)
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A copy with the parts of `source` in place of the parts that `index` says."""
    d = one_dim(dim, input.ndim)
    tensor_of(source, "index_copy", "source")
    if tensor_of(index, "index_copy", "index")._array.dtype != np.int64:
        raise RuntimeError(f"index_copy_(): Expected a long tensor for index, but got {spelled(index.dtype)}")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"index_copy_(): self and source expected to have the same dtype, but got (self) {spelled(input.dtype)} and "
            f"(source) {spelled(source.dtype)}"
        )
    on_one_device("index_copy", input, index, source)
    raw = _vector(index, "index_copy", None)
    if input.ndim and source.ndim and input.ndim != source.ndim:
        raise IndexError(
            "index_copy_(): When source and destination are not scalars, their dimensionality must match. Source "
            f"dimensionality ({source.ndim}), destination dimensionality ({input.ndim})"
        )
    own, other = _at_least_one(input)._array.shape, _at_least_one(source)._array.shape
    if own[:d] + own[d + 1 :] != (other[:d] + other[d + 1 :] if source.ndim else ()):
        raise RuntimeError(
            f"index_copy_(): Source/destination tensor must have same slice shapes, got {list(own)} and {list(other)}"
        )
    if source.ndim and raw.size != other[d]:
        raise IndexError(
            f"index_copy_(): Number of indices ({raw.size}) should be equal to source.size(dim) ({other[d]})"
        )
    if not source.ndim and raw.size != 1:
        raise IndexError(
            f"index_copy_(): When source is scalar, index should have one element (got {raw.size})"
        )
    if raw.size and (int(raw.min()) < 0 or int(raw.max()) >= own[d]):
        wrong = int(raw.min()) if int(raw.min()) < 0 else int(raw.max())
        raise IndexError(
            f"index_copy_(): index {wrong} is out of bounds for dimension {d} with size {own[d]}"
        )
    return _through(input, _replaced, d, raw, source)


@public(in_place=True)
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """A copy with a number, or a 0-d tensor, in all the parts that `index` says."""
    d = one_dim(dim, input.ndim)
    if tensor_of(index, "index_fill", "index")._array.dtype != np.int64:
        raise IndexError("index_fill_(): Expected dtype int64 for index.")
    on_one_device("index_fill", input, index)
    raw = _vector(index, "index_fill", None)
    one = _at_least_one(input)
    n = one._array.shape[d]
    if raw.size and (int(raw.min()) < -n or int(raw.max()) >= n):
        wrong = int(raw.min()) if int(raw.min()) < -n else int(raw.max())
        raise IndexError(f"index {wrong} is out of bounds for dimension {d} with size {n}")
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        chosen = beside(value, input, input.dtype)
        if chosen.requires_grad:
            mask = module_of(one._array).zeros(n, bool)
            mask[raw] = True  # each part once, so that the value's gradient counts it once
            out = put(one, _along(d, mask), chosen, False)
            return out if input.ndim else reshape(out, ())
        value = chosen.item()
    number = stored_number(value, input, "index_fill")
    out = apply(_sc.PutNumber, (one,), (_along(d, raw), number._array))
    return out if input.ndim else reshape(out, ())
