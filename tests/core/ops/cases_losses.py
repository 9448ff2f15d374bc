"""Losses with gradients of their own."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .cases import Case, signed

_SCORES = np.array([[0.3, -1.2, 2.0], [50.0, -50.0, 0.1], [1.0, 1.0, 1.0], [-3.0, 0.5, 0.2]])
_CLASSES = np.array([2, 1, 0, 1])
_PROBABILITIES = np.linspace(0.1, 0.9, 6).reshape(2, 3)


CASES: list[Case] = [
    Case("squared_error", (signed(2, 3), signed(2, 3)), lambda x, t: (x - t) ** 2),
    Case("squared_error", (signed(2, 3), signed(3)), lambda x, t: (x - t) ** 2, note="broadcast"),
    Case("bce_logits", (signed(2, 3), _PROBABILITIES), lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="none")),
    *(
        Case(
            "cross_entropy",
            (_SCORES,),
            lambda x, r=reduction: (F.cross_entropy(x, torch.from_numpy(_CLASSES), reduction=r),),
            lambda move, _, r=reduction: (move(_CLASSES), r == "mean"),
            reduction,
            outputs=1,
        )
        for reduction in ("mean", "none")
    ),
    Case("bce", (_PROBABILITIES, _PROBABILITIES[::-1] ** 2), lambda x, t: F.binary_cross_entropy(x, t, reduction="none")),
]  # fmt: skip
