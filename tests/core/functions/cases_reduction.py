"""Sums, products, means, spreads, norms and truth over one, several or all dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .driver import Case, D, bad, case
from .samples import signed, whole

FLOATS = "float64 float32 float16 bfloat16"
NUMBERS = "float64 float32 float16 bfloat16 int64 int32 int8 uint8"
NANS = np.array([[1.5, np.nan, -2.0], [np.nan, np.nan, np.nan], [0.25, 3.0, np.nan]])
ENDLESS = np.array([[np.inf, 1.0], [-np.inf, np.inf], [-np.inf, -np.inf], [np.nan, 2.0]])


def over(
    name: str, make: Any = signed, several: bool = True, none: bool = True, keep: bool = True, **options: Any
) -> list[Case]:
    """All, one, the last, several and no dimensions; with and without keepdim; 0-d and empty tensors.

    several: whether it takes tuples; none: whether it may be called without dim; keep: whether it has keepdim.
    """
    kept = {"keepdim": True} if keep else {}
    found = [
        case(name, make(2, 3), 0, note="first", **options),
        case(name, make(2, 3, 2), dim=-1, note="last", **kept, **options),
        case(name, make(), 0, note="0d-dim", **options),
        case(name, make(3, 0), 0, note="empty-kept", **options),
    ]
    if none:
        found += [case(name, make(2, 3), note="all", **options), case(name, make(), note="0d", **options)]
    if several:
        found += [
            case(name, make(2, 3, 2), (-1, 0), note="two", **kept, **options),
            case(name, make(2, 3), (), note="no-dims", **options),
        ]
    return found


def refused(name: str, several: bool = True) -> list[Case]:
    found = [
        bad(name, signed(2, 3), 2),
        bad(name, signed(2, 3), -3),
        bad(name, signed(2, 3), "0"),
        bad(name, signed(2, 3), 1.5),
        bad(name, signed(2, 3), dim=0, keepdim=2),
        bad(name, signed(2, 3), dim=0, wrong=1),
        bad(name, [1.0, 2.0], 0),
        bad(name, signed(), 1),
    ]
    return [*found, bad(name, signed(2, 3), (0, 0)), bad(name, signed(2, 3), (0, 2))] if several else found


SPREADS = ("var", "std", "var_mean", "std_mean")
SUMS = ("sum", "nansum", "mean", "nanmean")

CASES = [
    *(c for name in SUMS for c in over(name)),
    *(case(name, signed(2, 3), 1, note=f"as-{d}", dtype=D(d), twice=False, tolerance=2e-3 if d == "float16" else 1e-6)
      for name in ("sum", "nansum", "prod") for d in ("float32", "float64", "int32", "bool", "float16")),
    *(case(name, signed(2, 3), 1, note=f"as-{d}", dtype=D(d)) for name in ("mean", "nanmean") for d in ("float32", "float16")),
    *(case(name, signed(2, 3), axis=1, note="axis", keywords=False) for name in SUMS),
    *(case(name, signed(2, 3), axis=1, keepdims=True, note="axis-keepdims", keywords=False) for name in SUMS),
    *(case(name, np.zeros((0, 3)), note="of-nothing") for name in SUMS),
    *(case(name, np.zeros((0, 3)), 0, note="rows-of-nothing") for name in SUMS),
    *(case(name, NANS, 1, note="nan", dtypes=FLOATS) for name in SUMS),
    *(case(name, ENDLESS, 1, note="inf", dtypes=FLOATS) for name in (*SUMS, "prod")),
    case("sum", np.full((3, 5), 60000.0), 1, note="overflow", dtypes=FLOATS, grad=False),
    case("mean", np.full((300, 2), 60000.0), 0, note="overflow", dtypes=FLOATS, grad=False),
    *over("prod", several=False),
    case("prod", np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0], [1.0, 2.0, 4.0]]), 1, note="zeros"),
    case("prod", np.array([2.0, 0.0, 3.0]), note="one-zero"),
    case("prod", np.array([2.0, 0.0, 0.0]), note="two-zeros"),
    *(case("prod", signed(2, n), 1, note=f"long-{n}", dtypes="float64 float32 int64 int32 bool", twice=False) for n in (17, 33, 70, 255)),
    case("prod", signed(67), note="long-all", dtypes="float64 float32 int64", twice=False),
    case("prod", np.zeros((0, 3)), note="of-nothing"),
    *over("logsumexp", none=False),
    case("logsumexp", ENDLESS, 1, note="inf", dtypes=FLOATS),
    case("logsumexp", np.array([[800.0, 801.0], [-900.0, -900.0]]), 1, note="far", dtypes=FLOATS),
    case("logsumexp", signed(2, 3), (), True, note="no-dims-kept"),
    case("logsumexp", np.zeros((0, 3)), 0, note="of-nothing"),
    *(c for name in SPREADS for c in over(name, dtypes=FLOATS) if c.note != "no-dims" and "0d" not in c.note),
    *(case(name, signed(), *dim, note=f"0d-{dim}", dtypes=FLOATS, twice=False) for name in SPREADS for dim in ((), (0,))),
    *(case(name, signed(2, 3), (), note="no-dims", dtypes=FLOATS, grad=False) for name in SPREADS),  # PyTorch's gradient is that of one element
    *(case(name, signed(3, 4), *args, note=note, dtypes=FLOATS, keywords=False, **options)
      for name in ("var", "std_mean") for note, args, options in (
          ("correction", (1,), {"correction": 0}), ("half", (1,), {"correction": 0.5}), ("two", (), {"correction": 2}),
          ("no-freedom", (1,), {"correction": 4, "grad": False}), ("unbiased", (False,), {}), ("unbiased-dim", (1, False), {}),
          ("unbiased-keep", (1, True, True), {}), ("unbiased-named", (), {"unbiased": False}), ("none", (None,), {"correction": 0, "keepdim": True}),
          ("dim-unbiased", (), {"dim": 1, "unbiased": False}), ("dim-keep", (1,), {"keepdim": True}))),
    *(case(name, np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]]), 1, note="constant", dtypes=FLOATS, twice=False) for name in SPREADS),
    *(case(name, np.zeros((0, 3)), note="of-nothing", dtypes=FLOATS) for name in ("var", "std")),
    *(case(name, np.array([[1.5], [2.5]]), 1, note="one", dtypes=FLOATS, grad=False) for name in ("var", "std")),
    case("std", signed(4, 3) + 1000.0, 0, note="far", dtypes="float64 float32", forms=False),
    *over("norm", none=True, several=False, dtypes=FLOATS) [4:],
    *(case("norm", signed(2, 3), p, 1, note=f"{p}", dtypes=FLOATS, keywords=False) for p in (2, 1, 0, 3, 0.5, -1.5, float("inf"), float("-inf"))),
    case("norm", signed(2, 3), "fro", note="fro", dtypes=FLOATS),
    case("norm", signed(2, 3), "fro", (0, 1), True, note="fro-two", dtypes=FLOATS),
    case("norm", signed(2, 3, 2), 3, (0, 2), note="two", dtypes=FLOATS),
    case("norm", signed(2, 3), 2, 0, dtype=D("float64"), note="dtype", dtypes="float64 float32"),
    case("norm", signed(3), 1.0, -1, True, note="vector", dtypes=FLOATS),
    *(case("norm", np.array([[0.0, 0.0], [3.0, 0.0]]), p, 1, note=f"zeros-{p}", dtypes=FLOATS, twice=False, keywords=False)
      for p in (2, 1, 3, 1.5, float("inf"))),
    *(case("norm", np.array([[2.0, -2.0], [1.0, 0.5]]), p, 1, note=f"ties-{p}", dtypes=FLOATS, twice=False, keywords=False) for p in (float("inf"), float("-inf"))),
    *(c for name in ("all", "any") for c in over(name, whole, grad=False)),
    *(case(name, NANS, 1, note="nan", grad=False, dtypes=FLOATS) for name in ("all", "any")),
    *(case(name, np.zeros((0, 3)), note="of-nothing", grad=False) for name in ("all", "any")),
    *over("count_nonzero", whole, keep=False, grad=False),
    case("count_nonzero", NANS, (0, 1), note="nan", grad=False, dtypes=FLOATS),
]  # fmt: skip

BAD = [
    *(c for name in ("sum", "nansum", "mean", "nanmean", "logsumexp", "var", "std", "amax", "amin", "all", "any") for c in refused(name)),
    *(c for name in ("prod", "argmax", "argmin", "max", "min") for c in refused(name, several=False)),
    bad("mean", np.array([1, 2])),
    bad("mean", np.array([True])),
    bad("mean", signed(2), dtype=D("int64")),
    bad("nanmean", signed(2), dtype=D("int64")),
    bad("logsumexp", signed(2), None),
    bad("nanmean", np.array([1, 2])),
    bad("prod", signed(2, 3), (0, 1)),
    bad("prod", signed(2, 3), None),
    bad("logsumexp", signed(2, 3)),
    bad("sum", signed(2, 3), 0, dtype="float32"),
    *(bad(name, signed(2, 3), keepdim=True) for name in ("sum", "mean", "prod", "max", "min", "logsumexp")),
    *(bad(name, np.array([1, 2])) for name in SPREADS),
    *(bad(name, signed(2, 3), 2) for name in ("var_mean", "std_mean", "count_nonzero")),
    *(bad(name, signed(2, 3), (0, 0)) for name in ("var_mean", "std_mean", "count_nonzero")),
    bad("var", signed(2, 3), 0, correction="1"),
    bad("count_nonzero", signed(2), 0, keepdim=True),
    bad("norm", np.array([1, 2])),
    bad("norm", signed(2, 3), "wrong"),
    bad("norm", signed(2, 3), 2, 2),
    *(bad("norm", signed(0, 3), p, 0) for p in (float("inf"), float("-inf"), -1)),
    bad("norm", signed(2, 3), None, 0, dtype=D("int64")),
]  # fmt: skip

_WEIGHTS = {"fweights": np.array([1, 2, 1, 3]), "aweights": np.array([0.5, 1.0, 0.2, 2.0])}
CASES += [
    case("cov", signed(3, 4), note="rows", dtypes=NUMBERS),
    case("cov", signed(4), note="one", dtypes=NUMBERS),
    case("cov", signed(1, 4), note="one-row", dtypes=NUMBERS),
    case("cov", signed(), note="0d", dtypes=FLOATS, grad=False),
    *(case("cov", signed(3, 4), note=f"{c}", correction=c, dtypes=FLOATS, grad=c < 4) for c in (0, 2, 5)),
    case("cov", signed(3, 4), note="fweights", fweights=_WEIGHTS["fweights"], dtypes=FLOATS),
    case("cov", signed(3, 4), note="aweights", aweights=_WEIGHTS["aweights"], dtypes="float64 float32"),
    case("cov", signed(3, 4), note="weights", dtypes="float64 float32", **_WEIGHTS),
    case("cov", np.zeros((0, 3)), note="no-rows", dtypes=FLOATS),
    case("cov", np.zeros((2, 0)), note="nothing-seen", dtypes=FLOATS, grad=False),
    case("corrcoef", signed(3, 4), note="rows", dtypes="float64 float32 int64"),
    case("corrcoef", signed(4), note="one", dtypes="float64 float32 int64"),
    case("corrcoef", np.array([[1.0, 1.0, 1.0], [3.0, 1.0, 0.0]]), note="constant", dtypes="float64 float32", grad=False),
    *(case("dist", signed(2, 3), signed(2, 3), p, note=f"{p}", dtypes=FLOATS, keywords=False, grad=p != 0)
      for p in (2, 1, 0, 3, 0.5, float("inf"), float("-inf"))),
    case("dist", signed(2, 3), signed(3), note="broadcast", dtypes=FLOATS),
    case("dist", signed(), signed(), note="0d", dtypes=FLOATS),
    case("dist", np.ones(3), np.ones(3), note="same", dtypes=FLOATS, twice=False),
    *(case("renorm", signed(3, 4), p, d, m, note=f"{p}-{d}-{m}", dtypes=FLOATS)
      for p in (2, 1, 1.5, float("inf")) for d, m in ((0, 1.0), (1, 2.5), (-1, 0.0), (0, 100))),
    *(case("sum_to_size", signed(2, 3, 4), size, note=str(size), dtypes="float64 float32 int64" if len(size) == 3 else "float64 float32 float16 int64 int32 bool") for size in ((2, 3, 4), (3, 4), (1, 4), (2, 1, 4), (1,), ())),
    case("sum_to_size", signed(2, 3), 3, note="number"),
    case("sum_to_size", signed(), (), note="0d"),
    case("sum_to_size", np.zeros((0, 3)), (1, 3), note="empty"),
    case("renorm", signed(2, 3, 2), 2, 1, 1.0, note="3d", dtypes=FLOATS),
]  # fmt: skip
BAD += [
    bad("cov", signed(2, 2, 2)),
    bad("cov", np.array([True, False])),
    bad("cov", signed(2, 3), correction=1.5),
    bad("cov", signed(2, 3), fweights=np.array([1.0, 2.0, 1.0])),
    bad("cov", signed(2, 3), fweights=np.array([1, -2, 1])),
    bad("cov", signed(2, 3), fweights=np.array([0, 0, 0])),
    bad("cov", signed(2, 3), fweights=np.array([1, 2])),
    bad("cov", signed(2, 3), aweights=np.array([1, 2, 1])),
    bad("corrcoef", signed(2, 2, 2)),
    bad("dist", np.array([1, 2]), np.array([1, 3])),
    bad("dist", signed(2), signed(3)),
    bad("dist", signed(2), 1.0),
    *(bad("sum_to_size", signed(2, 3), *size) for size in ((2,), (1, 1, 3), (), (2, 2), ("a",))),
    bad("renorm", signed(3), 2, 0, 1.0),
    bad("renorm", np.ones((2, 3), np.int64), 2, 0, 1.0),
    bad("renorm", signed(2, 3), 0, 0, 1.0),
    bad("renorm", signed(2, 3), 2, 0, -1.0),
    bad("renorm", signed(2, 3), 2, 2, 1.0),
]  # fmt: skip
