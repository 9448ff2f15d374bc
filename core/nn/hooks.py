"""Hooks of modules: the ones before and after forward, and the ones on gradients of a module's inputs and outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from ..function import Function
from ..node import RemovableHandle
from ..tensor import Tensor

__all__ = ["BackwardHooks", "ForwardHook", "register", "with_arguments", "with_output"]


class ForwardHook(NamedTuple):
    """A hook and how it is called: with keyword arguments too, and after a forward that failed too."""

    call: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


def register(hooks: list[Any], entry: Any, prepend: bool = False) -> RemovableHandle:
    """Puts `entry` at the end of `hooks`, or before all others."""
    hooks.insert(0 if prepend else len(hooks), entry)
    return RemovableHandle(hooks, entry)


def with_arguments(module: Any, hooks: list[ForwardHook], args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The arguments of forward after the hooks before it."""
    for hook in tuple(hooks):
        if hook.with_kwargs:
            replaced = hook.call(module, args, kwargs)
            if replaced is None:
                continue
            if not (isinstance(replaced, tuple) and len(replaced) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                )
            args, kwargs = replaced
        else:
            replaced = hook.call(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
    return args, kwargs


def with_output(module: Any, hooks: list[ForwardHook], args: Any, kwargs: Any, output: Any) -> Any:
    """What forward gave, after the hooks that follow it."""
    for hook in hooks:
        replaced = (
            hook.call(module, args, kwargs, output) if hook.with_kwargs else hook.call(module, args, output)
        )
        if replaced is not None:
            output = replaced
    return output


class _Gate(Function):
    """Passes tensors on, and lets `on_gradients` see and replace the tuple of their gradients on the way back."""

    @staticmethod
    def forward(
        ctx: Any, on_gradients: Callable[[tuple[Any, ...]], tuple[Any, ...]], *tensors: Tensor
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.on_gradients = on_gradients
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.on_gradients(grads))


class BackwardHooks:
    """One call of a module with hooks on its gradients: gates around its inputs and its outputs.

    The hooks after it get (module, grad_input, grad_output) and may replace grad_input; those before it get
    (module, grad_output) and may replace grad_output. Entries of what is no tensor that requires grad are None.
    """

    def __init__(self, module: Any, pre: list[Any], post: list[Any]) -> None:
        self.module, self.pre, self.post = module, tuple(pre), tuple(post)
        self.grad_output: Any = None
        self.n_inputs = self.n_outputs = 0
        self.input_places: list[int] = []

    def around_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        if not places or not self.post:
            return args
        self.input_places = places
        passed = _Gate.apply(self._at_inputs, *(args[i] for i in places))
        new = list(args)
        for i, t in zip(places, passed, strict=True):
            new[i] = t
        return tuple(new)

    def around_outputs(self, output: Any) -> Any:
        several = isinstance(output, tuple)
        outputs = list(output) if several else [output]
        self.n_outputs = len(outputs)
        places = [i for i, o in enumerate(outputs) if isinstance(o, Tensor) and o.requires_grad]
        if not places:
            return output
        passed = _Gate.apply(lambda grads: self._at_outputs(places, grads), *(outputs[i] for i in places))
        for i, t in zip(places, passed, strict=True):
            outputs[i] = t
        return (
            type(output)(outputs)
            if several and not hasattr(output, "_make")
            else (output._make(outputs) if several else outputs[0])
        )

    def _at_outputs(self, places: list[int], grads: tuple[Any, ...]) -> tuple[Any, ...]:
        full: list[Any] = [None] * self.n_outputs
        for i, g in zip(places, grads, strict=True):
            full[i] = g
        grad_output = tuple(full)
        for hook in self.pre:
            replaced = hook(self.module, grad_output)
            if replaced is None:
                continue
            replaced = replaced if isinstance(replaced, tuple) else (replaced,)
            if len(replaced) != len(grad_output):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(replaced)}, but expected {len(grad_output)}"
                )
            grad_output = replaced
        self.grad_output = grad_output
        if self.post and not self.input_places:  # no gradient will pass the inputs: the hooks are called here
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no inputs "
                "require gradients: it sees None for each of them.",
                stacklevel=2,
            )
            self._call_post((None,) * self.n_inputs)
        return tuple(grad_output[i] for i in places)

    def _at_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        full: list[Any] = [None] * self.n_inputs
        for i, g in zip(self.input_places, grads, strict=True):
            full[i] = g
        new = self._call_post(tuple(full))
        return tuple(new[i] for i in self.input_places)

    def _call_post(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        grad_output, self.grad_output = self.grad_output, None
        for hook in self.post:
            replaced = hook(self.module, grad_input, grad_output)
            if replaced is None:
                continue
            replaced = replaced if isinstance(replaced, tuple) else (replaced,)
            if len(replaced) != len(grad_input):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(replaced)}, but expected {len(grad_input)}"
                )
            if not self.input_places and any(g is not None for g in replaced):
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always return None or None for all gradients."
                )
            grad_input = replaced
        return grad_input
