"""Products with weights."""

from __future__ import annotations

from ... import versions
from ...autocast import lowered
from ...functions import bilinear as _bilinear
from ...functions import matmul, reshape
from ...ops import matrix as _mx
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import entered, same_dtype

__all__ = ["bilinear", "linear"]

bilinear = entered(_bilinear)


@entered
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (…, in) @ weight (out, in) transposed + bias (out,); a weight of (in,), without bias, gives a number for each row."""
    if versions.watch:
        input, weight, bias = lowered(input, weight, bias)
    x, w = input._array, weight._array
    if not input.ndim or weight.ndim not in (1, 2) or x.shape[-1] != w.shape[-1]:
        _refuse(input, weight)
    same_dtype("linear", input, weight, bias)
    if bias is None:
        return matmul(input, weight if weight.ndim == 1 else weight.t())
    if weight.ndim == 1:
        raise RuntimeError("mat2 must be a matrix, got 1-D tensor")
    if bias._array.shape != w.shape[:1]:
        return matmul(input, weight.t()) + bias
    if input.ndim == 2:
        return apply(_mx.Linear, (input, weight, bias))
    out = apply(_mx.Linear, (reshape(input, -1, x.shape[-1]), weight, bias))
    return reshape(out, *x.shape[:-1], w.shape[0])


def _refuse(input: Tensor, weight: Tensor) -> None:
    shapes = f"linear: the last size of the input {list(input.shape)} must be that of the weight {list(weight.shape)}"
    if not input.ndim:
        raise RuntimeError(
            f"both arguments to linear need to be at least 1D, but they are 0D and {weight.ndim}D\n{shapes}"
        )
    if weight.ndim != 2:
        raise RuntimeError(shapes)
    size = input._array.shape[-1]
    out, expected = weight._array.shape
    rows = input._array.size // size if size else 0
    raise RuntimeError(
        f"mat1 and mat2 shapes cannot be multiplied ({rows}x{size} and {expected}x{out})\n{shapes}"
    )
