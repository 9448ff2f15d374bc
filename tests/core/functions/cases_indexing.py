"""Reading and writing by index: lines, rows, single elements, masks."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import distinct, positive, signed

_X = signed(3, 4)
_Y = signed(2, 3, 2)
_V = signed(5)
_S = signed()
_ROWS = np.array([[2, 0, 1, 2], [0, 0, 2, 1]])
_COLUMNS = np.array([[3, 0, 3], [1, 1, 1]])
_REPEATS = np.array([[0, 0, 2, 0], [0, 1, 2, 0], [0, 1, 2, 2]])
_AT = np.array([3, 0, 3])
_ONCE = np.array([3, 0])
_NONE = np.zeros((0,), np.int64)
_MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, False]])
_LINE = np.array([True, False, False, True])
_32 = np.int32
NUMBERS = "float64 float32 float16 int64 int32 int8 uint8"
FLOATS = "float64 float32"


def _each(name, *calls, **options):
    return [case(name, *args, note=str(i), **options) for i, args in enumerate(calls)]


def _bad(name, *calls):
    return [bad(name, *args, note=str(i)) for i, args in enumerate(calls)]


def _reduced():
    """All reductions, with zeros, ties and values for one place among the values."""
    zeros, tied = signed(3, 3), np.array([[1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
    zeros[0, 0] = zeros[2, 2] = 0.0
    cases = []
    for kind in ("sum", "prod", "mean", "amax", "amin"):
        dtypes = NUMBERS if kind == "mean" else NUMBERS + " bool"
        for own in (True, False):
            for d, (note, src) in enumerate((("plain", positive(3, 3)), ("zeros", zeros))):
                twice = not (kind == "prod" and note == "zeros")  # PyTorch refuses
                cases.append(
                    case("scatter_reduce", _X, d, _REPEATS[:, :3], src, kind, note=f"{kind}-{own}-{note}", include_self=own, dtypes=dtypes, twice=twice, forms=kind in ("sum", "mean"))
                )  # fmt: skip
        if kind in ("amax", "amin"):
            cases.append(
                case("scatter_reduce", tied.copy(), 0, _REPEATS, tied, kind, note=f"{kind}-ties", forms=False)
            )
    return cases


CASES = [
    *_each("gather", (_X, 0, _ROWS), (_X, 1, _COLUMNS), (_V, 0, _AT), (_X, -1, _COLUMNS[:, :1]), (_S, 0, np.array(0)), (_S, 0, np.array([0, 0])), (_V, 0, np.array(2)), (_X, 0, np.zeros((0, 4), int)), (_X, 1, _COLUMNS.astype(_32))),
    *_each("scatter", (_X, 0, _ROWS[:1], signed(1, 4)), (_X, 1, np.array([[3, 0], [1, 2]]), signed(2, 2)), (_V, 0, _ONCE, signed(2)), (_S, 0, np.array(0), signed()), (_V, 0, _NONE, signed(0)), (_V, 0, _ONCE.astype(_32), signed(2)), keywords=False),
    case("scatter", _V, 0, _AT, signed(3), note="repeats", grad=False, forms=False),
    case("scatter", _V, 0, _AT, 2, note="number", keywords=False),
    case("scatter", _V, 0, _AT, 0.5, note="float-number", keywords=False),
    *(case("scatter", _V, 0, _AT, signed(3), note=r, reduce=r, grad=False, dtypes=NUMBERS) for r in ("add", "multiply")),
    case("scatter", _V, 0, _AT, 2, note="number-added", reduce="add", grad=False, keywords=False, dtypes=NUMBERS),
    *_each("scatter_add", (_X, 0, _ROWS, signed(2, 4)), (_X, 1, _REPEATS, signed(3, 4)), (_S, 0, np.array(0), signed())),
    *(case(name, _X, 0, _ROWS[:1, :2], signed(2, 3), note="larger-source", grad=False) for name in ("scatter", "scatter_add")),
    case("scatter_add", _V, 0, _NONE, signed(2), note="empty", grad=False),
    *_reduced(),
    case("scatter_reduce", _S, 0, np.array(0), signed(), "mean", note="0d", dtypes=FLOATS),
    case("scatter_reduce", _V, 0, _AT, np.array([1.0, 2.0, np.nan]), "amax", note="nan", dtypes=FLOATS, grad=False),
    case("scatter_reduce", _V, 0, _NONE, signed(3), "prod", note="empty", forms=False, grad=False),
    *_each("index_select", (_X, 1, _AT), (_X, 0, np.array(2)), (_V, 0, _NONE), (_S, 0, np.array([0])), (_Y, -1, np.array([1, 1, 0])), (_V, 0, _AT.astype(_32))),
    *_each("index_add", (_X, 1, _AT, signed(3, 3)), (_V, 0, _AT, signed(3)), (_Y, 1, np.array([2, 2]), signed(2, 2, 2)), (_V, 0, _NONE, signed(0)), (_V, 0, np.array(1), signed(1)), (_V, 0, _AT.astype(_32), signed(3)), (_S, 0, np.array([0]), signed())),
    *(case("index_add", _V, 0, _AT, signed(3), note=f"alpha-{a}", alpha=a, dtypes=d) for a, d in ((2, NUMBERS), (0.5, FLOATS), (-1.0, FLOATS))),
    *_each("index_copy", (_X, 1, _ONCE, signed(3, 2)), (_V, 0, _ONCE, signed(2)), (_V, 0, _NONE, signed(0)), (_S, 0, np.array([0]), signed()), (_S, 0, np.array(0), signed(1)), (_V, 0, np.array([1]), signed())),
    case("index_copy", _V, 0, _AT, signed(3), note="repeats", grad=False),
    *_each("index_fill", (_X, 1, _AT, 2), (_V, 0, np.array([-1, 0]), 1.5), (_X, 0, np.array(1), -1), (_S, 0, np.array([0]), 3), (_V, 0, _NONE, 3)),
    case("index_fill", _X, 1, _AT, signed(), note="tensor"),
    case("index_fill", _S, 0, np.array([0]), signed(), note="0d-tensor"),
    *(case("index_reduce", _X, 1, _AT, positive(3, 3), kind, note=f"{kind}-{own}", include_self=own, dtypes=NUMBERS, twice=False)
      for kind in ("prod", "mean", "amax", "amin") for own in (True, False)),
    case("index_reduce", _V, 0, _AT.astype(_32), distinct(3), "amax", note="int32", dtypes=FLOATS),
    *_each("index_put", (_X, (_AT[1:2], _AT[:1]), signed(1)), (_X, (np.array([2, 0]), np.array([1, 3])), signed()), (_X, [_MASK], signed(6)), (_X, (np.array([1]),), signed(4)), (_X, (np.array([True, False, True]),), signed(2, 1)), (_Y, (np.array([0, -1]), np.array([[0], [2]])), signed(2, 2, 2)), (_X, (_NONE,), signed())),
    *(case("index_put", t, i, v, True, note=f"added-{n}", dtypes=NUMBERS) for n, (t, i, v) in enumerate([(_V, (_AT,), signed(3)), (_X, (np.array([0, 0, 2]), np.array([1, 1, 3])), signed(3)), (_X, (_MASK,), signed()), (_X, (np.array([0, 0]),), signed(4))])),
    case("index_put", _V, (_AT,), signed(3), note="repeats", grad=False, forms=False),
    *_each("take", (_X, np.array([[0, -1], [5, 5]])), (_X, np.array(3)), (_S, np.array([0])), (signed(0), _NONE), (_X, np.zeros((2, 0), int))),
    *_each("put", (_X, np.array([[0, -1]]), signed(2)), (_X, np.array([1, 5]), signed(1, 2)), (_V, _NONE, signed(0)), (_S, np.array(0), signed())),
    case("put", _X, np.array([0, -12, 3]), signed(3), True, note="added", dtypes=NUMBERS),
    case("put", _X, np.array([0, -12, 3]), signed(3), note="repeats", grad=False, forms=False),
    *_each("take_along_dim", (_X, np.array([[0], [1], [3]]), 1), (_X, np.array([0, 5, 5])), (_X, np.array([[-1]]), 1), (_X, np.array([[1]]), 0), (_Y, np.array([[[1], [0]]]), 1)),
    *_each("masked_fill", (_X, _LINE, 2), (_X, _MASK, -1.5), (_X[0], _MASK, 0), (_S, np.array(True), 3), (_X, np.zeros((3, 4), bool), 1), forms=False),
    case("masked_fill", _X, _LINE, signed(), note="tensor"),
    case("masked_fill", _X, _MASK, float("-inf"), note="infinite", dtypes="float64 float32 float16"),
    *_each("masked_select", (_X, _MASK), (_X, _LINE), (_X[0], _MASK), (_S, np.array(True)), (_S, np.array(False)), (_X, np.zeros((3, 4), bool))),
    *_each("masked_scatter", (_X, _MASK, signed(7)), (_X, _LINE, signed(2, 4)), (_X, np.zeros((3, 4), bool), signed(0))),
    case("masked_scatter", _X[0], _MASK, signed(9), note="broadcast", forms=False),
    *_each("unravel_index", (np.array([3, 11]), (3, 4)), (np.array([[1]]), 4), (np.array(5), (2, 3)), (np.array([1], _32), (3, 4)), (_NONE, (3, 4))),
]  # fmt: skip

BAD = [
    *_bad("gather", (_X, 0, np.array([0])), (_X, 0, _ROWS + 1), (_X, 0, _ROWS - 1), (_X, 0, _ROWS * 1.0), (_X, 2, _ROWS), (_X, 1, np.zeros((4, 1), int)), (_X, 0, 1), (_X, 0, np.zeros((1, 1), np.int16))),
    *_bad("scatter", (_V, 0, _AT, signed(2)), (_V, 0, np.array([5]), signed(1)), (_V, 0, np.array([-1]), signed(1)), (_V, 0, _AT, signed(3).astype(np.float32)), (_X, 0, np.zeros((1, 5), int), 1.0), (_V, 0, _AT), (_V, 0, _AT, "a"), (_V, 0, _AT * 1.0, signed(3)), (_X, 0, _AT, signed(3))),
    bad("scatter", _V, 0, _AT, signed(3), reduce="sum", note="reduce"),
    *_bad("scatter_add", (_V, 0, _AT, 2.0), (_V, 0, np.array([9]), signed(1)), (_V, 0, _AT, signed(2)), (_V, 0, _AT, np.array([1, 2, 3]))),
    *_bad("scatter_reduce", (_V, 0, _AT, signed(3), "mode"), (_V, 0, _AT, signed(2), "sum"), (_V, 0, np.array([5]), signed(1), "amax"), (_V, 1, _AT, signed(3), "sum"), (_V > 0, 0, _AT, np.array([True] * 3), "mean")),
    *_bad("index_select", (_V, 0, np.array([-1])), (_V, 0, np.array([5])), (_X, 0, np.array([[0]])), (_V, 0, np.array([0.0])), (_S, 0, np.array([0, 0])), (_V, 1, _AT), (_V, 0, np.array([0], np.int16)), (_V, 0, 1)),
    *_bad("index_add", (_V, 0, np.array([5]), signed(1)), (_V, 0, np.array([-1]), signed(1)), (_V, 0, _AT, signed(2)), (_X, 0, np.array([0]), signed(4)), (_X, 0, np.array([0]), signed(1, 3)), (_V, 0, np.array([[0]]), signed(1, 1)), (_V, 0, np.array([0]), signed(1).astype(np.float32)), (_V, 0, np.array([0]), 1.0), (_V, 0, np.array([0.0]), signed(1))),
    *_bad("index_copy", (_V, 0, np.array([5]), signed(1)), (_V, 0, np.array([-1]), signed(1)), (_X, 0, np.array([0]), signed(4)), (_X, 0, np.array([0]), signed(2, 4)), (_V, 0, np.array([0], _32), signed(1)), (_V, 0, np.array([0]), np.array([1])), (_X, 0, np.array([0]), signed(1, 3)), (_V, 0, _AT, signed())),
    *_bad("index_fill", (_V, 0, np.array([5]), 1), (_V, 0, np.array([0], _32), 1), (_V, 0, np.array([0]), signed(1)), (np.array([1, 2], np.uint8), 0, np.array([0]), 300), (_V, 0, np.array([0]), "a")),
    *_bad("index_reduce", (_V, 0, _AT, signed(3), "sum"), (_V, 0, np.array([-1]), signed(1), "prod"), (_V, 0, _AT, signed(2), "amax")),
    *_bad("index_put", (_V, (np.array([5]),), signed()), (_V, (np.array([0.0]),), signed()), (_V, (_AT,), np.array([1, 2, 3])), (_V, (_AT,), signed(2)), (_V, (_AT, _AT), signed()), (_V, (_LINE,), signed()), (_V, (_AT,), 1.0), (_X, (_AT[:2], _AT), signed())),
    bad("index_put", _V, _AT, signed(3), note="bare"),
    *_bad("take", (_X, np.array([12])), (_X, np.array([-13])), (_X, np.array([0], _32)), (signed(0), np.array([0])), (_X, 1)),
    *_bad("put", (_X, np.array([0]), signed(2)), (_X, np.array([12]), signed(1)), (_X, np.array([0], _32), signed(1)), (_X, np.array([0]), np.array([1]))),
    *_bad("take_along_dim", (_X, np.array([1]), 0), (_X, np.array([[0]], _32), 1), (_X, np.array([[0]]), 2), (_X, np.zeros((2, 1), int), 1)),
    *_bad("masked_fill", (_X, _X, 0), (_X, _LINE, signed(1)), (_X, _LINE[:2], 0), (_X, _LINE, "a"), (np.array([1, 2], np.uint8), np.array([True, False]), 300), (_X, np.array([1, 0, 1, 0], np.uint8), 0)),
    bad("masked_fill", _X.astype(np.float16), _LINE, 1e6, note="overflow"),
    *_bad("masked_select", (_X, _X), (_X, _LINE[:2]), (_X, np.array([1, 0, 1, 0], np.uint8))),
    *_bad("masked_scatter", (_X, _MASK, signed(5)), (_X, _MASK, np.arange(7)), (_X, _X, signed(12))),
    *_bad("unravel_index", (np.array([1.0]), (3, 4)), (np.array([1]), (3, -4)), (np.array([1]), 1.5)),
]  # fmt: skip
