"""Distinct elements, places in sorted rows, membership, counts, histograms."""

from __future__ import annotations

import itertools

import numpy as np

from .cases_reduction import FLOATS, NUMBERS
from .cases_sorting import FULL
from .driver import bad, case
from .samples import signed, whole

NAN = np.array([np.nan, 1.0, np.nan, -1.0, 1.0])
ROWS = np.array([[3.0, 1.0], [3.0, 1.0], [0.0, 2.0], [3.0, 0.0], [0.0, 2.0]])
SORTED = np.array([-4.0, -1.0, 0.0, 0.0, 2.0, 5.0])
PLACED = np.array([[-9.0, -4.0, -1.0], [0.0, 1.0, 9.0]])
BOTH = [
    dict(zip(("return_inverse", "return_counts"), v, strict=True))
    for v in itertools.product((False, True), repeat=2)
]


def _plain(name, *args, **options):
    return case(name, *args, grad=False, **options)


CASES = [
    *(_plain("unique", whole(3, 4), note=f"flat-{i}", **o) for i, o in enumerate(BOTH)),
    *(_plain(name, ROWS, note=f"dim-{d}-{i}", dim=d, **o) for name in ("unique", "unique_consecutive") for d in (0, 1, -1) for i, o in enumerate(BOTH)),
    *(_plain(name, whole(2, 3, 2).clip(0, 1), note=f"deep-{d}", dim=d, **BOTH[3]) for name in ("unique", "unique_consecutive") for d in (0, 1, 2)),
    *(_plain(name, a, note=note, dtypes=FLOATS, **BOTH[3]) for name in ("unique", "unique_consecutive") for note, a in (
        ("nan", NAN), ("0d", np.array(2.0)), ("empty", np.zeros(0)), ("one", np.array([2.0])), ("zeros", np.array([0.0, -0.0, 0.0])))),
    _plain("unique", np.array([[0.0, 1.0], [0.0, np.nan], [0.0, np.nan]]), note="nan-rows", dim=0, dtypes=FLOATS),
    *(_plain(name, np.zeros((0, 3)), note="no-rows", dim=0, **BOTH[3]) for name in ("unique", "unique_consecutive")),
    *(_plain(name, whole(3, 1), note=f"one-{d}", dim=d, **BOTH[3]) for name in ("unique", "unique_consecutive") for d in (0, 1)),
    *(_plain(name, whole(1, 2, 2), note="one-deep", dim=0, **BOTH[3]) for name in ("unique", "unique_consecutive")),
    _plain("unique", whole(5), False, note="unsorted-is-sorted"),
    _plain("unique_consecutive", np.array([[1.0, 1.0, 2.0], [2.0, 1.0, 1.0]]), note="flat", **BOTH[3]),
    *(_plain("searchsorted", SORTED, PLACED, note=f"right-{r}-{i}", right=r, out_int32=i, dtypes=NUMBERS) for r in (False, True) for i in (False, True)),
    *(_plain("searchsorted", SORTED, v, note=f"number-{v}", dtypes=NUMBERS, keywords=False) for v in (0, 1.5, 7)),
    _plain("searchsorted", SORTED, np.array(0.0), side="right", note="0d", dtypes=NUMBERS),
    _plain("searchsorted", np.stack([SORTED, SORTED + 1]), PLACED, note="rows", dtypes=NUMBERS),
    _plain("searchsorted", SORTED[[3, 0, 5, 1, 4, 2]], PLACED, sorter=np.array([1, 3, 5, 0, 4, 2]), note="sorter", dtypes=NUMBERS),
    _plain("searchsorted", np.array([1.0, 3.0, np.nan]), np.array([np.nan, 2.0, np.inf]), note="nan", dtypes=FLOATS),
    _plain("searchsorted", np.array([1.0, 3.0, np.nan]), np.array([np.nan, 2.0]), right=True, note="nan-right", dtypes=FLOATS),
    _plain("searchsorted", np.zeros(0), np.array([1.0]), note="no-row", dtypes=NUMBERS),
    _plain("searchsorted", SORTED, np.zeros((0, 2)), note="no-values", dtypes=NUMBERS),
    _plain("searchsorted", np.array([1, 3, 5]), np.array([2.5, 3.0]), note="mixed"),
    _plain("searchsorted", np.arange(37.0), np.arange(-1.0, 38.0), note="all-places", dtypes=FULL),
    *(_plain("bucketize", PLACED, SORTED, note=f"{r}", right=r, dtypes=NUMBERS) for r in (False, True)),
    _plain("bucketize", 1.5, SORTED, note="number", out_int32=True, dtypes=NUMBERS, forms=False),
    *(_plain("nonzero", a, note=note, as_tuple=t, keywords=False) for t in (False, True) for note, a in (
        ("matrix", whole(3, 4).clip(-1, 1)), ("0d", np.array(2.0)), ("0d-zero", np.array(0.0)), ("empty", np.zeros((0, 3))), ("nan", NAN), ("3d", whole(2, 2, 3).clip(0, 1)))),
    *(_plain("argwhere", a, note=note) for note, a in (("matrix", whole(3, 4).clip(-1, 1)), ("0d", np.array(2.0)), ("empty", np.zeros((0, 3))))),
    *(_plain("nonzero_static", whole(3, 4).clip(-1, 1), note=f"{n}", size=n, fill_value=f) for n, f in ((0, -1), (2, 5), (30, 7))),
    _plain("nonzero_static", np.array(2.0), note="0d", size=2),
    *(_plain("is_nonzero", a, note=str(a)) for a in (np.array(2.0), np.array([0.0]), np.array([[3]]), np.array([np.nan]))),
    *(_plain("isin", whole(3, 4), whole(5), note=f"{i}", invert=i, dtypes=NUMBERS) for i in (False, True)),
    _plain("isin", whole(3, 4), whole(2, 3), note="matrix", assume_unique=False, dtypes=NUMBERS),
    _plain("isin", whole(3, 4), 2, note="number", dtypes=NUMBERS, keywords=False),
    _plain("isin", 2.5, whole(3), note="number-first", dtypes=NUMBERS, keywords=False),
    _plain("isin", NAN, NAN, note="nan", dtypes=FLOATS),
    _plain("isin", whole(3), np.zeros(0), note="among-none", dtypes=NUMBERS),
    _plain("isin", np.array([1, 2, 3]), np.array([2.0, 2.5]), note="mixed"),
    *(_plain("bincount", np.array([1, 3, 1, 0, 3, 3], d), note=f"{d.__name__}") for d in (np.int64, np.int32, np.int8, np.uint8)),
    _plain("bincount", np.array([1, 3, 1, 0]), signed(4), note="weights"),
    _plain("bincount", np.array([1, 3, 1]), np.array([5, 1, 2]), 6, note="whole-weights"),
    _plain("bincount", np.array([1, 3]), minlength=6, note="minlength"),
    _plain("bincount", np.zeros(0, np.int64), minlength=2, note="empty"),
    _plain("bincount", np.zeros(0, np.int64), np.zeros(0), note="empty-weights"),
    *(_plain("histc", signed(4, 5), *args, note=str(args), dtypes=FLOATS) for args in ((7,), (3, -1.0, 1.0), (5, -1, 2), (4, 0.25, 0.25))),
    _plain("histc", signed(4, 5), note="default", dtypes=FULL),
    _plain("histc", np.array([2.0, 2.0]), 3, note="constant", dtypes=FLOATS),
    _plain("histc", np.array([np.nan, 2.0, np.inf, 0.0]), 3, 0, 5, note="nan", dtypes=FLOATS),
    _plain("histc", np.zeros(0), 3, note="empty", dtypes=FULL),
    _plain("histc", np.array(1.5), 2, note="0d", dtypes=FLOATS),
    *(_plain("histogram", signed(4, 5), 4, note=f"bins-{d}", density=d, dtypes=FULL) for d in (False, True)),
    _plain("histogram", signed(4, 5), 4, range=(-1.0, 1.0), weight=signed(4, 5) ** 2, note="range", dtypes=FULL),
    _plain("histogram", signed(4, 5), 3, weight=signed(4, 5) ** 2, density=True, note="density", dtypes=FULL),
    _plain("histogram", signed(4, 5), np.array([-1.0, 0.0, 0.3, 2.0]), note="edges", dtypes=FULL),
    _plain("histogram", np.array([2.0, 2.0]), 3, note="constant", dtypes=FULL),
    *(_plain("histogram", np.zeros(0), 3, note=f"empty-{d}", density=d, dtypes=FULL) for d in (False, True)),
    _plain("histogram", np.array([1.0, 5.0, np.nan]), 3, range=(0.0, 3.0), note="outside", dtypes=FULL),
]  # fmt: skip

BAD = [
    bad("unique", whole(3), 1),
    bad("unique", whole(3), dim=1),
    bad("unique", np.array(2.0), dim=0),
    bad("unique", np.zeros((0, 3)), dim=1),
    bad("unique", np.zeros((2, 0)), dim=0),
    bad("unique_consecutive", np.array(2.0), dim=0),
    bad("unique_consecutive", [1, 2]),
    bad("searchsorted", np.array(1.0), np.array([1.0])),
    bad("searchsorted", np.zeros((2, 3)), np.zeros((1, 2))),
    bad("searchsorted", np.zeros((2, 3)), 3),
    bad("searchsorted", SORTED, "a"),
    bad("searchsorted", SORTED, PLACED, side="wrong"),
    bad("searchsorted", SORTED, PLACED, side="left", right=True),
    bad("searchsorted", SORTED, PLACED, sorter=np.array([0, 1])),
    bad("searchsorted", SORTED, PLACED, sorter=np.arange(6.0)),
    bad("searchsorted", SORTED, PLACED, sorter=np.array([0, 1, 2, 3, 4, 6])),
    bad("searchsorted", np.array([True]), np.array([True])),
    bad("searchsorted", SORTED, PLACED, right=1),
    bad("bucketize", PLACED, PLACED),
    bad("bucketize", "a", SORTED),
    bad("nonzero", whole(3), True),
    bad("nonzero_static", whole(3)),
    bad("nonzero_static", whole(3), size=-1),
    bad("nonzero_static", whole(3), size=1.5),
    bad("nonzero", [1]),
    bad("is_nonzero", whole(2)),
    bad("is_nonzero", np.zeros(0)),
    bad("is_nonzero", 3),
    bad("isin", 1, 2),
    bad("isin", whole(2), [1]),
    bad("isin", np.array([True]), np.array([True])),
    bad("bincount", np.array([-1])),
    bad("bincount", np.array([1.0])),
    bad("bincount", np.array([[1]])),
    bad("bincount", np.array([True])),
    bad("bincount", np.array(1)),
    bad("bincount", np.array([1]), signed(2)),
    bad("bincount", np.array([1]), minlength=-1),
    bad("bincount", np.array([1]), minlength=1.5),
    bad("histc", np.array([1, 2])),
    bad("histc", signed(3), 0),
    bad("histc", signed(3), 1.5),
    bad("histc", signed(3), 2, 3, 0),
    bad("histc", NAN, 3),
    bad("histc", signed(3), 2, min="a"),
    bad("histogram", np.array([1, 2]), 3),
    bad("histogram", NAN, 3),
    bad("histogram", signed(3), 0),
]  # fmt: skip
