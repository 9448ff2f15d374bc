"""Optimizers with moving averages of the gradient and of its size: Adam, AdamW, Adamax, NAdam, RAdam."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..backends import module_of
from ..tensor import Tensor
from .checks import at_least_zero, check_betas, check_lr, check_modes, scalar
from .optimizer import Group, Optimizer, as_scalar_state

__all__ = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


def _decayed(p: Any, g: Any, group: Group, decoupled: bool) -> Any:
    """The gradient to go by, after maximize and weight decay; a decoupled decay is applied to `p`."""
    if group["maximize"]:
        g = -g
    if group["weight_decay"]:
        if not decoupled:
            return g + p * float(group["weight_decay"])
        p *= 1 - float(group["lr"]) * float(group["weight_decay"])
    return g


def _averaged(g: Any, first: Any, second: Any, beta1: float, beta2: float) -> None:
    """Moves the averages of the gradient and of its square, in place."""
    change = g - first
    change *= 1 - beta1
    first += change
    second *= beta2
    square = g * g
    square *= 1 - beta2
    second += square


class Adam(Optimizer):
    """Kingma and Ba, Adam, arXiv:1412.6980; amsgrad: Reddi et al., arXiv:1904.09237."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_lr(lr)
        at_least_zero(epsilon=eps)
        check_betas(betas)
        at_least_zero(weight_decay=weight_decay)
        kinds = [isinstance(b, Tensor) for b in betas]
        if any(kinds) != all(kinds):
            raise ValueError("betas must be either both floats or both Tensors")
        for i, beta in enumerate(betas):
            if isinstance(beta, Tensor) and beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
        check_modes(
            type(self).__name__, foreach=foreach, fused=fused, capturable=capturable, differentiable=differentiable
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": tuple(map(scalar, betas)), "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable, "differentiable": differentiable,
            "fused": fused, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp = module_of(p)
        beta1, beta2 = group["betas"]
        g = _decayed(p, g, group, group["decoupled_weight_decay"])
        first, second = state["exp_avg"], state["exp_avg_sq"]
        _averaged(g, first, second, beta1, beta2)
        if group["amsgrad"]:
            second = xp.maximum(state["max_exp_avg_sq"], second, out=state["max_exp_avg_sq"])
        spread = math.sqrt(
            1 - beta2**step
        )  # multiplied in at the end, one pass less (section 2 of the paper)
        denominator = xp.sqrt(second)
        denominator += group["eps"] * spread
        move = xp.divide(first, denominator, out=denominator)
        move *= float(group["lr"]) * spread / (1 - beta1**step)
        p -= move


class AdamW(Adam):
    """Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip

    def _after_load(self) -> None:
        super()._after_load()
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True


class Adamax(Optimizer):
    """Kingma and Ba, Adam, arXiv:1412.6980, section 7.1: the infinity norm in place of the second moment."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(epsilon=eps)
        check_betas(betas)
        at_least_zero(weight_decay=weight_decay)
        check_modes("Adamax", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
            "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_inf")

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp = module_of(p)
        beta1, beta2 = group["betas"]
        g = _decayed(p, g, group, False)
        first, largest = state["exp_avg"], state["exp_inf"]
        first += (g - first) * (1 - beta1)
        largest *= beta2
        xp.maximum(largest, abs(g) + group["eps"], out=largest)
        p -= (first / largest) * (float(group["lr"]) / (1 - beta1**step))


class NAdam(Optimizer):
    """Dozat, Incorporating Nesterov momentum into Adam (2016)."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(epsilon=eps)
        check_betas(betas)
        at_least_zero(weight_decay=weight_decay, momentum_decay=momentum_decay)
        check_modes("NAdam", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def state_scalars(self, group: Group) -> dict[str, float]:
        return {"mu_product": 1.0}

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp = module_of(p)
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        g = _decayed(p, g, group, group["decoupled_weight_decay"])
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * group["momentum_decay"]))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * group["momentum_decay"]))
        product = state["mu_product"] = as_scalar_state(state["mu_product"] * as_scalar_state(mu))
        first, second = state["exp_avg"], state["exp_avg_sq"]
        _averaged(g, first, second, beta1, beta2)
        denominator = xp.sqrt(second / (1 - beta2**step)) + group["eps"]
        p -= (g / denominator) * (lr * (1.0 - mu) / (1.0 - product))
        p -= (first / denominator) * (lr * mu_next / (1.0 - product * mu_next))


class RAdam(Optimizer):
    """Liu et al., On the variance of the adaptive learning rate and beyond, arXiv:1908.03265."""

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr)
        at_least_zero(epsilon=eps)
        check_betas(betas)
        at_least_zero(weight_decay=weight_decay)
        check_modes("RAdam", foreach=foreach, capturable=capturable, differentiable=differentiable)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize, "foreach": foreach,
            "capturable": capturable, "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        lr, (beta1, beta2) = float(group["lr"]), group["betas"]
        g = _decayed(p, g, group, group["decoupled_weight_decay"])
        first, second = state["exp_avg"], state["exp_avg_sq"]
        _averaged(g, first, second, beta1, beta2)
        correction = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / correction
        move = (first / (1 - beta1**step)) * lr
        if length > 5.0:
            rectified = math.sqrt(
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
            )
            move *= math.sqrt(correction) / (module_of(p).sqrt(second) + group["eps"])
            move *= rectified
        p -= move
