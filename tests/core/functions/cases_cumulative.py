"""Running sums, products and extremes, differences, integrals, slopes, softmax."""

from __future__ import annotations

import numpy as np

from .cases_extremes import TIES
from .cases_reduction import ENDLESS, FLOATS, NANS, NUMBERS
from .driver import D, bad, case
from .samples import distinct, signed

ZEROS = np.array([[2.0, 0.0, 3.0, 1.5, -1.0], [0.0, 4.0, 0.0, 2.0, 0.5], [1.0, 2.0, -3.0, 0.5, 0.0]])
FULL = "float64 float32"


def _along(name, make, **options):
    return [
        *(case(name, make(3, 4), d, note=f"{d}", **options) for d in (0, 1, -1)),
        case(name, make(2, 3, 2), 1, note="middle", **options),
        case(name, make(), 0, note="0d", **options),
        case(name, make(0, 3), 0, note="no-rows", **options),
        case(name, make(0, 3), 1, note="empty", **options),
    ]


CASES = [
    *(case(name, signed(2, 3), axis=1, note="axis", dtypes=FULL, keywords=False)
      for name in ("softmax", "log_softmax", "logcumsumexp", "diff", "cummax", "trapezoid", "gradient")),
    *_along("cumsum", signed),
    *_along("cumprod", signed),
    case("cumprod", ZEROS, 1, note="zeros"),
    *(case(name, signed(2, 3), 1, dtype=D(d), note=f"as-{d}", twice=False, tolerance=2e-3 if d == "float16" else 1e-6)
      for name in ("cumsum", "cumprod") for d in ("float64", "float32", "float16", "int32")),
    *(case(name, NANS, 1, note="nan", dtypes=FLOATS, twice=False) for name in ("cumsum", "cummax", "cummin", "logcumsumexp")),
    case("cumprod", NANS, 1, note="nan", dtypes=FLOATS, grad=False),  # PyTorch's gradient is NaN in the whole row
    *(case(name, ENDLESS, 1, note="inf", dtypes=FLOATS, grad=False) for name in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")),
    *(case(name, signed(2, 3), axis=1, note="axis", keywords=False) for name in ("cumsum", "cumprod")),
    *_along("logcumsumexp", signed, dtypes=FLOATS),
    case("logcumsumexp", np.array([[800.0, 801.0, -5.0], [-900.0, -900.0, 3.0]]), 1, note="far", dtypes="float64 float32", grad=False),
    *(c for name in ("cummax", "cummin") for c in (*_along(name, distinct), case(name, TIES, 1, note="ties"), case(name, TIES, 0, note="ties-columns"))),
    *(case("diff", signed(3, 4), n, d, note=f"{n}-{d}") for n in (1, 2, 0) for d in (0, -1)),
    case("diff", signed(3, 4), note="default"),
    case("diff", signed(3, 4), 9, note="beyond", grad=False),
    case("diff", signed(3, 4), 1, 0, signed(2, 4), signed(1, 4), note="both"),
    case("diff", signed(3), append=signed(2), note="append"),
    case("diff", np.zeros((0, 3)), 1, 0, note="empty", forms=False),  # PyTorch's out= form fails
    *(c for name in ("trapezoid", "trapz", "cumulative_trapezoid") for c in (
        case(name, signed(3, 4), note="default", dtypes=NUMBERS),
        case(name, signed(3, 4), dx=0.5, dim=0, note="dx", dtypes=NUMBERS),
        case(name, signed(3, 4), dx=2, note="whole-dx", dtypes=NUMBERS),
        case(name, signed(3, 4), signed(4), note="x", dtypes=NUMBERS),
        case(name, signed(3, 4), signed(3), dim=0, note="x-columns", dtypes=NUMBERS),
        case(name, signed(3, 4), signed(3, 4), note="x-each", dtypes=NUMBERS),
        case(name, signed(3, 4), signed(3, 4), dim=0, note="x-each-columns", dtypes=NUMBERS),
        case(name, signed(2, 3, 4), signed(3, 4), note="x-fewer", dtypes=NUMBERS),
        case(name, signed(1), note="one", dtypes=NUMBERS),
        case(name, np.zeros((2, 0)), note="empty", dtypes=NUMBERS, grad=False),
    )),
    *(case("gradient", signed(5), note=f"{e}", edge_order=e, dtypes="float64 float32 int64 int32") for e in (1, 2)),
    *(case("gradient", signed(4, 3), note=f"{note}-{e}", edge_order=e, dtypes=FULL, **options) for e in (1, 2) for note, options in (
        ("all", {}), ("number", {"spacing": 2.0}), ("each", {"spacing": [0.5, 2.0]}), ("dim", {"dim": 1}), ("dims", {"dim": (1, 0), "spacing": 3}),
        ("places", {"spacing": (np.array([0.0, 1.0, 3.0, 4.5]), np.array([1.0, 1.5, 4.0]))}), ("place", {"spacing": (np.array([1.0, 1.5, 4.0]),), "dim": -1}))),
    case("gradient", signed(4), note="whole", spacing=2, dtypes="float64 int64 int8"),
    case("gradient", signed(), note="0d", dtypes=FULL),
    case("gradient", np.array([[-2.0, -4.0, np.inf, -2.0], [1.0, 2.0, np.nan, 0.5]]), note="inf", dim=1, dtypes=FLOATS, grad=False),
    *(c for name in ("softmax", "log_softmax") for c in (
        *_along(name, signed, dtypes=FLOATS),
        *(case(name, signed(2, 3), 1, dtype=D(d), note=f"as-{d}", twice=False, tolerance=2e-3 if d == "float16" else 1e-5) for d in ("float64", "float32", "float16")),
        case(name, ENDLESS, 1, note="inf", dtypes=FLOATS, grad=False),
        case(name, np.array([[800.0, 801.0], [-900.0, -905.0]]), 1, note="far", dtypes=FULL),
    )),
]  # fmt: skip

BAD = [
    *(bad(name, signed(2, 3), d) for name in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "softmax", "log_softmax")
      for d in (2, -3, None, "0", 0.5, (0, 1), True)),
    *(bad(name, signed(2, 3)) for name in ("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "softmax", "log_softmax")),
    *(bad(name, [1.0], 0) for name in ("cumsum", "cumprod", "cummax", "logcumsumexp", "softmax", "log_softmax")),
    *(bad(name, np.array([1, 2]), 0) for name in ("logcumsumexp", "softmax", "log_softmax")),
    *(bad(name, signed(2), 0, dtype=D("int64")) for name in ("softmax", "log_softmax")),
    *(bad(name, signed(2), 0, dtype="float32") for name in ("softmax", "log_softmax", "cumsum")),
    bad("cumsum", signed(2), 0, wrong=1),
    *(bad(name, signed(2), 0, dtype=D("bool")) for name in ("cumsum", "cumprod")),
    bad("diff", signed()),
    bad("diff", signed(3), -1),
    bad("diff", signed(3), 1.5),
    bad("diff", signed(3), prepend=signed()),
    bad("diff", signed(3), prepend=signed(1, 1)),
    bad("diff", signed(3), prepend=0),
    bad("diff", signed(3), dim=1),
    *(bad(name, *args, **kwargs) for name in ("trapezoid", "trapz", "cumulative_trapezoid") for args, kwargs in (
        ((signed(),), {}), ((np.array([True, False]),), {}), ((signed(3), signed(2)), {}), ((signed(3), 2.0), {}), ((signed(3),), {"dx": "a"}),
        ((signed(3), signed(3)), {"dx": 2}), ((signed(3),), {"dim": 1}))),
    bad("trapezoid", signed(3), dx=True),
    bad("gradient", signed(1)),
    bad("gradient", signed(), dim=0),
    bad("gradient", signed(2), edge_order=2),
    bad("gradient", signed(3), edge_order=3),
    bad("gradient", np.array([True, False])),
    bad("gradient", np.array([1, 2], np.uint8)),
    bad("gradient", signed(3, 3), spacing=[2.0]),
    bad("gradient", signed(3, 3), spacing=[2.0, 1.0], dim=0),
    bad("gradient", signed(3, 3), dim=(0, 0)),
    bad("gradient", signed(3, 3), dim=2),
    bad("gradient", signed(3), spacing="a"),
    bad("gradient", signed(3), spacing=signed(3)),
]  # fmt: skip
