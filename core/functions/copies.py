"""Forms of the functions that give views which copy instead: `squeeze_copy` and its kin."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from . import parts, shape
from .arguments import one_dim
from .catalogue import public
from .indexing import getitem
from .shape import clone

__all__ = [
    "alias_copy", "as_strided_copy", "diagonal_copy", "expand_copy", "narrow_copy", "permute_copy", "select_copy", "slice_copy",
    "split_copy", "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy",
    "unsqueeze_copy", "view_copy",
]  # fmt: skip


def _copying(view: Callable[..., Any], name: str, method: bool = False, out: bool = True) -> Any:
    """`view` with its results cloned, under the parameters' names that `view` has."""

    @functools.wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = view(*args, **kwargs)
        return tuple(map(clone, result)) if isinstance(result, tuple) else clone(result)

    run.__signature__ = inspect.signature(view)  # type: ignore[attr-defined]
    run.__doc__ = f"A copy of what {name.removesuffix('_copy')} gives."
    return public(name=name, method=method, out=out)(run)


def _alias(input: Tensor) -> Tensor:
    return input


def _sliced(
    input: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    if not input.ndim:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    return getitem(input, (*[slice(None)] * one_dim(dim, input.ndim), slice(start, end, step)))


def _split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    return parts.split(input, split_size, dim)


def _expand(input: Tensor, size: Sequence[int], *, implicit: bool = False) -> Tensor:
    return shape.expand(input, size)


def _permute(input: Tensor, dims: Sequence[int]) -> Tensor:
    return shape.permute(input, dims)


def _view(input: Tensor, size: Any) -> Tensor:
    return shape.view(input, size)


alias_copy = _copying(_alias, "alias_copy")
as_strided_copy = _copying(parts.as_strided, "as_strided_copy")
diagonal_copy = _copying(parts.diagonal, "diagonal_copy")
expand_copy = _copying(_expand, "expand_copy")
narrow_copy = _copying(parts.narrow, "narrow_copy", method=True)
permute_copy = _copying(_permute, "permute_copy")
select_copy = _copying(parts.select, "select_copy")
slice_copy = _copying(_sliced, "slice_copy")
split_copy = _copying(_split, "split_copy", out=False)
split_with_sizes_copy = _copying(parts.split_with_sizes, "split_with_sizes_copy", out=False)
squeeze_copy = _copying(shape.squeeze, "squeeze_copy")
t_copy = _copying(shape.t, "t_copy")
transpose_copy = _copying(shape.transpose, "transpose_copy")
unbind_copy = _copying(parts.unbind, "unbind_copy", out=False)
unfold_copy = _copying(parts.unfold, "unfold_copy")
unsqueeze_copy = _copying(shape.unsqueeze, "unsqueeze_copy")
view_copy = _copying(_view, "view_copy")
