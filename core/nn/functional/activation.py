"""Activation functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from ...dtypes import FULL
from ...dtypes import dtype as DType
from ...functions import activation as _base
from ...functions import elementary as _elementary
from ...functions.activation import floating_input
from ...functions.arguments import one_dim, tensor_of
from ...functions.parts import narrow
from ...grad_mode import state as grad_state
from ...in_place import in_place
from ...ops import gates as _gates
from ...ops import gelu as _gelu
from ...ops import piecewise as _piece
from ...ops.registry import apply, apply_several
from ...tensor import Tensor
from .arguments import entered

__all__ = [
    "celu", "celu_", "elu", "elu_", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "leaky_relu",
    "leaky_relu_", "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_",
    "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_",
]  # fmt: skip

# torch's own, under this namespace too
for _function in (
    _base.celu_, _base.hardshrink, _base.prelu, _base.rrelu_, _base.selu_, _base.threshold_, _elementary.sigmoid, _elementary.tanh,
):  # fmt: skip
    entered(_function)
celu_, selu_, rrelu_, threshold_ = _base.celu_, _base.selu_, _base.rrelu_, _base.threshold_
hardshrink, prelu, sigmoid, tanh = _base.hardshrink, _base.prelu, _elementary.sigmoid, _elementary.tanh
_relu = _elementary.relu


def _applied(input: Tensor, inplace: bool, name: str, compute: Callable[[Tensor], Tensor]) -> Tensor:
    if inplace:
        return in_place(tensor_of(input, name), compute, name + "_")
    return compute(input)


@entered
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    return input.relu_() if inplace else _relu(input)


@entered
def relu_(input: Tensor) -> Tensor:
    return tensor_of(input, "relu_").relu_()  # type: ignore[no-any-return]


@entered
def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """input within [min_val, max_val]."""

    def compute(x: Tensor) -> Tensor:
        kind = tensor_of(x, "hardtanh")._array.dtype.kind
        if kind == "b":
            raise RuntimeError("Bool inputs not supported for hardtanh")
        low, high = (int(min_val), int(max_val)) if kind in "iu" else (min_val, max_val)
        if kind == "u" and (low < 0 or high < 0):
            raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
        return apply(_piece.Hardtanh, (x,), (low, high))

    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return _applied(input, inplace, "hardtanh", compute)


@entered
def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    return hardtanh(input, min_val, max_val, inplace=True)


@entered
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """input within [0, 6]."""
    return _applied(input, inplace, "relu6", lambda x: hardtanh(x, 0.0, 6.0))


@entered
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """input where positive, else alpha * (exp(input) - 1). Clevert, Unterthiner and Hochreiter, arXiv:1511.07289."""
    return _applied(
        input,
        inplace,
        "elu",
        lambda x: apply(_piece.Elu, (floating_input(x, "elu"),), (alpha, 1.0, 1.0)),
    )


@entered
def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    return elu(input, alpha, inplace=True)


@entered
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """elu scaled so that mean and variance settle. Klambauer et al., arXiv:1706.02515."""
    return _applied(input, inplace, "selu", _base.selu)


@entered
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """elu with a continuous slope at 0. Barron, arXiv:1704.07483."""
    return _applied(input, inplace, "celu", lambda x: _base.celu(x, alpha))


@entered
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """input where positive, else times negative_slope."""
    return _applied(
        input,
        inplace,
        "leaky_relu",
        lambda x: apply(_piece.LeakyRelu, (floating_input(x, "leaky_relu"),), (negative_slope,)),
    )


@entered
def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    return leaky_relu(input, negative_slope, inplace=True)


@entered
def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """leaky_relu with slopes drawn from [lower, upper) in training, their mean otherwise. Xu et al., arXiv:1505.00853."""
    return _applied(input, inplace, "rrelu", lambda x: _base.rrelu(x, lower, upper, training))


@entered
def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """input where it is above the threshold, else value."""
    return _applied(input, inplace, "threshold", lambda x: _base.threshold(x, threshold, value))


@entered
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415)."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}.")
    x = floating_input(input, "gelu")
    if approximate == "tanh":
        return apply(_gelu.GeluTanh, (x,))
    if x._requires_grad and grad_state.enabled and x._array.dtype in FULL:
        return apply_several(_gelu.GeluWithSlope, (x,))[0]
    return apply(_gelu.Gelu, (x,))


@entered
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)."""
    return _applied(input, inplace, "silu", lambda x: apply(_gates.Silu, (floating_input(x, "silu"),)))


@entered
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * tanh(softplus(input)). Misra, arXiv:1908.08681."""
    return _applied(input, inplace, "mish", lambda x: apply(_gates.Mish, (floating_input(x, "mish"),)))


@entered
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """input * hardsigmoid(input). Howard et al., arXiv:1905.02244."""
    return _applied(
        input, inplace, "hardswish", lambda x: apply(_piece.Hardswish, (floating_input(x, "hardswish"),))
    )


@entered
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """(input + 3) / 6 within [0, 1]."""
    return _applied(
        input,
        inplace,
        "hardsigmoid",
        lambda x: apply(_piece.Hardsigmoid, (floating_input(x, "hardsigmoid"),)),
    )


@entered
def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta * input)) / beta; input itself where beta * input is above the threshold."""
    return apply(_gates.Softplus, (floating_input(input, "softplus"),), (beta, threshold))


@entered
def logsigmoid(input: Tensor) -> Tensor:
    """The logarithm of sigmoid, without loss of digits."""
    return apply(_gates.Logsigmoid, (floating_input(input, "logsigmoid"),))


@entered
def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """input moved towards 0 by lambd, at most to 0."""
    x = floating_input(input, "softshrink")
    if lambd < 0:
        raise RuntimeError(f"lambda must be greater or equal to 0, but found to be {lambd}.")
    return apply(_piece.Softshrink, (x,), (lambd,))


@entered
def softsign(input: Tensor) -> Tensor:
    """input / (1 + |input|)."""
    return input / (input.abs() + 1)


@entered
def tanhshrink(input: Tensor) -> Tensor:
    """input - tanh(input)."""
    return input - tanh(input)


@entered
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second. Dauphin et al., arXiv:1612.08083."""
    if not tensor_of(input, "glu").ndim:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    d = one_dim(dim, floating_input(input, "glu").ndim)
    n = input._array.shape[d]
    if n % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {d} is size {n}")
    return narrow(input, d, 0, n // 2) * sigmoid(narrow(input, d, n // 2, n // 2))


def _implicit_dim(name: str, ndim: int, stacklevel: int) -> int:
    """The dimension that old programs leave out, with PyTorch's warning."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if ndim in (0, 1, 3) else 1


@entered
def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """exp(input) over its sum along `dim`, without overflow; computed in `dtype` where given."""
    if dim is None:
        dim = _implicit_dim("softmax", input.ndim, _stacklevel)
    return _base.softmax(input, dim, dtype)


@entered
def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """softmax of -input."""
    if dim is None:
        dim = _implicit_dim("softmin", input.ndim, _stacklevel)
    return _base.softmax(-input, dim, dtype)


@entered
def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """The logarithm of softmax, without loss of digits."""
    if dim is None:
        dim = _implicit_dim("log_softmax", input.ndim, _stacklevel)
    return _base.log_softmax(input, dim, dtype)
