"""How tensors print: PyTorch's layout (four digits, one width for all, scientific where the range asks for it)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .backends import to_numpy
from .dtypes import FLOATS, get_default_dtype

__all__ = ["tensor_repr"]

PRECISION, EDGE_ITEMS, THRESHOLD, LINE_WIDTH = 4, 3, 1000, 80


class _Formatter:
    """Chooses one format for all elements of a tensor."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.kind = "f" if values.dtype in FLOATS else values.dtype.kind
        self.scientific = self.whole = False
        self.width = 1
        flat = values.reshape(-1)
        if self.kind != "f":
            self.width = max((len(str(v)) for v in flat.tolist()), default=1)
            return
        flat = flat[
            np.isfinite(flat) & (flat != 0)
        ]  # as in PyTorch, zeros, infinities and NaN have no say in the width
        usual = np.abs(flat.astype(np.float64))
        if usual.size:
            low, high = float(usual.min()), float(usual.max())
            self.whole = bool((usual == np.ceil(usual)).all())
            self.scientific = high / low > 1000.0 or high > 1.0e8 or (not self.whole and low < 1.0e-4)
        else:
            self.whole = True
        self.width = max((len(self.plain(v)) for v in flat), default=1)

    def plain(self, v: Any) -> str:
        if self.kind != "f":
            return str(v.item())
        x = float(v)
        if self.scientific and math.isfinite(x):
            return f"{x:.{PRECISION}e}"
        if self.whole:
            return f"{x:.0f}." if math.isfinite(x) else f"{x:.0f}"
        return f"{x:.{PRECISION}f}"

    def __call__(self, v: Any) -> str:
        return self.plain(v).rjust(self.width)


def _row(a: np.ndarray[Any, Any], form: _Formatter, indent: int, summarize: bool) -> str:
    per_line = max(1, (LINE_WIDTH - indent) // (form.width + 2))
    if summarize and a.size > 2 * EDGE_ITEMS:
        items = [form(v) for v in a[:EDGE_ITEMS]] + [" ..."] + [form(v) for v in a[-EDGE_ITEMS:]]
    else:
        items = [form(v) for v in a]
    lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _body(a: np.ndarray[Any, Any], form: _Formatter, indent: int, summarize: bool) -> str:
    if a.ndim == 0:
        return form.plain(a[()])
    if a.ndim == 1:
        return _row(a, form, indent, summarize)
    if summarize and a.shape[0] > 2 * EDGE_ITEMS:
        parts = [_body(x, form, indent + 1, summarize) for x in a[:EDGE_ITEMS]]
        parts += ["..."] + [_body(x, form, indent + 1, summarize) for x in a[-EDGE_ITEMS:]]
    else:
        parts = [_body(x, form, indent + 1, summarize) for x in a]
    return "[" + ("," + "\n" * (a.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _shown(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The elements that a summary shows: they alone decide the format."""
    for axis, n in enumerate(a.shape):
        if n > 2 * EDGE_ITEMS:
            a = np.concatenate(
                (a.take(range(EDGE_ITEMS), axis), a.take(range(n - EDGE_ITEMS, n), axis)), axis
            )
    return a


def tensor_repr(t: Any) -> str:
    """`tensor([[…]], dtype=…, grad_fn=<…>)`."""
    a = to_numpy(t._array)
    summarize = a.size > THRESHOLD
    prefix = "tensor("
    if a.size:
        form = _Formatter(_shown(a) if summarize else a)
        text = _body(a, form, len(prefix), summarize)
    else:
        text = "[]"
    suffixes = []
    if t.device.type != "cpu":
        suffixes.append(f"device='{t.device}'")
    if not a.size and a.ndim != 1:
        suffixes.append(f"size={tuple(a.shape)}")
    if t.dtype is not get_default_dtype() and (not a.size or t.dtype.name not in ("int64", "bool")):
        suffixes.append(f"dtype={t.dtype}")
    if t.grad_fn is not None:
        suffixes.append(f"grad_fn=<{t.grad_fn.name()}>")
    elif t.requires_grad:
        suffixes.append("requires_grad=True")
    out = prefix + text
    last = len(out) - out.rfind("\n") + 1  # PyTorch's count, which is two more than the line has
    for s in suffixes:
        if last + len(s) + 2 > LINE_WIDTH:
            out, last = out + ",\n" + " " * len(prefix) + s, len(prefix) + len(s)
        else:
            out, last = out + ", " + s, last + len(s) + 2
    return out + ")"
