"""Products of Householder reflections, as QR factorizations keep their orthogonal factor."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public
from .matrices import floating_matrix, one_dtype, turned
from .matrix import matmul
from .shape import expand, unsqueeze
from .triangles import tril

__all__ = ["orgqr", "ormqr"]


def _checked(name: str, input: Any, tau: Any) -> tuple[Tensor, Tensor]:
    a, t = floating_matrix(name, input, "input"), tensor_of(tau, name, "tau")
    m, n = a._array.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if t.ndim != a.ndim - 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal to {t.ndim} and input.ndim "
            f"is equal to {a.ndim}"
        )
    if t._array.shape[:-1] != a._array.shape[:-2]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(t.shape[:-1])}"
        )
    if t._array.shape[-1] > n:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    one_dtype(name, a, t, "input", "tau")
    return a, t


def _reflected(a: Tensor, tau: Tensor, x: Tensor, transposed: bool = False) -> Tensor:
    """Q @ x, or Q.mT @ x, where Q is the product of I - tau_i v_i v_i.mT and v_i is column i of `a` below a one."""
    xp, (m, n) = module_of(a._array), a._array.shape[-2:]
    ones = (xp.arange(m)[:, None] == xp.arange(n)).astype(a._array.dtype)
    vectors = tril(a, -1) + Tensor._wrap(ones)
    count = tau._array.shape[-1]
    for i in range(count) if transposed else reversed(range(count)):
        v = vectors[..., :, i : i + 1]
        x = x - matmul(v * unsqueeze(tau[..., i : i + 1], -1), matmul(turned(v), x))
    return x


def _product(name: str, input: Any, tau: Any) -> Tensor:
    a, t = _checked(name, input, tau)
    xp, (m, n) = module_of(a._array), a._array.shape[-2:]
    first = Tensor._wrap((xp.arange(m)[:, None] == xp.arange(n)).astype(a._array.dtype))
    return _reflected(a, t, expand(first, a._array.shape))


@public(namespace="torch.linalg", out=True)
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflections that `input` (below its diagonal) and `tau` describe."""
    return _product("torch.linalg.householder_product", input, tau)


@public(out=True)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """torch.linalg.householder_product."""
    return _product("torch.linalg.householder_product", input, input2)


@public(out=True)
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Q @ input3 (or input3 @ Q; of Q.mT where `transpose`), for the whole orthogonal Q of `input` and tau, `input2`."""
    a, t = _checked("torch.ormqr", input, input2)
    x = floating_matrix("torch.ormqr", input3, "other")
    one_dtype("torch.ormqr", a, x, "input", "other")
    side = -2 if left else -1
    if x._array.shape[side] != a._array.shape[-2]:
        raise RuntimeError(f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2]")
    if left:
        return _reflected(a, t, x, transpose)
    return turned(_reflected(a, t, turned(x), not transpose))
