"""The backward pass: walks the recorded graph from its roots in descending order of creation.

One heap, no recursion: a graph may be as deep as memory permits. Called by Tensor.backward and autograd.grad.
"""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from typing import Any

import numpy as np

from . import versions
from .grad_mode import state as grad_state
from .node import FREED, KIND_LEAF, KIND_NODE
from .tensor import Tensor

__all__ = ["run_backward"]

_adding = threading.Lock()
_SECOND_TIME = (
    "Trying to backward through the graph a second time, but the buffers have already been freed: the saved "
    "intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True when calling backward the first time."
)


def run_backward(
    roots: list[Any],
    root_grads: list[Any],
    *,
    retain_graph: bool,
    create_graph: bool,
    captures: dict[Any, int] | None = None,
    captured: list[Any] | None = None,
) -> None:
    """Propagates `root_grads` from the edges `roots`.

    Gradients are raw arrays, or tensors when create_graph is set. Without `captures` they are added into the
    `.grad` of the leaves; with it (edge key -> position) they are put into `captured` instead.
    """
    from .ops import arrays, tensors

    m = tensors if create_graph else arrays
    sum_to = m.sum_to
    pending: dict[int, Any] = {}
    nodes: dict[int, Any] = {}
    owned: set[int] = set()  # keys of `pending` whose buffer was made here, so that adding in place is safe
    heap: list[int] = []
    hooked: dict[
        int, tuple[Any, Any]
    ] = {}  # leaves with hooks, and their gradients: a hook sees the whole one, once

    def arrive(edge: Any, g: Any, fresh: bool) -> None:
        """Adds `g` to what has arrived at `edge`; `fresh` says that nobody else holds the array."""
        kind = edge.kind
        target = edge._array if kind == KIND_LEAF else edge
        if g.shape != target.shape:
            g = sum_to(g, target.shape)
            fresh = not create_graph and g.base is None
        if create_graph:
            if g._array.dtype != target.dtype:
                g = m.cast(g, target.dtype)
        elif g.dtype is not target.dtype and g.dtype != target.dtype:
            g, fresh = g.astype(target.dtype), True
        if kind == KIND_LEAF:
            cold = edge._cold
            if cold is not None and (cold.hooks or (captures is None and cold.post_accumulate_hooks)):
                before = hooked.get(id(edge))
                hooked[id(edge)] = (edge, g if before is None else before[1] + g)
            elif captures is None:
                _accumulate(edge, g, fresh, create_graph)
            elif id(edge) in captures:
                at = captures[id(edge)]
                before = captured[at]  # type: ignore[index]
                captured[at] = g if before is None else before + g  # type: ignore[index]
            return
        if kind == KIND_NODE:
            key = edge.seq
            before = pending.get(key)
            if before is None:
                pending[key], nodes[key] = g, edge
                heappush(heap, -key)
            elif key in owned:
                before += g
                pending[key] = before  # a 0-d sum is an immutable scalar: `+=` made a new one
            else:
                pending[key] = before + g
                if not create_graph:
                    owned.add(key)
            return
        key = edge.node.seq
        buffers = pending.get(key)
        if buffers is None:
            buffers = pending[key] = [None] * edge.node.n_outputs
            nodes[key] = edge.node
            heappush(heap, -key)
        before = buffers[edge.index]
        buffers[edge.index] = g if before is None else before + g

    for root, g in zip(roots, root_grads, strict=True):
        arrive(root, g, False)

    grad_enabled_before, grad_state.enabled = grad_state.enabled, create_graph
    quiet = np.errstate(all="ignore")
    quiet.__enter__()
    try:
        while heap:
            key = -heappop(heap)
            node = nodes.pop(key)
            g = pending.pop(key)
            if node.hooks is not None:
                g = _run_hooks(node, g, create_graph)
            if captures is not None and -key in captures:
                captured[captures[-key]] = g  # type: ignore[index]
            saved = node.saved
            if saved is FREED:
                raise RuntimeError(_SECOND_TIME)
            if saved:
                values = _values(node, saved, create_graph)
                grads = node.backward(m, g, *values)
                if not retain_graph:
                    node.saved = FREED
            else:
                grads = node.backward(m, g)
            last = None
            for edge, gi in zip(node.edges, grads, strict=True):
                if edge is None or gi is None:
                    continue
                arrive(
                    edge,
                    gi,
                    not create_graph and gi is not g and gi is not last and gi.base is None and node.fresh,
                )
                last = gi
        for leaf, g in hooked.values():
            g = _run_hooks(leaf._cold, g, create_graph)
            if captures is None:
                _accumulate(leaf, g, False, create_graph)
                for hook in tuple(leaf._cold.post_accumulate_hooks):
                    hook(leaf)
            elif id(leaf) in captures:
                captured[captures[id(leaf)]] = g  # type: ignore[index]
    finally:
        quiet.__exit__(None, None, None)
        grad_state.enabled = grad_enabled_before


def _values(node: Any, saved: tuple[Any, ...], create_graph: bool) -> list[Any]:
    """What backward gets for `saved`, after checking that none of it was changed in place since."""
    values = [s._array if isinstance(s, Tensor) else s for s in saved]
    if versions.last_change > node.seq:
        for value in values:
            if hasattr(value, "base") and versions.changed_since(value, node.seq):
                raise RuntimeError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"{node.name()} saved a tensor of shape {list(value.shape)} that was changed afterwards. "
                    "Use the out-of-place form, or clone() it first."
                )
    if create_graph:
        out, values = values[-1], list(saved)
        if node.saves_output:
            values[-1] = Tensor._recorded(out, node)
    return values


def _run_hooks(node: Any, g: Any, create_graph: bool) -> Any:
    """The gradient after the hooks of a node, or of a leaf's cold part."""
    t = g if create_graph else Tensor._wrap(g)
    for hook in tuple(node.hooks):
        replaced = hook(t)
        if replaced is not None:
            t = replaced
    return t if create_graph else t._array


def _accumulate(leaf: Any, g: Any, fresh: bool, create_graph: bool) -> None:
    with _adding:  # backward may run in several threads over shared leaves
        before = leaf.grad
        if create_graph:
            leaf.grad = g if before is None else before + g
        elif before is None:
            leaf.grad = Tensor._wrap(g if fresh else g.copy())
        elif before._node is not None or before.requires_grad:
            leaf.grad = Tensor._wrap(before._array + g)
        else:
            array = before._array
            array += g
