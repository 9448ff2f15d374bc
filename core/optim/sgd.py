"""Optimizers that move by the gradient or its sign: SGD, ASGD, Rprop, Lion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..backends import module_of
from .checks import at_least_zero, check_betas, check_lr, check_modes
from .optimizer import Group, Optimizer, as_scalar_state

__all__ = ["ASGD", "SGD", "Lion", "Rprop"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al., 2013, in PyTorch's form)."""

    counts_steps = False

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: Any = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(momentum=momentum, weight_decay=weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_modes("SGD", foreach=foreach, fused=fused, differentiable=differentiable)
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov,
            "maximize": maximize, "foreach": foreach, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + p * float(group["weight_decay"])
        momentum = float(group["momentum"])
        if momentum:
            buffer = state["momentum_buffer"]
            if step == 1:
                buffer[...] = g
            else:
                buffer *= momentum
                buffer += g * (1 - float(group["dampening"]))
            g = g + buffer * momentum if group["nesterov"] else buffer
        p -= g * float(group["lr"])


class ASGD(Optimizer):
    """Polyak and Juditsky, Acceleration of stochastic approximation by averaging (1992); the average is state "ax"."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(weight_decay=weight_decay)
        check_modes("ASGD", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("ax",)

    def state_scalars(self, group: Group) -> dict[str, float]:
        return {"eta": as_scalar_state(group["lr"]), "mu": 1.0}

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        lr, lambd, eta, mu = float(group["lr"]), float(group["lambd"]), state["eta"], state["mu"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + p * float(group["weight_decay"])
        p *= 1 - lambd * eta
        p -= g * eta
        average = state["ax"]
        if mu == 1:
            average[...] = p
        else:
            average += (p - average) * mu
        state["eta"] = as_scalar_state(lr / ((1 + lambd * lr * step) ** group["alpha"]))
        state["mu"] = as_scalar_state(1 / max(1, step - group["t0"]))


class Rprop(Optimizer):
    """Riedmiller and Braun, A direct adaptive method for faster backpropagation learning (1993)."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        check_modes("Rprop", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("prev", "step_size")

    def state_start(self, name: str, group: Group) -> float:
        return float(group["lr"]) if name == "step_size" else 0.0

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp, kind = module_of(p), p.dtype.type
        if group["maximize"]:
            g = -g
        (slower, faster), (least, most) = group["etas"], group["step_sizes"]
        before, size = state["prev"], state["step_size"]
        agreement = xp.sign(g * before)
        turned = agreement < 0
        factor = xp.where(agreement > 0, kind(faster), xp.where(turned, kind(slower), kind(1) + agreement))
        size *= factor
        xp.maximum(size, kind(least), out=size)
        xp.minimum(size, kind(most), out=size)
        g = xp.where(turned, kind(0), g)
        p -= xp.sign(g) * size
        before[...] = g


class Lion(Optimizer):
    """Chen et al., Symbolic discovery of optimization algorithms, arXiv:2302.06675. Not in PyTorch.

    Moves by the sign of an interpolation between momentum and gradient; the weight decay is decoupled.
    """

    counts_steps = False

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0,
        *, maximize: bool = False, foreach: bool | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr)
        check_betas(betas)
        at_least_zero(weight_decay=weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
        }
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg",)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        lr, (beta1, beta2), mean = float(group["lr"]), group["betas"], state["exp_avg"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            p *= 1 - lr * float(group["weight_decay"])
        p -= module_of(p).sign(mean * beta1 + g * (1 - beta1)) * lr
        mean *= beta2
        mean += g * (1 - beta2)
