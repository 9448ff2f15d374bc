"""Operations that only rearrange: views where NumPy gives views."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register


@register("reshape")
class Reshape(Op):
    """reshape(a, shape, kind="View"): a view where the layout permits; kind: for the node's name."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, shape: tuple[int, ...], kind: str = "") -> Any:
        return a.reshape(shape)

    def backward(self, m: Any, g: Any) -> Any:
        return (m.reshape(g, self.input_shape()),)

    def name(self) -> str:
        return (self.attrs[1] if len(self.attrs) > 1 else "View") + "Backward0"


@register("expand")
class Expand(Op):
    """expand(a, shape): repeats dimensions of size 1 without copying; the engine sums the gradient back."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, shape: tuple[int, ...]) -> Any:
        out = module_of(a).broadcast_to(a, shape)
        if out.__class__ is np.ndarray and a.flags.writeable:
            out.flags.writeable = (
                True  # a part of it without overlap may be written; in_place refuses the rest
            )
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)


@register("permute")
class Permute(Op):
    """permute(a, dims, kind="Permute"): dims are all non-negative; kind: for the node's name."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], kind: str = "") -> Any:
        return a.transpose(dims)

    def backward(self, m: Any, g: Any) -> Any:
        dims = self.attrs[0]
        back = [0] * len(dims)
        for i, d in enumerate(dims):
            back[d] = i
        return (m.permute(g, tuple(back)),)

    def name(self) -> str:
        return (self.attrs[1] if len(self.attrs) > 1 else "Permute") + "Backward0"


@register("swap_last")
class SwapLast(Op):
    """The transpose of the last two dimensions."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any) -> Any:
        return a.swapaxes(-1, -2)

    def backward(self, m: Any, g: Any) -> Any:
        return (m.swap_last(g),)

    def name(self) -> str:
        return "TBackward0" if len(self.shape) == 2 else "TransposeBackward0"


@register("contiguous")
class Contiguous(Op):
    """A C-contiguous copy."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any) -> Any:
        return a.copy(order="C")

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)

    def name(self) -> str:
        return "CloneBackward0"


@register("cat", inputs=-1)
class Cat(Op):
    """cat(*arrays, (dim, sizes)): dim is non-negative, sizes are the inputs' sizes along it."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(*args: Any) -> Any:
        *parts, (dim, _) = args
        return module_of(parts[0]).concatenate(parts, axis=dim)

    def backward(self, m: Any, g: Any) -> Any:
        ((dim, sizes),) = self.attrs
        result, start = [], 0
        lead = (slice(None),) * dim
        for e, n in zip(self.edges, sizes, strict=True):
            result.append(m.getitem(g, (*lead, slice(start, start + n))) if e is not None else None)
            start += n
        return result
