"""In which order the elements of a tensor lie in memory: PyTorch's memory formats, of dense ("strided") tensors only."""

from __future__ import annotations

from typing import Any

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "copy_order", "in_format", "is_in_format", "laid_out", "layout",
    "memory_format", "order_like", "preserve_format", "strided",
]  # fmt: skip


class layout:
    """How a tensor is stored; there is `strided` alone."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"torch.{self._name}"

    def __reduce__(self) -> str:
        return self._name


class memory_format(layout):
    """An order of dimensions in memory."""


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
_RANK = {channels_last: 4, channels_last_3d: 5}


def _order(form: memory_format, ndim: int) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost. Raises RuntimeError for another rank."""
    if not isinstance(form, memory_format):
        raise TypeError(f"argument 'memory_format' must be torch.memory_format, not {type(form).__name__}")
    rank = _RANK.get(form)
    if rank is None:
        return tuple(range(ndim))
    if ndim != rank:
        raise RuntimeError(f"required rank {rank} tensor to use {form._name} format")
    return (0, *range(2, ndim), 1)


def order_like(array: Any) -> tuple[int, ...]:
    """The order of `array`'s own dimensions; the plain one where it is not dense."""
    strides, shape = array.strides, array.shape
    order = sorted(range(len(shape)), key=lambda i: -strides[i])
    expected = array.itemsize
    for i in reversed(order):
        if shape[i] != 1 and strides[i] != expected:
            return tuple(range(len(shape)))
        expected *= shape[i]
    return tuple(order)


def copy_order(array: Any) -> str:
    """The `order` with which a copy of `array` gets its own order in memory, or the plain one where it is not dense."""
    return "K" if array.transpose(order_like(array)).flags.c_contiguous else "C"


def laid_out(made: Any, shape: tuple[int, ...], order: tuple[int, ...]) -> Any:
    """What `made(shape)` gives, with the dimensions in memory as `order` has them."""
    if order == tuple(range(len(shape))):
        return made(shape)
    inner = made(tuple(shape[i] for i in order))
    back = [0] * len(order)
    for place, i in enumerate(order):
        back[i] = place
    return inner.transpose(back)


def order_in(form: memory_format | None, like: Any) -> tuple[int, ...]:
    """The order that `form` asks of a tensor made like the raw array `like`; None is preserve_format."""
    return order_like(like) if form is None or form is preserve_format else _order(form, like.ndim)


def is_in_format(array: Any, form: memory_format) -> bool:
    """Whether the elements lie in memory as `form` has them, without gaps."""
    if form is preserve_format:
        raise RuntimeError("preserve memory format is unsupported by the contiguous operator")
    rank = _RANK.get(form)
    if rank is None:
        return bool(array.flags.c_contiguous)
    return array.ndim == rank and bool(array.transpose(_order(form, array.ndim)).flags.c_contiguous)


def in_format(array: Any, form: memory_format) -> Any:
    """A copy of `array` whose elements lie in memory as `form` has them."""
    order = _order(form, array.ndim)
    back = [order.index(i) for i in range(array.ndim)]
    return array.transpose(order).copy(order="C").transpose(back)
