"""Dropout by elements and by channels, and the draw of one class."""

from __future__ import annotations

import warnings
from typing import Any

from ...creation import empty_like, zeros_like
from ...functions import argmax, log, scatter, squeeze, unsqueeze
from ...functions import dropping as _base
from ...functions.arguments import tensor_of
from ...functions.dropping import check_share
from ...tensor import Tensor
from .activation import softmax
from .arguments import entered

__all__ = [
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "gumbel_softmax",
]  # fmt: skip


def _form(name: str, input: Tensor, p: float, training: bool, inplace: bool) -> Tensor:
    check_share(p, ValueError)
    if not training or p == 0.0:
        return tensor_of(input, name)
    result: Tensor = getattr(_base, name + "_" if inplace else name)(tensor_of(input, name), p, training)
    return result


@entered
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes elements with probability p and scales the rest by 1 / (1 - p). Srivastava et al., JMLR 15 (2014)."""
    return _form("dropout", input, p, training, inplace)


@entered
def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Sets elements to selu's least value with probability p and keeps mean 0 and variance 1. Klambauer et al., arXiv:1706.02515."""
    return _form("alpha_dropout", input, p, training, inplace)


@entered
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """alpha_dropout of whole channels (dimension 1)."""
    return _form("feature_alpha_dropout", input, p, training, inplace)


def _with_batch(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    if batched:
        return _form("feature_dropout", input, p, training, inplace)
    if inplace:
        input.copy_(squeeze(_form("feature_dropout", unsqueeze(input, 0), p, training, False), 0))
        return input
    return squeeze(_form("feature_dropout", unsqueeze(input, 0), p, training, False), 0)


def _told(name: str, ndim: int, spatial: int) -> None:
    warnings.warn(
        f"{name}: Received a {ndim}-D input to {name}, which is deprecated and will result in an error in a future release. To "
        f"retain the behavior and silence this warning, please use dropout instead. Note that {name} exists to provide "
        f"channel-wise dropout on inputs with {spatial} spatial dimensions, a channel dimension, and an optional batch dimension "
        f"(i.e. {spatial + 1}D or {spatial + 2}D inputs).",
        stacklevel=3,
    )


@entered
def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, L) or (C, L). Tompson et al., arXiv:1411.4280."""
    check_share(p, ValueError)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to provide "
            "channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional batch dimension "
            "(i.e. 2D or 3D inputs)."
        )
    return _with_batch(input, p, training, inplace, input.ndim == 3)


@entered
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, H, W). Three dimensions are taken as (N, C, L), as in PyTorch."""
    check_share(p, ValueError)
    if input.ndim not in (3, 4):
        _told("dropout2d", input.ndim, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - input is "
            "interpreted as shape (N, C, L), where C is the channel dim. To maintain the 1D channel-wise dropout behavior, please "
            "switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _form("feature_dropout", input, p, training, inplace)


@entered
def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes whole channels of (N, C, D, H, W) or (C, D, H, W)."""
    check_share(p, ValueError)
    if input.ndim not in (4, 5):
        _told("dropout3d", input.ndim, 3)
    return _with_batch(input, p, training, inplace, input.ndim == 5)


@entered
def gumbel_softmax(
    logits: Tensor, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): nearly one class, drawn. Jang, Gu and Poole, arXiv:1611.01144.

    hard: exactly one class; gradients are those of the soft form.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise: Any = -log(empty_like(logits.detach()).exponential_())
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = argmax(soft, dim, keepdim=True)
    one: Tensor = scatter(zeros_like(soft.detach()), dim, index, 1.0)
    return one - soft.detach() + soft
