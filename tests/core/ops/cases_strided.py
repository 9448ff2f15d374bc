"""Strided views, diagonals, and arrays turned."""

from __future__ import annotations

import torch

from .cases import Case, given, signed


def _embedded(g):
    return torch.diag_embed(g, 1)


CASES: list[Case] = [
    Case("split", (signed(2, 5),), lambda a: a.split((2, 0, 3), 1), given(1, (2, 0, 3)), outputs=3),
    Case("split", (signed(4),), lambda a: a.split(3)[:1], given(0, (3, 1)), "first", outputs=1),
    Case("stack", (signed(2, 3), signed(2, 3)), lambda *a: torch.stack(a, 1), given(1)),
    Case("stack", (signed(), signed(), signed()), lambda *a: torch.stack(a), given(0), "0d"),
    Case("unbind", (signed(2, 3),), lambda a: a.unbind(1), given(1, 3), outputs=3),
    Case("unbind", (signed(3),), lambda a: a.unbind()[:2], given(0, 3), "two", outputs=2),
    Case("as_strided", (signed(3, 4),), lambda a: a.as_strided((2, 3), (4, 2), 1), given((2, 3), (4, 2), 1, (4, 1))),
    Case("as_strided", (signed(6),), lambda a: a.as_strided((4, 3), (1, 1)), given((4, 3), (1, 1), 0, (1,)), "overlap"),
    Case("as_strided", (signed(4, 2).T,), lambda a: a.as_strided((2, 3), (4, 1)), given((2, 3), (4, 1), 0, (4, 1)), "otherwise-laid-out"),
    Case("as_strided", (signed(2, 3),), lambda a: a.as_strided((), ()), given((), (), 0, (3, 1)), "0d"),
    Case("diagonal", (signed(3, 4),), lambda a: a.diagonal(), given(0, 0, 1)),
    Case("diagonal", (signed(2, 3, 2),), lambda a: a.diagonal(-1, 2, 0), given(-1, 2, 0), "3d"),
    Case("put_diagonal", (signed(2, 3),), _embedded, given((2, 4, 4), 1, 1, 2)),
    Case("unfold", (signed(6),), lambda a: a.unfold(0, 3, 1), given(0, 3, 1)),
    Case("unfold", (signed(2, 5, 2),), lambda a: a.unfold(1, 2, 2), given(1, 2, 2), "3d"),
    Case("unfold", (signed(),), lambda a: a.unfold(0, 1, 1), given(0, 1, 1), "0d"),
    Case("flip", (signed(2, 3),), lambda a: a.flip(0, 1), given((0, 1))),
    Case("flip", (signed(),), lambda a: a.clone(), given(()), "0d"),
    Case("roll", (signed(2, 3),), lambda a: a.roll((1, -2), (0, 1)), given((1, -2), (0, 1))),
]  # fmt: skip
