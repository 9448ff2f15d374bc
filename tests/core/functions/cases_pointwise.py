"""Elementwise functions of one, two and three tensors."""

from __future__ import annotations

import numpy as np

from .driver import bad, case, elementwise
from .samples import positive, signed, special, whole

_MASK = np.array([[True, False, True], [False, False, True]])


def _unary(name, make=signed, **options):
    """`make` keeps to the domain; the special values go beyond it, and show what lies there."""
    return [
        *elementwise(name, make, **options),
        case(name, special(), note="special", **{**options, "grad": False}),
    ]


def _numbers(name, *numbers, make=signed, **options):
    return [case(name, make(2, 3), n, note=f"by-{n}", **options) for n in numbers]


CASES = [
    *(c for name in "neg exp expm1 sin cos tanh abs sign floor ceil round relu sigmoid erf square".split() for c in _unary(name)),
    *(c for name in "log log1p sqrt rsqrt reciprocal".split() for c in _unary(name, positive)),
    *(c for name in "add sub mul div".split() for c in elementwise(name, signed, signed)),
    *(c for name in "maximum minimum".split() for c in elementwise(name, whole, whole)),
    *(c for name in "eq ne lt le gt ge".split() for c in elementwise(name, whole, whole, grad=False)),
    *(c for name in "bitwise_and bitwise_or bitwise_xor logical_and logical_or".split() for c in elementwise(name, whole, whole, grad=False)),
    *(c for name in "bitwise_not logical_not isnan isinf isfinite".split() for c in _unary(name, whole, grad=False)),
    *elementwise("pow", positive, signed),
    *elementwise("remainder", signed, positive),
    *elementwise("floor_divide", signed, positive),
    *(c for name in "add sub mul div pow remainder floor_divide".split() for c in _numbers(name, 2, 1.5)),
    *(c for name in "eq ne lt le gt ge".split() for c in _numbers(name, 2, 1.5, grad=False)),
    case("add", signed(2, 3), signed(3), note="alpha", alpha=2),
    case("sub", signed(2, 3), signed(3), note="alpha", alpha=3),
    case("where", _MASK, signed(2, 3), signed(3)),
    case("where", _MASK, note="indices", forms=False, grad=False),
    case("where", whole(3, 4), note="indices-of-numbers", forms=False, grad=False),
    case("where", whole(), note="indices-0d", forms=False, grad=False),
    case("where", _MASK, signed(2, 3), 0.1, note="number", forms=False),  # 0.1 has other digits in float32
    case("where", _MASK, 1e300, signed(2, 3), note="large-number", dtypes="float64", forms=False, keywords=False, grad=False),
    case("masked_fill", signed(2, 3), _MASK, 0.1, dtypes="float64 float32 float16", forms=False),
    case("clamp", signed(2, 3), -0.5, 1.0),
    case("equal", signed(2, 3), signed(2, 3)),
    case("allclose", signed(2, 3), signed(2, 3)),
]  # fmt: skip

BAD = [
    bad("add", signed(2, 3), signed(2)),
    bad("where", _MASK, signed(2, 3)),
    bad("where", True, signed(2, 3), signed(2, 3)),
    bad("where", _MASK, other=signed(2, 3)),
]
