"""How torch.linalg reads its arguments: what is a matrix, how batches meet, how several results are named."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..dtypes import HALVES
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public
from .matrix import SCALAR_NAMES, broadcast
from .shape import expand, transpose

__all__ = ["also", "batched", "floating_matrix", "named", "one_dtype", "square", "turned"]


def also(name: str, function: Callable[..., Any], namespace: str = "torch.linalg", **options: Any) -> Any:
    """`function` under another name, or in another namespace."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return public(name, namespace=namespace, **options)(run)


def named(name: str, fields: str) -> Any:
    """The type of the results of function `name`, whose fields have names."""

    def show(self: Any) -> str:
        shown = ",\n".join(f"{f}={v!r}" for f, v in zip(self._fields, self, strict=True))
        return f"torch.return_types.{name}(\n{shown})"

    made = namedtuple(name, fields)  # type: ignore[misc]
    return type(name, (made,), {"__slots__": (), "__repr__": show})


def floating(name: str, a: Any, argument: str = "A") -> Tensor:
    """`a`, a tensor of float32 or float64."""
    t = tensor_of(a, name, argument)
    kind = t._array.dtype
    if kind in HALVES:
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {SCALAR_NAMES[t.dtype.name]}")
    if not t.is_floating_point():
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[t.dtype.name]}"
        )
    return t


def floating_matrix(name: str, a: Any, argument: str = "A") -> Tensor:
    """`a`, matrices of float32 or float64."""
    t = tensor_of(a, name, argument)
    if t.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {argument} must have at least 2 dimensions.")
    return floating(name, t, argument)


def square(name: str, a: Any) -> Tensor:
    """`a`, square matrices of float32 or float64."""
    t = floating_matrix(name, a)
    of_equal_sides(name, t)
    return t


def of_equal_sides(name: str, t: Tensor) -> None:
    m, n = t._array.shape[-2:]
    if m != n:
        raise RuntimeError(f"{name}: A must be batches of square matrices, but they are {m} by {n} matrices")


def one_dtype(name: str, a: Tensor, b: Tensor, first: str = "A", second: str = "B") -> None:
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(
            f"{name}: Expected {first} and {second} to have the same dtype, but found {first} of type "
            f"{SCALAR_NAMES[a.dtype.name]} and {second} of type {SCALAR_NAMES[b.dtype.name]} instead"
        )
    if a.device != b.device:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found at least two devices, {a.device} and {b.device}! ({name})"
        )


def batched(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the batch dimensions that theirs broadcast to."""
    x, y = a._array.shape, b._array.shape
    if x[:-2] == y[:-2]:
        return a, b
    batch = broadcast(x[:-2], y[:-2])
    return expand(a, (*batch, *x[-2:])), expand(b, (*batch, *y[-2:]))


def turned(a: Tensor) -> Tensor:
    """The transposed matrices."""
    return transpose(a, -2, -1)
