"""Activations in pieces and smooth ones."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .cases import Case, given, signed

CASES: list[Case] = [
    Case("leaky_relu", (signed(3, 4),), lambda a: F.leaky_relu(a, 0.2), given(0.2)),
    Case("prelu", (signed(2, 3, 4), signed(3, 1)), lambda a, w: torch.prelu(a, w[:, 0])),
    Case("elu", (signed(3, 4),), lambda a: 1.5 * torch.celu(a, 0.8), given(0.8, 1.5, 1 / 0.8)),
    Case("threshold", (signed(3, 4),), lambda a: torch.threshold(a, 0.1, 7.0), given(0.1, 7.0)),
    Case("hardtanh", (signed(3, 4),), lambda a: F.hardtanh(a, -0.5, 1.0), given(-0.5, 1.0)),
    Case("hardsigmoid", (signed(3, 4) * 3,), F.hardsigmoid),
    Case("hardswish", (signed(3, 4) * 3,), F.hardswish),
    Case("softshrink", (signed(3, 4),), lambda a: F.softshrink(a, 0.5), given(0.5)),
    Case("hardshrink", (signed(3, 4),), lambda a: F.hardshrink(a, 0.5), given(0.5)),
    Case("softplus", (signed(3, 4),), lambda a: F.softplus(a, 2.0, 3.0), given(2.0, 3.0)),
    Case("logsigmoid", (signed(3, 4),), F.logsigmoid),
    Case("silu", (signed(3, 4),), F.silu),
    Case("mish", (signed(3, 4),), F.mish),
    Case("gelu", (signed(3, 4),), F.gelu),
    Case("gelu_with_slope", (signed(3, 4),), lambda a: (F.gelu(a),), outputs=1),
    Case("gelu_tanh", (signed(3, 4),), lambda a: F.gelu(a, approximate="tanh")),
]
