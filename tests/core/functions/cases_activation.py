"""Activations, with samples at and beyond their kinks."""

from __future__ import annotations

import numpy as np

from .driver import bad, case
from .samples import signed, special

_F = "nn.functional."


def _kinks():
    return np.array([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 0.3, -0.3, 2.0, 40.0, -40.0])


def _both(name, *args, **options):
    """Ordinary values in every shape, kinks with both derivatives, special values."""
    shapes = {"matrix": signed(2, 3), "0d": signed(), "empty": signed(0, 2), "kinks": _kinks()}
    said = f"{args}-" if args else ""
    if name.endswith("gelu"):  # PyTorch's of float32 makes NaN of infinity, and has 4 digits at -4
        options = {**options, "dtypes": "float64 int64"}
    if "celu" in name or name.endswith(
        "hardsigmoid"
    ):  # PyTorch's constants have 7 digits; the latter has one derivative
        options = {**options, "tolerance": 1e-6, "twice": "celu" in name}
    return [
        *(case(name, x, *args, note=said + kind, **options) for kind, x in shapes.items()),
        case(name, special(), *args, note=f"{said}special", **{**options, "grad": False}),
    ]


_PLAIN = (
    "relu relu6 elu selu celu leaky_relu gelu silu mish softplus softsign tanhshrink softshrink hardshrink hardtanh hardsigmoid "
    "hardswish logsigmoid tanh sigmoid rrelu"
)
_IN_PLACE = "relu_ elu_ selu_ celu_ leaky_relu_ hardtanh_ rrelu_"

CASES = [
    *(c for name in _PLAIN.split() for c in _both(_F + name)),
    *(c for name in _IN_PLACE.split() for c in _both(_F + name, grad=False)),
    case(_F + "gelu", signed(3, 4), note="dtypes"),
    *_both(_F + "elu", 0.7),
    *_both(_F + "celu", 0.7),
    *_both(_F + "leaky_relu", 0.3),
    *_both(_F + "softplus", 2.0, 3.0),
    *_both(_F + "softshrink", 0.3),
    *_both(_F + "softshrink", 0),
    *_both(_F + "hardshrink", 0.3),
    *_both(_F + "hardtanh", -0.5, 2.0),
    *_both(_F + "threshold", 0.3, 20.0),
    *_both(_F + "threshold_", 0.3, 20.0, grad=False),
    *_both(_F + "rrelu", 0.1, 0.5),
    *(case(_F + "gelu", x(), approximate="tanh", note=x.__name__, grad=x is not special, dtypes="float64") for x in (_kinks, special)),
    *_both("selu"),
    *_both("selu_", grad=False),
    *_both("celu"),
    *_both("celu", -1.5),
    *_both("celu_", grad=False),
    *_both("rrelu"),
    *_both("rrelu_", grad=False),
    *_both("threshold", 0.3, 20.0),
    *_both("threshold_", 0.3, 20.0, grad=False),
    *_both("hardshrink"),
    *(case(name, signed(2, 3, 4), signed(*k), note=f"{k}") for name in ("prelu", _F + "prelu") for k in ((1,), (3,), ())),
    case("prelu", signed(5), signed(1), note="vector"),
    case("prelu", signed(), signed(1), note="0d"),
    case("prelu", signed(), signed(), note="0d-both"),
    case("prelu", _kinks(), signed(1), note="kinks", twice=False),  # PyTorch's second one says 0 of the slope at 0
    case("prelu", special(), signed(1), note="special", grad=False),
    case(_F + "glu", signed(3, 4)),
    case(_F + "glu", signed(4, 3), 0, note="dim"),
    case(_F + "glu", signed(2, 0, 2), 1, note="empty"),
    *(case(_F + name, signed(2, 3, 4), dim=d, note=f"{d}") for name in ("softmax", "softmin", "log_softmax") for d in (0, -1)),
    *(case(_F + name, signed(*s), note=f"implicit-{s}") for name in ("softmax", "softmin", "log_softmax") for s in ((), (3,), (2, 3), (2, 3, 2))),
]  # fmt: skip

BAD = [
    bad(_F + "glu", signed(3)),
    bad(_F + "glu", signed()),
    bad(_F + "gelu", signed(3), approximate="erf"),
    bad(_F + "softshrink", signed(3), -0.5),
    bad(_F + "hardtanh", signed(3), 1.0, -1.0),
    bad(_F + "softmax", signed(3), 1),
    bad("celu", signed(3), 0.0),
    bad("rrelu", signed(3), 0.5, 0.1, True),
    bad("prelu", signed(2, 3), signed(2)),
    bad("prelu", signed(2, 3), signed(3, 1)),
    bad("prelu", signed(2, 3), 0.3),
]
