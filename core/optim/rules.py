"""The update rules: SGD, Adam, AdamW, RMSprop, Adagrad."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..backends import module_of
from .optimizer import Optimizer

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "RMSprop"]


def _at_least_zero(values: dict[str, float]) -> None:
    for name, value in values.items():
        if not value >= 0.0:
            raise ValueError(f"Invalid {name} value: {value}")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Sutskever et al., 2013, in PyTorch's form)."""

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        if momentum < 0.0:
            raise ValueError(f"Invalid momentum value: {momentum}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def state_arrays(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("momentum_buffer",) if group["momentum"] else ()

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], step: int) -> None:
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        momentum = group["momentum"]
        if momentum:
            buffer = state["momentum_buffer"]
            if step == 1:
                buffer[...] = g
            else:
                buffer *= momentum
                buffer += g * (1 - group["dampening"])
            g = g + buffer * momentum if group["nesterov"] else buffer
        p -= g * group["lr"]


class Adam(Optimizer):
    """Kingma and Ba, Adam, arXiv:1412.6980."""

    decoupled = False

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        for i, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def state_arrays(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], step: int) -> None:
        xp = module_of(p)
        beta1, beta2 = group["betas"]
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            if self.decoupled:
                p *= 1 - group["lr"] * group["weight_decay"]
            else:
                g = g + p * group["weight_decay"]
        first, second = state["exp_avg"], state["exp_avg_sq"]
        first += (g - first) * (1 - beta1)
        second *= beta2
        second += (g * g) * (1 - beta2)
        if group["amsgrad"]:
            xp.maximum(state["max_exp_avg_sq"], second, out=state["max_exp_avg_sq"])
            second = state["max_exp_avg_sq"]
        denominator = xp.sqrt(second)
        denominator *= 1 / math.sqrt(1 - beta2**step)
        denominator += group["eps"]
        p -= (first / denominator) * (group["lr"] / (1 - beta1**step))


class AdamW(Adam):
    """Loshchilov and Hutter, Decoupled weight decay regularization, arXiv:1711.05101."""

    decoupled = True

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)


class RMSprop(Optimizer):
    """Tieleman and Hinton, lecture 6.5 of Neural networks for machine learning (2012); Graves, arXiv:1308.0850 (centered)."""

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        _at_least_zero({"epsilon": eps, "momentum": momentum, "alpha": alpha})
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def state_arrays(self, group: dict[str, Any]) -> tuple[str, ...]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return tuple(names)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], step: int) -> None:
        xp = module_of(p)
        if group["maximize"]:
            g = -g
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
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
        p -= scaled * group["lr"]


class Adagrad(Optimizer):
    """Duchi, Hazan and Singer, Adaptive subgradient methods, JMLR 12 (2011)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        eps: float = 1e-10,
    ) -> None:
        _at_least_zero({"lr_decay": lr_decay, "epsilon": eps})
        super().__init__(params, {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps})

    def state_arrays(self, group: dict[str, Any]) -> tuple[str, ...]:
        return ("sum",)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any], step: int) -> None:
        if group["weight_decay"]:
            g = g + p * group["weight_decay"]
        total = state["sum"]
        total += g * g
        p -= (g / (module_of(p).sqrt(total) + group["eps"])) * (
            group["lr"] / (1 + (step - 1) * group["lr_decay"])
        )
