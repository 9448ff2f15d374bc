"""What optimizers refuse when they are made, in PyTorch's words."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

__all__ = ["at_least_zero", "check_betas", "check_lr", "check_modes", "scalar"]


def scalar(value: Any) -> Any:
    """A number given as a one-element tensor as that number."""
    return value.item() if isinstance(value, Tensor) else value


def check_lr(lr: Any, message: str = "Invalid learning rate: {}") -> None:
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not scalar(lr) >= 0.0:
        raise ValueError(message.format(lr))


def at_least_zero(**values: Any) -> None:
    """Raises ValueError for the first that is below 0 or NaN."""
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name} value: {value}")


def check_betas(betas: Any) -> None:
    for i in range(2):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_modes(
    name: str, *, foreach: bool | None = None, fused: bool | None = None, capturable: bool = False, differentiable: bool = False,
) -> None:  # fmt: skip
    """foreach and fused say how PyTorch is to run the same update, so they may be anything; the others ask for another one."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    if differentiable:
        raise NotImplementedError(
            f"{name}: differentiable=True is not supported; write the update with tensor operations, such as p = p - lr * p.grad"
        )
    if capturable:
        raise NotImplementedError(
            f"{name}: capturable=True is not supported, as steps are not captured in CUDA graphs; leave it out"
        )
