"""torch.nn.utils.parametrizations: weights of a given norm, of spectral norm one, or orthogonal."""

from __future__ import annotations

from ...grad_mode import no_grad
from ...tensor import Tensor
from ..module import Module
from .parametrize import register_parametrization, type_before_parametrizations

__all__ = ["spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The 2-norm over all dimensions but `dim` (-1: over all), kept as sizes of 1."""
    squares = v * v
    dims = list(range(v.ndim)) if dim == -1 else [d for d in range(v.ndim) if d != dim % v.ndim]
    return squares.sum(dims, keepdim=True).sqrt() if dims else squares.sqrt()


def unit(v: Tensor, eps: float) -> Tensor:
    """`v` (n,) divided by its 2-norm, or by eps where that is smaller."""
    return v / (v * v).sum().sqrt().clamp(min=eps)  # type: ignore[no-any-return]


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        g = weight_g if self.dim != -1 else weight_g.reshape((1,) * weight_v.ndim)
        return weight_v * (g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        norm = norm_except(weight, self.dim)
        return norm if self.dim != -1 else norm.reshape(()), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The weight as g · v / ‖v‖, norms over all dimensions but `dim` (Salimans and Kingma, arXiv:1602.07868)."""
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    return module


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        n = weight.ndim
        if dim >= n or dim < -n:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{n}, {n - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim, self.eps, self.n_power_iterations = dim if dim >= 0 else dim + n, eps, n_power_iterations
        if n > 1:
            matrix = self._matrix(weight).detach()
            rows, columns = matrix.shape
            self.register_buffer("_u", unit(matrix.new_zeros(rows).normal_(0, 1), eps))
            self.register_buffer("_v", unit(matrix.new_zeros(columns).normal_(0, 1), eps))
            self._iterate(matrix, 15)

    def _matrix(self, weight: Tensor) -> Tensor:
        if self.dim:
            weight = weight.permute(self.dim, *(d for d in range(weight.ndim) if d != self.dim))
        return weight.flatten(1)

    @no_grad()
    def _iterate(self, matrix: Tensor, times: int) -> None:
        for _ in range(times):
            self._u = unit(matrix @ self._v, self.eps)
            self._v = unit(matrix.t() @ self._u, self.eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._iterate(matrix.detach(), self.n_power_iterations)
        sigma = self._u.clone() @ (matrix @ self._v.clone())
        return weight / sigma

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """The weight divided by its largest singular value, found by power iteration (Miyato et al., arXiv:1802.05957)."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if dim is None:
        dim = 1 if type_before_parametrizations(module).__name__.startswith("ConvTranspose") else 0
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module
