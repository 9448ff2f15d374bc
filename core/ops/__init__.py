"""All operations, by family. `arrays` and `tensors` are the two faces that backward rules are run with."""

from . import (
    activation,
    convolution,
    cumulative,
    indexing,
    matrix,
    normalization,
    order,
    overwriting,
    pointwise,
    reduction,
    rounding,
    shape,
    statistics,
    transcendental,
)
from .registry import arrays, index, tensors

__all__ = [
    "activation", "arrays", "convolution", "cumulative", "index", "indexing", "matrix", "normalization", "order", "overwriting",
    "pointwise", "reduction", "rounding", "shape", "statistics", "tensors", "transcendental",
]  # fmt: skip
