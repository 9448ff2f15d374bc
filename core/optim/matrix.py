"""Optimizers that look at a parameter as a whole: Muon and Adafactor. No slice of a job cuts a parameter for them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

from ..backends import module_of
from ..dtypes import limits
from .checks import check_lr
from .optimizer import Group, Optimizer

__all__ = ["Adafactor", "Muon"]


def _norm(a: Any) -> float:
    return math.sqrt(float((a * a).sum()))


class Muon(Optimizer):
    """Jordan et al., Muon (2024), kellerjordan.github.io/posts/muon: momentum with its singular values made alike.

    For matrices only; biases and embeddings go to another optimizer. The iteration runs in bfloat16.
    """

    elementwise: ClassVar[bool] = False
    counts_steps: ClassVar[bool] = False

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315), eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not momentum >= 0.0:
            raise ValueError(f"momentum should be >= 0 but is: {momentum}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight decay should be >= 0 but is: {weight_decay}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps, "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}"
                    )

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        return ("momentum_buffer",)

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        lr, momentum, buffer = float(group["lr"]), float(group["momentum"]), state["momentum_buffer"]
        if g.ndim != 2:
            raise ValueError("Param gradient must be a 2D matrix")
        buffer += (g - buffer) * (1 - momentum)
        direction = g + (buffer - g) * momentum if group["nesterov"] else buffer
        direction = _orthogonal(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        rows, columns = p.shape
        ratio = math.sqrt(max(1, rows / columns))
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        p *= 1 - lr * group["weight_decay"]
        p -= direction.astype(p.dtype) * (lr * ratio)


def _rounded(x: Any) -> Any:
    """float32 rounded to the nearest bfloat16, ties to even: by its bits, as CuPy has no such dtype everywhere."""
    bits = x.view("uint32")
    bits = bits + (((bits >> 16) & 1) + 0x7FFF)
    return (bits & 0xFFFF0000).view("float32")


def _orthogonal(matrix: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """Roughly the nearest matrix with orthonormal rows or columns, by a Newton-Schulz iteration of fifth order."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients

    xp = module_of(matrix)
    x = _rounded(matrix.astype("float32"))
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    norm = _rounded(xp.sqrt((x * x).sum()).reshape(1))
    x = _rounded(x / xp.maximum(norm, _rounded(xp.full(1, eps, dtype="float32"))))
    for _ in range(steps):
        gram = _rounded(x @ x.T)
        x = _rounded(x * a + _rounded(gram * b + (gram @ gram) * c) @ x)
    return x.T if tall else x


class Adafactor(Optimizer):
    """Shazeer and Stern, Adafactor, arXiv:1804.04235: second moments kept as their rows' and columns' means."""

    elementwise: ClassVar[bool] = False

    def __init__(
        self, params: Iterable[Any], lr: Any = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_lr(lr, "Learning rate should be >= 0 but is: {}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def state_shapes(self, shape: tuple[int, ...], group: Group) -> dict[str, tuple[int, ...]]:
        if len(shape) < 2:
            return {"variance": shape}
        return {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}

    def update(self, p: Any, g: Any, state: dict[str, Any], group: Group, step: int) -> None:
        xp = module_of(p)
        lr, (eps1, eps2) = float(group["lr"]), group["eps"]
        if eps1 is None:
            eps1 = float(limits(p.dtype).eps)
        if group["maximize"]:
            g = -g
        newest = step ** group["beta2_decay"]
        length = max(eps2, _norm(p) / math.sqrt(p.size)) * min(lr, 1 / math.sqrt(step))
        if group["weight_decay"]:
            p *= 1 - lr * group["weight_decay"]
        square = g * g
        if p.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows += (square.mean(axis=-1, keepdims=True) - rows) * newest
            columns += (square.mean(axis=-2, keepdims=True) - columns) * newest
            least = xp.full((1,) * p.ndim, eps1, dtype=p.dtype)
            estimate = rows * columns / xp.maximum(rows.mean(axis=-2, keepdims=True), least)
        else:
            estimate = state["variance"]
            estimate += (square - estimate) * newest
        move = g / xp.sqrt(xp.maximum(estimate, xp.full((1,) * max(p.ndim, 1), eps1 * eps1, dtype=p.dtype).reshape((1,) * p.ndim)))  # fmt: skip
        size = max(1.0, _norm(move) / (math.sqrt(p.size) * group["d"]))
        p -= move * (length / size)
