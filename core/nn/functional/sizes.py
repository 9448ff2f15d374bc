"""How sizes of windows, steps and margins are read from arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ...functions.catalogue import public
from ...tensor import Tensor

__all__ = ["in_both", "integer", "ints", "is_batched", "joined", "tensor_argument"]


F = TypeVar("F", bound=Callable[..., Any])


def in_both(function: F) -> F:
    """Enters a function in torch and in torch.nn.functional."""
    return public(namespace="torch.nn.functional", method=False)(public(method=False)(function))


def tensor_argument(x: Any, name: str, argument: str = "input") -> Tensor:
    """`x`, or TypeError where it is no tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(x).__name__}")
    return x


def ints(x: Any, n: int, name: str, argument: str) -> tuple[int, ...]:
    """n integers of an integer, or of a sequence of one or n. TypeError for what are no integers, else RuntimeError."""
    if type(x) is int:
        return (x,) * n
    if isinstance(x, Sequence) and not isinstance(x, str):
        found = tuple(integer(i, name, argument) for i in x)
        if len(found) == n:
            return found
        if len(found) == 1:
            return found * n
        raise RuntimeError(
            f"expected {argument} to be a single integer value or a list of {n} values to match the convolution dimensions, "
            f"but got {argument}={list(found)}"
        )
    return (integer(x, name, argument),) * n


def integer(x: Any, name: str, argument: str) -> int:
    """An int of what counts as one; TypeError for floats, bools and texts."""
    if isinstance(x, bool) or not hasattr(x, "__index__"):
        raise TypeError(f"{name}(): argument '{argument}' must be tuple of ints, not {type(x).__name__}")
    return int(x.__index__())


def is_batched(input: Tensor, n: int, name: str) -> bool:
    """Whether an input to an n-dimensional layer has a batch dimension; RuntimeError where it fits neither form."""
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {list(input.shape)}"
        )
    return input.ndim == n + 2


def joined(values: Sequence[int], by: str = " x ") -> str:
    """Sizes as PyTorch's messages have them."""
    return "(" + by.join(map(str, values)) + ")"
