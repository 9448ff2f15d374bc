"""Rows of a table."""

from __future__ import annotations

import numpy as np
import torch

from .cases import Case, signed

_INDEX = np.array([[0, 2, 2], [1, 0, 2]])

CASES: list[Case] = [
    Case("lookup", (signed(4, 3),), lambda w: torch.nn.functional.embedding(torch.from_numpy(_INDEX), w), lambda move, device: (move(_INDEX), None)),
]  # fmt: skip
