"""Trigonometric, hyperbolic and logarithmic functions, and functions made of them."""

from __future__ import annotations

import numpy as np

from .driver import bad, case, elementwise
from .samples import positive, signed, special, unit, within_one

FLOATS = "float64 float32 float16"


def _above_one(*shape: int) -> np.ndarray:
    return np.asarray(positive(*shape) + 1.0)


def _unary(name, make=signed, **options):
    """`make` keeps to the domain; the special values go beyond it."""
    return [*elementwise(name, make, **options), case(name, special(), note="special", grad=False)]


CASES = [
    *(c for name in "atan cosh exp2 sinh tan".split() for c in _unary(name)),
    *_unary("asinh", forms=False),  # PyTorch has no gradient of asinh_, acosh_ and atanh_
    *_unary("atanh", within_one, forms=False),
    *(c for name in "log2 log10".split() for c in _unary(name, positive)),
    *(c for name in "acos asin".split() for c in _unary(name, within_one)),
    *_unary("acosh", _above_one, forms=False),
    *(c for name in "deg2rad rad2deg".split() for c in _unary(name)),
    *elementwise("atan2", signed, signed),
    case("atan2", np.array([0.0, -0.0, 1.0, np.nan]), np.array([-1.0, -1.0, 0.0, 1.0]), note="axes", grad=False),
    *(c for name in "hypot logaddexp".split() for c in elementwise(name, signed, signed, dtypes=FLOATS)),
    case("logaddexp", np.array([1e4, -1e4]), np.array([1e4, -1e3]), note="large", grad=False, dtypes="float64 float32"),
    *elementwise("xlogy", signed, positive),
    case("xlogy", np.array([0.0, 0.0, 2.0, 0.0]), np.array([0.0, np.nan, 0.0, np.inf]), note="special", grad=False),
    case("xlogy", signed(3), 2.5, note="number"),
    *elementwise("logit", unit),
    case("logit", np.array([0.0, 0.3, 1.0]), 1e-2, note="eps", grad=False),
    *elementwise("lerp", signed, signed, signed, dtypes=FLOATS),
    case("lerp", signed(2, 3), signed(3), 0.3, note="number", dtypes=FLOATS),
    case("lerp", signed(2, 3), signed(3), 0.9, note="near-the-end", dtypes=FLOATS),
    *elementwise("addcmul", signed, signed, signed, dtypes=FLOATS),
    case("addcmul", signed(2, 3), signed(3), signed(2, 1), note="value", value=-2, dtypes=FLOATS),
    *elementwise("addcdiv", signed, signed, positive, dtypes=FLOATS),
    case("addcdiv", signed(2, 3), signed(3), positive(2, 1), note="value", value=3, dtypes=FLOATS),
    *elementwise("nan_to_num", signed),
    case("nan_to_num", special(), note="special", dtypes=FLOATS),
    case("nan_to_num", special(), note="given", nan=1.0, posinf=2.0, neginf=-3.0, dtypes=FLOATS),
]  # fmt: skip

BAD = [
    bad("atan2", signed(2, 3), signed(2)),
    bad("lerp", signed(2), np.array([1, 2]), 0.5),
    bad("lerp", np.array([1, 2]), np.array([1, 2]), 0.5),
    bad("addcdiv", np.array([1, 2]), np.array([1, 2]), np.array([1, 2])),
]
