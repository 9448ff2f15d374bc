"""Dropout under torch's own names; what is dropped is drawn from the current generator, on the host for every device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random
from ..backends import module_of, to_device
from ..in_place import in_place
from ..tensor import Tensor
from .activation import floating_input
from .catalogue import public

__all__ = [
    "alpha_dropout", "alpha_dropout_", "dropout", "dropout_", "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout",
    "feature_dropout_",
]  # fmt: skip

_LEAST = -1.7580993408473766  # selu of minus infinity; Klambauer et al., arXiv:1706.02515


def check_share(p: float, error: type[Exception] = RuntimeError) -> None:
    if not 0.0 <= p <= 1.0:
        raise error(f"dropout probability has to be between 0 and 1, but got {p}")


def _channels(input: Tensor) -> tuple[int, ...]:
    """The shape of one choice for each channel (dimension 1) of each example."""
    if input.ndim < 2:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return (*input._array.shape[:2], *(1,) * (input.ndim - 2))


def _kept(shape: tuple[int, ...], p: float) -> Any:
    return random.current().numpy.random(shape, np.float32) >= np.float32(p)


def _on_device(a: Any, input: Tensor) -> Tensor:
    return Tensor._wrap(to_device(np.asarray(a), input.device))


def _dropped(input: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    """input times 0 for what is dropped, else 1 / (1 - p)."""
    dtype = floating_input(input, "dropout")._array.dtype
    if p == 1.0:
        return input * Tensor._wrap(module_of(input._array).zeros(shape, dtype))
    scale = _kept(shape, p).astype(dtype) * dtype.type(1.0 / (1.0 - p))
    return input * _on_device(scale, input)


def _dropped_to_least(input: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    """What is dropped becomes selu's least value, and all is scaled so that mean 0 and variance 1 stay."""
    dtype = floating_input(input, "dropout")._array.dtype
    if p == 1.0:
        return input * Tensor._wrap(module_of(input._array).zeros(shape, dtype))
    kept = _kept(shape, p)
    scale = 1.0 / math.sqrt((_LEAST * _LEAST * p + 1.0) * (1.0 - p))
    moved = np.where(kept, -_LEAST * scale * p, _LEAST * scale * (1.0 - p))
    return input * _on_device((kept * scale).astype(dtype), input) + _on_device(moved.astype(dtype), input)


def _form(
    drop: Callable[[Tensor, float, tuple[int, ...]], Tensor], by_channel: bool
) -> Callable[[Tensor, float, bool], Tensor]:
    def run(input: Tensor, p: float, train: bool) -> Tensor:
        check_share(p)
        if not train or p == 0.0 or not input._array.size:
            return input
        return drop(input, p, _channels(input) if by_channel else input._array.shape)

    return run


def _in_place(function: Callable[[Tensor, float, bool], Tensor], name: str) -> Any:
    def run(input: Tensor, p: float, train: bool) -> Tensor:
        check_share(p)
        if not train or p == 0.0 or not input._array.size:
            return input
        return in_place(input, lambda old: function(old, p, train), name + "_")

    return public(name + "_", method=False)(run)


dropout = public("dropout", method=False)(_form(_dropped, False))
feature_dropout = public("feature_dropout", method=False)(_form(_dropped, True))
alpha_dropout = public("alpha_dropout", method=False)(_form(_dropped_to_least, False))
feature_alpha_dropout = public("feature_alpha_dropout", method=False)(_form(_dropped_to_least, True))
dropout_ = _in_place(dropout, "dropout")
feature_dropout_ = _in_place(feature_dropout, "feature_dropout")
alpha_dropout_ = _in_place(alpha_dropout, "alpha_dropout")
feature_alpha_dropout_ = _in_place(feature_alpha_dropout, "feature_alpha_dropout")
