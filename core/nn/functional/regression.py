"""Losses of distances."""

from __future__ import annotations

from ...functions import (
    where,
)
from ...tensor import Tensor
from .arguments import reduced, same_shape

__all__ = ["l1_loss", "mse_loss", "smooth_l1_loss"]


def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    same_shape(input, target, "mse_loss")
    difference = input - target
    return reduced(difference * difference, reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    same_shape(input, target, "l1_loss")
    return reduced((input - target).abs(), reduction)


def smooth_l1_loss(input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    same_shape(input, target, "smooth_l1_loss")
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return l1_loss(input, target, reduction)
    distance = (input - target).abs()
    return reduced(
        where(distance < beta, distance * distance * (0.5 / beta), distance - 0.5 * beta), reduction
    )
