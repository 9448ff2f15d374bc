"""Python's operators on tensors, and the methods that only cast or rename."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from . import arithmetic, bits, elementary, floats, indexing, matrix, reshaped_in_place, shape  # noqa: F401  (they fill the catalogue)
from .catalogue import catalogue


def _operator(
    function: Callable[[Any, Any], Tensor], reflected: bool = False
) -> Callable[[Tensor, Any], Any]:
    """A method for Python's operator: what is no tensor or number is left to the other operand, as in `t == None`."""

    def run(self: Tensor, other: Any) -> Any:
        if isinstance(other, (Tensor, int, float, np.generic, np.ndarray)):
            return function(other, self) if reflected else function(self, other)
        return NotImplemented

    return run


def _conjugate_transpose(self: Tensor) -> Tensor:
    if self.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor. For batches of matrices, "
            "consider using tensor.mH"
        )
    return shape.t(self)


def _imaginary(self: Tensor) -> Tensor:
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


def _attach() -> None:
    fast = {
        "add": arithmetic.plain_add, "sub": arithmetic.plain_sub, "mul": arithmetic.plain_mul, "truediv": arithmetic.plain_div,
    }  # fmt: skip
    named = {
        "pow": "pow", "matmul": "matmul", "floordiv": "floor_divide", "mod": "remainder", "and": "bitwise_and",
        "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift", "rshift": "bitwise_right_shift",
    }  # fmt: skip
    for operator, function in fast.items():
        setattr(Tensor, f"__{operator}__", function)
        setattr(Tensor, f"__r{operator}__", _operator(function, reflected=True))
    for operator, name in named.items():
        setattr(Tensor, f"__{operator}__", _operator(catalogue[name].function))
        setattr(Tensor, f"__r{operator}__", _operator(catalogue[name].function, reflected=True))
    for operator in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Tensor, f"__{operator}__", _operator(catalogue[operator].function))
    for operator, name in {"truediv": "div", **{n: n for n in ("add", "sub", "mul", "pow")}, **named}.items():
        if catalogue[name].has_in_place:
            setattr(Tensor, f"__i{operator}__", getattr(Tensor, name + "_"))
    more: dict[str, Any] = {
        "__pos__": floats.positive, "real": property(lambda self: self), "imag": property(_imaginary),
        "__neg__": elementary.neg, "__abs__": elementary.abs, "__invert__": arithmetic.bitwise_not,
        "__getitem__": indexing.getitem, "__setitem__": indexing.setitem,
        "T": property(lambda self: shape.permute(self, *reversed(range(self.ndim)))),
        "mT": property(lambda self: shape.matrices_turned(self, "mT")),
        "mH": property(lambda self: shape.matrices_turned(self, "mH")),
        "H": property(_conjugate_transpose),
    }  # fmt: skip
    for name, attribute in more.items():
        setattr(Tensor, name, attribute)


_attach()
