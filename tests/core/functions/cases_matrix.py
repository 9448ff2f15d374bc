"""Matrix products, einsum and trace."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import positive, signed

# PyTorch has no products of bools; of float16 it sums in other orders.
_NUMBERS = "float64 float32 float16 int64 int32 int8 uint8"


def _product(name: str, *args, note: str = "", **options):
    """Of empty matrices of bools PyTorch gives a product, of others it refuses."""
    some = all(a.size for a in args if isinstance(a, np.ndarray))
    options.setdefault("dtypes", f"{_NUMBERS} bool" if some else _NUMBERS)
    return case(name, *args, note=note, tolerance=1e-5, **options)


_MATMUL_SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((2, 3), (2, 1, 3, 2)), ((2, 0), (0, 3)), ((0, 2, 3), (3, 2)),
    ((0,), (0,)), ((2, 3), (0, 3, 2)), ((1, 3), (3, 1)),
]  # fmt: skip

_EINSUMS = [
    ("ij,jk", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("...ii->...i", (2, 3, 3)),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)), ("i...->...", (2, 3)), ("i->...", (3,)), ("i->i...", (3,)), ("", ()), (",i->i", (), (2,)),
    (" i j , j k -> i k ", (2, 3), (3, 4)), ("bA,bB", (2, 3), (2, 4)), ("ba,bB", (2, 3), (2, 4)), ("ij,ij->i", (2, 3), (2, 1)),
    ("ij,ij->ij", (2, 3), (1, 3)), ("ij,ij->", (2, 3), (1, 3)), ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), ("bij,bkj->ik", (2, 2, 3), (2, 3, 3)),
    ("i,j", (2,), (3,)), ("i,ij,j", (2,), (2, 3), (3,)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("ijk,ilm,njm,nlk,abc->", (1, 2, 3),
     (1, 2, 2), (2, 2, 2), (2, 2, 3), (1, 2, 2)), ("ij->j", (0, 3)), ("ij,jk->ik", (2, 0), (0, 3)), ("ij->ji", (2, 3)), ("ijij->ji", (2, 3, 2, 3)),
    ("...,...", (2, 3), (3,)), ("iij,jkk->ik", (2, 2, 3), (3, 2, 2)), ("cba", (2, 3, 4)), ("i,i,i->i", (3,), (3,), (3,)), ("ij->", (2, 3)),
    ("a...a->...", (2, 3, 2)), ("ij,kl->ik", (2, 3), (2, 2)),
]  # fmt: skip

CASES = [
    *(_product("matmul", signed(*a), signed(*b), note=f"{a}-{b}") for a, b in _MATMUL_SHAPES),
    _product("mm", signed(2, 3), signed(3, 2)),
    _product("mm", signed(3, 2).T, signed(3, 3).T, note="transposed"),
    _product("mv", signed(2, 3), signed(3)),
    _product("mv", signed(2, 0), signed(0), note="empty"),
    _product("bmm", signed(2, 2, 3), signed(2, 3, 2)),
    _product("bmm", signed(0, 2, 3), signed(0, 3, 2), note="empty"),
    _product("dot", signed(3), signed(3)),
    _product("vdot", signed(3), signed(3)),
    _product("inner", signed(3), signed(3), note="vectors"),
    _product("inner", signed(2, 3), signed(2, 2, 3), note="batches"),
    _product("inner", signed(), signed(2, 2), note="0d", forms=False),  # there PyTorch takes any out=
    _product("outer", signed(3), signed(2)),
    _product("outer", signed(0), signed(2), note="empty"),
    _product("addmm", signed(3), signed(2, 3), signed(3, 3), note="row"),
    _product("addmm", signed(2, 3), signed(2, 3), signed(3, 3), note="full"),
    _product("addmm", signed(2, 1), signed(2, 3), signed(3, 3), note="scaled", beta=0.5, alpha=-2),
    _product("addmm", np.array([[np.nan, 1.0]]), signed(1, 3), signed(3, 2), note="beta-0", beta=0),
    _product("addmm", signed(2, 3), signed(2, 0), signed(0, 3), note="empty-inside"),
    _product("addmv", signed(2), signed(2, 3), signed(3)),
    _product("addmv", signed(), signed(2, 3), signed(3), note="scaled", beta=2, alpha=3),
    _product("addbmm", signed(2, 3), signed(2, 2, 3), signed(2, 3, 3)),
    _product("addbmm", signed(3), signed(2, 2, 3), signed(2, 3, 3), note="scaled", beta=2, alpha=-1, forms=False),
    _product("baddbmm", signed(2, 2, 3), signed(2, 2, 3), signed(2, 3, 3)),
    _product("baddbmm", signed(3), signed(2, 2, 3), signed(2, 3, 3), note="scaled", beta=0.5, alpha=2, dtypes="float64 float32 float16"),
    case("addr", signed(2, 3), signed(2), signed(3)),
    case("addr", signed(3), signed(2), signed(3), note="scaled", beta=2, alpha=3),
    case("addr", np.array([np.nan, 1.0]), signed(2), signed(2), note="beta-0", beta=0),
    case("addr", signed(2, 3), np.array([True, False]), np.array([True, True, False]), note="mixed"),
    _product("chain_matmul", signed(2, 3), signed(3, 4), signed(4, 2), dtypes="float64 float32"),
    _product("chain_matmul", signed(2, 3), note="one", dtypes="float64 float32"),
    _product("tensordot", signed(2, 3), signed(3, 2), 1),
    _product("tensordot", signed(2, 3, 2), signed(3, 2, 2), note="2"),
    _product("tensordot", signed(2, 3), signed(2), 0, note="0"),
    _product("tensordot", signed(2, 3, 2), signed(3, 2), ([0, 1], [1, 0]), note="lists"),
    _product("tensordot", signed(1, 3), signed(3, 2), ([0, 1], [1, 0]), note="broadcast"),
    _product("tensordot", signed(2, 3), signed(3, 2), ([-1], [-2]), note="negative"),
    case("kron", signed(2, 3), signed(3)),
    case("kron", signed(2, 2), signed(2, 3), note="matrices"),
    case("kron", signed(), signed(2), note="0d"),
    case("kron", signed(2), np.array([1, 2]), note="promotes"),
    case("linalg.multi_dot", [signed(2, 3), signed(3, 4), signed(4, 2)]),
    case("linalg.multi_dot", [signed(3), signed(3, 4), signed(4)], note="vectors"),
    case("cross", signed(2, 3), signed(2, 3), dim=1, dtypes="float64 float32 float16 int64"),
    case("cross", signed(3, 2), signed(3, 2), note="first"),
    case("cross", signed(2, 3), signed(1, 3), note="broadcast", dim=-1),
    case("linalg.cross", signed(2, 3), signed(1, 3)),
    case("linalg.cross", signed(3, 2), signed(3, 2), dim=0),
    case("trace", signed(2, 3)),
    case("trace", signed(0, 3), note="empty"),
    *(_product("einsum", e, *(signed(*s) for s in shapes), note=e.replace(" ", "_") or "empty") for e, *shapes in _EINSUMS),
    _product("einsum", signed(2, 3), [0, 1], signed(3, 4), [1, 2], [0, 2], note="lists"),
    _product("einsum", signed(2, 3), [0, 1], signed(3, 4), [1, 2], note="lists-implicit"),
    _product("einsum", signed(2, 3, 4), [..., 1], [1, ...], note="lists-ellipsis"),
    case("einsum", "i,j", signed(2), np.array([1, 2]), note="promotes"),
    case("bilinear", positive(2, 3), positive(2, 4), positive(5, 3, 4), signed(5), tolerance=1e-5),
    case("bilinear", positive(3), positive(4), positive(5, 3, 4), note="vectors", tolerance=1e-5),
    case("bilinear", positive(2, 2, 3), positive(2, 2, 4), positive(2, 3, 4), signed(2), note="batches", tolerance=1e-5),
]  # fmt: skip

_FLOAT32 = np.float32

BAD = [
    *(bad("matmul", signed(*a), signed(*b)) for a, b in [
        ((), (2,)), ((2, 3), (4, 2)), ((2, 3), (2,)), ((3,), (2,)), ((3,), (2, 3)), ((2, 2, 3), (2,)), ((2, 2, 3), (2, 2)),
        ((2, 2, 3), (3, 3, 2)), ((2, 2, 3), (2, 2, 2)), ((2,), (2, 3, 3)), ((2, 2), (2, 3, 3))]),
    *(bad("matmul", signed(*a), signed(*b).astype(_FLOAT32)) for a, b in [((2,), (2,)), ((2, 2), (2, 2)), ((2, 2), (2,)), ((2, 2, 2), (2, 2, 2))]),
    bad("matmul", np.ones((2, 2), bool), np.ones((2, 2), bool)),
    bad("matmul", signed(2, 2), 2.0),
    bad("mm", signed(2, 3), signed(3)),
    bad("mm", signed(3), signed(3, 2)),
    bad("mm", signed(2, 3), signed(2, 3)),
    bad("mv", signed(2, 3), signed(2)),
    bad("mv", signed(2), signed(2)),
    bad("bmm", signed(2, 3), signed(2, 3, 4)),
    bad("bmm", signed(2, 3, 4), signed(3, 4, 5)),
    bad("bmm", signed(2, 3, 4), signed(2, 3, 5)),
    bad("dot", signed(2), signed(3)),
    bad("dot", signed(2, 2), signed(3)),
    bad("dot", np.ones(2, bool), np.ones(2, bool)),
    bad("outer", signed(2, 2), signed(3)),
    bad("inner", signed(2, 3), signed(2, 4)),
    bad("addmm", signed(3), signed(2, 3), signed(3, 2)),
    bad("addmm", signed(2, 2), signed(2), signed(2, 2)),
    bad("addmm", signed(2, 2).astype(_FLOAT32), signed(2, 2), signed(2, 2)),
    bad("addmv", signed(3), signed(2, 3), signed(3)),
    bad("addr", signed(2, 2), signed(2), signed(3)),
    bad("addr", np.ones((2, 2), int), np.ones(2, int), np.ones(2, int), beta=0.5),
    bad("addbmm", signed(3, 2), signed(3, 2, 4), signed(3, 4, 2)),
    bad("addbmm", signed(2, 2), signed(3, 2, 4), signed(2, 4, 2)),
    bad("addbmm", signed(2, 2), signed(3, 2, 4), signed(3, 2, 2)),
    bad("baddbmm", signed(3, 3, 2), signed(3, 2, 4), signed(3, 4, 2)),
    bad("baddbmm", signed(2, 2), signed(3, 2), signed(3, 4, 2)),
    bad("chain_matmul", signed(2, 3), signed(2, 3)),
    bad("tensordot", signed(2, 3), signed(3, 2)),
    bad("tensordot", signed(2, 3), signed(3, 2), -1),
    bad("tensordot", signed(2, 3), signed(3, 2), 3),
    bad("tensordot", signed(2, 3), signed(3, 2), ([0, 1], [1])),
    bad("tensordot", signed(2, 3), signed(3, 2).astype(_FLOAT32), 1),
    bad("cross", signed(2, 2), signed(2, 2)),
    bad("cross", signed(2, 4), signed(2, 4), dim=1),
    bad("linalg.cross", signed(3), signed(2, 3)),
    bad("linalg.cross", signed(3), signed(3), dim=1),
    bad("trace", signed(2)),
    bad("trace", np.ones((2, 2), bool)),
    *(bad("einsum", e, *(signed(*s) for s in shapes)) for e, *shapes in [
        ("ii", (3, 2)), ("ij,jk", (2, 3), (4, 4)), ("ij", (2, 3, 3)), ("i->j", (2,)), ("i->ii", (2,)), ("i,i", (2,)), ("i", (2,), (2,)),
        ("i1", (2, 2)), ("..i", (2, 2)), ("....i", (2, 2)), ("...i...", (2, 2)), ("i-j", (2,)), ("i->i->i", (2,)), ("ijk", (2, 3))]),
    bad("einsum", "i"),
    bad("einsum", signed(2, 3), [0, 52]),
    bad("einsum", "ij,jk", np.ones((2, 2), bool), np.ones((2, 2), bool)),
    bad("bilinear", signed(2, 3), signed(3, 4), signed(5, 3, 4), signed(5)),
    bad("bilinear", signed(2, 3), signed(2, 4), signed(5, 4, 3), signed(5)),
    bad("bilinear", signed(2, 3), signed(2, 4), signed(5, 3, 4), signed(4)),
]  # fmt: skip
