"""Order: sorting, the k-th, the middle and the most frequent, quantiles."""

from __future__ import annotations

import numpy as np

from .cases_extremes import TIES
from .cases_reduction import FLOATS, NANS, NUMBERS
from .driver import bad, case
from .samples import distinct, signed, unit, whole

ORDERED = np.array([[1.0, np.nan, -np.inf, np.inf, -2.0], [np.nan, 0.0, np.nan, 3.0, -1.0]])
FULL = "float64 float32"
LINES = [("rows", 1), ("columns", 0), ("last", -1)]


def ranks(*shape):
    """A permutation of the whole numbers from 0, which no integer dtype makes equal."""
    return np.random.default_rng(7).permutation(int(np.prod(shape))).astype(np.float64).reshape(shape)


def _rows(name, *args, **options):
    """Along each dimension, of matrices, 0-d tensors, ones without elements, and of NaN."""
    found = [case(name, ranks(3, 4), *args, note=note, dim=d, dtypes=NUMBERS, **options) for note, d in LINES]
    return [
        *found,
        case(name, distinct(), *args, note="0d", dim=0, dtypes=NUMBERS, **options),
        case(name, np.zeros((0, 3)), *args, note="no-rows", dim=1, dtypes=NUMBERS, **options),
        case(name, ORDERED, *args, note="nan", dim=1, dtypes=FLOATS, **{**options, "twice": False}),
    ]


LONG = np.where(ranks(2, 100) < 190, ranks(2, 100), np.nan)  # a few NaN among many

CASES = [
    *(c for name in ("sort", "argsort") for c in (
        *_rows(name, grad=name == "sort"),
        *_rows(name, grad=name == "sort", descending=True),
        case(name, whole(3, 12), note="stable", stable=True, grad=False),
        case(name, whole(3, 12), dim=0, descending=True, note="stable-down", stable=True, grad=False),
        case(name, np.array([0.0, -0.0, 0.0, -1.0]), note="signed-zeros", grad=False),
    )),
    case("sort", whole(3, 5), note="default-bools", grad=False),
    case("msort", distinct(4, 3)),
    case("msort", distinct(), note="0d"),
    case("msort", np.zeros((0, 2)), note="empty"),
    *_rows("topk", 1)[:4], *_rows("topk", 1)[5:],
    *(case("topk", ranks(3, 5), k, note=f"{k}-{largest}", dim=1, largest=largest, dtypes=NUMBERS) for k in (0, 2, 5) for largest in (True, False)),
    case("topk", ranks(3, 5), 2, 0, True, True, note="positional", dtypes=NUMBERS),
    *(case("topk", np.where(ranks(2, 100) == 57, np.nan, ranks(2, 100)), k, note=f"long-{k}-{largest}", largest=largest, dtypes=FULL, twice=False) for k in (1, 3, 9) for largest in (True, False)),
    *(case("kthvalue", LONG, k, note=f"long-{k}", dtypes=FULL, twice=False) for k in (1, 40, 90)),
    case("median", LONG, 1, note="long", dtypes=FULL, twice=False),
    case("topk", np.zeros((2, 0)), 0, note="empty", dtypes=NUMBERS),
    *_rows("kthvalue", 1)[:4], case("kthvalue", ORDERED, 4, 1, note="nan", dtypes=FLOATS),
    *(case("kthvalue", ranks(3, 5), k, d, True, note=f"{k}-{d}", dtypes=NUMBERS) for k in (1, 3) for d in (0, -1)),
    case("kthvalue", np.zeros((0, 3)), 2, 1, note="no-rows", dtypes=NUMBERS),
    *(c for name in ("median", "nanmedian") for c in (
        *_rows(name),
        case(name, distinct(3, 4), note="all", dtypes=NUMBERS),
        case(name, distinct(5), note="odd", dtypes=NUMBERS),
        case(name, distinct(), note="0d-all", dtypes=NUMBERS),
        case(name, distinct(3, 4), 1, True, note="kept", dtypes=NUMBERS),
        case(name, TIES, 1, note="ties", dtypes=NUMBERS),
        case(name, TIES, note="ties-all", dtypes=NUMBERS),
        case(name, NANS, 1, note="nans", dtypes=FLOATS),
        case(name, NANS, note="nans-all", dtypes=FLOATS, twice=False),
        case(name, np.array([np.nan, np.nan]), note="only-nan", dtypes=FLOATS, twice=False),
        case(name, np.zeros(0), note="empty", dtypes=FLOATS, grad=False),
    )),
    *(c for c in _rows("mode") if c.note != "nan"),
    case("mode", np.array([[1.0, 2.0, 2.0, 3.0, 3.0], [3.0, 3.0, 2.0, 2.0, 1.0], [2.0, 1.0, 2.0, 1.0, 5.0], [4.0] * 5]), note="ties"),
    case("mode", whole(6, 9), 0, True, note="kept"),
    *(c for name in ("quantile", "nanquantile") for c in (
        *(case(name, distinct(3, 4), 0.3, d, k, note=f"{d}-{k}", dtypes=FULL) for d in (None, 0, -1) for k in (False, True)),
        *(case(name, distinct(3, 4), unit(3), d, k, note=f"several-{d}-{k}", dtypes=FULL) for d in (None, 1) for k in (False, True)),
        *(case(name, distinct(3, 4), unit(2), 1, note=way, interpolation=way, dtypes=FULL)
          for way in ("linear", "lower", "higher", "midpoint", "nearest")),
        case(name, distinct(5), np.array([0.0, 0.25, 0.5, 1.0]), 0, note="exact", dtypes=FULL, grad=False),
        case(name, NANS, 0.4, 1, note="nan", dtypes=FULL),
        case(name, NANS, unit(2), 0, note="nan-several", dtypes=FULL),
        case(name, NANS, 0.4, note="nan-all", dtypes=FULL),
        case(name, distinct(), 0.4, note="0d", dtypes=FULL),
        case(name, distinct(), unit(2), 0, True, note="0d-several", dtypes=FULL),
        case(name, distinct(3), np.array(0.4), note="0d-q", dtypes=FULL),
        case(name, distinct(3), np.zeros(0), note="no-q", dtypes=FULL, grad=False),
        case(name, np.array([1.0, np.inf, -np.inf, 2.0]), np.array([0.1, 0.5, 0.9]), note="inf", dtypes=FULL, grad=False),
    )),
]  # fmt: skip

BAD = [
    *(bad(name, signed(2, 3), 2) for name in ("sort", "argsort", "median", "nanmedian", "mode")),
    *(bad(name, signed(2, 3), True) for name in ("sort", "argsort", "median", "mode")),
    *(bad(name, signed(2, 3), (0,)) for name in ("sort", "argsort", "median", "mode")),
    *(bad(name, signed(2, 3), 0, 1) for name in ("sort", "argsort", "median", "nanmedian", "mode")),
    *(bad(name, signed(2, 3), 0, False, True) for name in ("sort", "argsort")),
    *(bad(name, np.zeros((0, 3)), 0) for name in ("median", "nanmedian", "mode")),
    *(bad(name, np.array([True])) for name in ("median", "nanmedian")),
    bad("median", signed(2, 3), None),
    bad("median", signed(2), keepdim=True),
    bad("sort", signed(2), stable=1),
    bad("sort", [1.0]),
    bad("msort", signed(2), 0),
    *(bad("topk", signed(2, 3), k) for k in (4, -1, 1.5, True, None)),
    bad("topk", np.array([True, False]), 1),
    bad("topk", signed(2, 3), 1, 2),
    *(bad("kthvalue", signed(2, 3), k) for k in (0, 4, 1.5)),
    bad("kthvalue", np.array([True, False]), 1),
    bad("kthvalue", np.zeros((0, 3)), 1, 0),
    bad("kthvalue", signed(2, 3), 1, 2),
    *(bad("quantile", signed(3), q) for q in (1.5, -0.1, "a", None, np.array([0.5, 1.5]), np.array([[0.5]]), np.array([0.5], np.float32))),
    bad("quantile", np.array([1, 2]), 0.5),
    bad("quantile", np.zeros(0), 0.5),
    bad("quantile", np.zeros((0, 3)), 0.5, 1),
    bad("quantile", signed(2), 0.5, interpolation="wrong"),
    bad("quantile", signed(2), 0.5, 1),
    bad("nanquantile", signed(2).astype(np.float16), 0.5),
]  # fmt: skip
