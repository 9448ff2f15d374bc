"""Whole parts and remainders."""

from __future__ import annotations

import torch

from .cases import Case, _binary, _unary, positive, signed

CASES: list[Case] = [
    *_unary("trunc", torch.trunc),
    *_binary("fmod", torch.fmod, signed, positive),
]
