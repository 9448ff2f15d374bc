"""Activations as modules."""

from __future__ import annotations

from .driver import layer, rows, sub

_X = rows(3, 4) * 2
_PLAIN = "ReLU ReLU6 ELU SELU CELU LeakyReLU GELU SiLU Mish Softplus Softsign Tanhshrink Softshrink Hardshrink Hardtanh Hardsigmoid Hardswish LogSigmoid Tanh Sigmoid"
_IN_PLACE = "ReLU ReLU6 ELU SELU CELU LeakyReLU SiLU Mish Hardtanh Hardsigmoid Hardswish"

MODULES = [
    # celu's and hardsigmoid's constants have 7 digits in PyTorch
    *(layer(name, on=_X, tolerance=1e-6 if name in ("CELU", "Hardsigmoid") else None) for name in _PLAIN.split()),
    *(layer("Sequential", sub("Linear", 4, 4), sub(name, inplace=True), on=_X, tolerance=1e-6 if name in ("CELU", "Hardsigmoid") else None)
      for name in _IN_PLACE.split()),
    layer("ELU", 0.7, on=_X),
    layer("CELU", 0.7, on=_X, tolerance=1e-6),
    layer("LeakyReLU", 0.3, on=_X),
    layer("Softplus", 2.0, 3.0, on=_X),
    layer("Softshrink", 0.3, on=_X),
    layer("Hardshrink", 0.3, on=_X),
    layer("Hardtanh", -0.5, 1.5, on=_X),
    layer("Threshold", 0.3, 2.0, on=_X),
    layer("GELU", "tanh", on=_X),
    layer("GLU", on=[_X, rows(2, 4, 3, 2)]),
    layer("GLU", 1, on=_X),
    layer("RReLU", on=_X, random=True, half=False),
    layer("RReLU", 0.2, 0.2, on=_X, half=False),
    layer("PReLU", on=[_X, rows(2, 3, 4)]),
    layer("PReLU", 4, 0.1, on=[_X, rows(2, 4, 3)]),
    layer("PReLU", init=0.5, on=_X),
    layer("Softmax", 1, on=_X),
    layer("Softmax", dim=0, on=_X),
    layer("LogSoftmax", -1, on=_X),
    layer("Softmin", 1, on=_X),
    layer("Softmax2d", on=[rows(2, 3, 2, 2), rows(3, 2, 2)]),
]  # fmt: skip

BAD = [
    layer("GLU", on=rows(3, 3)),
    layer("Softmax2d", on=rows(3, 3)),
    layer("Hardtanh", 1.0, -1.0),
    layer("PReLU", 3, on=rows(2, 4)),
    layer("Threshold", words=False),
    layer("Softshrink", -1.0, on=_X, words=False),
    layer("GELU", "erf", on=_X, words=False),
    layer("CELU", 0.0, on=_X, words=False),
]
