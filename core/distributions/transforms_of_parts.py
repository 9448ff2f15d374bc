"""Transforms of a value's parts, of its shape, and to matrices; transforms.py has those of single numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from ..creation import eye, zeros
from ..functions import cat, diag_embed, exp, log, stack, tril_indices
from ..limits import finfo
from ..nn.functional import pad, softplus
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution
from .transforms import Transform, summed

__all__ = [
    "CatTransform", "CorrCholeskyTransform", "CumulativeDistributionTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform", "ReshapeTransform",
    "StackTransform",
]  # fmt: skip


class ReshapeTransform(Transform):
    """Values of in_shape, after batch dimensions, in out_shape."""

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        self.in_shape, self.out_shape = tuple(in_shape), tuple(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size)
        self.domain = constraints.independent(constraints.real, len(self.in_shape))
        self.codomain = constraints.independent(constraints.real, len(self.out_shape))

    def _call(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[: x.ndim - len(self.in_shape)], *self.out_shape)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.reshape(*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        return zeros(*batch, dtype=x.dtype, device=x.device)

    def _changed(self, shape: Any, before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
        if len(shape) < len(before):
            raise ValueError("Too few dimensions on input")
        cut = len(shape) - len(before)
        if tuple(shape[cut:]) != before:
            raise ValueError(f"Shape mismatch: expected {tuple(shape[cut:])} but got {before}")
        return (*shape[:cut], *after)

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        return self._changed(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        return self._changed(shape, self.out_shape, self.in_shape)


class CumulativeDistributionTransform(Transform):
    """y = F(x), a distribution's probability of less than x."""

    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution: Distribution, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:  # type: ignore[override]
        return self.distribution.support

    def _call(self, x: Tensor) -> Tensor:
        return self.distribution.cdf(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return self.distribution.log_prob(x)


class LowerCholeskyTransform(Transform):
    """Matrices to lower triangular ones with a positive diagonal."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + diag_embed(exp(x.diagonal(dim1=-2, dim2=-1)))

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + diag_embed(log(y.diagonal(dim1=-2, dim2=-1)))


class PositiveDefiniteTransform(Transform):
    """Matrices to positive definite ones: LowerCholeskyTransform times its transpose."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        from ..linalg import cholesky

        return LowerCholeskyTransform().inv(cholesky(y))


def _below(matrix: Tensor, offset: int) -> Tensor:
    """The elements below the diagonal, row by row, as a vector."""
    row, column = tril_indices(matrix.shape[-2], matrix.shape[-1], offset, device=matrix.device)
    return matrix[..., row, column]


class CorrCholeskyTransform(Transform):
    """D (D - 1) / 2 numbers to a Cholesky factor (D, D) of a correlation matrix, by tanh and a stick broken in each row."""

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky

    def _call(self, x: Tensor) -> Tensor:
        eps = finfo(x.dtype).eps
        (d,) = self.forward_shape(x.shape[-1:])[:1]
        t = x.tanh().clamp(min=-1 + eps, max=1 - eps)
        row, column = tril_indices(d, d, -1, device=x.device)
        shares = zeros(*x.shape[:-1], d, d, dtype=x.dtype, device=x.device)
        shares[..., row, column] = t
        left = (1 - shares.square()).sqrt().cumprod(-1)
        shares = shares + eye(d, dtype=x.dtype, device=x.device)
        return shares * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = 1 - y.square().cumsum(-1)
        left = pad(left[..., :-1], [1, 0], value=1)
        t = _below(y, -1) / _below(left, -1).sqrt()
        return (t.log1p() - (-t).log1p()) / 2  # type: ignore[no-any-return]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor, intermediates: Any = None) -> Tensor:
        left = 1 - y.square().cumsum(-1)
        sticks = 0.5 * _below(left, -2).log().sum(-1)
        return sticks - 2 * (x + softplus(-2 * x) - math.log(2.0)).sum(-1)  # type: ignore[no-any-return]

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        n = shape[-1]
        d = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if d * (d - 1) // 2 != n:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return (*shape[:-1], d, d)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


class _OfParts(Transform, ABC):
    """What transforms of parts share."""

    transforms: list[Transform]
    dim: int

    @abstractmethod
    def _parts(self, value: Tensor) -> Any:
        """The parts of a value, in order."""

    @abstractmethod
    def _joined(self, parts: Any) -> Tensor:
        """The value that is made of these parts."""

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)

    def _call(self, x: Tensor) -> Tensor:
        return self._joined([t(v) for t, v in zip(self.transforms, self._parts(x), strict=True)])

    def _inverse(self, y: Tensor) -> Tensor:
        return self._joined([t.inv(v) for t, v in zip(self.transforms, self._parts(y), strict=True)])


class CatTransform(_OfParts):
    """A transform for each of the parts of `lengths` along dim (each of length 1 where none are given)."""

    def __init__(self, tseq: Any, dim: int = 0, lengths: Any = None, cache_size: int = 0) -> None:
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(
                f"lengths length {len(self.lengths)} must match transforms length {len(self.transforms)}"
            )
        self.domain = constraints.cat([t.domain for t in self.transforms], dim, self.lengths)
        self.codomain = constraints.cat([t.codomain for t in self.transforms], dim, self.lengths)

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        return sum(self.lengths)

    def _parts(self, value: Tensor) -> Any:
        if value.shape[self.dim] != self.length:
            raise AssertionError(f"x.size({self.dim}) is {value.shape[self.dim]} but expected {self.length}")
        return value.split(self.lengths, self.dim)

    def _joined(self, parts: Any) -> Tensor:
        return cat(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        found = []
        for t, a, b in zip(self.transforms, self._parts(x), self._parts(y), strict=True):
            found.append(summed(t.log_abs_det_jacobian(a, b), self.event_dim - t.event_dim))
        dim = self.dim - x.ndim if self.dim >= 0 else self.dim
        dim += self.event_dim
        return cat(found, dim) if dim < 0 else sum(found)  # type: ignore[arg-type]


class StackTransform(_OfParts):
    """A transform for each place along dim."""

    def __init__(self, tseq: Any, dim: int = 0, cache_size: int = 0) -> None:
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size)
        self.transforms, self.dim = list(tseq), dim
        self.domain = constraints.stack([t.domain for t in self.transforms], dim)
        self.codomain = constraints.stack([t.codomain for t in self.transforms], dim)

    def _parts(self, value: Tensor) -> Any:
        if value.shape[self.dim] != len(self.transforms):
            raise AssertionError(
                f"x.size({self.dim}) is {value.shape[self.dim]} but expected {len(self.transforms)}"
            )
        return value.unbind(self.dim)

    def _joined(self, parts: Any) -> Tensor:
        return stack(parts, self.dim)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(self.transforms, self._parts(x), self._parts(y), strict=True)
        return stack([t.log_abs_det_jacobian(a, b) for t, a, b in pairs], self.dim)
