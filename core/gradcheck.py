"""gradcheck and gradgradcheck: derivatives of a function against differences of its values.

For tests of one's own operations (`autograd.Function`), and of the built-in ones. Exported by `autograd`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import autograd
from .backends import to_device, to_numpy
from .tensor import Tensor

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """A derivative differs from the differences of the function's values; the message says which and by how much."""


def gradcheck(
    func: Function,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """Whether backward of `func` agrees with central differences, for every pair of an input and an output element.

    inputs: a tensor or a tuple, passed on to `func`; those that require grad are checked and ought to be float64.
    eps: the step. nondet_tol: how much two backward passes may differ. Raises GradcheckError (a RuntimeError) where they
    disagree, or returns False with raise_exception=False.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i in wanted:
        if args[i]._array.dtype != np.float64:
            warnings.warn(
                f"gradcheck: input {i} is {args[i].dtype}, whose rounding is of the size of the differences; use float64",
                stacklevel=2,
            )
    try:
        _compare(func, args, wanted, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
) -> bool:
    """gradcheck of the gradient of `func`: its second derivatives, by the inputs and by the outputs' gradients.

    grad_outputs: what the outputs are weighted with; drawn (the same each time) where None.
    """
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    outputs = _outputs(func(*args))
    if grad_outputs is None:
        draw = np.random.default_rng(0)
        weights = tuple(
            _like(t, draw.standard_normal(t._array.shape).astype(t._array.dtype), True) for t in outputs
        )
    else:
        given = grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
        weights = tuple(g.detach().requires_grad_() for g in given)

    def gradients(*both: Any) -> tuple[Tensor, ...]:
        own, by = both[: len(args)], both[len(args) :]
        wanted = [x for x in own if isinstance(x, Tensor) and x.requires_grad]
        found = autograd.grad(_outputs(func(*own)), wanted, by, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    if not outputs or not gradients(*args, *weights):
        raise ValueError("gradgradcheck: no output depends on an input that requires grad")
    return gradcheck(
        gradients,
        (*args, *weights),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
    )


def _outputs(result: Any) -> list[Tensor]:
    """The differentiable outputs."""
    items = result if isinstance(result, (tuple, list)) else (result,)
    return [t for t in items if isinstance(t, Tensor) and t.requires_grad]


def _like(t: Tensor, values: np.ndarray[Any, Any], requires_grad: bool) -> Tensor:
    made = Tensor._wrap(to_device(values, t.device))
    return made.requires_grad_() if requires_grad else made


def _compare(
    func: Function, args: Sequence[Any], wanted: list[int], eps: float, atol: float, rtol: float, nondet_tol: float
) -> None:  # fmt: skip
    outputs = _outputs(func(*args))
    measured = [_differences(func, args, i, outputs, eps) for i in wanted]
    for k in range(len(outputs)):
        computed = _jacobians(func, args, wanted, k)
        again = _jacobians(func, args, wanted, k)
        for j, i in enumerate(wanted):
            if not np.allclose(computed[j], again[j], rtol=0.0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"Backward is not reentrant: two passes differ for output {k}, input {i}"
                )
            a, n = computed[j], measured[j][k]
            if not np.allclose(a, n, rtol=rtol, atol=atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i} (rows: input elements),\n"
                    f"numerical:{n}\nanalytical:{a}\nlargest difference {np.abs(a - n).max()}"
                )


def _differences(
    func: Function, args: Sequence[Any], i: int, outputs: list[Tensor], eps: float
) -> list[np.ndarray[Any, Any]]:
    """For each output the matrix (input elements, output elements) of central differences by input `i`."""
    values = to_numpy(args[i]._array)
    result = [np.zeros((values.size, t.numel())) for t in outputs]
    for e in range(values.size):
        sides = []
        for sign in (1.0, -1.0):
            moved = np.array(values, order="C")
            moved.reshape(-1)[e] += sign * eps
            changed = [*args[:i], _like(args[i], moved, True), *args[i + 1 :]]
            sides.append([to_numpy(t._array).astype(np.float64) for t in _outputs(func(*changed))])
        for matrix, above, below in zip(result, *sides, strict=True):
            matrix[e] = ((above - below) / (2.0 * eps)).reshape(-1)
    return result


def _jacobians(func: Function, args: Sequence[Any], wanted: list[int], k: int) -> list[np.ndarray[Any, Any]]:
    """For each input the same matrix of output `k`, by one backward pass for each of its elements."""
    output = _outputs(func(*args))[k]
    columns = output.numel()
    result = [np.zeros((args[i].numel(), columns)) for i in wanted]
    for c in range(columns):
        unit = np.zeros(output._array.shape, output._array.dtype)
        unit.reshape(-1)[c] = 1.0
        found = autograd.grad(
            output,
            [args[i] for i in wanted],
            _like(output, unit, False),
            retain_graph=True,
            allow_unused=True,
        )
        for matrix, i, g in zip(result, wanted, found, strict=True):
            if g is None:
                continue
            if g._array.shape != args[i]._array.shape or g._array.dtype != args[i]._array.dtype:
                raise GradcheckError(
                    f"the gradient of input {i} is {g.dtype} of shape {list(g.shape)}, "
                    f"the input {args[i].dtype} of shape {list(args[i].shape)}"
                )
            matrix[:, c] = to_numpy(g._array).reshape(-1)
    return result
