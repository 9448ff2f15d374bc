"""All operations, by family. `arrays` and `tensors` are the two faces that backward rules are run with."""

from . import (
    activation,
    convolution,
    indexing,
    matrix,
    normalization,
    overwriting,
    pointwise,
    reduction,
    rounding,
    shape,
    transcendental,
)
from .registry import arrays, index, tensors

__all__ = [
    "activation", "arrays", "convolution", "index", "indexing", "matrix", "normalization", "overwriting", "pointwise", "reduction",
    "rounding", "shape", "tensors", "transcendental",
]  # fmt: skip
