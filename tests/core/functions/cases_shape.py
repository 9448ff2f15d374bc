"""Shapes and orders of dimensions, parts, copies in another order, triangles and diagonals."""

from __future__ import annotations

import numpy as np

from .driver import D, bad, case
from .samples import signed, special

_X = signed(2, 3, 4)
_M = signed(2, 3)
_V = signed(6)
_S = signed()
_EMPTY = signed(0, 3)
_COUNTS = np.array([2, 0, 3])


def _each(name, *calls, **options):
    """Cases of one function: each call is the tuple of its arguments."""
    return [case(name, *args, note=str(i), **options) for i, args in enumerate(calls)]


def _bad(name, *calls):
    return [bad(name, *args, note=str(i)) for i, args in enumerate(calls)]


CASES = [
    *_each("reshape", (_X, (4, -1)), (_X, (24,)), (_X, (2, 1, 12)), (_EMPTY, (3, 0)), (_S, (1, 1)), (_S, ()), (_EMPTY, (0, 5))),
    *_each("reshape_as", (_X, signed(4, 6)), (_S, signed(1))),
    *_each("view", (_X, 4, 6), (_X, (-1,)), (_S, (1,)), (_EMPTY, 0, 7), forms=False),
    *(case("view", np.arange(8.0), D(to), note=f"as-{to}", dtypes="float32", grad=False, forms=False) for to in "float32 int32 int16 uint8 float64 int64".split()),
    case("view", signed(), D("int32"), note="0d-bits", dtypes="float32", grad=False),
    case("view_as", _X, signed(6, 4)),
    *_each("flatten", (_X,), (_X, 1), (_X, 0, 1), (_X, -2, -1), (_S,), (_EMPTY,)),
    *_each("unflatten", (_X, 2, (2, 2)), (_X, -1, (2, -1)), (_V, 0, (3, 1, 2))),
    *_each("ravel", (_X,), (_S,), (_EMPTY,)),
    *_each("permute", (_X, (2, 0, 1)), (_X, (-1, 1, 0)), (_S, ()), (_EMPTY, (1, 0))),
    *(c for name in "transpose swapaxes swapdims".split() for c in _each(name, (_X, 0, 2), (_X, -1, 1), (_S, 0, -1), (_EMPTY, 0, 1))),
    *_each("movedim", (_X, 0, 2), (_X, (0, 1), (-1, 0)), (_X, (2, 0), (0, 1)), (_S, (), ()), (_X, -1, 0)),
    *_each("t", (_M,), (_V,), (_S,), (_EMPTY,)),
    *_each("adjoint", (_X,), (_M,)),
    *_each("squeeze", (signed(1, 2, 1),), (signed(1, 2, 1), 0), (signed(1, 2, 1), 1), (signed(1, 2, 1), (0, -1)), (_S, 0), (signed(1, 1),), (_S,)),
    *_each("unsqueeze", (_M, 0), (_M, -1), (_M, 2), (_S, 0), (_EMPTY, 1)),
    *_each("expand", (signed(2, 1), 2, 3), (signed(3), 2, -1), (_S, 2, 2), (signed(1, 3), (0, 3)), (signed(2, 1, 3), (-1, 4, -1))),
    *_each("expand_as", (signed(2, 1), signed(4, 2, 3))),
    *_each("broadcast_to", (signed(2, 1), (3, 2, 4)), (_S, (2,))),
    *_each("broadcast_shapes", ((2, 1), 3, (1,)), (), ((0, 1), (1, 4)), ((),)),
    *_each("contiguous", (_X,), (_S,)),
    *_each("clone", (_X,), (_S,), (_EMPTY,)),
    case("reshape", _X, note="named", shape=(4, -1)), case("view", _X, note="named", size=(4, -1)), case("permute", _X, note="named", dims=(2, 0, 1)),
    case("expand", signed(2, 1), note="named", size=(3, 2, 4)), case("flip", _X, note="named", dims=[0, 2]), case("tile", _M, note="named", dims=(2,)),
    case("repeat", _M, note="named", repeats=(2, 1)),
    case("view", _X, note="named-dtype", dtype=D("int32"), dtypes="float32", grad=False),
    # parts
    *_each("split", (_X, 2, 1), (_V, 4), (_V, [1, 2, 3]), (_X, (1, 3), -1), (_EMPTY, 2), (_EMPTY, 0), keywords=False),
    *_each("split_with_sizes", (_V, [1, 0, 5]), (_X, (3, 1), 2)),
    *_each("unsafe_split", (_V, 4), (_X, 2, 2)),
    *_each("unsafe_split_with_sizes", (_V, [1, 0, 5]), (_X, (3, 1), 2)),
    *(c for name in ("chunk", "unsafe_chunk") for c in _each(name, (_V, 4), (_X, 2, 2), (_V, 7), (_EMPTY, 3), (_EMPTY, 2, 1))),
    *_each("tensor_split", (_V, 4), (_V, (1, 4)), (_V, (4, 1, 9, -1)), (_X, 3, -1), (_V, 8), (_V, ()), keywords=False),
    *_each("hsplit", (_X, 3), (_V, (1, 3)), (_M, [2]), keywords=False),
    *_each("vsplit", (_X, 2), (signed(4, 1), (1, 3)), keywords=False),
    *_each("dsplit", (_X, 2), (_X, (1, 3)), keywords=False),
    *_each("narrow", (_X, 1, 1, 2), (_X, -1, -3, 2), (_V, 0, 6, 0), (_EMPTY, 0, 0, 0)),
    case("narrow", _X, 1, np.array(1), 2, note="tensor", forms=False),
    *_each("unbind", (_X,), (_X, 1), (_V, -1), (_EMPTY,)),
    *_each("select", (_X, 1, 2), (_X, -1, -4), (_V, 0, 3)),
    *_each("diagonal", (_M,), (_X, 1, 1, 2), (_X, -1, -1, 0), (_M, 3), (_M, -5), (_EMPTY,)),
    *_each("unfold", (_V, 0, 3, 1), (_V, 0, 2, 3), (_X, 1, 2, 1), (_X, -1, 4, 2), (_S, 0, 1, 1), (_V, 0, 0, 2)),
    *_each("as_strided", (_X, (3, 2), (4, 2)), (_X, (2, 2), (1, 1), 3), (_V, (4, 3), (1, 1)), (_X, (), ()), (_V, (0, 2), (1, 1)), (_V, (2, 2), (0, 1))),
    case("storage_offset", _X),
    *(c for name in ("transpose_", "swapaxes_", "swapdims_") for c in _each(name, (_X, 0, 2), (_X, -1, 1), (_S, 0, -1))),
    *_each("t_", (_M,), (_V,), (_S,)),
    *_each("squeeze_", (signed(1, 2, 1),), (signed(1, 2, 1), 0), (signed(1, 2, 1), (0, -1)), (_S,)),
    *_each("unsqueeze_", (_M, 0), (_M, -1), (_S, 0)),
    *_each("as_strided_", (_X, (3, 2), (4, 2)), (_V, (4, 3), (1, 1), 0)),
    # copies
    *_each("alias_copy", (_X,), (_S,)),
    *_each("as_strided_copy", (_X, (2, 2), (4, 2), 1)),
    *_each("diagonal_copy", (_X, 1, 0, 2), (_M,)),
    *_each("expand_copy", (signed(2, 1), (3, 2, 4)), (_M, (-1, 3))),
    *_each("narrow_copy", (_X, 1, 1, 2), (_V, 0, 4, 2)),
    case("narrow_copy", _V, 0, -2, 2, note="from-the-end", grad=False),
    *_each("permute_copy", (_X, (2, 0, 1))),
    *_each("select_copy", (_X, 1, -1)),
    *_each("slice_copy", (_X,), (_X, 2, 1, None, 2), (_X, -2, -2, 9)),
    *_each("split_copy", (_V, 4), (_X, 2, 2)),
    *_each("split_with_sizes_copy", (_V, [1, 5]),),
    *_each("squeeze_copy", (signed(1, 2, 1),), (signed(1, 2, 1), 0), (signed(1, 2, 1), (0, 2))),
    *_each("t_copy", (_M,), (_V,)),
    *_each("transpose_copy", (_X, 0, -1)),
    *_each("unbind_copy", (_X, 1),),
    *_each("unfold_copy", (_V, 0, 3, 2)),
    *_each("unsqueeze_copy", (_M, 1)),
    *_each("view_copy", (_X, (6, 4)), (_X, (-1,))),
    *_each("select_scatter", (_X, signed(2, 4), 1, 0), (_X, signed(2, 3), -1, -1), (_V, signed(), 0, 2)),
    *_each("slice_scatter", (_X, signed(2, 3, 2), 2, 0, 4, 2), (_X, signed(1, 3, 4), 0, -1), (_V, signed(5), 0, 1), (_X, signed(2, 0, 4), 1, 2, 1)),
    *_each("diagonal_scatter", (_M, signed(2)), (_X, signed(2, 2), 1, 0, 2), (_M, signed(1), -1)),
    *_each("as_strided_scatter", (_X, signed(2, 2), (2, 2), (4, 2), 1), (_V, signed(2), (2,), (3,)), grad=False),  # PyTorch's is wrong
    *(case(name, _M, np.array([1, 2, 3]), 0, 1, note="cast") for name in ("select_scatter",)),
    *_each("repeat", (_M, 2, 3), (_V, 2, 2), (_S, 3), (_S, ()), (_M, (1, 1, 2)), (_M, 0, 1), (_EMPTY, 2, 2)),
    *_each("tile", (_M, (2,)), (_M, (2, 1, 2)), (_S, (2,)), (_M, ())),
    *_each("repeat_interleave", (_M, 2), (_M, 3, 1), (_M, 0, 0), (_S, 3), (_X, 2, -1)),
    *(case("repeat_interleave", *a, note=f"tensor-{i}") for i, a in enumerate([(_M, _COUNTS, 1), (signed(3), _COUNTS), (_M, np.array([2]), 0), (_M, np.array(2))])),
    case("repeat_interleave", _M, _COUNTS, 1, note="size", output_size=5),
    case("repeat_interleave", _COUNTS, note="numbers", forms=False),
    case("repeat_interleave", _COUNTS.astype(np.int32), note="numbers-32", forms=False),
    *_each("roll", (_X, 1), (_X, 1, 0), (_X, -5, 2), (_X, (1, 2), (0, 2)), (_X, (1, 1), (2, 2)), (_S, 1), (_EMPTY, 1, 0), (_V, 7, -1)),
    *_each("flip", (_X, (0,)), (_X, (0, -1)), (_X, ()), (_S, (0,)), (_EMPTY, (0, 1))),
    *_each("fliplr", (_X,), (_M,)),
    *_each("flipud", (_X,), (_V,)),
    *_each("rot90", (_M,), (_M, 2), (_M, -1), (_X, 3, (0, 2)), (_X, 4), (_X, 1, (2, 1))),
    # triangles and diagonals
    *(c for name in ("tril", "triu") for c in _each(name, (signed(3, 3),), (_X, 1), (_M, -1), (_EMPTY,), (_M, 9))),
    *(case(name, special().reshape(1, -1), note="special", grad=False) for name in ("tril", "triu")),
    *(c for name in ("tril_indices", "triu_indices") for c in _each(name, (3, 4), (4, 2, 1), (3, 3, -1), (0, 2), (2, 3, 5))),
    *(case(name, 3, 2, note="int32", dtype=D("int32")) for name in ("tril_indices", "triu_indices")),
    *_each("diag", (_V,), (_M,), (_V, 1), (_V, -2), (_M, 1), (_EMPTY,), (signed(0),)),
    *_each("diag_embed", (_M,), (_V, 1), (_X, -1, 0, 2), (_M, 0, 1, 0), (_EMPTY, 2)),
    *_each("diagflat", (_M,), (_V, -1), (_S, 1), (_EMPTY,)),
    *_each("fill_diagonal_", (_M, 0.5), (signed(7, 3), 0.5), (signed(7, 3), 0.5, True), (signed(3, 3, 3), 0.5), dtypes="float64 float32", grad=False),
    case("fill_diagonal_", signed(3, 2), 2, note="whole", grad=False),
]  # fmt: skip

BAD = [
    bad("flip", _X, dims=1, note="named"), bad("reshape", _X, size=(24,), note="named"), bad("view", _X, 4, size=(24,), note="named"),
    *_bad("reshape", (_X, (5, -1)), (_X, (-1, -1)), (_X, (25,)), (_X, (-2, 12)), (_EMPTY, (-1, 0)), (_X, (2.0, 12))),
    *_bad("view", (_X, 5), (_M, D("float32"), 1)),
    bad("view", signed(), D("int16"), note="0d-size"),
    bad("view", signed(3).astype(np.float32), D("int64"), note="odd-size"),
    *_bad("flatten", (_X, 2, 1), (_X, 3)),
    *_bad("unflatten", (_X, 2, (3, -1)), (_X, 2, ()), (_X, 3, (1, 1)), (_X, 1, 3), (_S, 0, (1, 1))),
    *_bad("permute", (_X, (0, 1)), (_X, (0, 1, 1)), (_X, (0, 1, 3)), (_X, (0, 1, 1.5))),
    *_bad("transpose", (_X, 0, 3), (_S, 0, 1), (_X, 0, 1.0)),
    *_bad("movedim", (_X, (0, 1), (0,)), (_X, (0, 0), (0, 1)), (_X, (0, 1), (1, 1)), (_X, 3, 0)),
    bad("t", _X), bad("adjoint", _V),
    *_bad("squeeze", (_M, 2), (_M, (0, 0))),
    *_bad("unsqueeze", (_M, 3), (_M, -4), (_M, 1.0)),
    *_bad("expand", (_M, 3), (_M, 3, 3), (_M, -1, 2, 3), (_M, 2, -2)),
    *_bad("broadcast_to", (_M, (3, 3)), (_M, 3)),
    *_bad("broadcast_shapes", ((2,), (3,)), ((2, -1),)),
    *_bad("split", (_V, -1), (_V, 0), (_V, [1, 2]), (_V, [7, -1]), (_S, 1), (_V, 2, 1)),
    *_bad("chunk", (_V, 0), (_S, 1), (_V, 2, 1)),
    *_bad("tensor_split", (_V, 0), (_S, 1), (_V, 1.5), (_V, np.array([1.0]))),
    *_bad("hsplit", (_M, 2), (_S, 1), (_M, 0)), *_bad("vsplit", (_M, 3), (_V, 1)), *_bad("dsplit", (_M, 1), (_X, 3)),
    *_bad("narrow", (_V, 0, 5, 2), (_V, 0, 0, -1), (_V, 0, -7, 1), (_V, 0, 7, 0), (_V, 1, 0, 1), (_S, 0, 0, 1)),
    *_bad("unbind", (_S,), (_V, 1)),
    *_bad("select", (_V, 0, 6), (_V, 0, -7), (_S, 0, 0), (_V, 1, 0), (_V, 0, 1.5)),
    *_bad("diagonal", (_M, 0, 1, 1), (_V,), (_M, 0, 0, 2)),
    *_bad("unfold", (_V, 0, 7, 1), (_V, 0, 2, 0), (_V, 1, 2, 1), (_V, 0, -1, 1)),
    *_bad("as_strided", (_V, (2, 4), (3, 1)), (_V, (2,), (1, 1)), (_V, (2,), (-1,)), (_V, (2,), (1,), 5), (_V, (2,), (1,), -1), (_V, (-1,), (1,))),
    *_bad("select_scatter", (_X, signed(2), 1, 0), (_X, signed(2, 4), 1, 3), (_X, 1.0, 1, 0), (_S, signed(), 0, 0)),
    *_bad("slice_scatter", (_X, signed(2, 3, 3), 2, 0, 2), (_X, signed(4), 0, 0, 1), (_V, signed(5), 0, 0, 5, -1)),
    *_bad("diagonal_scatter", (_M, signed(3)), (_M, signed()), (_V, signed())),
    *_bad("as_strided_scatter", (_V, signed(2), (2,), (9,)), (_V, signed(3), (2,), (1,))),
    *_bad("narrow_copy", (_V, 0, 5, 3),), *_bad("slice_copy", (_V, 0, 0, 2, -1),), *_bad("view_copy", (_V, (4,)),),
    *_bad("t_", (_X,)), *_bad("transpose_", (_X, 0, 3)), *_bad("unsqueeze_", (_M, 4)), *_bad("squeeze_", (_M, 3)),
    *_bad("repeat", (_M, 2), (_M, -1, 2)),
    *_bad("repeat_interleave", (_M, -1), (_M, _COUNTS), (_M, _COUNTS, 0), (_M, np.array([1.5, 2.0]), 0), (_M, np.array([-1, 2]), 0), (_M, 2, 2), (_M,)),
    bad("repeat_interleave", _M, 2, 0, output_size=3, note="output-size"),
    *_bad("roll", (_X, (1, 2), 0), (_X, (), ()), (_X, 1, 3), (_X, (1, 2))),
    *_bad("flip", (_X, (0, 0)), (_X, (3,)), (_X, 0.5)),
    bad("fliplr", _V), bad("flipud", _S),
    *_bad("rot90", (_V,), (_M, 1, (0, 0)), (_M, 1, (0,)), (_M, 1, (0, 2))),
    bad("tril", _V), bad("triu", _S), bad("tril", _M, 0.5),
    *_bad("tril_indices", (-1, 2), (2, -1), (2.5, 2)),
    bad("triu_indices", 2, 2, dtype=D("float32"), note="float"),
    *_bad("diag", (_X,), (_S,)), *_bad("diag_embed", (_S,), (_M, 0, 1, 1), (_M, 0, 0, 3)),
    *_bad("fill_diagonal_", (_V, 1.0), (signed(2, 3, 2), 1.0)),
]  # fmt: skip
