"""Images widened at their ends."""

from __future__ import annotations

from typing import Any

from ...tensor import Tensor
from .. import functional as F
from ..module import Module
from .convolution import repeated

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d",
    "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d",
    "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """padding: one integer for all ends, or pairs (before, after), the last dimension first."""

    n = 0
    mode = ""

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = repeated(padding, 2 * self.n)

    def forward(self, input: Tensor) -> Tensor:
        if self.mode == "circular" and input.ndim not in (self.n + 1, self.n + 2):
            raise ValueError(f"expected {self.n + 1}D or {self.n + 2}D input (got {input.ndim}D input)")
        return F.pad(input, self.padding, self.mode)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(Module):
    n = 0

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__()
        self.padding, self.value = repeated(padding, 2 * self.n), value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """Widens the last dimension by value."""

    n = 1


class ConstantPad2d(_ConstantPad):
    """Widens the last two dimensions by value."""

    n = 2


class ConstantPad3d(_ConstantPad):
    """Widens the last three dimensions by value."""

    n = 3


class ZeroPad1d(_ZeroPad):
    """Widens the last dimension by zeros."""

    n = 1


class ZeroPad2d(_ZeroPad):
    """Widens the last two dimensions by zeros."""

    n = 2


class ZeroPad3d(_ZeroPad):
    """Widens the last three dimensions by zeros."""

    n = 3


class ReflectionPad1d(_Pad):
    """Widens the last dimension by its mirror image."""

    n = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Widens the last two dimensions by its mirror image."""

    n = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Widens the last three dimensions by its mirror image."""

    n = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Widens the last dimension by its outermost values."""

    n = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Widens the last two dimensions by its outermost values."""

    n = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Widens the last three dimensions by its outermost values."""

    n = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """Widens the last dimension by what stands at the other end."""

    n = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Widens the last two dimensions by what stands at the other end."""

    n = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Widens the last three dimensions by what stands at the other end."""

    n = 3
    mode = "circular"
