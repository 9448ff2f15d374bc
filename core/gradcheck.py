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
from .dtypes import float64, limits
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
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether backward of `func` agrees with central differences, for every pair of an input and an output element.

    inputs: a tensor or a tuple, passed on to `func`; those that require grad are checked and ought to be float64. eps: the
    step; ValueError where the inputs' rounding drowns it. nondet_tol: how much two backward passes may differ.
    check_undefined_grad: whether an output without a gradient must count as one with zeros. Gradients' dtypes are always
    checked. Raises GradcheckError (a RuntimeError) where they disagree, or returns False with raise_exception=False.
    """
    _only_backward(
        check_batched_grad=check_batched_grad,
        check_batched_forward_grad=check_batched_forward_grad,
        check_forward_ad=check_forward_ad,
        fast_mode=fast_mode,
        masked=masked,
    )
    if not check_backward_ad:
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
        )
    for i in wanted:
        _check_input(i, args[i], eps)
    try:
        _compare(func, args, wanted, eps, atol, rtol, nondet_tol)
        if check_undefined_grad:
            _compare_undefined(func, args, wanted)
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
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradient of `func`: its second derivatives, by the inputs and by the outputs' gradients.

    grad_outputs: what the outputs are weighted with; drawn (the same each time) where None, with gen_non_contig_grad_outputs
    as tensors that are not contiguous. Raises ValueError where no output has a gradient to be checked.
    """
    _only_backward(
        check_batched_grad=check_batched_grad,
        check_fwd_over_rev=check_fwd_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )
    if not check_rev_over_rev:
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    args = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    for i, x in enumerate(args):
        if isinstance(x, Tensor) and x.requires_grad:
            _check_input(i, x, eps)
    outputs = _outputs(func(*args))
    if grad_outputs is None:
        draw = np.random.default_rng(0)
        weights = tuple(_drawn(t, draw, gen_non_contig_grad_outputs) for t in outputs)
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
        check_undefined_grad=check_undefined_grad,
    )


_MISSING = {
    "check_batched_grad": "torch.func.vmap runs a function once for each sample, as is checked here",
    "check_batched_forward_grad": "there is no forward mode",
    "check_forward_ad": "there is no forward mode; torch.func.jvp is made of two backward passes",
    "check_fwd_over_rev": "there is no forward mode; torch.func.jvp is made of two backward passes",
    "fast_mode": "leave it out: every pair of elements is checked",
    "masked": "there are no sparse tensors",
}


def _only_backward(**options: Any) -> None:
    for name, value in options.items():
        if value:
            raise NotImplementedError(f"gradcheck: {name}=True is not supported: {_MISSING[name]}")


def _check_input(number: int, x: Tensor, eps: float) -> None:
    """Refuses an input whose elements share memory or whose rounding drowns the step; warns of others than float64."""
    if x.numel() and any(s == 0 and n > 1 for s, n in zip(x._array.strides, x._array.shape, strict=True)):
        raise RuntimeError(
            f"The {number}th input has a dimension with stride 0. gradcheck only supports inputs that are non-overlapping to be "
            "able to compute the numerical gradients correctly. You should call .contiguous on the input before passing it to "
            "gradcheck."
        )
    if x.dtype is float64:
        return
    least = 1000 * float(limits(x._array.dtype).eps)
    if eps < least:
        raise ValueError(
            f"gradcheck: input {number} is {x.dtype}, whose rounding is of the size of the differences that a step of eps={eps} "
            f"makes: use float64 (or, for a rough check, an eps of at least {least:.1g} with atol and rtol to match)"
        )
    warnings.warn(
        f"Input #{number} requires gradient and is not a double precision floating point or complex. This check will likely "
        "fail if all the inputs are not of double precision floating point or complex. ",
        stacklevel=3,
    )


def _drawn(t: Tensor, draw: np.random.Generator, strided: bool) -> Tensor:
    """A weight for the gradient of an output."""
    values = draw.standard_normal(t._array.shape).astype(t._array.dtype)
    weight = _like(t, values, False)
    if strided and t.ndim:
        spread = _like(t, np.zeros((*values.shape, 2), values.dtype), False)
        spread[..., 0] = weight
        weight = spread[..., 0]
    return weight.detach().requires_grad_()


def _compare_undefined(func: Function, args: Sequence[Any], wanted: list[int]) -> None:
    """That leaving the gradients of all outputs but one out is as good as giving zeros for them."""
    inputs = [args[i] for i in wanted]
    outputs = _outputs(func(*args))
    for k, output in enumerate(outputs if len(outputs) > 1 else ()):
        ones = [
            _like(o, np.full(o._array.shape, float(j == k), o._array.dtype), False)
            for j, o in enumerate(outputs)  # of which two may be the same tensor
        ]
        alone = autograd.grad(output, inputs, ones[k], retain_graph=True, allow_unused=True)
        together = autograd.grad(outputs, inputs, ones, retain_graph=True, allow_unused=True)
        for i, a, b in zip(wanted, alone, together, strict=True):
            first, second = (np.zeros(()) if g is None else to_numpy(g._array) for g in (a, b))
            if not np.allclose(first, second, equal_nan=True):
                raise GradcheckError(
                    f"Expected the gradient of input {i} to be the same where the gradients of the outputs other than {k} are "
                    "undefined as where they are zeros"
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
    if not outputs:
        _compare_constant(func, args, wanted, eps)
        return
    measured = [_differences(lambda *a: _outputs(func(*a)), args, i, outputs, eps) for i in wanted]
    for k in range(len(outputs)):
        computed = _jacobians(func, args, wanted, k)
        again = _jacobians(func, args, wanted, k)
        for j, i in enumerate(wanted):
            if not np.allclose(computed[j], again[j], rtol=0.0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives "
                    f"different values (output {k}, input {i}). The tolerance for nondeterminism was {nondet_tol}."
                )
            a, n = computed[j], measured[j][k]
            if not np.allclose(a, n, rtol=rtol, atol=atol):
                raise GradcheckError(
                    f"Jacobian mismatch for output {k} with respect to input {i} (rows: input elements),\n"
                    f"numerical:{n}\nanalytical:{a}\nlargest difference {np.abs(a - n).max()}"
                )


def _compare_constant(func: Function, args: Sequence[Any], wanted: list[int], eps: float) -> None:
    """That outputs of which none has a gradient don't change with the inputs."""

    def every(*changed: Any) -> list[Tensor]:
        result = func(*changed)
        items = result if isinstance(result, (tuple, list)) else (result,)
        return [t for t in items if isinstance(t, Tensor)]

    for i in wanted:
        for matrix in _differences(every, args, i, every(*args), eps):
            if np.any(matrix):
                raise GradcheckError("Numerical gradient for function expected to be zero")


def _differences(
    outputs_of: Function, args: Sequence[Any], i: int, outputs: list[Tensor], eps: float
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
            sides.append([to_numpy(t._array).astype(np.float64) for t in outputs_of(*changed)])
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
