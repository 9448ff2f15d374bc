"""Special functions, signs and neighbours of floating-point numbers."""

from __future__ import annotations

import numpy as np
import torch

from .cases import Case, _binary, _unary, given, positive, signed


def _within_one(*shape: int) -> np.ndarray:
    return np.asarray(signed(*shape) / 2)


def _unit(*shape: int) -> np.ndarray:
    return np.asarray(0.5 + signed(*shape) / 4)


def _same(op: str, function, a=positive, b=positive, **options) -> list[Case]:
    return [
        Case(op, (a(2, 3), b(2, 3)), function, note="matrix", **options),
        Case(op, (a(), b()), function, note="0d", **options),
        Case(op, (a(3, 0), b(3, 0)), function, note="empty", **options),
    ]


S = torch.special
CASES: list[Case] = [
    *(c for op in ("erfc", "i0", "sinc", "lgamma", "digamma") for c in _unary(op, getattr(torch, op))),
    *(c for op in ("erfcx", "i0e", "i1", "i1e", "log_ndtr") for c in _unary(op, getattr(S, op))),
    *_unary("erfinv", torch.erfinv, _within_one),
    *_unary("ndtri", S.ndtri, _unit),
    *_unary("entr", S.entr, positive),
    *_binary("logaddexp2", torch.logaddexp2),
    *(c for op, f in (("xlogy", torch.xlogy), ("xlog1py", S.xlog1py)) for c in _same(op, f, signed, positive)),
    Case("logit", (_unit(2, 3),), torch.logit, given(None)),
    Case("logit", (_unit(2, 3),), lambda a: torch.logit(a, 1e-3), given((1e-3, 1 - 1e-3)), note="eps"),
    *(Case("polygamma", (positive(2, 3),), lambda a, n=n: torch.polygamma(n, a), given(n), note=str(n)) for n in (2, 4)),
    # whole parameters, to which no gradient flows
    Case("zeta", (np.array([2, 3, 5]), positive(2, 3)), lambda s, q: S.zeta(s.double(), q)),
    Case("igamma", (np.array([1, 2, 1]), positive(2, 3)), lambda a, x: S.gammainc(a.double(), x)),
    Case("igammac", (np.array([1, 2, 1]), positive(2, 3)), lambda a, x: S.gammaincc(a.double(), x)),
    *_same("copysign", torch.copysign, signed, signed),
    *_same("nextafter", torch.nextafter, signed, signed),
    Case("div_trunc", (signed(2, 3), positive(2, 3)), lambda a, b: torch.div(a, b, rounding_mode="trunc")),
    Case("round_decimals", (signed(2, 3),), lambda a: torch.round(a, decimals=2), given(2)),
    Case("round_decimals", (signed(2, 3) * 100,), lambda a: torch.round(a, decimals=-2), given(-2), note="tens"),
]  # fmt: skip
