"""Matrix products."""

from __future__ import annotations

from ..ops import matrix as _mx
from ..ops.registry import apply
from ..tensor import Tensor
from .catalogue import public
from .reduction import sum
from .shape import squeeze, unsqueeze

__all__ = ["matmul", "mm", "bmm", "dot", "outer"]


@public(out=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product with NumPy's rules for vectors and leading dimensions."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        raise TypeError(
            f"matmul: expected two tensors, got {type(input).__name__} and {type(other).__name__}"
        )
    a, b = input, other
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a.dtype} != {b.dtype}")
    if (a.is_cuda or b.is_cuda) and a.device != b.device:
        raise RuntimeError(
            f"matmul: expected both tensors on one device, got {a.device} and {b.device}; move one with .to(device)"
        )
    row, column = a.ndim == 1, b.ndim == 1
    if row and column:
        if a._array.shape != b._array.shape:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to have the same number of elements"
            )
        return sum(a * b)
    if row:
        a = unsqueeze(a, 0)
    if column:
        b = unsqueeze(b, 1)
    if a._array.shape[-1] != b._array.shape[-2]:
        raise RuntimeError(
            f"matmul: inner sizes differ: {tuple(input.shape)} @ {tuple(other.shape)} (mat1 and mat2 shapes cannot be multiplied)"
        )
    out = apply(_mx.Matmul, (a, b))
    if row:
        out = squeeze(out, -2)
    return squeeze(out, -1) if column else out


@public(out=True)
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(
            f"mm: expected two matrices, got shapes {tuple(input.shape)} and {tuple(mat2.shape)}"
        )
    return matmul(input, mat2)


@public(out=True)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    if input.ndim != 3 or mat2.ndim != 3 or input._array.shape[0] != mat2._array.shape[0]:
        raise RuntimeError(
            f"bmm: expected two batches of matrices, got shapes {tuple(input.shape)} and {tuple(mat2.shape)}"
        )
    return matmul(input, mat2)


@public(out=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    return matmul(input, tensor)


@public(out=True)
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)
