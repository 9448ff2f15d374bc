"""Normalisation over dimensions."""

from __future__ import annotations

import torch

from .cases import Case, distinct, given

CASES: list[Case] = [
    Case("rms_scale", (distinct(2, 3, 4),), lambda a: torch.rms_norm(a, (4,), eps=1e-3), given((2,), 1e-3), "last"),
    Case("rms_scale", (distinct(2, 3, 4),), lambda a: torch.rms_norm(a, (3, 4), eps=1e-3), given((1, 2), 1e-3), "two"),
]  # fmt: skip
