"""Whole and fractional parts, remainders, signs, and the larger and smaller of two."""

from __future__ import annotations

import numpy as np

from .driver import bad, case, elementwise
from .samples import positive, signed, special, whole

_NAN = np.array([1.0, np.nan, -2.0, np.nan, np.inf, -0.0])
_BESIDE = np.array([np.nan, 3.0, -1.0, np.nan, np.inf, 0.0])
FLOATS = "float64 float32 float16"

CASES = [
    *elementwise("trunc", signed),
    *elementwise("sgn", signed),
    *(case(name, special(), note="special", grad=False) for name in ("trunc", "sgn")),
    case("signbit", special()[:-1], note="special", grad=False),  # PyTorch gives NaN another sign as bfloat16
    *elementwise("signbit", signed, grad=False),
    *elementwise("frac", signed, dtypes=FLOATS),
    *elementwise("fmod", signed, positive),
    case("fmod", signed(2, 3), 0.7, note="number"),
    case("fmod", whole(2, 3), 4, note="whole", grad=False),
    *(c for name in ("fmax", "fmin") for c in elementwise(name, signed, signed)),
    *(case(name, _NAN, _BESIDE, note="nan", grad=False) for name in ("fmax", "fmin")),
    case("clamp_min", signed(2, 3), 0.25),
    case("clamp_max", signed(2, 3), 0.25),
    case("clamp", signed(2, 3), signed(3), positive(3), note="tensors", grad=False, dtypes="float64 float32 int64"),
    *elementwise("logical_xor", whole, whole, grad=False),
    *elementwise("isclose", whole, whole, grad=False),
    case("isclose", _NAN, _BESIDE, note="special", grad=False, dtypes=FLOATS),
    case("isclose", _NAN, _NAN, note="equal-nan", grad=False, equal_nan=True, dtypes=FLOATS),
    case("isclose", np.array([1.0, 1e-9, 100.0]), np.array([1.000001, 0.0, 100.1]), note="near", grad=False, dtypes="float64"),
]  # fmt: skip

BAD = [
    bad("fmod", signed(2, 3), signed(2)),
    bad("clamp_min", signed(2)),
    bad("clamp", signed(2, 3), signed(3), 0.1),
    bad("isclose", signed(2), np.array([1, 2])),
]
