"""Normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from ...autocast import runs_in_float32
from ...functions import cat, clamp, div, narrow, norm
from ...functions import normalization as _base
from ...functions.arguments import tensor_of
from ...functions.catalogue import public
from ...tensor import Size, Tensor
from .arguments import entered

__all__ = [
    "batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "normalize", "rms_norm",
]  # fmt: skip

rms_norm = entered(_base.rms_norm)


@entered
@runs_in_float32("cuda")
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) over the last dimensions, times weight, plus bias. Ba et al., arXiv:1607.06450."""
    return _base.layer_norm(input, normalized_shape, weight, bias, eps)


def _several_values(sizes: Sequence[int]) -> None:
    n = sizes[0]
    for k in sizes[2:]:
        n *= k
    if n == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {sizes!r}")


@entered
def batch_norm(
    input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalises each channel (dimension 1) over all others; in training also updates the running statistics.

    These follow the batch's mean and its variance over n - 1 by the share `momentum`. Ioffe and Szegedy, arXiv:1502.03167.
    """
    if training and tensor_of(input, "batch_norm").ndim > 1:
        _several_values(input.shape)
    return _base.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@entered
@runs_in_float32("cuda")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Each example's groups of channels normalised. Wu and He, arXiv:1803.08494."""
    if tensor_of(input, "group_norm").ndim >= 2 and num_groups > 0:
        _several_values([input.shape[0] * input.shape[1] // num_groups, num_groups, *input.shape[2:]])
    return _base.group_norm(input, num_groups, weight, bias, eps)


@entered
def instance_norm(
    input: Tensor, running_mean: Tensor | None = None, running_var: Tensor | None = None, weight: Tensor | None = None,
    bias: Tensor | None = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Each example's channels normalised. Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022."""
    if use_input_stats and Size(tensor_of(input, "instance_norm").shape[2:]).numel() == 1:
        raise ValueError(f"Expected more than 1 spatial element when training, got input size {input.shape}")
    return _base.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)


@public(namespace="torch.nn.functional", method=False, out=True)
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """input over its p-norm along `dim`, which counts as eps where it is smaller."""
    return div(input, clamp(norm(input, p, dim, True), min=eps))


@entered
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """input / (k + alpha * the mean of squares over `size` neighbouring channels)^beta. Krizhevsky et al., NIPS 2012."""
    if tensor_of(input, "local_response_norm").ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {input.ndim} dimensions)")
    if not input._array.size:
        return input
    squares = input * input
    n, edges = input._array.shape[1], [*input._array.shape]
    parts = []
    for width in (size // 2, (size - 1) // 2):
        edges[1] = width
        parts.append(squares.new_zeros(edges))
    padded = cat([parts[0], squares, parts[1]], 1)
    around = narrow(padded, 1, 0, n)
    for i in range(1, size):
        around = around + narrow(padded, 1, i, n)
    return input / (around / size * alpha + k) ** beta
