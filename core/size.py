"""The shape of a tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, SupportsIndex, overload

__all__ = ["Size", "size_of"]


class Size(tuple[int, ...]):
    """The shape of a tensor: a tuple of integers with PyTorch's printing and `numel()`; its parts are Sizes, too."""

    __slots__ = ()

    def __new__(cls, sizes: Iterable[Any] = ()) -> Size:
        given = tuple(sizes)
        for i, n in enumerate(given):
            if not hasattr(n, "__index__"):
                raise TypeError(f"torch.Size() takes an iterable of 'int' (item {i} is '{type(n).__name__}')")
        return _new(cls, [n.__index__() for n in given])

    def numel(self) -> int:
        """The product of all: how many elements such a tensor has."""
        n = 1
        for k in self:
            n *= k
        return n

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Size: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | Size:
        found = _item(self, index)
        return _new(Size, found) if found.__class__ is tuple else found

    def __add__(self, other: Any) -> Size:  # type: ignore[override]
        return Size((*self, *other)) if isinstance(other, tuple) else NotImplemented

    def __radd__(self, other: Any) -> Size:
        return Size((*other, *self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: SupportsIndex) -> Size:
        return _new(Size, tuple(self) * count)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    def __reduce__(self) -> Any:
        return (Size, (tuple(self),))


_new: Any = tuple.__new__
_item: Any = tuple.__getitem__


def size_of(shape: tuple[int, ...]) -> Size:
    """The Size of an array's shape, which is known to be one of integers."""
    return _new(Size, shape)  # type: ignore[no-any-return]
