"""What the arguments of several functions have in common."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from ...dtypes import HALVES, float32
from ...functions import mean
from ...functions import sum as _sum
from ...functions.arguments import common_dtype
from ...functions.catalogue import public
from ...ops.registry import cast_inputs
from ...tensor import Tensor

__all__ = ["entered", "in_full", "pair", "reduced", "reduction_of", "same_dtype"]

entered = public(namespace="torch.nn.functional", method=False)  # a decorator: see functions/catalogue.py


def same_dtype(name: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Raises RuntimeError for operands of different dtypes, which NumPy would promote without a word."""
    for what, t in (("weight", weight), ("bias", bias)):
        if t is not None and t._array.dtype != input._array.dtype:
            raise RuntimeError(
                f"{name}: input and {what} must have the same dtype, but got {input.dtype} and {t.dtype}"
            )


def pair(x: int | Sequence[int]) -> tuple[int, int]:
    return (x, x) if isinstance(x, int) else (int(x[0]), int(x[1]))


def reduction_of(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, or what the two arguments that came before it in PyTorch's history ask for, with its warning."""
    if size_average is None and reduce is None:
        return reduction
    average = size_average is None or size_average
    told = ("mean" if average else "sum") if reduce is None or reduce else "none"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{told}' instead.",
        stacklevel=3,
    )
    return told


def reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return _sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction")


def in_full(compute: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """compute(*inputs), where the common dtype is float16 or bfloat16 in float32 and rounded once."""
    for t in inputs:
        if t._array.dtype in HALVES:
            break
    else:
        return compute(*inputs)
    to = common_dtype(inputs)
    if to.numpy not in HALVES:
        return compute(*inputs)
    wide: list[Any] = [cast_inputs(t, float32) if t.is_floating_point() else t for t in inputs]
    return cast_inputs(compute(*wide), to)
