"""Reading parts of a tensor, and the scatter that is its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .ordered import combine_in_order
from .registry import register


def is_basic(index: Any) -> bool:
    """Whether an index has no arrays, so that it reads a view."""
    items = index if isinstance(index, tuple) else (index,)
    return all(
        i is None or i is Ellipsis or (isinstance(i, (int, slice)) and not isinstance(i, bool)) for i in items
    )


@register("getitem")
class Getitem(Op):
    """getitem(a, index): a view by integers, slices, None and Ellipsis."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, index: Any) -> Any:
        out = a[index]
        if isinstance(out, np.generic):  # NumPy copies a single element out; a tensor's is a view
            return a[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.put_items(g, self.attrs[0], self.input_shape()),)

    def name(self) -> str:
        index = self.attrs[0]
        last = [
            i
            for i in (index if isinstance(index, tuple) else (index,))
            if i != slice(None) and i is not Ellipsis
        ]
        if not last:
            return "AliasBackward0"
        kind = {int: "Select", slice: "Slice"}.get(type(last[-1]), "Unsqueeze")
        return kind + "Backward0"


@register("index")
class Index(Op):
    """index(a, index): a copy of what an index with raw integer or bool arrays reads, as NumPy has it."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, index: Any) -> Any:
        return a[index]

    def backward(self, m: Any, g: Any) -> Any:
        return (m.put_items(g, self.attrs[0], self.input_shape()),)


@register("put_items")
class PutItems(Op):
    """put_items(g, index, shape): zeros of `shape` with g added at `index`; the gradient of getitem."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
        xp = module_of(g)
        out = xp.zeros(shape, g.dtype)
        if is_basic(index):
            out[index] = g
            return out
        combine_in_order("add", out, index, g)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        index = self.attrs[0]
        return ((m.getitem if is_basic(index) else m.index)(g, index),)

    def name(self) -> str:
        return "IndexPutBackward0"


@register("gather", inputs=2)
class Gather(Op):
    """gather(a, index, dim): out[i][j][k] = a[index[i][j][k]][j][k] for dim 0, and so on."""

    __slots__ = ()
    exact = True

    save = (1,)

    @staticmethod
    def forward(a: Any, index: Any, dim: int) -> Any:
        return a[grid(index, dim)]

    def backward(self, m: Any, g: Any, index: Any) -> Any:
        raw = index if not hasattr(index, "_array") else index._array
        return m.put_items(g, grid(raw, self.attrs[0]), self.input_shape()), None


def grid(index: Any, dim: int) -> tuple[Any, ...]:
    """The index that reads a[index[i][j][k]][j][k] for dim 0, and so on."""
    xp = module_of(index)
    each = [
        xp.arange(n).reshape((1,) * i + (n,) + (1,) * (index.ndim - 1 - i)) for i, n in enumerate(index.shape)
    ]
    each[dim] = index
    return tuple(each)
