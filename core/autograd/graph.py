"""torch.autograd.graph: nodes, hooks on what they save, and hooks on several gradients at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..backends import Device, to_device
from ..node import KIND_LEAF, KIND_SLOT, AccumulateGrad, Node, RemovableHandle
from ..observers import saved_hooks, watch_nodes
from ..tensor import Tensor

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "register_multi_grad_hook", "save_on_cpu",
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
    """Calls `fn` once in each backward: with the list of all gradients (mode "all": when the last has arrived), or with the
    first that arrives ("any").

    Those of tensors that a backward does not reach keep mode "all" from calling.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    lock = threading.Lock()
    grads: dict[int, Tensor] = {}

    def arrived(number: int) -> Callable[[Tensor], None]:
        def hook(g: Tensor) -> None:
            with lock:
                if number in grads:
                    grads.clear()  # a new backward
                grads[number] = g
                count = len(grads)
            if mode == "any" and count == 1:
                fn(g)
            if count == len(tensors):
                given = [grads[i] for i in range(len(tensors))]
                grads.clear()
                if mode == "all":
                    fn(given)

        return hook

    handles = [t.register_hook(arrived(i)) for i, t in enumerate(tensors)]

    class _All(RemovableHandle):
        __slots__ = ()

        def remove(self) -> None:
            for handle in handles:
                handle.remove()

    return _All([], None)
