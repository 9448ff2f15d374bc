"""The older weight_norm and spectral_norm: a weight computed before each call from what is trained in its place.

nn.utils.parametrizations has their successors.
"""

from __future__ import annotations

from typing import Any

from ...grad_mode import no_grad
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter
from .parametrizations import norm_except, unit

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _Before:
    """A hook that computes the weight `name` before the module runs."""

    def __init__(self, name: str) -> None:
        self.name = name

    def value(self, module: Module) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say its weight")

    def __call__(self, module: Module, inputs: Any) -> None:
        object.__setattr__(module, self.name, self.value(module))


def _hook_of(module: Module, kind: type[_Before], name: str) -> Any:
    for entry in module._forward_pre_hooks:
        if isinstance(entry.call, kind) and entry.call.name == name:
            return entry
    return None


def _removed(module: Module, kind: type[_Before], name: str, what: str, parts: tuple[str, ...]) -> Module:
    entry = _hook_of(module, kind, name)
    if entry is None:
        raise ValueError(f"{what} of '{name}' not found in {module}")
    with no_grad():
        value = entry.call.value(module)
    object.__delattr__(module, name)
    for part in parts:
        delattr(module, name + part)
    module.register_parameter(name, Parameter(value.detach()))
    module._forward_pre_hooks.remove(entry)
    return module


class _WeightNorm(_Before):
    def __init__(self, name: str, dim: int) -> None:
        super().__init__(name)
        self.dim = dim

    def value(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except(v, self.dim))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The weight as g · v / ‖v‖, of the parameters name_g and name_v (Salimans and Kingma, arXiv:1602.07868)."""
    if _hook_of(module, _WeightNorm, name) is not None:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    hook = _WeightNorm(name, -1 if dim is None else dim)
    weight = getattr(module, name)
    del module._parameters[name]
    g = norm_except(weight.detach(), hook.dim)
    module.register_parameter(name + "_g", Parameter(g if hook.dim != -1 else g.reshape(())))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    object.__setattr__(module, name, hook.value(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight an ordinary parameter again."""
    return _removed(module, _WeightNorm, name, "weight_norm", ("_g", "_v"))


class _SpectralNorm(_Before):
    def __init__(self, name: str, iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        self.iterations, self.dim, self.eps = iterations, dim, eps

    def matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute(self.dim, *(d for d in range(weight.ndim) if d != self.dim))
        return weight.reshape(weight.shape[0], -1)

    def value(self, module: Module, iterate: bool = False) -> Tensor:
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = self.matrix(weight)
        if iterate:
            with no_grad():
                for _ in range(self.iterations):
                    v.copy_(unit(matrix.t() @ u, self.eps))
                    u.copy_(unit(matrix @ v, self.eps))
            u, v = u.clone(), v.clone()
        return weight / (u @ (matrix @ v))

    def __call__(self, module: Module, inputs: Any) -> None:
        object.__setattr__(module, self.name, self.value(module, iterate=module.training))


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """The weight divided by its largest singular value, found by power iteration (Miyato et al., arXiv:1802.05957)."""
    if n_power_iterations <= 0:
        raise ValueError(
            f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
        )
    if _hook_of(module, _SpectralNorm, name) is not None:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    if dim is None:
        dim = 1 if type(module).__name__.startswith("ConvTranspose") else 0
    hook = _SpectralNorm(name, n_power_iterations, dim, eps)
    weight = module._parameters[name]
    if weight is None:
        raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
    rows, columns = hook.matrix(weight.detach()).shape
    del module._parameters[name]
    module.register_parameter(name + "_orig", weight)
    object.__setattr__(module, name, weight.detach())
    module.register_buffer(name + "_u", unit(weight.new_zeros(rows).normal_(0, 1), eps))
    module.register_buffer(name + "_v", unit(weight.new_zeros(columns).normal_(0, 1), eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Makes the weight, as it is now, an ordinary parameter again."""
    return _removed(module, _SpectralNorm, name, "spectral_norm", ("_u", "_v", "_orig"))
