"""Tables of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of, to_numpy
from ..grad_mode import no_grad
from ..ops import lookup as _lookup
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import tensor_of
from .arithmetic import where
from .catalogue import public

__all__ = ["embedding", "embedding_renorm_"]


def checked_indices(name: str, weight: Tensor, indices: Tensor) -> Any:
    """The raw indices, or an error where they are no integers or leave the table."""
    tensor_of(weight, name, "weight")
    raw = tensor_of(indices, name, "indices")._array
    if raw.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"{indices.dtype} instead (while checking arguments for {name}); convert with .long()"
        )
    if weight.ndim != 2:
        raise RuntimeError("'weight' must be 2-D")
    if raw.size and (int(raw.max()) >= weight._array.shape[0] or int(raw.min()) < 0):
        raise IndexError(f"index out of range in self: indices must be in [0, {weight._array.shape[0]})")
    return raw


def no_sparse(sparse: bool) -> None:
    if sparse:
        raise NotImplementedError("sparse gradients are not supported; leave sparse=False")


def looked_up(weight: Tensor, raw: Any, padding_idx: int | None, scale_grad_by_freq: bool) -> Tensor:
    """Rows of weight; those of padding_idx give no gradient, the others over the count of their index where asked."""
    xp, factors = module_of(raw), None
    if scale_grad_by_freq and raw.size:
        often = xp.bincount(raw.reshape(-1), minlength=1)
        factors = 1 / often[raw].astype(weight._array.dtype)
    if padding_idx is not None:
        kept = (raw != padding_idx).astype(weight._array.dtype)
        factors = kept if factors is None else factors * kept
    return apply(_lookup.Lookup, (weight,), (raw, None if factors is None else factors[..., None]))


@public(method=False)
def embedding(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """nn.functional.embedding with the arguments in another order."""
    no_sparse(sparse)
    raw = checked_indices("embedding", weight, indices)
    return looked_up(weight, raw, padding_idx if padding_idx >= 0 else None, scale_grad_by_freq)


@public(method=False)
def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scales the rows at `indices` of which the norm is beyond max_norm down to it, in place."""
    raw = checked_indices("embedding_renorm_", input, indices)
    if not raw.size:
        return input
    rows = module_of(raw).asarray(np.unique(to_numpy(raw)))
    with no_grad():
        values = input.detach()[Tensor._wrap(rows)]
        length = values.norm(norm_type, 1, True)
        long = length > max_norm
        input.detach()[Tensor._wrap(rows)] = values * where(long, max_norm / (length + 1e-7), 1.0)
    return input
