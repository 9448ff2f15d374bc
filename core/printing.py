"""How tensors print: PyTorch's layout (four digits, one width for all, scientific where the range asks for it)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .backends import to_numpy
from .dtypes import FLOATS, get_default_dtype

__all__ = ["printoptions", "set_printoptions", "tensor_repr"]


@dataclass(frozen=True)
class _Options:
    """precision: digits after the point. threshold: more elements are summarised, to `edgeitems` at either end.
    linewidth: in characters. sci_mode: None for where the range asks for it."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}
_options = _Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Sets how tensors print: digits, elements before a summary, its ends, width; all of these by a profile's name
    ("default", "short", "full"), too. sci_mode: True or False for every tensor, None for where the range asks for it."""
    global _options
    chosen: dict[str, Any] = {}
    if profile is not None:
        if profile.lower() not in _PROFILES:
            raise ValueError(
                f"set_printoptions: expected the profile default, short or full, got {profile!r}"
            )
        chosen.update(_PROFILES[profile.lower()])
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in given.items():
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"set_printoptions: expected a number for {name}, got {value!r}")
            chosen[name] = value
    _options = replace(_options, **chosen, sci_mode=sci_mode)


@contextmanager
def printoptions(**options: Any) -> Iterator[None]:
    """set_printoptions for as long as the block runs."""
    global _options
    before = _options
    set_printoptions(**options)
    try:
        yield
    finally:
        _options = before


class _Formatter:
    """Chooses one format for all elements of a tensor. Zeros, infinities and NaN have no say in it."""

    def __init__(self, values: np.ndarray[Any, Any], options: _Options) -> None:
        self.floating, self.precision = values.dtype in FLOATS, options.precision
        self.scientific, self.whole, self.width = False, True, 1
        if not self.floating:
            self.width = max((len(str(v)) for v in values.reshape(-1).tolist()), default=1)
            return
        flat = values.reshape(-1).astype(np.float64)
        flat = flat[np.isfinite(flat) & (flat != 0)]
        if flat.size:  # a tensor of nothing else has its shortest form whatever sci_mode says
            sizes = np.abs(flat)
            low, high = float(sizes.min()), float(sizes.max())
            self.whole = bool((sizes == np.ceil(sizes)).all())
            self.scientific = high / low > 1000.0 or high > 1.0e8 or (not self.whole and low < 1.0e-4)
            if options.sci_mode is not None:
                self.scientific = options.sci_mode
            self.width = max(len(self.plain(v)) for v in flat.tolist())

    def plain(self, v: Any) -> str:
        if not self.floating:
            return str(v)
        if self.scientific:
            return f"{v:.{self.precision}e}"
        if self.whole:
            return f"{v:.0f}." if math.isfinite(v) else f"{v:.0f}"
        return f"{v:.{self.precision}f}"

    def __call__(self, v: Any) -> str:
        return self.plain(v).rjust(self.width)


class _Writer:
    """The nested brackets of one tensor."""

    def __init__(self, a: np.ndarray[Any, Any], options: _Options) -> None:
        self.options = options
        self.summarize = a.size > options.threshold
        self.form = _Formatter(self._shown(a) if self.summarize else a, options)

    def _shown(self, a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The elements that a summary shows: they alone decide the format."""
        ends = self.options.edgeitems
        for axis, n in enumerate(a.shape):
            if n > 2 * ends:
                a = np.concatenate((a.take(range(ends), axis), a.take(range(n - ends, n), axis)), axis)
        return a

    def body(self, a: np.ndarray[Any, Any], indent: int) -> str:
        if a.ndim == 0:
            return self.form(a.item())
        ends = self.options.edgeitems
        if self.summarize and not ends:
            return "[...]"
        cut = self.summarize and a.shape[0] > 2 * ends
        if a.ndim == 1:
            return self._row(a, indent, ends if cut else None)
        items = [*a[:ends], None, *a[-ends:]] if cut else list(a)
        parts = ["..." if x is None else self.body(x, indent + 1) for x in items]
        return "[" + ("," + "\n" * (a.ndim - 1) + " " * (indent + 1)).join(parts) + "]"

    def _row(self, a: np.ndarray[Any, Any], indent: int, ends: int | None) -> str:
        per_line = max(1, math.floor((self.options.linewidth - indent) / (self.form.width + 2)))
        if ends is None:
            items = [self.form(v) for v in a.tolist()]
        else:
            items = [*map(self.form, a[:ends].tolist()), " ...", *map(self.form, a[-ends:].tolist())]
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


# Of these, which add nothing to a tensor that shows, the class is not named.
_PLAIN = ("Tensor", "Parameter", "Buffer")


def tensor_repr(t: Any) -> str:
    """`tensor([[…]], dtype=…, grad_fn=<…>)`."""
    a, options = to_numpy(t._array), _options
    prefix = "tensor(" if type(t).__name__ in _PLAIN else f"{type(t).__name__}("
    text = _Writer(a, options).body(a, len(prefix)) if a.size else "[]"
    suffixes = []
    if t.device.type != "cpu":
        suffixes.append(f"device='{t.device}'")
    if (not a.size and a.ndim != 1) or (a.size and not options.edgeitems):
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
        if last + len(s) + 2 > options.linewidth:
            out, last = out + ",\n" + " " * len(prefix) + s, len(prefix) + len(s)
        else:
            out, last = out + ", " + s, last + len(s) + 2
    return out + ")"
