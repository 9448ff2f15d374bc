"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...functions import cat
from ...tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements, tensor after tensor: shape (total,)."""
    found = list(parameters)
    _one_device(found)
    return cat([p.reshape(-1) for p in found])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Lets each parameter take its elements from `vec` (total,), whose memory it then shares."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    found = list(parameters)
    _one_device(found)
    total = sum(p.numel() for p in found)
    if vec.ndim != 1 or vec.numel() < total:
        raise RuntimeError(
            f"vector_to_parameters: expected a vector of {total} elements for these parameters, got shape {tuple(vec.shape)}"
        )
    start = 0
    for p in found:
        end = start + p.numel()
        p.data = vec[start:end].view(p.shape).detach()
        start = end


def _one_device(tensors: list[Any]) -> None:
    if len({t.device for t in tensors}) > 1:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
