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
from .node import FREED, KIND_LEAF, KIND_NODE, KIND_SLOT, SECOND_TIME, OutputSlot
from .tensor import Tensor

__all__ = ["run_backward"]

_writing_grad = threading.Lock()


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
    `.grad` of the leaves, all at the end; with it (edge key -> position) they are put into `captured` instead, and
    only nodes that lead to one of these edges are run.
    """
    from .ops import arrays, tensors

    m = tensors if create_graph else arrays
    heap: list[tuple[int, Any]] = []  # (-seq, node) of the nodes that something has arrived at
    pending: dict[int, Any] = {}  # seq -> what has arrived: a gradient, or a list of them for several outputs
    owned: set[int] = set()  # keys of `pending` whose buffer was made here, so that adding in place is safe
    leaves: dict[int, list[Any]] = {}  # id -> [leaf, gradient, whether its buffer was made for it alone]
    run, awaited = (None, None) if captures is None else _course(roots, captures)

    def arrive(edge: Any, g: Any, fresh: bool) -> None:
        """Adds `g` to what has arrived at `edge`; `fresh` says that nobody else holds the array."""
        kind = edge.kind
        target = edge._array if kind == KIND_LEAF else edge
        if g.shape != target.shape:
            g = _reduced(m, g, target.shape)
            fresh = not create_graph and g.base is None
        if create_graph:
            if g._array.dtype != target.dtype:
                g = m.cast(g, target.dtype)
        elif g.dtype is not target.dtype and g.dtype != target.dtype:
            g, fresh = g.astype(target.dtype), True
        if kind == KIND_LEAF:
            if captures is not None and id(edge) not in captures:
                return
            before = leaves.get(id(edge))
            if before is None:
                leaves[id(edge)] = [edge, g, fresh]
            elif before[2]:
                before[1] += g
            else:
                before[1:] = before[1] + g, not create_graph
            return
        node = edge.node if kind == KIND_SLOT else edge
        key = node.seq
        if awaited is not None and key not in awaited:
            return
        held = pending.get(key)
        if held is None:
            heappush(heap, (-key, node))
        if kind == KIND_SLOT:
            if held is None:
                held = pending[key] = [None] * node.n_outputs
            held[edge.index] = g if held[edge.index] is None else held[edge.index] + g
        elif held is None:
            pending[key] = g
        elif key in owned:
            held += g
            pending[key] = held  # a 0-d sum is an immutable scalar: `+=` made a new one
        else:
            pending[key] = held + g
            if not create_graph:
                owned.add(key)

    for root, g in zip(roots, root_grads, strict=True):
        arrive(root, g, False)

    mode_before, grad_state.enabled = grad_state.enabled, create_graph
    plain = captures is None and not create_graph
    try:
        with np.errstate(all="ignore"):
            while heap:
                node = heappop(heap)[1]
                key = node.seq
                g = pending.pop(key)
                if node.hooks is not None:
                    g = _run_hooks(node.hooks, g, create_graph)
                if captures is not None:
                    if -key in captures:
                        captured[captures[-key]] = g  # type: ignore[index]
                    if key not in run:  # type: ignore[operator]
                        continue
                saved = node.saved
                if saved:
                    if saved is FREED:
                        raise RuntimeError(SECOND_TIME)
                    if create_graph or versions.last_change > key:
                        grads = node.backward(m, g, *_values(node, saved, create_graph))
                    elif (
                        len(saved) == 2
                    ):  # spelled out: a comprehension costs as much as the rest of the step
                        a, b = saved
                        grads = node.backward(
                            m,
                            g,
                            a._array if isinstance(a, Tensor) else a,
                            b._array if isinstance(b, Tensor) else b,
                        )
                    else:
                        grads = node.backward(
                            m, g, *[s._array if isinstance(s, Tensor) else s for s in saved]
                        )
                    if not retain_graph:
                        node.saved = FREED
                else:
                    grads = node.backward(m, g)
                last = None
                for edge, gi in zip(node.edges, grads, strict=True):
                    if edge is None or gi is None:
                        continue
                    if plain:  # the two ordinary cases, without a call
                        if edge.kind == KIND_NODE:
                            if edge.seq not in pending and gi.shape == edge.shape and gi.dtype is edge.dtype:
                                pending[edge.seq] = last = gi
                                heappush(heap, (-edge.seq, edge))
                                continue
                        elif id(edge) in leaves:
                            held = leaves[id(edge)]
                            total = held[1]
                            if held[2] and gi.shape == total.shape and gi.dtype is total.dtype:
                                total += gi
                                held[1] = total
                                continue
                    arrive(
                        edge, gi, plain and gi is not g and gi is not last and gi.base is None and node.fresh
                    )
                    last = gi
            for leaf, g, fresh in leaves.values():
                cold = leaf._cold
                if cold is not None and cold.hooks:
                    g, fresh = _run_hooks(cold.hooks, g, create_graph), False
                if captures is not None:
                    captured[captures[id(leaf)]] = g  # type: ignore[index]
                    continue
                with _writing_grad:
                    _accumulate(leaf, g, fresh, create_graph)
                if cold is not None and cold.post_accumulate_hooks:
                    for hook in tuple(cold.post_accumulate_hooks):
                        hook(leaf)
    finally:
        grad_state.enabled = mode_before


def _course(roots: list[Any], captures: dict[Any, int]) -> tuple[set[int], set[int]]:
    """The nodes (by seq) that must run for `captures`, and those that gradients are wanted at: these and the captured."""
    found: dict[int, Any] = {}
    todo = [r for r in roots if r.kind != KIND_LEAF]
    while todo:
        edge = todo.pop()
        node = edge.node if edge.kind == KIND_SLOT else edge
        if node.seq not in found:
            found[node.seq] = node
            todo += [e for e in node.edges if e is not None and e.kind != KIND_LEAF]
    run: set[int] = set()
    awaited = {seq for seq in found if -seq in captures}
    for seq in sorted(found):
        for e in found[seq].edges:
            if e is None:
                continue
            if (
                id(e) in captures
                if e.kind == KIND_LEAF
                else (e.node if e.kind == KIND_SLOT else e).seq in awaited
            ):
                run.add(seq)
                awaited.add(seq)
                break
    return run, awaited


def _reduced(m: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed to `shape`, from which broadcasting may have enlarged it."""
    lead = len(g.shape) - len(shape)
    if lead < 0 or any(n != k and n != 1 for n, k in zip(shape, g.shape[lead:], strict=True)):
        raise RuntimeError(
            f"a backward function or hook returned a gradient of shape {list(g.shape)} for a tensor of shape {list(shape)}"
        )
    return m.sum_to(g, shape)


def _values(node: Any, saved: tuple[Any, ...], create_graph: bool) -> list[Any]:
    """What backward gets for `saved`, after checking that none of it was changed in place since."""
    values = [s._array if isinstance(s, Tensor) else s for s in saved]
    for value in values if versions.last_change > node.seq else ():
        if hasattr(value, "base") and versions.changed_since(value, node.seq):
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"{node.name()} saved a tensor of shape {list(value.shape)} that was changed afterwards. "
                "Use the out-of-place form, or clone() it first."
            )
    if create_graph:
        out, values = values[-1], list(saved)
        if node.saves_output and node.n_outputs == 1:
            values[-1] = Tensor._recorded(out, node)
        elif node.saves_output:
            first = len(values) - node.n_outputs
            for i, value in enumerate(values[first:]):
                if value.dtype.kind == "f":
                    values[first + i] = Tensor._recorded(value, OutputSlot(node, i, value.shape, value.dtype))
                else:
                    values[first + i] = Tensor._wrap(value)
    return values


def _run_hooks(hooks: list[Any], g: Any, create_graph: bool) -> Any:
    t = g if create_graph else Tensor._wrap(g)
    for hook in tuple(hooks):
        replaced = hook(t)
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor):
            raise TypeError(f"hook: expected a tensor or None to be returned, got {type(replaced).__name__}")
        if replaced._array.shape != t._array.shape or replaced._array.dtype != t._array.dtype:
            raise RuntimeError(
                f"hook: expected a gradient of shape {list(t.shape)} and {t.dtype}, got {list(replaced.shape)} and {replaced.dtype}"
            )
        t = replaced
    return t if create_graph else t._array


def _accumulate(leaf: Any, g: Any, fresh: bool, create_graph: bool) -> None:
    """Adds `g` to `leaf.grad`: in place where nobody differentiates through it."""
    before = leaf.grad
    if create_graph:
        leaf.grad = g if before is None else before + g
    elif before is None:
        leaf.grad = Tensor._wrap(g if fresh else g.copy())
    elif before._requires_grad:
        leaf.grad = Tensor._wrap(before._array + g)
    else:
        versions.note_change(before._array)
        array = before._array
        array += g
