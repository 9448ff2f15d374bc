"""Optimizers that divide by a running size of the gradient: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..backends import module_of
from ..tensor import Tensor
from .checks import at_least_zero, check_lr, check_modes
from .optimizer import Group, Optimizer, scalar_tensor

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


def _decayed(p: Any, g: Any, group: Group) -> Any:
    if group["maximize"]:
        g = -g
    return g + p * float(group["weight_decay"]) if group["weight_decay"] else g


class RMSprop(Optimizer):
    """Tieleman and Hinton, lecture 6.5 of Neural networks for machine learning (2012); Graves, arXiv:1308.0850 (centered)."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(epsilon=eps, momentum=momentum, weight_decay=weight_decay, alpha=alpha)
        check_modes("RMSprop", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered, "weight_decay": weight_decay,
            "capturable": capturable, "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp = module_of(p)
        g = _decayed(p, g, group)
        square = state["square_avg"]
        square *= group["alpha"]
        square += (g * g) * (1 - group["alpha"])
        spread = square
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (g - mean) * (1 - group["alpha"])
            spread = square - mean * mean
        scaled = g / (xp.sqrt(spread) + group["eps"])
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += scaled
            scaled = buffer
        p -= scaled * float(group["lr"])


class Adagrad(Optimizer):
    """Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 12 (2011)."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(
            lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value, epsilon=eps
        )  # fmt: skip
        check_modes("Adagrad", foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:  # unlike all others, state is there before the first step
            for p in group["params"]:
                with p.device.context():
                    total = self.new_state(p.device.module, tuple(p.shape), p._array.dtype, group)["sum"]
                self.state[p] = {"step": scalar_tensor(0.0), "sum": Tensor._wrap(total)}

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("sum",)

    def state_start(self, name: str, group: Group) -> float:
        return float(group["initial_accumulator_value"])

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        g = _decayed(p, g, group)
        total = state["sum"]
        total += g * g
        p -= (g / (module_of(p).sqrt(total) + group["eps"])) * (
            float(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
        )


class Adadelta(Optimizer):
    """Zeiler, Adadelta: an adaptive learning rate method, arXiv:1212.5701."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        at_least_zero(epsilon=eps, weight_decay=weight_decay)
        check_modes("Adadelta", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "capturable": capturable,
            "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp, rho, eps = module_of(p), group["rho"], group["eps"]
        g = _decayed(p, g, group)
        square, moved = state["square_avg"], state["acc_delta"]
        square *= rho
        square += (g * g) * (1 - rho)
        delta = xp.sqrt(moved + eps) / xp.sqrt(square + eps) * g
        moved *= rho
        moved += (delta * delta) * (1 - rho)
        p -= delta * float(group["lr"])
