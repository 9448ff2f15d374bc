"""The one index of operations, and how an operation is applied to tensors.

`@register("exp")` on an Op puts it into `index` and gives both namespaces a function of that name:
`arrays.exp(array)` is the bare forward, `tensors.exp(tensor)` the recorded operation.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from .. import versions
from ..dtypes import FLOATS, FULL, HALVES, from_numpy_dtype, resolve
from ..dtypes import dtype as DType
from ..grad_mode import state as grad_state
from ..node import Op, OutputSlot, next_seq
from ..observers import observe
from ..tensor import Tensor
from ..views import attach, refresh
from .halves import has_halves, in_float32, node_class

__all__ = [
    "apply",
    "apply_several",
    "arrays",
    "as_tensor",
    "binary",
    "index",
    "operator",
    "register",
    "taken",
    "tensors",
    "unary",
]

index: dict[str, type[Op]] = {}
arrays: Any = SimpleNamespace()
tensors: Any = SimpleNamespace()

OpType = TypeVar("OpType", bound=type[Op])
_SCALARS = frozenset((int, float, bool))
_BOTH = (0, 1)
_TWO_TENSORS = (True, True)
_new = object.__new__
_ndarray = np.ndarray


def register(
    name: str, inputs: int = 1, promotes: bool = False, outputs: int = 1
) -> Callable[[OpType], OpType]:
    """Enters an Op under `name`.

    inputs: how many leading arguments are tensors (-1: all but the last); the rest are attributes.
    promotes: a binary operation whose operands may be numbers or of different dtypes.
    outputs: how many arrays forward returns, as a tuple where it is more than one (-1: as many as the node's `n_outputs`
    says).
    """

    def enter(op: OpType) -> OpType:
        if name in index:
            raise ValueError(f"operation {name} is declared twice")
        index[name] = op
        op.registered = name
        op.promotes = promotes
        if outputs > 0:
            op.n_outputs = outputs
        op.saves_output = "out" in op.save
        if op.saves_output and op.save[-1] != "out":
            raise TypeError(f"operation {name}: 'out' must come last in save")
        setattr(arrays, name, op.forward)

        def recorded(*args: Any) -> Any:
            if promotes:
                return binary(op, *args)
            return (apply if outputs == 1 else apply_several)(op, args[:inputs], args[inputs:])

        recorded.__name__ = recorded.__qualname__ = name
        setattr(tensors, name, recorded)
        return op

    return enter


def apply(op: type[Op], inputs: tuple[Any, ...], attrs: tuple[Any, ...] = ()) -> Tensor:
    """Runs `op` on tensors of one device (dtypes as they are) and records it where a gradient may be wanted."""
    forward, raw = op.forward, []
    for t in inputs:
        array = t._array
        if array.dtype in HALVES:
            forward = in_float32(op)
        raw.append(array)
    try:
        out = grad_state.quiet(forward, *raw, *attrs)
    except (TypeError, ValueError, RuntimeError) as e:
        out = _after_error(e, op, inputs, (*raw, *attrs))
    if grad_state.enabled:
        if versions.watch:
            for t in inputs:
                refresh(t)
        for t in inputs:
            if t._requires_grad:
                result = record(op, inputs, attrs, out)
                return attach(result, op, inputs[0], attrs) if op.is_view else result  # type: ignore[no-any-return]
    return attach(Tensor._wrap(out), op, inputs[0], attrs) if op.is_view else Tensor._wrap(out)


def taken(op: type[Op], inputs: tuple[Any, ...], attrs: tuple[Any, ...], out: Any) -> Tensor:
    """`apply` for an operation whose output is known already, as an extreme is once its place is."""
    if grad_state.enabled:
        if versions.watch:
            for t in inputs:
                refresh(t)
        for t in inputs:
            if t._requires_grad:
                return record(op, inputs, attrs, out)
    return Tensor._wrap(out)


def apply_several(op: type[Op], inputs: tuple[Any, ...], attrs: tuple[Any, ...] = ()) -> tuple[Tensor, ...]:
    """`apply` for an operation whose forward returns several arrays.

    Its backward gets a list with one gradient for each output, None where nothing has arrived; a save of "out" stands
    for all outputs from `first_saved` on, as the last arguments.
    """
    arrays_ = [t._array for t in inputs]
    forward = in_float32(op) if has_halves(arrays_) else op.forward
    try:
        outs = grad_state.quiet(forward, *arrays_, *attrs)
    except (TypeError, ValueError, RuntimeError) as e:
        outs = _after_error(e, op, inputs, (*arrays_, *attrs))
    wrapped = tuple(Tensor._wrap(out) for out in outs)
    if grad_state.enabled:
        if versions.watch:
            for t in inputs:
                refresh(t)
        if any(t._requires_grad for t in inputs):
            return _recorded_several(op, inputs, attrs, wrapped)
    return wrapped


def _recorded_several(
    op: type[Op], inputs: tuple[Any, ...], attrs: tuple[Any, ...], outs: tuple[Tensor, ...]
) -> tuple[Tensor, ...]:
    node: Any = _new(node_class(op) if has_halves(out._array for out in outs) else op)
    node.edges = tuple([(t._node or t) if t._requires_grad else None for t in inputs])
    plain = tuple(out._array for out in outs)
    kept = plain[op.first_saved :] if op.saves_output else ()
    node.saved = tuple([inputs[s] for s in op.save if s != "out"]) + kept  # type: ignore[index]
    node.attrs, node.seq, node.hooks = attrs, next_seq(), None
    node.shape, node.dtype = plain[0].shape, plain[0].dtype
    for i, out in enumerate(outs):
        if out._array.dtype in FLOATS:
            out._node = OutputSlot(node, i, out._array.shape, out._array.dtype)
            out._requires_grad = True
    if versions.watch:
        observe(node, plain)
    return outs


def record(op: type[Op], inputs: tuple[Any, ...], attrs: Any, out: Any) -> Tensor:
    """The tensor of `out`, with a node that leads back to `inputs` (tensors or Python scalars)."""
    if out.__class__ is not np.ndarray and isinstance(out, np.generic):
        out = np.asarray(out)
    if out.dtype not in FULL:
        if out.dtype not in FLOATS:
            return Tensor._wrap(out)  # no gradient flows through integers and bools
        op = node_class(op)
    edges = tuple([None if t.__class__ in _SCALARS or not t._requires_grad else t._node or t for t in inputs])
    save = op.save
    if save == _BOTH and len(inputs) == 2:
        saved = inputs
        if op.spares and (edges[0] is None or edges[1] is None):
            saved = _needed(op, inputs, edges)
    else:
        saved = tuple([out if s.__class__ is str else inputs[s] for s in save])  # type: ignore[index]
    result = _recorded(op, edges, saved, attrs, out)
    if versions.watch:
        observe(result._node, (out,))
    return result


def _needed(op: type[Op], inputs: tuple[Any, ...], edges: tuple[Any, ...]) -> tuple[Any, ...]:
    """The two inputs, None for one that only the gradient of the other would need, where nobody asks for that."""
    return tuple([None if i in op.spares and edges[1 - i] is None else x for i, x in enumerate(inputs)])


def _recorded(op: type[Op], edges: tuple[Any, ...], saved: tuple[Any, ...], attrs: Any, out: Any) -> Tensor:
    node: Any = _new(op)
    node.edges = edges
    node.saved = saved
    node.attrs = attrs
    node.seq = next_seq()
    node.shape = out.shape
    node.dtype = out.dtype
    node.hooks = None
    result: Tensor = _new(Tensor)
    result._array = out
    result._node = node
    result._requires_grad = True
    result._cold = result._grad = result._view = None
    return result


def unary(op: type[Op]) -> Callable[[Tensor], Tensor]:
    """`apply` of an op of one tensor, with the ordinary case (a recorded NumPy tensor) spelled out: a third less time."""
    forward, saves_input, saves_output = op.forward, op.save == (0,), op.save == ("out",)
    plain = saves_input or saves_output or not op.save

    def run(input: Tensor) -> Tensor:
        if isinstance(input, Tensor) and input._requires_grad and grad_state.enabled and not versions.watch:
            x = input._array
            if plain and x.__class__ is _ndarray and x.dtype in FULL and not op.is_view:
                try:
                    out = grad_state.quiet(forward, x)
                except RuntimeError:
                    return apply(op, (input,))
                if out.__class__ is _ndarray and out.dtype is x.dtype:
                    saved = (out,) if saves_output else (input,) if saves_input else ()
                    return _recorded(op, (input._node or input,), saved, (), out)
        elif not isinstance(input, Tensor):
            raise TypeError(f"{op.registered}(): argument 'input' must be Tensor, not {type(input).__name__}")
        return apply(op, (input,))

    return run


def operator(
    op: type[Op],
    check: Callable[[Any, Any], None] | None = None,
    otherwise: Callable[[type[Op], Any, Any], Tensor] | None = None,
) -> Callable[[Any, Any], Tensor]:
    """`binary` of one op, with the ordinary case (two recorded NumPy tensors of one dtype) spelled out: a third less time.

    check: sees the operands of all other cases first. otherwise: what they go to, in place of `binary`.
    """
    forward, both, spares = op.forward, op.save == _BOTH, op.spares
    otherwise = otherwise or binary

    def run(input: Any, other: Any) -> Tensor:
        if (
            isinstance(input, Tensor)
            and isinstance(other, Tensor)
            and grad_state.enabled
            and not versions.watch
        ):
            x, y = input._array, other._array
            dtype = x.dtype
            if dtype is y.dtype and x.__class__ is _ndarray is y.__class__ and dtype in FULL:
                try:
                    out = grad_state.quiet(forward, x, y)
                except (ValueError, RuntimeError):
                    return otherwise(op, input, other)  # which has the words for it
                if out.__class__ is _ndarray and (input._requires_grad or other._requires_grad):
                    edges = (
                        (input._node or input) if input._requires_grad else None,
                        (other._node or other) if other._requires_grad else None,
                    )
                    saved: tuple[Any, ...] = (input, other) if both else ()
                    if spares and (edges[0] is None or edges[1] is None):
                        saved = _needed(op, saved, edges)
                    return _recorded(op, edges, saved, _TWO_TENSORS, out)
        if check is not None:
            check(input, other)
        return otherwise(op, input, other)

    return run


def binary(op: type[Op], a: Any, b: Any) -> Tensor:
    """An elementwise operation of two tensors or a tensor and a number, with PyTorch's promotion."""
    a_is, b_is = isinstance(a, Tensor), isinstance(b, Tensor)
    forward = op.forward
    if a_is and b_is:
        x, y = a._array, b._array
        if x.__class__ is not y.__class__:
            a, b = _one_device(op, a, b)
            x, y = a._array, b._array
        if x.dtype != y.dtype:
            x, y = _promoted(a, b)
        if x.dtype in HALVES:
            forward = in_float32(op)
    elif a_is:
        x, y = a._array, b
        if y.__class__ not in _SCALARS:
            y = b = as_number(op, b)
        if x.dtype not in FULL:
            x, y = _promoted_scalar(op, a, y)
            if x.dtype in HALVES:
                forward = in_float32(op)
    elif b_is:
        x, y = a, b._array
        if x.__class__ not in _SCALARS:
            x = a = as_number(op, a)
        if y.dtype not in FULL:
            y, x = _promoted_scalar(op, b, x)
            if y.dtype in HALVES:
                forward = in_float32(op)
    else:
        return binary(op, as_tensor(a), b)
    try:
        out = grad_state.quiet(forward, x, y)
    except (TypeError, ValueError, RuntimeError) as e:
        out = _after_error(e, op, (a, b), (x, y))
    if grad_state.enabled:
        if versions.watch:
            if a_is:
                refresh(a)
            if b_is:
                refresh(b)
        if (a_is and a._requires_grad) or (b_is and b._requires_grad):
            return record(op, (a, b), (a_is, b_is), out)
    return Tensor._wrap(out)


def _after_error(error: Exception, op: type[Op], inputs: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
    """What `op` gives after `error`, or the error that says what was wrong with `inputs`."""
    found = {str(t.device): t for t in inputs if isinstance(t, Tensor)}
    if len(found) > 1:
        raise RuntimeError(
            "Expected all tensors to be on the same device, but found at least two devices, "
            f"{' and '.join(found)}! ({op.__name__.lower()}; move one with .to(device))"
        ) from None
    if "cannot enter context" in str(error):  # an operation within an operation: a finalizer that ran between
        with np.errstate(all="ignore"):
            return op.forward(*args)
    if isinstance(error, ValueError):
        shapes = [getattr(x, "shape", ()) for x in args[: len(inputs)]]
        raise _shapes_differ(op, error, shapes) from None
    raise error


def as_number(op: type[Op], x: Any) -> Any:
    """A Python number of `x`, or TypeError: what stands beside a tensor in arithmetic is a tensor or a number."""
    if isinstance(x, (np.generic, np.ndarray)) and np.ndim(x) == 0:
        return x.item()
    raise TypeError(
        f"{op.__name__.lower()}: expected a tensor or a number, got {type(x).__name__}; convert it with torch.as_tensor"
    )


def as_tensor(x: Any) -> Tensor:
    """`x` itself if it is a tensor, else a tensor of the number or array."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, float):
        return Tensor._wrap(np.asarray(x, resolve((), (), (x,)).numpy))
    return Tensor._wrap(np.asarray(x))


def _one_device(op: type[Op], a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """A 0-d CPU tensor may stand beside a GPU tensor; everything else must be on one device."""
    if a._array.ndim == 0 and a.device.type == "cpu":
        return a.to(b.device), b
    if b._array.ndim == 0 and b.device.type == "cpu":
        return a, b.to(a.device)
    raise RuntimeError(
        "Expected all tensors to be on the same device, but found at least two devices, "
        f"{a.device} and {b.device}! ({op.__name__.lower()}; move one with .to(device))"
    )


def _promoted(a: Tensor, b: Tensor) -> tuple[Any, Any]:
    x, y = a._array, b._array
    dims = [from_numpy_dtype(z.dtype) for z in (x, y) if z.ndim]
    zeros = [from_numpy_dtype(z.dtype) for z in (x, y) if not z.ndim]
    to = resolve(dims, zeros, ()).numpy
    return x.astype(to, copy=False), y.astype(to, copy=False)


def _promoted_scalar(op: type[Op], t: Tensor, scalar: Any) -> tuple[Any, Any]:
    x = t._array
    if x.dtype in HALVES:
        if not op.scales:
            scalar = grad_state.quiet(x.dtype.type, scalar)
        return x, scalar
    own = from_numpy_dtype(x.dtype)
    to = resolve((own,) if x.ndim else (), () if x.ndim else (own,), (scalar,))
    if to is own and isinstance(scalar, int) and own.name != "bool":
        limits = np.iinfo(own.numpy)
        if not limits.min <= scalar <= limits.max:
            raise RuntimeError(f"value cannot be converted to type {own.name} without overflow: {scalar}")
    return x.astype(to.numpy, copy=False), scalar


def _shapes_differ(op: type[Op], error: Exception, shapes: list[tuple[int, ...]]) -> RuntimeError:
    if len(shapes) == 2 and op.promotes:
        a, b = shapes
        n = max(len(a), len(b))
        wide_a, wide_b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
        for i in reversed(range(n)):
            if wide_a[i] != wide_b[i] and 1 not in (wide_a[i], wide_b[i]):
                return RuntimeError(
                    f"The size of tensor a ({wide_a[i]}) must match the size of tensor b ({wide_b[i]}) "
                    f"at non-singleton dimension {i} (shapes {list(a)} and {list(b)})"
                )
    return RuntimeError(f"{op.__name__.lower()}: {error} (shapes {', '.join(str(list(s)) for s in shapes)})")


def cast_inputs(x: Tensor, to: DType) -> Tensor:
    """`x` in dtype `to`, recorded."""
    return x if x._array.dtype == to.numpy else tensors.cast(x, to.numpy)  # type: ignore[no-any-return]
