"""Losses of distances and of distributions over numbers."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from ...autocast import runs_in_float32
from ...dtypes import FLOATS
from ...functions import clamp, exp, log, where
from ...functions import sum as _sum
from ...functions.arguments import tensor_of
from ...grad_mode import no_grad
from ...ops import losses as _losses
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import entered, in_full, reduced, reduction_of

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


def _apart(
    name: str, input: Tensor, target: Tensor, loss: Callable[[Tensor], Tensor], whole: bool = False
) -> Tensor:
    """loss(input - target), with PyTorch's warning where the sizes differ; whole: integers have a loss too."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        tensor_of(input, name)
        tensor_of(target, name, "target")
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size.",
            stacklevel=3,
        )
    if not whole and input._array.dtype not in FLOATS and target._array.dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    return in_full(lambda x, y: loss(x - y), input, target)


def _alike(input: Any, target: Any) -> bool:
    """Whether the two are tensors of one shape and one floating-point dtype."""
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        return False
    a, b = input._array, target._array
    return a.shape == b.shape and a.dtype == b.dtype and a.dtype in FLOATS


def _weighted(loss: Tensor, input: Tensor, weight: Tensor) -> Tensor:
    if weight._array.shape != input._array.shape:
        raise ValueError("Weights and input must have the same size.")
    return loss * weight


def _with_weight(loss: Tensor, input: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is None:
        return reduced(loss, reduction)
    loss = _weighted(loss, input, weight)
    return _sum(loss) / _sum(weight) if reduction == "mean" else reduced(loss, reduction)


@entered
@runs_in_float32("cpu", "cuda")
def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The squares of input - target."""
    if _alike(input, target):
        loss = apply(_losses.SquaredError, (input, target))
    else:
        loss = _apart("mse_loss", input, target, lambda d: d * d)
    return _with_weight(loss, input, weight, reduction_of(size_average, reduce, reduction))


@entered
@runs_in_float32("cpu", "cuda")
def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """|input - target|."""
    loss = _apart("l1_loss", input, target, lambda d: d.abs(), whole=True)
    return _with_weight(loss, input, weight, reduction_of(size_average, reduce, reduction))


@entered
@runs_in_float32("cpu", "cuda")
def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """|d| - beta / 2 of d = input - target, and d^2 / (2 beta) where |d| < beta. Girshick, arXiv:1504.08083."""
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")

    def loss(d: Tensor) -> Tensor:
        size = d.abs()
        return where(size < beta, d * d * (0.5 / beta), size - 0.5 * beta) if beta else size

    each = _apart("smooth_l1_loss", input, target, loss, whole=not beta)
    return reduced(each, reduction_of(size_average, reduce, reduction))


@entered
@runs_in_float32("cpu", "cuda")
def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """d^2 / 2 of d = input - target, and delta (|d| - delta / 2) where |d| is larger. Huber, Ann. Math. Stat. 35 (1964)."""
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")

    def loss(d: Tensor) -> Tensor:
        size = d.abs()
        return where(size < delta, d * d * 0.5, (size - 0.5 * delta) * delta)

    each = _apart("huber_loss", input, target, loss)
    return reduced(each if weight is None else _weighted(each, input, weight), reduction)


@entered
@runs_in_float32("cpu", "cuda")
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None, eps: float = 1e-8,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """Of counts under Poisson's distribution; input is its rate, or the rate's logarithm.

    full: adds Stirling's approximation of the term that does not depend on the input.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    loss = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        safe = where(target <= 1, 1.0, target)
        stirling = safe * log(safe) - safe + 0.5 * log(safe * (2 * math.pi))
        loss = loss + where(target <= 1, 0.0, stirling)
    return reduced(loss, reduction)


@entered
def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """Of numbers under the normal distribution of means `input` and variances `var`, which are at least eps.

    var: of input's shape, with one dimension of size 1, or without the last one; or a number.
    """
    if isinstance(var, float):
        if var < 0:
            raise ValueError("var has negative entry/entries")
        var = input.new_ones(input.shape) * var
    elif bool((tensor_of(var, "gaussian_nll_loss", "var").detach() < 0).any()):
        raise ValueError("var has negative entry/entries")
    sizes, own = tuple(input.shape), tuple(var.shape)
    if own != sizes:
        if sizes[:-1] == own:
            var = var.unsqueeze(-1)
        elif len(own) != len(sizes) or [y for x, y in zip(sizes, own, strict=True) if x != y] != [1]:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    var = var.clone()
    with no_grad():
        var.copy_(clamp(var, min=eps))
    loss = 0.5 * (log(var) + (input - target) ** 2 / var)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced(loss, reduction)
