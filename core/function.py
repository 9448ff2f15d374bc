"""autograd.Function: the user's own operations, with forward and backward as static methods."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from . import versions
from .dtypes import FLOATS
from .engine_extras import at_its_place
from .grad_mode import state as grad_state
from .node import FREED, SECOND_TIME, Node, OutputSlot, next_seq
from .observers import Packed, observe, unpacked
from .tensor import Tensor
from .views import attach_returned, check_writable, rebase, refresh

__all__ = ["Function", "once_differentiable"]


class _Context(Node):
    """The `ctx` of a Function, which is also its node in the graph."""

    __slots__ = (
        "__dict__",
        "_dirty",
        "_function",
        "_none_as_zeros",
        "_not_differentiable",
        "_own_outputs",
        "_places",
        "_tensors",
        "needs_input_grad",
    )
    fresh = False

    def __init__(self, function: type[Function], needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self.hooks, self.attrs = None, None
        self.saved: Any = ()
        self._function, self._none_as_zeros = function, True
        self._places: tuple[Any, ...] = ()  # of the saved tensors in the graph
        self._tensors: tuple[bool, ...] = ()  # which of the arguments are tensors
        self._not_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._own_outputs: dict[
            int, int
        ] = {}  # position among the saved tensors -> number of the output it is

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors for backward, where they are `ctx.saved_tensors`."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}"
                )
        self.saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        saved: tuple[Any, ...] = self.__dict__.get("_given", self.saved)
        if saved is FREED:
            raise RuntimeError(SECOND_TIME)
        if any(s.__class__ is Packed for s in saved):
            return tuple(
                Tensor._wrap(s) if hasattr(s, "base") else s for s in unpacked(self, grad_state.enabled)
            )
        return saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Says which inputs forward changes in place; it must return them."""
        self._dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        self._none_as_zeros = value

    def name(self) -> str:
        return self._function.__name__ + "Backward"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """As for every node, but for those arguments alone that are tensors."""
        every = super().next_functions
        return tuple(f for f, is_tensor in zip(every, self._tensors, strict=True) if is_tensor)

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        return len(self.attrs)

    def _place(self, number: int, output: Tensor) -> Any:
        """What the tensor of an output has as its node."""
        if len(self.attrs) == 1:
            return self
        return OutputSlot(self, number, output._array.shape, output._array.dtype)

    def backward(self, m: Any, g: Any, *saved: Any) -> tuple[Any, ...]:
        on_tensors = grad_state.enabled

        def lifted(x: Any) -> Any:
            return x if x is None or isinstance(x, Tensor) else Tensor._wrap(x)

        grads = [lifted(x) for x in g] if isinstance(g, list) else [lifted(g)]
        if self._none_as_zeros:
            for i, (shape, like) in enumerate(self.attrs):
                if grads[i] is None:
                    grads[i] = Tensor._wrap(like(shape))
        given = [lifted(s) for s in saved]
        if on_tensors:  # an output that was saved stands for its place in the graph: it depends on the inputs
            if self.hooks is None or not self.hooks.packed:
                given = [
                    at_its_place(s, p) if s is not None else s
                    for s, p in zip(given, self._places, strict=True)
                ]
            for position, number in self._own_outputs.items():
                given[position] = Tensor._recorded(
                    given[position]._array, self._place(number, given[position])
                )
        self.__dict__["_given"] = tuple(given)
        try:
            own = self._function
            run = own.vjp if own.backward is Function.backward else own.backward
            result = run(self, *grads)
        finally:
            del self.__dict__["_given"]
        results = result if isinstance(result, tuple) else (result,)
        if len(results) < len(self.needs_input_grad):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients "
                f"(expected {len(self.needs_input_grad)}, got {len(results)})"
            )
        kept = results[: len(self.needs_input_grad)]
        if any(extra is not None for extra in results[len(kept) :]):
            raise RuntimeError(
                f"function {self.name()} returned an incorrect number of gradients (expected {len(kept)}, got {len(results)})"
            )
        for i, (edge, r) in enumerate(zip(self.edges, kept, strict=True)):
            if edge is not None and r is not None and not isinstance(r, Tensor):
                raise TypeError(
                    f"{self.name()}: gradient {i} must be a tensor or None, got {type(r).__name__}"
                )
        return tuple(r if r is None or on_tensors else r._array for r in kept)


class Function:
    """Base of one's own differentiable operations; see PyTorch's torch.autograd.Function.

    `forward(ctx, *args)` (or `forward(*args)` with `setup_context(ctx, inputs, output)`) computes the output;
    `backward(ctx, *grad_outputs)` returns one gradient for each argument. Used through `apply`.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function."
        )

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name for backward."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function."
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        raise NotImplementedError("setup_context is not defined")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function with "
            "static forward method: call apply() of the class."
        )

    @classmethod
    def _node_type(cls) -> type[_Context]:
        """The type of this Function's nodes, which has its name."""
        found = cls.__dict__.get("_nodes")
        if found is None:
            if cls.backward is not Function.backward and cls.vjp is not Function.vjp:
                raise RuntimeError(
                    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
                    "of them."
                )
            found = type(cls.__name__ + "Backward", (_Context,), {"__slots__": ()})
            cls._nodes = found  # type: ignore[attr-defined]
        return found

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs forward and records it. Keywords are put at their places among the arguments."""
        if kwargs or (cls.forward.__defaults__ and cls.setup_context is not Function.setup_context):
            args = _bound(cls, args, kwargs)
        if versions.watch:
            for a in args:
                if isinstance(a, Tensor):
                    refresh(a)
        needs = tuple([isinstance(a, Tensor) and a._requires_grad for a in args])
        ctx = cls._node_type()(cls, needs)
        before, grad_state.enabled = grad_state.enabled, False
        try:
            if cls.setup_context is not Function.setup_context:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
            else:
                output = cls.forward(ctx, *args)
        finally:
            grad_state.enabled = before
        outputs = output if isinstance(output, tuple) else (output,)
        recorded = before and any(needs)
        for d in ctx._dirty:
            if not any(o is d for o in outputs):
                raise RuntimeError(
                    "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
                    f"modified inplace must all be outputs of the Function. ({cls.__name__})"
                )
            if recorded:
                check_writable(d, "has been")  # brings a view up to date: the write is to be noted after that
            versions.note_change(d._array, rewrites=recorded)
        if not recorded:
            return output
        ctx._tensors = tuple([isinstance(a, Tensor) for a in args])
        ctx.edges = tuple((a._node or a) if need else None for a, need in zip(args, needs, strict=True))
        ctx.seq = next_seq()
        ctx.attrs = tuple(_zeros_like(o) for o in outputs)
        if len(outputs) == 1 and isinstance(outputs[0], Tensor):
            ctx.shape, ctx.dtype = outputs[0]._array.shape, outputs[0]._array.dtype
        results = [_recorded(o, ctx, i, args) for i, o in enumerate(outputs)]
        ctx._places = tuple(s._node if isinstance(s, Tensor) else None for s in ctx.saved)
        if versions.watch:
            observe(ctx, tuple(o._array for o in outputs if isinstance(o, Tensor)))
        return tuple(results) if isinstance(output, tuple) else results[0]


def _bound(cls: type[Function], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of forward in order, keywords among them, and with setup_context the defaults too."""
    signature = inspect.signature(cls.forward)
    if any(p.kind is p.KEYWORD_ONLY and n in kwargs for n, p in signature.parameters.items()):
        raise TypeError("forward() got an unexpected keyword argument (keyword-only arguments are not taken)")
    if cls.setup_context is Function.setup_context:
        return signature.bind(None, *args, **kwargs).args[1:]
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


def _zeros_like(o: Any) -> tuple[Any, Any]:
    if not isinstance(o, Tensor):
        return (), lambda shape: None
    from .backends import module_of

    xp, dtype = module_of(o._array), o._array.dtype
    return o._array.shape, lambda shape: xp.zeros(shape, dtype)


def _recorded(o: Any, ctx: _Context, number: int, args: tuple[Any, ...]) -> Any:
    """Output `number` at its place in the graph; an input returned as it is becomes a new tensor first."""
    if (
        not isinstance(o, Tensor)
        or o._array.dtype not in FLOATS
        or any(o is n for n in ctx._not_differentiable)
    ):
        return o
    dirty = any(o is d for d in ctx._dirty)
    as_it_is = any(o is a for a in args)
    t = Tensor._wrap(o._array) if not dirty and (o._requires_grad or as_it_is) else o
    if not dirty and (as_it_is or o._view is not None):
        attach_returned(t, o if as_it_is else o._view.base, ctx.name())
    for position, s in enumerate(ctx.saved):
        if s is o:  # a saved output would hold its own node, in a cycle: keep a plain alias instead
            ctx.saved = (*ctx.saved[:position], Tensor._wrap(o._array), *ctx.saved[position + 1 :])
            ctx._own_outputs[position] = number
    if dirty:
        rebase(t, ctx._place(number, o))
    else:
        t._node, t._requires_grad = ctx._place(number, o), True
    return t


def once_differentiable(fn: Any) -> Any:
    """Decorates a Function's backward that can't be differentiated again: create_graph gives gradients that refuse to be."""

    @functools.wraps(fn)
    def backward(ctx: Any, *grads: Any) -> Any:
        if not grad_state.enabled:
            return fn(ctx, *grads)
        before, grad_state.enabled = grad_state.enabled, False
        try:
            results = fn(ctx, *[g.detach() if isinstance(g, Tensor) else g for g in grads])
        finally:
            grad_state.enabled = before
        inputs = [t for t in (*grads, *ctx.saved_tensors) if isinstance(t, Tensor) and t._requires_grad]
        if not inputs:
            return results
        several = results if isinstance(results, tuple) else (results,)
        refusing = tuple(_OnlyOnce.apply(r, *inputs) if isinstance(r, Tensor) else r for r in several)
        return refusing if isinstance(results, tuple) else refusing[0]

    return backward


class _OnlyOnce(Function):
    """Passes its first argument on; its backward raises."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *inputs: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
