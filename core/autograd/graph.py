"""torch.autograd.graph: nodes, hooks on what they save, and hooks on several gradients at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..backends import Device, to_device
from ..grad_mode import state
from ..node import KIND_LEAF, KIND_SLOT, AccumulateGrad, Node, RemovableHandle
from ..observers import saved_hooks, watch_nodes
from ..tensor import Tensor
from ..versions import note_change

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version", "register_multi_grad_hook", "save_on_cpu",
    "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """A place that gradients flow to: a node and the number of its output."""

    node: Any
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` arrives: its grad_fn, or AccumulateGrad for a leaf."""
    if not tensor.requires_grad:
        raise RuntimeError(
            "It is not possible to get the gradient edge for a Tensor that does not require gradients"
        )
    place = tensor._node or tensor
    if place.kind == KIND_LEAF:
        return GradientEdge(AccumulateGrad(place), 0)
    return GradientEdge(place.node, place.index) if place.kind == KIND_SLOT else GradientEdge(place, 0)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Counts a write to the storage of each tensor that autograd could not see, so that no backward uses the old value."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        if not isinstance(t, Tensor):
            raise TypeError(f"increment_version: expected tensors, got {type(t).__name__}")
        note_change(t._array)


class saved_tensors_hooks:
    """Within, each tensor that an operation saves for backward goes through `pack_hook`, and through `unpack_hook` when
    backward needs it. What pack returns is kept in the tensor's place; unpack must give a tensor of its values."""

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if saved_hooks.stack and isinstance(saved_hooks.stack[-1], str):
            raise RuntimeError(saved_hooks.stack[-1])
        saved_hooks.stack.append((self.pack_hook, self.unpack_hook))
        watch_nodes(True)

    def __exit__(self, *exc: object) -> None:
        saved_hooks.stack.pop()
        watch_nodes(False)


class save_on_cpu(saved_tensors_hooks):
    """Within, what backward needs is kept in host memory and copied back when it is used. pin_memory: accepted."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(t: Tensor) -> Any:
            return t.device, t.cpu() if t.device.type != "cpu" else t.clone()

        def unpack(packed: tuple[Device, Tensor]) -> Tensor:
            device, t = packed
            return Tensor._wrap(to_device(t._array, device))

        super().__init__(pack, unpack)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Within, entering saved_tensors_hooks raises RuntimeError(error_message)."""
    if saved_hooks.stack:
        raise RuntimeError(error_message)
    saved_hooks.stack.append(error_message)
    try:
        yield
    finally:
        saved_hooks.stack.pop()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> RemovableHandle:
    """Calls `fn` once in each backward that reaches one of `tensors`.

    mode "all": at its end at the latest, with a list of all gradients, None for tensors that it did not reach. "any":
    with the first gradient that arrives.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    arrivals = _Arrivals(len(tensors), fn, mode)
    handles = [t.register_hook(arrivals.hook(i)) for i, t in enumerate(tensors)]

    class All(RemovableHandle):
        __slots__ = ()

        def remove(self) -> None:
            for handle in handles:
                handle.remove()

    return All([], None)


class _Arrivals(threading.local):
    """The gradients that have arrived in this thread's backward pass, for one registration."""

    def __init__(self, count: int, fn: Callable[..., None], mode: str) -> None:
        self._count, self._fn, self._mode = count, fn, mode
        self._pass: Any = None  # the list of the pass's last calls, which no other pass shares
        self._grads: dict[int, Tensor] = {}
        self._told = False

    def hook(self, number: int) -> Callable[[Tensor], None]:
        return lambda g: self._arrive(number, g)

    def _arrive(self, number: int, g: Tensor) -> None:
        calls = state.after_backward
        if self._pass is not calls:
            self._pass, self._grads, self._told = calls, {}, False
            if calls is not None:
                calls.append(self._end)
        self._grads[number] = g
        if self._mode == "any" and not self._told:
            self._told = True
            self._fn(g)
        elif self._mode == "all" and len(self._grads) == self._count:
            self._tell_all()

    def _end(self) -> None:
        if self._mode == "all":
            self._tell_all()
        self._pass, self._grads = None, {}

    def _tell_all(self) -> None:
        if not self._told:
            self._told = True
            self._fn([self._grads.get(i) for i in range(self._count)])
