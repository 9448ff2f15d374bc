"""Tensors joined, and brought to one shape."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import signed

_A, _B, _C = signed(2, 3), signed(1, 3), signed(2, 1)
_V, _W, _S = signed(3), signed(2), signed()
_INTS = np.array([[1, 2, 3]])


def _each(name, *calls, **options):
    return [case(name, *args, note=str(i), **options) for i, args in enumerate(calls)]


def _bad(name, *calls):
    return [bad(name, *args, note=str(i)) for i, args in enumerate(calls)]


CASES = [
    *_each("cat", ([_A, _B],), ((_A, _C), 1), ([_A, _C, _A], -1), ([_V, signed(0), _W],), ([_A, signed(0)],), ([signed(0, 3), _B],), ([_A],)),
    case("cat", [_A, _INTS], note="promoted"),
    *_each("stack", ([_A, _A],), ([_V, _V, _V], 1), ([_A, _A], -1), ([_S, _S],)),
    *_each("hstack", ([_A, _C],), ((_V, _W),), ([_S, _V],)),
    *_each("vstack", ([_A, _B],), ((_V, _V),), ([_A, _V],), ([_S, _S],)),
    *_each("dstack", ([_A, _A],), ((_V, _V),), ([_S],)),
    *_each("column_stack", ([_W, _A],), ((_V, _V),), ([_S, _S],)),
    *(c for n in (1, 2, 3) for c in _each(f"atleast_{n}d", (_S,), (_V,), (_A,), (signed(2, 1, 2),), (_S, _A), ([_V, _S],))),
    *_each("broadcast_tensors", (_A, _V), (_C, _B, _S), (_A,)),
    *_each("meshgrid", (_V, _W), (_S, _V), ([_V, _W, _V],), (_V,)),
    *(case("meshgrid", _V, _W, _V, note=i, indexing=i) for i in ("ij", "xy")),
    case("meshgrid", _V, note="one-xy", indexing="xy"),
    *_each("cartesian_prod", (_V,), (_V, _W), (_V, _W, _V), (_V, signed(0))),
    *_each("combinations", (_V,), (_V, 1), (_V, 3), (_V, 2, True), (_V, 4), (signed(0), 2)),
    case("combinations", _V, 0, note="none", grad=False),
    *_each("block_diag", (_A, _S, _V), (_A,), (_A, signed(1, 0), _C)),
    case("block_diag", note="nothing"),
    case("block_diag", _A, _INTS, note="promoted"),
]  # fmt: skip

BAD = [
    *_bad("cat", ([],), ([_A, _C],), ([_A, _V],), ([_S, _S],), (_A,), ([_A, 1.0],), ([_A, _A], 2)),
    *_bad("stack", ([],), ([_A, _B],), ([_A, _A], 3), (_A,)),
    *_bad("hstack", ([],), ([_A, _V],)), *_bad("vstack", ([],), ([_A, _W],)), *_bad("dstack", ([],), ([_A, _V],)),
    *_bad("column_stack", ([],), ([_V, _W],)),
    *_bad("broadcast_tensors", (_V, _W), (_V, 1)),
    *_bad("meshgrid", (_A, _V), (_V, _INTS[0])), bad("meshgrid", _V, indexing="yx", note="indexing"),
    *_bad("cartesian_prod", (_A,), (_V, _S)),
    *_bad("combinations", (_A,), (_V, -1)),
    *_bad("block_diag", (signed(1, 1, 1),), (_A, 1)),
]  # fmt: skip
