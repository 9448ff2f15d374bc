"""Operations that only rearrange: views where NumPy gives views."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..layouts import in_format
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
        if a.__class__ is np.ndarray and a.size and a.flags.c_contiguous:  # an eighth of broadcast_to's time
            own, lead = a.shape, len(shape) - a.ndim
            strides = [0] * lead
            for n, wide, s in zip(own, shape[lead:], a.strides, strict=True):
                if n != wide and n != 1:
                    raise ValueError(f"shape {list(own)} does not expand to {list(shape)}")
                strides.append(s if n == wide else 0)
            return np.ndarray(shape, a.dtype, a, 0, strides)
        out = module_of(a).broadcast_to(a, shape)
        if out is a:  # CuPy's, where there is nothing to repeat
            return a.view()
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
        m = module_of(parts[0])
        joined = m.concatenate(parts, axis=dim)
        # of parts in another order, or expanded ones, it makes one in their order; PyTorch's is contiguous
        return joined if joined.flags.c_contiguous else m.ascontiguousarray(joined)

    def backward(self, m: Any, g: Any) -> Any:
        ((dim, sizes),) = self.attrs
        result, start = [], 0
        lead = (slice(None),) * dim
        for e, n in zip(self.edges, sizes, strict=True):
            result.append(m.getitem(g, (*lead, slice(start, start + n))) if e is not None else None)
            start += n
        return result


@register("stack", inputs=-1)
class Stack(Op):
    """stack(*arrays, dim): arrays of one shape side by side along a new dimension; dim is non-negative."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(*args: Any) -> Any:
        *parts, dim = args
        lead = (slice(None),) * dim
        m = module_of(parts[0])
        joined = m.concatenate([p[(*lead, None, ...)] for p in parts], axis=dim)
        return joined if joined.flags.c_contiguous else m.ascontiguousarray(joined)

    def backward(self, m: Any, g: Any) -> Any:
        lead = (slice(None),) * self.attrs[0]
        return [m.getitem(g, (*lead, i)) if e is not None else None for i, e in enumerate(self.edges)]


def _joined(m: Any, parts: list[Any], dim: int, sizes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The gradients of parts as one, zeros where none has arrived."""
    found = [i for i, g in enumerate(parts) if g is not None]
    some = parts[found[0]]
    if len(found) == 1:
        start = sum(sizes[: found[0]])
        where = (*(slice(None),) * dim, slice(start, start + sizes[found[0]]))
        return m.put_items(some, where, shape)
    raw = some._array if hasattr(some, "_array") else some
    for i, g in enumerate(parts):
        if g is None:
            zeros = module_of(raw).zeros((*shape[:dim], sizes[i], *shape[dim + 1 :]), raw.dtype)
            parts[i] = zeros if raw is some else type(some)._wrap(zeros)
    return m.cat(*parts, (dim, sizes))


@register("split", outputs=-1)
class Split(Op):
    """split(a, dim, sizes): views side by side along a dimension; dim is non-negative."""

    __slots__ = ()
    exact = True

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return len(self.attrs[1])

    @staticmethod
    def forward(a: Any, dim: int, sizes: tuple[int, ...]) -> Any:
        return tuple(a[where] for where in Split.indices(dim, sizes))

    @staticmethod
    def indices(dim: int, sizes: tuple[int, ...]) -> list[tuple[Any, ...]]:
        """By which each part is read."""
        result, start = [], 0
        lead = (slice(None),) * dim
        for n in sizes:
            result.append((*lead, slice(start, start + n)))
            start += n
        return result

    def backward(self, m: Any, g: Any) -> Any:
        dim, sizes = self.attrs
        return (_joined(m, list(g), dim, sizes, self.input_shape()),)


@register("unbind", outputs=-1)
class Unbind(Op):
    """unbind(a, dim, n): the n parts along a dimension as views without it; dim is non-negative."""

    __slots__ = ()
    exact = True

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return int(self.attrs[1])

    @staticmethod
    def forward(a: Any, dim: int, n: int) -> Any:
        return tuple(a[where] for where in Unbind.indices(dim, n))

    @staticmethod
    def indices(dim: int, n: int) -> list[tuple[Any, ...]]:
        """By which each part is read; the Ellipsis makes a view of a single element too."""
        lead = (slice(None),) * dim
        return [(*lead, i, ...) for i in range(n)]

    def backward(self, m: Any, g: Any) -> Any:
        dim, n = self.attrs
        shape = self.input_shape()
        one = (*shape[:dim], 1, *shape[dim + 1 :])
        parts = [x if x is None else m.reshape(x, one) for x in g]
        return (_joined(m, parts, dim, (1,) * n, shape),)


class InFormat(Op):
    """in_format(a, form): a copy whose elements lie in memory in another order."""

    __slots__ = ()
    exact = True
    forward = staticmethod(in_format)

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)

    def name(self) -> str:
        return "CloneBackward0"
