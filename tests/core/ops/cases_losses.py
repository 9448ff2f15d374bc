"""Losses with gradients of their own."""

from __future__ import annotations

import numpy as np
from torch.nn import functional as F

from .cases import Case

_PROBABILITIES = np.linspace(0.1, 0.9, 6).reshape(2, 3)


CASES: list[Case] = [
    Case("bce", (_PROBABILITIES, _PROBABILITIES[::-1] ** 2), lambda x, t: F.binary_cross_entropy(x, t, reduction="none")),
]  # fmt: skip
