"""What the arguments of several functions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...functions import (
    mean,
)
from ...functions import sum as _sum
from ...tensor import Tensor

__all__ = ["pair", "reduced", "same_dtype", "same_shape"]


def same_dtype(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Raises RuntimeError for operands of different dtypes, which NumPy would promote without a word."""
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"{name}: input and {what} must have the same dtype, but got {input.dtype} and {t.dtype}"
            )


def pair(x: int | Sequence[int]) -> tuple[int, int]:
    return (x, x) if isinstance(x, int) else (int(x[0]), int(x[1]))


def same_shape(input: Tensor, target: Tensor, name: str) -> None:
    if input._array.shape != target._array.shape:
        raise ValueError(
            f"{name}: expected input and target of one shape, got {tuple(input.shape)} and {tuple(target.shape)}; "
            "reshape one of them (a broadcast here is nearly always a mistake)"
        )


def reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return _sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def sizes(x: Any, n: int, name: str) -> tuple[int, ...]:
    """An int for each of `n` dimensions, from one for all of them or a sequence of one or n."""
    if isinstance(x, int) and not isinstance(x, bool):
        return (x,) * n
    if not isinstance(x, (tuple, list)) or not all(isinstance(i, int) for i in x):
        raise TypeError(f"{name}: expected an int or a tuple of ints, got {x!r}")
    if len(x) == 1:
        return tuple(x) * n
    if len(x) != n:
        raise RuntimeError(
            f"expected {name} to be a single integer value or a list of {n} values, but got {name}={list(x)}"
        )
    return tuple(x)
