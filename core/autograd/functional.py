"""torch.autograd.functional: Jacobians, Hessians, and their products with vectors, of functions of tensors.

Products from the left are one backward pass. Products from the right differentiate the left product, which is linear in
its vector, by that vector (Townsend, "A new trick for calculating Jacobian vector products", 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends import module_of
from ..grad_mode import enable_grad, is_grad_enabled, set_grad_enabled
from ..tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Tensor, ...]
_OUTPUTS = "outputs of the user-provided function"
_NOT_STRICT = "This is not allowed in strict mode."


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and `v` (of their shapes) times its Jacobian, in the form of the inputs.

    create_graph: both can be differentiated. strict: raises RuntimeError where an output or a gradient depends on no
    input, instead of giving zeros.
    """
    with enable_grad():
        several_in, xs = _tensors(inputs, "inputs", "vjp")
        xs = _inside(xs, create_graph)
        several_out, ys = _tensors(func(*xs), _OUTPUTS, "vjp")
        _need_gradients(ys, strict)
        vs = _vectors(
            v, ys, several_out, "vjp", "user-provided function returns a single Tensor with a single element."
        )
    with set_grad_enabled(create_graph or is_grad_enabled()):
        grads = _filled(_grad(ys, xs, vs, create_graph), xs, strict, create_graph, _FIRST)
    return _given(ys, several_out, create_graph), _given(grads, several_in, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The outputs of `func`, and its Jacobian times `v` (of the inputs' shapes), in the form of the outputs; see vjp."""
    with enable_grad():
        several_in, xs = _tensors(inputs, "inputs", "jvp")
        xs = _inside(xs, create_graph)
        vs = _vectors(
            v,
            xs,
            several_in,
            "jvp",
            "input to the user-provided function is a single Tensor with a single element.",
        )
        several_out, ys = _tensors(func(*xs), _OUTPUTS, "jvp")
        _need_gradients(ys, strict)
        weights = tuple(_zeros_like(y).requires_grad_() if y.is_floating_point() else None for y in ys)
        left = _filled(_grad(ys, xs, weights, True), xs, strict, False, _FIRST)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        wanted = [w for w in weights if w is not None]
        found = iter(_grad(left, wanted, vs, create_graph) if wanted else ())
        right = [None if w is None else next(found) for w in weights]
        product = _filled(right, ys, strict, create_graph, _FIRST_TRICK)
    return _given(ys, several_out, create_graph), _given(product, several_out, create_graph)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The single number that `func` returns, and `v` (of the inputs' shapes) times its Hessian; see vjp."""
    with enable_grad():
        several_in, xs, vs, y, gradient = _gradient_of_a_number(func, inputs, v, "vhp", create_graph, strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = _filled(_grad(gradient, xs, vs, create_graph), xs, strict, create_graph, _SECOND)
    return _given((y,), False, create_graph), _given(product, several_in, create_graph)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """The single number that `func` returns, and its Hessian times `v` (of the inputs' shapes); see vjp.

    Dearer than vhp, which gives the same where second derivatives are continuous.
    """
    with enable_grad():
        several_in, xs, vs, y, gradient = _gradient_of_a_number(func, inputs, v, "hvp", create_graph, strict)
        weights = tuple(_zeros_like(x).requires_grad_() for x in xs)
        left = _filled(_grad(gradient, xs, weights, True), xs, strict, False, _SECOND)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        product = _filled(_grad(left, weights, vs, create_graph), xs, strict, create_graph, _SECOND_TRICK)
    return _given((y,), False, create_graph), _given(product, several_in, create_graph)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of the outputs of `func` by its inputs: for each pair a tensor of shape output + input.

    A tensor where both are one; a tuple over outputs or inputs where these are tuples, outputs outermost. vectorize:
    accepted; rows are computed one by one in any case. strategy: "forward-mode" (with vectorize) computes columns instead,
    by one pass for each input element. create_graph, strict: as in vjp.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than '
            'inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are not supported '
                'together (yet). Please either set `create_graph=False` or `strategy="reverse-mode"`.'
            )
        return _by_columns(func, inputs, strict, vectorize)
    if strict and vectorize:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported together. "
            "Please either set `strict=False` or `vectorize=False`."
        )
    with enable_grad():
        several_in, xs = _tensors(inputs, "inputs", "jacobian")
        xs = _inside(xs, create_graph)
        several_out, ys = _tensors(func(*xs), _OUTPUTS, "jacobian")
        _need_gradients(ys, strict)
        result = [
            _given(_rows(y, i, xs, create_graph, strict), several_in, create_graph) for i, y in enumerate(ys)
        ]
    return tuple(result) if several_out else result[0]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of the single number that `func` returns; for each pair of inputs a tensor of both shapes."""
    several_in, xs = _tensors(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def number(*args: Tensor) -> Tensor:
        y = _single(func(*args), "hessian")
        _need_gradients((y,), strict)
        return y.squeeze()  # type: ignore[no-any-return]

    def gradient(*args: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":
            args = tuple(a if a.requires_grad else a.detach().requires_grad_() for a in args)
        found = jacobian(number, args, create_graph=True)
        if strict:
            _need_dependence(found)
        return found

    result = jacobian(gradient, xs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return result if several_in else result[0][0]


def _tensors(given: Any, what: str, function: str) -> tuple[bool, Tensors]:
    """Whether `given` is a tuple, and it as one."""
    several = isinstance(given, tuple)
    for i, t in enumerate(given if several else (given,)):
        if not isinstance(t, Tensor):
            place = f"value at index {i}" if several else f"given {what}"
            raise TypeError(
                f"The {what} given to {function} must be either a Tensor or a tuple of Tensors but the {place} has type {type(t)}."
            )
    return several, tuple(given) if several else (given,)


def _inside(xs: Tensors, create_graph: bool) -> Tensors:
    """The inputs as the function gets them: apart from what else is computed of them, but in their graph for create_graph."""
    return tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_() for x in xs
    )


def _given(ts: Any, several: bool, create_graph: bool) -> Any:
    """Tensors as the caller gets them."""
    result = tuple(ts) if create_graph else tuple(t.detach() for t in ts)
    return result if several else result[0]


def _vectors(v: Any, like: Tensors, several: bool, function: str, who: str) -> tuple[Tensor | None, ...]:
    """The vector as a tuple of the shapes of `like`."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"The vector v can only be None if the {who}")
        return (Tensor._wrap(module_of(like[0]._array).ones(like[0].shape, like[0]._array.dtype)),)
    _, vs = _tensors(v, "v", function)
    if len(vs) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(vs)}."
            if several
            else "The given v should contain a single Tensor."
        )
    for i, (mine, other) in enumerate(zip(vs, like, strict=True)):
        if mine.shape != other.shape:
            where = f"Entry {i} in " if several else ""
            raise RuntimeError(f"{where}v has invalid size: should be {other.shape} but got {mine.shape}.")
    return vs


def _zeros_like(t: Tensor) -> Tensor:
    return Tensor._wrap(module_of(t._array).zeros(t._array.shape, t._array.dtype))


def _grad(ys: Any, xs: Any, weights: Any, create_graph: bool) -> list[Any]:
    """autograd.grad of the outputs that have a graph; None for inputs that none of them depends on."""
    from . import grad

    kept = [(y, w) for y, w in zip(ys, weights, strict=True) if y is not None and y.requires_grad]
    if not kept:
        return [None] * len(xs)
    outs, own = [y for y, _ in kept], [w for _, w in kept]
    return list(grad(outs, list(xs), own, retain_graph=True, create_graph=create_graph, allow_unused=True))


# What strict mode says of a gradient that isn't there, and of one that depends on nothing; {} is the input's number.
_FIRST = (
    "The output of the user-provided function is independent of input {}. " + _NOT_STRICT,
    "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict mode when "
    "create_graph=True.",
)
_FIRST_TRICK = (
    "The gradient with respect to the input is independent of entry {} in the grad_outputs when using the double backward "
    "trick to compute forward mode gradients. " + _NOT_STRICT,
    _FIRST[1],
)
_SECOND = (
    "The jacobian of the user-provided function is independent of input {}. " + _NOT_STRICT,
    "The hessian of the user-provided function is independent of input {}. This is not allowed in strict mode when "
    "create_graph=True.",
)
_SECOND_TRICK = (
    "The hessian of the user-provided function is independent of entry {} in the grad_jacobian. This is not allowed in strict "
    "mode as it prevents from using the double backward trick to replace forward mode AD.",
    _SECOND[1],
)


def _filled(grads: list[Any], like: Any, strict: bool, create_graph: bool, words: tuple[str, str]) -> Tensors:
    """Gradients with zeros for those that aren't there; strict: or the error."""
    result = []
    for i, (g, t) in enumerate(zip(grads, like, strict=True)):
        if strict and g is None:
            raise RuntimeError(words[0].format(i))
        if strict and create_graph and not g.requires_grad:
            raise RuntimeError(words[1].format(i))
        result.append(_zeros_like(t) if g is None else g)
    return tuple(result)


def _need_gradients(ys: Tensors, strict: bool) -> None:
    for i, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise RuntimeError(
                f"Output {i} of the user-provided function does not require gradients. The outputs must be computed in a "
                "differentiable manner from the input when running in strict mode."
            )


def _need_dependence(gradients: Any) -> None:
    for i, g in enumerate(gradients):
        if not g.requires_grad:
            raise RuntimeError(
                "While computing the hessian, found that the jacobian of the user-provided function with respect to input "
                f"{i} is independent of the input. {_NOT_STRICT} You should ensure that your function is twice differentiable "
                "and that the jacobian depends on the inputs (this would be violated by a linear function for example)."
            )


def _single(y: Any, function: str) -> Tensor:
    several, ys = _tensors(y, _OUTPUTS, function)
    if several:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if ys[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single element"
        )
    return ys[0]


def _gradient_of_a_number(
    func: Callable[..., Any], inputs: Any, v: Any, function: str, create_graph: bool, strict: bool
) -> tuple[bool, Tensors, Any, Tensor, Tensors]:
    several_in, xs = _tensors(inputs, "inputs", function)
    xs = _inside(xs, create_graph)
    vs = _vectors(v, xs, several_in, function, "input to the user-provided function is a single Tensor with a single element.")  # fmt: skip
    y = _single(func(*xs), function)
    _need_gradients((y,), strict)
    one = Tensor._wrap(module_of(y._array).ones(y.shape, y._array.dtype))
    gradient = _filled(_grad((y,), xs, (one,), True), xs, strict, False, _FIRST)
    if strict:
        _need_dependence(gradient)
    return several_in, xs, vs, y, gradient


def _unit(t: Tensor, position: int) -> Tensor:
    """One at `position` of a tensor like `t`, counted along its elements, and zero elsewhere."""
    array = module_of(t._array).zeros(t._array.size, t._array.dtype)
    array[position] = 1
    return Tensor._wrap(array.reshape(t._array.shape))


def _stacked(parts: list[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Parts one below the other, in `shape`."""
    from ..functions import stack

    if not parts:
        return Tensor._wrap(module_of(like._array).zeros(shape, like._array.dtype))
    return stack(parts).view(shape)  # type: ignore[no-any-return]


def _rows(y: Tensor, number: int, xs: Tensors, create_graph: bool, strict: bool) -> list[Tensor]:
    """The derivatives of output `number` by each input, a backward pass for each of its elements."""
    parts: list[list[Tensor]] = [[] for _ in xs]
    for position in range(y.numel()):
        for i, g in enumerate(_grad((y,), xs, (_unit(y, position),), create_graph)):
            if strict and g is None:
                raise RuntimeError(
                    f"Output {number} of the user-provided function is independent of input {i}. {_NOT_STRICT}"
                )
            if strict and create_graph and not g.requires_grad:
                raise RuntimeError(
                    "The jacobian of the user-provided function is independent of "
                    f"input {i}. This is not allowed in strict mode when create_graph=True."
                )
            parts[i].append(_zeros_like(xs[i]) if g is None else g)
    return [_stacked(p, (*y.shape, *x.shape), x) for p, x in zip(parts, xs, strict=True)]


def _by_columns(func: Callable[..., Any], inputs: Any, strict: bool, vectorize: bool) -> Any:
    """The Jacobian by one right product for each input element."""
    if strict:
        raise RuntimeError(
            'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not supported together (yet). '
            'Please either set `strict=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
        )
    with enable_grad():
        several_in, xs = _tensors(inputs, "inputs", "jacobian")
        xs = _inside(xs, False)
        several_out, ys = _tensors(func(*xs), _OUTPUTS, "jacobian")
        products = [_columns(ys, xs, i) for i in range(len(xs))]
    table = [_given([p[k] for p in products], several_in, False) for k in range(len(ys))]  # outputs outermost
    return tuple(table) if several_out else table[0]


def _columns(ys: Tensors, xs: Tensors, number: int) -> list[Tensor]:
    """The derivatives of each output by input `number`."""
    x = xs[number]
    weights = [_zeros_like(y).requires_grad_() for y in ys if y.requires_grad]
    (left,) = _grad([y for y in ys if y.requires_grad], (x,), weights, True)
    result = []
    for y in ys:
        result.append(_zeros_like(y).unsqueeze(-1).expand(*y.shape, x.numel()))
    if left is not None:
        parts: list[list[Tensor]] = [[] for _ in weights]
        for position in range(x.numel()):
            for k, g in enumerate(_grad((left,), weights, (_unit(x, position),), False)):
                parts[k].append(_zeros_like(weights[k]) if g is None else g)
        found = iter(parts)
        for k, y in enumerate(ys):
            if y.requires_grad:
                columns = _stacked(next(found), (x.numel(), *y.shape), y)
                result[k] = columns.permute(*range(1, y.ndim + 1), 0)
    return [r.reshape(*y.shape, *x.shape) for r, y in zip(result, ys, strict=True)]
