"""grad, vjp, jvp and Jacobians as functions of functions, for use within each other.

Each call takes its inputs out of the graph around it, by an alias, and gives its results back to it: they carry a graph
where they depend on something outside that requires grad, such as the input of an enclosing transform, and none elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import versions
from ..autograd.functional import _grad, _stacked, _unit, _zeros_like
from ..grad_mode import enable_grad, is_grad_enabled, set_grad_enabled
from ..node import KIND_LEAF, KIND_SLOT, next_seq
from ..tensor import Tensor
from ..views import refresh
from .trees import Shape, build, flatten, tree_map

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]

Function = Callable[..., Any]
ArgNums = int | tuple[int, ...]


class _Level:
    """One transform's run of a function: what came in, and what of the results depends on more than that."""

    def __init__(self) -> None:
        self._start = next_seq()
        self._recording = is_grad_enabled()

    def enter(self, leaf: Any) -> Tensor:
        """An alias of an input, to be differentiated by."""
        if not isinstance(leaf, Tensor):
            raise ValueError(f"Thing passed to transform API must be Tensor, got {type(leaf)}")
        if self._recording and leaf.requires_grad:
            return leaf.view_as(leaf)  # type: ignore[no-any-return]
        return self.own(leaf.detach())

    def own(self, t: Tensor) -> Tensor:
        """`t` as a leaf of this run, or of one within it: nothing outside."""
        t.requires_grad_().__dict__["_level"] = self._start
        return t

    def outside(self, *results: Tensor) -> bool:
        """Whether one of `results` depends on a tensor that requires grad and was not made in this run."""
        if not self._recording:
            return False
        todo = []
        for r in results:
            if versions.watch:
                refresh(r)
            if r._requires_grad:
                todo.append(r._node or r)
        seen: set[int] = set()
        while todo:
            edge = todo.pop()
            if edge.kind == KIND_LEAF:
                if edge.__dict__.get("_level", 0) < self._start:
                    return True
                continue
            node = edge.node if edge.kind == KIND_SLOT else edge
            if node.seq < self._start:
                return True
            if node.seq not in seen:
                seen.add(node.seq)
                todo += [e for e in node.edges if e is not None]
        return False

    def leave(self, result: Any) -> Tensor:
        """A result as the surroundings get it."""
        if not isinstance(result, Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(result)}")
        return result if self.outside(result) else result.detach()


def grad_and_value(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of `func`, which returns a 0-d tensor, and its value.

    argnums: the positional argument(s) to differentiate by, trees of tensors; a tuple gives a tuple of gradients. has_aux:
    func returns (value, aux), and the new function (gradient, (value, aux)).
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        level = _Level()
        with enable_grad():
            args, leaves, shape = _entered(level, args, argnums)
            output = func(*args, **kwargs)
            output, aux = _with_aux(output, "grad_and_value(f)(*args)") if has_aux else (output, None)
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.ndim:
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with {output.ndim} dims. "
                    "Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            found = _grad((output,), leaves, (None,), level.outside(output))
        gradient = build([_zeros_like(x) if g is None else level.leave(g) for g, x in zip(found, leaves, strict=True)], shape)  # fmt: skip
        value = level.leave(output)
        return (gradient, (value, tree_map(level.leave, aux))) if has_aux else (gradient, value)

    return wrapper


def grad(func: Function, argnums: ArgNums = 0, has_aux: bool = False) -> Function:
    """A function that returns the gradient of `func`, or (gradient, aux); see grad_and_value."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """The output of `func` at `primals`, and a function from cotangents (like the output) to one gradient for each primal.

    That function may be called any number of times. has_aux: func returns (output, aux), and aux comes third.
    """
    output, pull, aux, _ = _vjp(func, primals, tuple(range(len(primals))), has_aux)
    return (output, pull, aux) if has_aux else (output, pull)


def _vjp(func: Function, args: tuple[Any, ...], argnums: ArgNums, has_aux: bool) -> tuple[Any, Function, Any, Any]:  # fmt: skip
    level = _Level()
    with enable_grad():
        args, leaves, shape = _entered(level, args, argnums)
        output = func(*args)
        output, aux = _with_aux(output, "vjp(f, *primals)") if has_aux else (output, None)
        outs, out_shape = flatten(output)
        _tensors_only(outs, "vjp(f, *primals)")
        for o in outs:
            if not o.is_floating_point():
                raise RuntimeError(
                    f"vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype {o.dtype}"
                )

    def pull(cotangents: Any) -> Any:
        """The gradients for `cotangents`, a tree like the output of the function."""
        given, given_shape = flatten(cotangents)
        if given_shape != out_shape:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {given_shape}, primal output: {out_shape}"
            )
        _tensors_only(given, "vjp(f, *primals)")
        for i, (c, o) in enumerate(zip(given, outs, strict=True)):
            if c.shape != o.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {c.shape} and output[{i}] has a shape of {o.shape}."
                )
        return build(pull_flat(given, outs), shape)

    entangled = level.outside(*outs)

    def pull_flat(given: list[Any], of: list[Any]) -> list[Tensor]:
        """The gradients of the outputs `of`."""
        recorded = is_grad_enabled() and (entangled or level.outside(*given))
        with set_grad_enabled(recorded):
            found = _grad(of, leaves, given, recorded)
        return [_zeros_like(x) if g is None else level.leave(g) for g, x in zip(found, leaves, strict=True)]

    return (
        build([level.leave(o) for o in outs], out_shape),
        pull,
        tree_map(level.leave, aux) if has_aux else None,
        (outs, out_shape, leaves, shape, pull_flat),
    )


def jvp(
    func: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...], *, strict: bool = False, has_aux: bool = False
) -> Any:  # fmt: skip
    """The output of `func` at `primals`, and its derivative along `tangents` (like primals), in the form of the output.

    strict: raises RuntimeError where an output does not depend on the primals, instead of giving zeros.
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    output, push, aux = _jvp(func, primals, tuple(range(len(primals))), has_aux, strict)
    result = push(tangents)
    return (output, result, aux) if has_aux else (output, result)


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """The output of `func` at `primals`, and a function from tangents to the derivative of the output along them."""
    output, push, _ = _jvp(func, primals, tuple(range(len(primals))), False, False)
    return output, lambda *tangents: push(tangents)


def _jvp(
    func: Function, args: tuple[Any, ...], argnums: ArgNums, has_aux: bool, strict: bool
) -> tuple[Any, Function, Any]:
    """The output and the function that pushes tangents forward: the derivative, by its weights, of the left product."""
    level = _Level()
    what = "jvp(f, primals, tangents)"
    with enable_grad():
        args, leaves, shape = _entered(level, args, argnums)
        output = func(*args)
        output, aux = _with_aux(output, what) if has_aux else (output, None)
        outs, out_shape = flatten(output)
        _tensors_only(outs, what)
        active = [o.requires_grad for o in outs]
        weights = [level.own(_zeros_like(o)) for o, on in zip(outs, active, strict=True) if on]
        left = _grad([o for o, on in zip(outs, active, strict=True) if on], leaves, weights, True)
        if strict and not (all(active) and any(g is not None for g in left)):
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
                "This is not allowed with strict=True."
            )

    entangled = level.outside(*outs)

    def push(tangents: Any) -> Any:
        given, given_shape = flatten(tangents)
        if given_shape != shape:
            raise RuntimeError(
                f"{what}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple "
                f"of 3 tensors, tangents also must be. Got primals with structure {shape} and tangents with structure {given_shape}"
            )
        for t, x in zip(given, leaves, strict=True):
            if not isinstance(t, Tensor):
                raise RuntimeError(f"{what}: Expected tangents to only contain Tensors, got {type(t)}")
            if t.shape != x.shape:
                raise RuntimeError(
                    "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
                    f"supported. Tensor is of size {list(x.shape)} while the given forward gradient is of size {list(t.shape)}."
                )
            if t.dtype is not x.dtype:
                raise RuntimeError(f"{what}: a tangent has its primal's dtype, {x.dtype}, but got {t.dtype}")
        return build(push_flat(given), out_shape)

    def push_flat(given: list[Any]) -> list[Tensor]:
        recorded = is_grad_enabled() and (entangled or level.outside(*given))
        with set_grad_enabled(recorded):
            found = iter(_grad(left, weights, given, recorded) if weights else ())
        result = []
        for o, on in zip(outs, active, strict=True):
            g = next(found) if on else None
            result.append(_zeros_like(o) if g is None else level.leave(g))
        return result

    return (
        build([level.leave(o) for o in outs], out_shape),
        push,
        tree_map(level.leave, aux) if has_aux else None,
    )


def jacrev(
    func: Function, argnums: ArgNums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Function:
    """A function that returns the Jacobian of `func`, by one backward pass for each element of the output.

    The result has the form of the output, each tensor of which is replaced by the derivatives by the argument(s), of shape
    output + input. chunk_size: accepted; rows are computed one by one in any case.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = functools.partial(func, **kwargs) if kwargs else func
        _, _, aux, (outs, out_shape, leaves, shape, pull) = _vjp(call, args, argnums, has_aux)
        table = []
        for o in outs:
            rows: list[list[Tensor]] = [[] for _ in leaves]
            for position in range(o.numel()):
                for into, g in zip(rows, pull([_unit(o, position)], [o]), strict=True):
                    into.append(g)
            table.append(build([_stacked(r, (*o.shape, *x.shape), x) for r, x in zip(rows, leaves, strict=True)], shape))  # fmt: skip
        result = build(table, out_shape)
        return (result, aux) if has_aux else result

    return wrapper


def jacfwd(
    func: Function, argnums: ArgNums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that returns the Jacobian of `func`, by one pass for each element of the input; the form is jacrev's.

    randomness: accepted; the function runs once, so that its random numbers are the same for all columns.
    """
    _check_randomness(randomness)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = functools.partial(func, **kwargs) if kwargs else func
        output, push, aux = _jvp(call, args, argnums, has_aux, False)
        outs, out_shape = flatten(output)
        chosen, shape = flatten(_chosen(args, argnums))
        table: list[list[Tensor]] = [[] for _ in outs]
        for number, x in enumerate(chosen):
            columns: list[list[Tensor]] = [[] for _ in outs]
            for position in range(x.numel()):
                tangents = [_unit(p, position) if k == number else _zeros_like(p) for k, p in enumerate(chosen)]  # fmt: skip
                for into, t in zip(columns, flatten(push(build(tangents, shape)))[0], strict=True):
                    into.append(t)
            for k, o in enumerate(outs):
                stacked = _stacked(columns[k], (x.numel(), *o.shape), o)
                turned = stacked.permute(*range(1, o.ndim + 1), 0)
                table[k].append(turned.reshape(*o.shape, *x.shape))
        result = build([build(row, shape) for row in table], out_shape)
        return (result, aux) if has_aux else result

    return wrapper


def hessian(func: Function, argnums: ArgNums = 0) -> Function:
    """A function that returns the second derivatives of `func`: jacfwd of jacrev."""
    return jacfwd(jacrev(func, argnums), argnums)


def _check_randomness(randomness: str) -> None:
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )


def _positions(argnums: Any, count: int) -> tuple[int, ...]:
    """argnums as positions among `count` arguments."""
    if isinstance(argnums, bool) or not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    found = []
    for n in argnums if isinstance(argnums, tuple) else (argnums,):
        if isinstance(n, bool) or not isinstance(n, int):
            raise RuntimeError(f"argnum must be int, got: {type(n)}")
        if not -count <= n < count:
            raise RuntimeError(f"Got argnum={n}, but only {count} positional inputs")
        found.append(n % count)
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    if not found:
        raise RuntimeError("argnums must be non-empty")
    return tuple(found)


def _chosen(args: tuple[Any, ...], argnums: ArgNums) -> Any:
    positions = _positions(argnums, len(args))
    return tuple(args[p] for p in positions) if isinstance(argnums, tuple) else args[positions[0]]


def _entered(
    level: _Level, args: tuple[Any, ...], argnums: ArgNums
) -> tuple[tuple[Any, ...], list[Tensor], Shape]:
    """The arguments with aliases in place of those to differentiate by; these aliases, and their tree."""
    if argnums == ():  # vjp and jvp of a function of nothing
        raise RuntimeError("argnums must be non-empty")
    leaves, shape = flatten(_chosen(args, argnums))
    aliases = [level.enter(x) for x in leaves]
    inside = build(aliases, shape)
    new = list(args)
    for place, value in zip(_positions(argnums, len(args)), inside if isinstance(argnums, tuple) else (inside,), strict=True):  # fmt: skip
        new[place] = value
    return tuple(new), aliases, shape


def _with_aux(output: Any, what: str) -> tuple[Any, Any]:
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(f"{what}: output of function f should be a tuple: (output, aux) if has_aux is True")  # fmt: skip
    return output


def _tensors_only(outs: list[Any], what: str) -> None:
    if not outs:
        raise RuntimeError(
            f"{what}: Expected f to be a function that has non-empty output (got output = {outs})"
        )
    for o in outs:
        if not isinstance(o, Tensor):
            raise RuntimeError(
                f"{what}: expected f(*primals) to return only tensors, got unsupported type {type(o)}"
            )
