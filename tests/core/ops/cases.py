"""For each operation of the index inputs, attributes and what PyTorch (or a closed form) makes of them.

Inputs keep away from kinks, ties and poles, where derivatives are a matter of convention; those have tests of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from gradwire.backends import Device, to_device
from gradwire.ops import index as ops_index

Move = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Case:
    """`tensors.<op>(*inputs, *attrs)` should equal `expected(*inputs)` on PyTorch's tensors.

    attrs: from a function that puts raw arrays on the device and the device itself. outputs: how many of several outputs
    are looked at; the rest are kept for backward alone. symmetric: the input is (the same as) its symmetric part.
    """

    op: str
    inputs: tuple[Any, ...]
    expected: Callable[..., Any]
    attrs: Callable[[Move, Device], tuple[Any, ...]] = lambda move, device: ()
    note: str = ""
    outputs: int | None = None
    symmetric: bool = False

    def attributes(self, device: str) -> tuple[Any, ...]:
        where = Device(device)
        return self.attrs(lambda a: to_device(a, where), where)

    def __str__(self) -> str:
        return f"{self.op}-{self.note}" if self.note else self.op


_draw = np.random.default_rng(20)


def signed(*shape: int) -> np.ndarray:
    """Of magnitude 0.2 to 1.8, both signs, and never within 0.1 of an integer or a half."""
    whole = _draw.integers(0, 4, shape) * 0.5
    return np.asarray((whole + _draw.uniform(0.12, 0.38, shape)) * _draw.choice([-1.0, 1.0], shape))


def positive(*shape: int) -> np.ndarray:
    return np.asarray(_draw.uniform(0.3, 2.5, shape))


def distinct(*shape: int) -> np.ndarray:
    """No two elements nearer than 0.1."""
    return (_draw.permutation(math.prod(shape)) * 0.1 - 0.73).reshape(shape)


def given(*attrs: Any) -> Callable[[Move, Device], tuple[Any, ...]]:
    return lambda move, device: attrs


def _unary(op: str, function: Any, make: Callable[..., np.ndarray] = signed) -> list[Case]:
    return [
        Case(op, (make(2, 3),), function, note="2d"),
        Case(op, (make(),), function, note="0d"),
        Case(op, (make(3, 0),), function, note="empty"),
        Case(op, (make(4, 3).T[:, ::2],), function, note="strided"),
    ]


def _binary(op: str, function: Any, a: Any = signed, b: Any = signed) -> list[Case]:
    return [
        Case(op, (a(2, 3), b(2, 3)), function, note="same-shape"),
        Case(op, (a(2, 1, 3), b(4, 1)), function, note="both-broadcast"),
        Case(op, (a(), b(2)), function, note="0d"),
        Case(op, (a(0, 2), b(2)), function, note="empty"),
        Case(op, (a(3, 2).T, b(6)[::2]), function, note="strided"),
    ]


def _with_numbers(op: str, function: Any, *numbers: Any, make: Any = signed) -> list[Case]:
    cases = []
    for n in numbers:
        cases.append(Case(op, (make(2, 2),), lambda a, n=n: function(a, n), given(n), f"by-{n}"))
    return cases


_REDUCED = [((0,), False), ((0, 2), True), ((0, 1, 2), False), ((2,), False)]


def _reduction(op: str, function: Any, make: Any = signed) -> list[Case]:
    cases = []
    for dims, keep in _REDUCED:
        cases.append(
            Case(
                op,
                (make(2, 3, 2),),
                lambda a, d=dims, k=keep: function(a, dim=d, keepdim=k),
                given(dims, keep, (2, 3, 2)),
                f"{dims}-{keep}",
            )
        )
    return [*cases, Case(op, (make(),), lambda a: a * 1, given((), False, ()), "0d")]


def _put(index: Any, shape: tuple[int, ...]) -> Callable[[Any], Any]:
    def run(g: Any) -> Any:
        return torch.zeros(shape, dtype=g.dtype).index_put(index, g, accumulate=True)

    return run


_ROWS = np.array([2, 0, 2, 2])
_MASK = np.array([[True, False, True], [False, False, True], [True, False, False]])
_AT = np.array([[0, 2], [1, 1], [2, 2]])
_CONDITION = np.array([[True, False, True], [False, False, True]])


def _indexing() -> list[Case]:
    rows, mask = torch.from_numpy(_ROWS), torch.from_numpy(_MASK)
    return [
        Case("getitem", (signed(3, 4),), lambda a: a[1:, ::2], given((slice(1, None), slice(None, None, 2))), "slices"),
        Case("getitem", (signed(3, 4),), lambda a: a[..., None, -1], given((..., None, -1)), "ellipsis"),
        Case("index", (signed(3, 2),), lambda a: a[rows], lambda move, _: (move(_ROWS),), "repeated-rows"),
        Case("index", (signed(2, 3),), lambda a: a[:, rows], lambda move, _: ((slice(None), move(_ROWS)),), "columns"),
        Case("index", (signed(3, 3),), lambda a: a[mask], lambda move, _: (move(_MASK),), "mask"),
        Case("index", (signed(3, 3),), lambda a: a[rows, rows], lambda move, _: ((move(_ROWS), move(_ROWS)),), "pairs"),
        Case("put_items", (signed(4, 2),), _put((rows,), (3, 2)), lambda move, _: (move(_ROWS), (3, 2)), "repeated-rows"),
        Case("put_items", (signed(4),), _put((mask,), (3, 3)), lambda move, _: (move(_MASK), (3, 3)), "mask"),
        Case("put_items", (signed(2),), lambda g: F.pad(g, (1, 1)), given((slice(1, 3),), (4,)), "slice"),
        Case("gather", (signed(3, 2), _AT), lambda a, i: a.gather(0, i), given(0), "rows"),
        Case("gather", (signed(3, 4), _AT), lambda a, i: a.gather(1, i), given(1), "columns"),
    ]  # fmt: skip


def _shapes() -> list[Case]:
    return [
        Case("reshape", (signed(2, 6),), lambda a: a.reshape(3, 4), given((3, 4))),
        Case("reshape", (signed(3, 2).T,), lambda a: a.reshape(6), given((6,)), "copying"),
        Case("reshape", (signed(0, 2),), lambda a: a.reshape(0, 5), given((0, 5)), "empty"),
        Case("expand", (signed(2, 1),), lambda a: a.expand(3, 2, 4), given((3, 2, 4))),
        Case("expand", (signed(),), lambda a: a.expand(2, 2), given((2, 2)), "0d"),
        Case("permute", (signed(2, 3, 4),), lambda a: a.permute(2, 0, 1), given((2, 0, 1))),
        Case("swap_last", (signed(2, 3, 4),), lambda a: a.mT),
        Case("contiguous", (signed(2, 3).T,), lambda a: a.contiguous()),
        Case("sum_to", (signed(2, 3, 4),), lambda a: a.sum_to_size(3, 1), given((3, 1))),
        Case("sum_to", (signed(2, 3),), lambda a: a.sum(), given(()), "0d"),
        Case(
            "cat",
            (signed(2, 1), signed(2, 3), signed(2, 0)),
            lambda *a: torch.cat(a, 1),
            given((1, (1, 3, 0))),
        ),
        Case("cat", (signed(1, 2), signed(2, 2)), lambda *a: torch.cat(a, 0), given((0, (1, 2))), "rows"),
    ]


def _standardized(a: Any, dims: tuple[int, ...]) -> Any:
    return (a - a.mean(dims, keepdim=True)) / torch.sqrt(a.var(dims, correction=0, keepdim=True) + 1e-3)


def _power_cases() -> list[Case]:
    return [
        *_binary("pow", torch.pow, positive),
        *_with_numbers("pow", torch.pow, 0, 1, 2, 3, -1, 2.0, 0.0, -2),
        *_with_numbers("pow", torch.pow, 0.5, -1.5, make=positive),
    ]


def _overwritten() -> list[Case]:
    chain = ((ops_index["getitem"], ((1,),)), (ops_index["reshape"], ((3, 1),)))
    turned = ((ops_index["permute"], ((1, 0),)), (ops_index["reshape"], ((6,),)))
    return [
        Case("overwrite", (signed(2, 3), signed(3)), lambda a, b: b.expand(2, 3).clone()),
        Case("fill", (signed(2, 3),), lambda a: torch.full_like(a, 2.5), given(2.5)),
        Case(
            "copy_slices",
            (signed(2, 3), signed(3, 1)),
            lambda a, b: torch.stack([a[0], b[:, 0]]),
            given(chain),
        ),
        Case(
            "copy_slices",
            (signed(2, 3), signed(6)),
            lambda a, b: b.reshape(3, 2).T.clone(),
            given(turned),
            "copied",
        ),
    ]


CASES: list[Case] = [
    *_overwritten(),
    *_binary("add", torch.add),
    *_binary("sub", torch.sub),
    *_binary("mul", torch.mul),
    *_binary("div", torch.div),
    *_binary("remainder", torch.remainder, positive, lambda *s: np.asarray(positive(*s) + 3.0)),
    *_binary("maximum", torch.maximum),
    *_binary("minimum", torch.minimum),
    *(c for op in ("add", "sub", "mul", "div") for c in _with_numbers(op, getattr(torch, op), 2, -0.75, True)
      if (op, c.note) != ("sub", "by-True")),
    *_power_cases(),
    *_unary("neg", torch.neg),
    *_unary("sign", torch.sign),
    *_unary("floor", torch.floor),
    *_unary("ceil", torch.ceil),
    *_unary("round", torch.round),
    *_unary("exp", torch.exp),
    *_unary("expm1", torch.expm1),
    *_unary("log", torch.log, positive),
    *_unary("log1p", torch.log1p, positive),
    *_unary("sqrt", torch.sqrt, positive),
    *_unary("sin", torch.sin),
    *_unary("cos", torch.cos),
    *_unary("tanh", torch.tanh),
    *_unary("abs", torch.abs),
    *_unary("relu", torch.relu),
    *_unary("sigmoid", torch.sigmoid),
    *_unary("erf", torch.erf, lambda *s: np.asarray(signed(*s) * 3)),
    *_unary("clone", torch.clone),
    *_unary("zeros_like", torch.zeros_like),
    *_unary("ones_like", torch.ones_like),
    Case("to_device", (signed(2, 3),), torch.clone, lambda move, device: (Device("cpu"), device)),
    Case("cast", (signed(2, 3),), torch.clone, given(np.dtype(np.float64))),
    Case("clamp", (signed(3, 4),), lambda a: a.clamp(-0.5, 1.0), given(-0.5, 1.0), "both"),
    Case("clamp", (signed(3, 4),), lambda a: a.clamp(min=0.5), given(0.5, None), "low"),
    Case("clamp", (signed(3, 4),), lambda a: a.clamp(max=0.5), given(None, 0.5), "high"),
    Case("where", (_CONDITION, signed(2, 3), signed(2, 3)), torch.where),
    Case("where", (_CONDITION, signed(3), signed(2, 1)), torch.where, note="broadcast"),
    *(Case(op, (signed(2, 3, 2),), lambda a, f=f, d=d: f(a, d), given(d), f"dim-{d}")
      for op, f in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax), ("cumsum", torch.cumsum)) for d in (0, 1, 2)),
    *_reduction("sum", torch.sum),
    *_reduction("mean", torch.mean),
    *_reduction("amax", torch.amax, distinct),
    *_reduction("amin", torch.amin, distinct),
    *(Case("standardize", (distinct(2, 3, 4),), lambda a, d=d: _standardized(a, d), given(d, 1e-3), str(d))
      for d in ((2,), (0, 2), (1, 2))),
    *_indexing(),
    *_shapes(),
]  # fmt: skip
