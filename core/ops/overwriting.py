"""Operations that in-place writes leave in the graph: a whole tensor overwritten, or the part of it that a view shows."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from ..views import replay
from .registry import register


@register("overwrite", inputs=2)
class Overwrite(Op):
    """overwrite(old, new): new; nothing of old is left."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(old: Any, new: Any) -> Any:
        return module_of(old).broadcast_to(new, old.shape)

    def backward(self, m: Any, g: Any) -> Any:
        return m.zeros_like(g), g

    def name(self) -> str:
        return "CopyBackwards"


@register("fill")
class Fill(Op):
    """fill(old, number): the number everywhere."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(old: Any, number: Any) -> Any:
        return module_of(old).full(old.shape, number, old.dtype)

    def backward(self, m: Any, g: Any) -> Any:
        return (m.zeros_like(g),)

    def name(self) -> str:
        return "ZeroBackward0" if self.attrs[0] == 0 else "FillBackward0"


@register("copy_slices", inputs=2)
class CopySlices(Op):
    """copy_slices(base, part, chain): base, with `part` where the views of `chain` lead to."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(base: Any, part: Any, chain: Any) -> Any:
        xp = module_of(base)
        out = xp.zeros(base.shape, base.dtype)
        out[...] = base
        shown = replay(out, chain)
        if xp.may_share_memory(shown, out):
            shown[...] = part
        else:  # the chain reshapes, which in this layout needs a copy: go by the numbers of the elements
            places = replay(xp.arange(out.size).reshape(out.shape), chain)
            out.reshape(-1)[places] = part
        return out

    def backward(self, m: Any, g: Any) -> Any:
        (chain,) = self.attrs
        part = g
        for op, attrs in chain:
            part = getattr(m, op.registered)(part, *attrs)
        return (
            m.copy_slices(g, m.zeros_like(part), chain) if self.edges[0] is not None else None,
            part if self.edges[1] is not None else None,
        )

    def name(self) -> str:
        return "CopySlices"


class Drawn(Op):
    """drawn(a, values, name): values that were drawn with `a` as a parameter; PyTorch's gradient of that is zero."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, values: Any, name: str) -> Any:
        return values

    def backward(self, m: Any, g: Any) -> Any:
        return (m.zeros_like(g),)

    def name(self) -> str:
        return self.attrs[1]  # type: ignore[no-any-return]
