"""torch.linalg, and the functions of matrices that torch has itself."""

from __future__ import annotations

import numpy as np

from .driver import D, bad, case
from .samples import signed

_draw = np.random.default_rng(55)
FULL = "float64 float32"  # the rest is refused
LOOSE = {"tolerance": 1e-8}
INF = float("inf")


def regular(*shape: int) -> np.ndarray:
    """Random matrices with singular values from 1 to 2, apart from each other."""
    *batch, m, n = shape
    k = min(m, n)
    u, _, v = np.linalg.svd(_draw.normal(size=(*batch, m, n)), full_matrices=False)
    return (u * (1 + np.arange(k) / max(k, 1))) @ v


def definite(*shape: int) -> np.ndarray:
    a = regular(*shape)
    return a @ a.swapaxes(-2, -1)


def low_rank(m: int, n: int, rank: int) -> np.ndarray:
    return regular(m, rank) @ regular(rank, n)


SQUARE = {"matrix": (3, 3), "batch": (2, 2, 2), "empty": (0, 0), "no-batch": (0, 2, 2)}
ANY = {"square": (3, 3), "wide": (2, 4), "batch": (2, 3, 2)}
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
PART_SINGULAR = np.stack([np.array([[2.0, 1.0], [1.0, 3.0]]), SINGULAR])
NEVER = np.array([[1.0, 2.0], [2.0, 1.0]])  # positive-definite it is not


def c(name, *args, **options):
    empty = not np.size(args[0])  # PyTorch looks at the dtype of nothing in some functions only
    return case(name, *args, **{"dtypes": "float64" if empty else FULL, **options})


CASES = [
    *(c(name, regular(2, 2, 2)) for name in ("inverse", "det", "slogdet", "matrix_exp")),
    *(c(name, definite(2, 2, 2)) for name in ("cholesky", "logdet")),
    *(x for note, s in SQUARE.items() for x in (
        *(c(name, regular(*s), note=note) for name in ("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.matrix_exp")),
        c("linalg.inv_ex", regular(*s), note=note),
        c("linalg.cholesky", definite(*s), note=note), c("linalg.cholesky_ex", definite(*s), note=note),
        c("linalg.eigvalsh", definite(*s), note=note),
        c("linalg.matrix_power", regular(*s), 3, note=note), c("linalg.solve", regular(*s), signed(*s[:-1], 2), note=note),
        c("linalg.lu_factor", regular(*s), note=note), c("linalg.lu_factor_ex", regular(*s), note=note),
    )),
    c("linalg.inv_ex", PART_SINGULAR, note="singular", compare=False, grad=False),
    c("linalg.cholesky_ex", np.stack([NEVER, np.eye(2)]), note="not-definite", compare=False, grad=False),
    c("linalg.cholesky", definite(3, 3), note="upper", upper=True), c("cholesky", definite(3, 3), True, note="upper"),
    c("linalg.cholesky_ex", definite(3, 3), note="upper", upper=True),
    c("linalg.det", SINGULAR, note="singular", grad=False), c("linalg.det", low_rank(3, 3, 1), note="rank-1", twice=False, tolerance=1e-6),
    c("linalg.slogdet", SINGULAR, note="singular", grad=False, dtypes="float64"),
    c("linalg.slogdet", -definite(3, 3), note="negative"), c("logdet", -definite(3, 3), note="negative", grad=False),
    c("linalg.solve", regular(3, 3), signed(3), note="vector"), c("linalg.solve", regular(2, 3, 3), signed(2, 3), note="vectors"),
    c("linalg.solve", regular(3, 3), signed(2, 3), note="from-the-right", left=False),
    c("linalg.solve", regular(2, 1, 3, 3), signed(4, 3, 2), note="broadcast"),
    c("linalg.solve_ex", regular(3, 3), signed(3, 2)), c("linalg.solve_ex", PART_SINGULAR, signed(2, 2, 1), note="singular", compare=False, grad=False),
    *(c("linalg.solve_triangular", regular(*s) + 2 * np.eye(3), signed(*s[:-2], *b), upper=upper, left=left, unitriangular=unit,
        note=f"{len(s)}d-upper-{upper}-left-{left}-unit-{unit}")
      for s, upper, left, unit, b in (((3, 3), True, True, False, (3, 2)), ((2, 3, 3), False, True, True, (3, 2)), ((3, 3), False, False, False, (2, 3)),
                                      ((3, 3), True, False, True, (2, 3)))),
    c("linalg.solve_triangular", np.zeros((2, 2)), signed(2, 2), upper=False, note="zeros", grad=False),
    c("linalg.solve_triangular", np.triu(regular(40, 40)) + 3 * np.eye(40), signed(40, 1), upper=True, note="blocks"),
    c("cholesky_solve", signed(3, 2), np.tril(regular(3, 3)) + 3 * np.eye(3)), c("cholesky_solve", signed(3, 2), np.triu(regular(3, 3)) + 3 * np.eye(3), True, note="upper"),
    c("cholesky_solve", signed(2, 3, 2), np.tril(regular(3, 3)) + 3 * np.eye(3), note="batch"),
    c("cholesky_inverse", np.tril(regular(3, 3)) + 3 * np.eye(3)), c("cholesky_inverse", np.triu(regular(2, 3, 3)) + 3 * np.eye(3), True, note="upper"),
    c("linalg.tensorinv", regular(6, 6).reshape(2, 3, 6)), c("linalg.tensorinv", regular(4, 4).reshape(4, 2, 2), ind=1, note="ind"),
    c("linalg.tensorsolve", regular(6, 6).reshape(2, 3, 6), signed(2, 3)),
    c("linalg.tensorsolve", regular(6, 6).reshape(2, 6, 3), signed(2, 3), (1,), note="dims"),
    *(x for note, s in ANY.items() for x in (
        c("linalg.qr", regular(*s), note=note), c("qr", regular(*s), note=note), c("linalg.svdvals", regular(*s), note=note),
        c("linalg.lu", regular(*s), note=note),
        c("linalg.pinv", regular(*s), note=note), c("pinverse", regular(*s), note=note), c("linalg.matrix_rank", regular(*s), note=note),
        c("linalg.cond", regular(*s), note=note),
        c("linalg.svd", regular(*s), note=note, compare=False, grad=False), c("svd", regular(*s), note=note, compare=False, grad=False),
    )),
    c("linalg.qr", regular(4, 2), "complete", note="complete", grad=False), c("linalg.qr", regular(2, 4), "complete", note="complete-wide"),
    c("linalg.qr", regular(4, 2), "r", note="r", grad=False, forms=False), c("linalg.qr", np.zeros((0, 2)), note="empty"),
    c("svd", regular(3, 2), note="values", compute_uv=False, grad=False), c("svd", regular(3, 2), False, note="full", compare=False, grad=False),
    c("linalg.svd", regular(3, 2), False, note="reduced", compare=False, grad=False), c("linalg.svdvals", np.zeros((0, 2)), note="empty"),
    c("linalg.eigh", definite(3, 3), compare=False, grad=False), c("linalg.eigh", definite(2, 2, 2), "U", note="upper", compare=False, grad=False),
    c("linalg.eigvalsh", regular(3, 3), "U", note="upper"),
    c("linalg.lu_solve", regular(3, 3), np.array([2, 3, 3], np.int32), signed(3, 2)),
    *(c("linalg.lu_solve", regular(3, 3), np.array([2, 3, 3], np.int32), signed(*b), left=left, adjoint=adjoint, note=f"left-{left}-adjoint-{adjoint}")
      for left, adjoint, b in ((True, True, (3, 2)), (False, False, (2, 3)), (False, True, (2, 3)))),
    c("lu_solve", signed(3, 2), regular(3, 3), np.array([2, 3, 3], np.int32)),
    c("lu_unpack", regular(3, 3), np.array([2, 3, 3], np.int32)), c("lu_unpack", regular(2, 4, 2), np.array([[2, 4], [1, 3]], np.int32), note="tall"),
    c("lu_unpack", regular(3, 3), np.array([2, 3, 3], np.int32), False, note="pivots-alone", forms=False, grad=False),
    c("linalg.pinv", low_rank(4, 3, 2), note="rank-2", rtol=1e-5, **LOOSE), c("linalg.pinv", definite(3, 3), note="hermitian", hermitian=True, grad=False),
    c("linalg.matrix_rank", low_rank(4, 3, 2), note="rank-2", rtol=1e-5), c("linalg.matrix_rank", definite(3, 3), note="hermitian", hermitian=True),
    c("linalg.matrix_rank", regular(3, 3), note="atol", atol=1.5), c("linalg.matrix_rank", np.zeros((2, 0, 3)), note="empty"),
    *(c("linalg.lstsq", regular(*s), signed(*b), note=note, keywords=False, **LOOSE)
      for note, s, b in (("tall", (4, 2), (4, 2)), ("wide", (2, 4), (2, 1)), ("vector", (4, 2), (4,)), ("batch", (2, 4, 2), (2, 4, 1)))),
    *(c("linalg.lstsq", regular(4, 2), signed(4, 2), note=driver, driver=driver, keywords=False, **LOOSE) for driver in ("gels", "gelsd", "gelss")),
    c("linalg.lstsq", low_rank(4, 3, 2), signed(4, 2), 1e-5, note="rank-2", keywords=False, grad=False, **LOOSE),
    *(c("linalg.cond", regular(3, 3), p, note=f"{p}", grad=p in ("nuc", 2, -2))  # PyTorch's backward of the others raises
      for p in ("fro", "nuc", 1, -1, 2, -2, INF, -INF)),
    c("linalg.cond", PART_SINGULAR, 1, note="singular", grad=False),
    *(c(name, regular(3, 3), n, note=f"power-{n}") for name in ("linalg.matrix_power", "matrix_power") for n in (0, 1, 2, 5, -1, -3)),
    case("linalg.matrix_power", np.array([[1, 2], [3, 4]]), 3, note="integers"),
    *(c("linalg.matrix_exp", signed(2, 3, 3) * scale, note=f"scale-{scale}", tolerance=1e-4 if scale > 5 else 1e-7, grad=scale < 5) for scale in (1e-3, 3, 8)),
    *(c("linalg.vecdot", signed(*a), signed(*b), note=note, dim=dim) for note, a, b, dim in (
        ("vectors", (3,), (3,), -1), ("rows", (2, 3), (2, 3), -1), ("columns", (2, 3), (2, 1), 0))),
    c("linalg.diagonal", signed(2, 3, 4)), c("linalg.diagonal", signed(2, 3, 4), offset=1, dim1=0, dim2=2, note="dims"),
    case("linalg.matmul", signed(2, 3), signed(3, 2), dtypes=FULL + " int64"),
    case("linalg.vander", signed(3), dtypes=FULL + " int64"), c("linalg.vander", signed(2, 3), N=5, note="N"),
    case("linalg.vander", np.array([2, 3]), N=4, note="integers"),
    *(case("vander", *a, note=note, dtypes=FULL + " int64", grad=False) for note, a in (  # PyTorch's backward raises
        ("usual", (signed(3),)), ("increasing", (signed(3), 4, True)), ("one", (signed(3), 1)))),
    *(case("linalg.vector_norm", signed(2, 3), p, note=f"{p}", dtypes=FULL + " float16") for p in (2, 1, 0, 3, -1, 0.5, INF, -INF)),
    c("linalg.vector_norm", signed(2, 3, 2), 3, (0, 2), True, note="dims"), c("linalg.vector_norm", signed(2, 3), dtype=D("float64"), note="dtype"),
    c("linalg.vector_norm", np.zeros((2, 0)), note="empty"), c("linalg.vector_norm", signed(), note="0d"),
    *(c("linalg.matrix_norm", regular(2, 3, 4), p, note=f"{p}") for p in ("fro", "nuc", 1, -1, 2, -2, INF, -INF)),
    *(c("linalg.matrix_norm", regular(3, 2, 4), p, (2, 0), True, note=f"dims-{p}") for p in ("fro", "nuc", 1, 2, -INF)),
    *(c("linalg.norm", regular(3, 4), *p, note=f"{p}") for p in ((), (2,), ("nuc",), (1,), (INF,), ("fro",))),
    c("linalg.norm", signed(2, 3, 2), note="3d"), c("linalg.norm", signed(4), 3, note="vector"), c("linalg.norm", signed(2, 3), 3, 1, note="dim"),
    c("linalg.norm", signed(2, 3, 2), 1, (0, 2), True, note="dims"),
    *(c(name, regular(*s), signed(*t), note=note) for name in ("linalg.householder_product", "orgqr")
      for note, s, t in (("tall", (4, 2), (2,)), ("fewer", (3, 3), (2,)), ("batch", (2, 3, 2), (2, 2)))),
    *(c("ormqr", regular(4, 2), signed(2), signed(*x), left, transpose, note=f"left-{left}-transpose-{transpose}")
      for left, transpose, x in ((True, False, (4, 3)), (True, True, (4, 3)), (False, False, (3, 4)), (False, True, (3, 4)))),
    c("lu", regular(3, 3)), c("lu", regular(2, 3, 2), True, True, note="infos"),
    c("norm", regular(3, 4), "nuc", note="nuclear"), c("norm", regular(2, 3, 4), "nuc", (0, 2), True, note="nuclear-dims"),
    *(c("linalg.matrix_norm", np.zeros(s), p, note=f"empty-{p}-{s}", grad=False) for s in ((0, 3), (2, 3, 0)) for p in (2, 1, INF, "nuc", "fro")),
    *(c(name, np.stack([np.array([[np.nan, 1.0], [1.0, 1.0]]), np.eye(2)]), note="nan", grad=False) for name in (
        "linalg.inv", "linalg.det", "linalg.slogdet", "det", "inverse")),
    c("linalg.solve", np.array([[np.nan, 1.0], [0.0, 1.0]]), signed(2, 2), note="nan", grad=False),
    c("linalg.cond", np.zeros((2, 0, 0)), note="empty", grad=False),
    c("linalg.solve", regular(3, 3), signed(1, 3), left=False, note="row"),
    *(c("cdist", signed(*a), signed(*b), p, note=f"{len(a)}d-{p}", twice=False, **LOOSE) for a, b in (((3, 2), (4, 2)), ((2, 1, 3, 2), (4, 2, 2))) for p in (2.0, 1.0, 3.0, INF, 0.0)),
    c("cdist", signed(2, 3), signed(0, 3), note="empty", twice=False),
]  # fmt: skip

BAD = [
    *(bad(name, x) for name in ("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.cholesky", "linalg.eigvalsh", "linalg.matrix_exp", "det",
                                "linalg.lu_factor", "linalg.inv_ex")
      for x in (np.array([[1, 2], [3, 4]]), signed(3))),
    *(bad(name, signed(2, 3)) for name in ("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.cholesky", "linalg.eigvalsh", "linalg.matrix_exp")),
    bad("linalg.inv", signed(2, 2).astype(np.float16)),
    bad("linalg.inv", SINGULAR), bad("linalg.inv", PART_SINGULAR), bad("inverse", SINGULAR), bad("linalg.inv_ex", SINGULAR, check_errors=True),
    bad("linalg.solve", SINGULAR, signed(2)), bad("linalg.solve", PART_SINGULAR, signed(2, 2, 1)), bad("linalg.solve", regular(3, 3), signed(2, 2)),
    bad("linalg.solve", regular(3, 3), signed(3).astype(np.float32)), bad("linalg.solve_triangular", regular(3, 3), signed(3), upper=True),
    bad("linalg.solve_triangular", regular(3, 3), signed(3, 3)), bad("linalg.solve_ex", SINGULAR, signed(2, 1), check_errors=True),
    bad("linalg.householder_product", regular(2, 3), signed(2)), bad("linalg.householder_product", regular(3, 2), signed(3)),
    bad("orgqr", regular(3, 2), signed(1, 2)), bad("ormqr", regular(3, 2), signed(2), signed(2, 2)), bad("linalg.solve", regular(3, 3), signed(3), left=False),
    bad("norm", signed(2, 2, 2), "nuc"), bad("linalg.matrix_norm", np.zeros((0, 3)), -2), bad("linalg.cholesky", np.array([[1.0, 1.0], [1.0, np.nan]])),
    bad("linalg.cholesky", NEVER), bad("cholesky", NEVER), bad("linalg.cholesky", np.stack([np.eye(2), NEVER])),
    bad("linalg.cholesky_ex", NEVER, check_errors=True), bad("linalg.qr", regular(2, 2), "x"), bad("linalg.qr", signed(2)),
    bad("linalg.svd", np.array([[np.nan, 1.0], [1.0, 1.0]])), bad("linalg.svd", signed(3)), bad("linalg.svd", regular(2, 2), driver="gesvd"),
    bad("linalg.eigh", definite(2, 2), "X"), bad("linalg.lu", regular(2, 2), pivot=False), bad("linalg.lu_factor", SINGULAR),
    bad("linalg.lu_solve", regular(2, 2), np.array([1, 2]), signed(2, 1)), bad("linalg.lstsq", regular(4, 2), signed(3, 1)),
    bad("linalg.lstsq", regular(4, 2), signed(4, 1), driver="x"), bad("linalg.pinv", np.array([[1, 2]])), bad("linalg.matrix_rank", signed(3)),
    bad("linalg.matrix_power", regular(2, 2), 2.5), bad("linalg.matrix_power", regular(2, 3), 2), bad("matrix_power", SINGULAR, -1),
    bad("linalg.tensorinv", regular(4, 4), ind=0), bad("linalg.tensorinv", regular(4, 4).reshape(2, 2, 4), ind=1),
    bad("linalg.tensorsolve", regular(4, 4), signed(3)), bad("linalg.vander", signed()), bad("vander", signed(2, 2)), bad("linalg.cond", regular(2, 3), 1),
    bad("linalg.cond", regular(2, 2), 3), bad("linalg.matrix_norm", regular(2, 2), 3), bad("linalg.matrix_norm", regular(2, 2), "x"),
    bad("linalg.matrix_norm", signed(3)), bad("linalg.matrix_norm", regular(2, 2), dim=(0, 0)), bad("linalg.vector_norm", np.array([1, 2])),
    bad("linalg.vector_norm", np.zeros((0,)), -1), bad("linalg.vector_norm", np.zeros((0,)), INF), bad("linalg.vector_norm", signed(3), dtype=D("int64")),
    bad("linalg.vector_norm", signed(3), dtype=D("float32")), bad("linalg.norm", signed(2, 2, 2), 2), bad("linalg.norm", signed(3), "fro"),
    bad("linalg.norm", signed(2, 2, 2), 2, (0, 1, 2)), bad("linalg.vecdot", signed(3), signed(3).astype(np.float32)),
    bad("linalg.vecdot", np.array([1, 2]), np.array([1, 2])), bad("cdist", signed(2, 3), signed(2, 2)), bad("cdist", signed(2, 3), signed(3)),
    bad("cdist", signed(2, 3), signed(2, 3), p=-1.0), bad("cdist", np.array([[1, 2]]), np.array([[1, 2]])),
    bad("cholesky_solve", signed(3, 2), regular(2, 2)), bad("cholesky_inverse", signed(3)),
]  # fmt: skip
