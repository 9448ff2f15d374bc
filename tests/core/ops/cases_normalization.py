"""Normalisation over dimensions."""

from __future__ import annotations

import torch

from .cases import Case, distinct, given, signed

CASES: list[Case] = [
    Case("rms_scale", (distinct(2, 3, 4),), lambda a: torch.rms_norm(a, (4,), eps=1e-3), given((2,), 1e-3), "last"),
    Case("rms_scale", (distinct(2, 3, 4),), lambda a: torch.rms_norm(a, (3, 4), eps=1e-3), given((1, 2), 1e-3), "two"),
    Case("standardize_affine", (distinct(2, 3, 4), signed(4), signed(4)), lambda a, w, b: (torch.layer_norm(a, (4,), w, b, 1e-3),),
         given((2,), 1e-3, (4,)), "layer", outputs=1),
    Case("standardize_affine", (distinct(2, 3, 4), signed(3), signed(3)),
         lambda a, w, b: (torch.batch_norm(a, w, b, None, None, True, 0.1, 1e-3, True),), given((0, 2), 1e-3, (1, 3, 1)), "batch", outputs=1),
    Case("standardize_affine", (distinct(5, 4), signed(4), signed(4)), lambda a, w, b: (torch.layer_norm(a, (4,), w, b, 1e-3),),
         given((1,), 1e-3, (4,)), "rows", outputs=1),
]  # fmt: skip
