"""Cases of the operations in ops/matrix.py."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .cases import Case, given, signed

_NOT_ZERO = np.array([[0.0, 1.0, np.nan], [-2.0, -0.0, 3.0]])

CASES = [
    Case("matmul", (signed(2, 3), signed(3, 4)), torch.matmul, note="matrices"),
    Case("matmul", (signed(2, 2, 3), signed(3, 2)), torch.matmul, note="batch-by-matrix"),
    Case("matmul", (signed(2, 3), signed(2, 3, 2)), torch.matmul, note="matrix-by-batch"),
    Case("matmul", (signed(2, 3), signed(2, 2, 3, 2)), torch.matmul, note="matrix-by-batches"),
    Case("matmul", (signed(2, 1, 2, 3), signed(3, 3, 2)), torch.matmul, note="batches-broadcast"),
    Case("matmul", (signed(3, 2).T, signed(4, 3).T), torch.matmul, note="transposed"),
    Case("matmul", (signed(2, 0), signed(0, 3)), torch.matmul, note="empty-inside"),
    Case("matmul", (signed(0, 2, 3), signed(3, 2)), torch.matmul, note="empty-batch"),
    Case("linear", (signed(3, 2), signed(4, 2), signed(4)), F.linear),
    Case("linear", (signed(0, 2), signed(4, 2), signed(4)), F.linear, note="no-rows"),
    Case("mv", (signed(2, 3), signed(3)), torch.mv),
    Case("mv", (signed(3, 2).T, signed(6)[::2]), torch.mv, note="strided"),
    Case("dot", (signed(3), signed(3)), torch.dot),
    Case("dot", (signed(0), signed(0)), torch.dot, note="empty"),
    Case("addmm", (signed(3), signed(2, 3), signed(3, 3)), torch.addmm, given(1, 1)),
    Case("addmm", (signed(2, 1), signed(2, 3), signed(3, 3)), lambda c, a, b: torch.addmm(c, a, b, beta=2, alpha=-0.5),
         given(2, -0.5), "scaled"),
    Case("addmm", (signed(2, 1), signed(2, 2, 3), signed(2, 3, 3)), torch.baddbmm, given(1, 1), "batches"),
    Case("addmm", (signed(3), signed(2, 3), signed(3, 3)), lambda c, a, b: torch.addmm(c, a, b, beta=0), given(0, 1), "beta-0"),
    Case("cross", (signed(2, 3), signed(2, 3)), lambda a, b: torch.linalg.cross(a, b, dim=1), given(1)),
    Case("where_not_zero", (signed(2, 3), _NOT_ZERO), lambda g, out: torch.where(out != 0, g, 0.0)),
]  # fmt: skip
