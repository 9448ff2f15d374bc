"""The backward pass: walks the recorded graph from its roots in descending order of creation.

One heap, no recursion: a graph may be as deep as memory permits. Called by Tensor.backward and autograd.grad. What few
passes need (hooks, anomaly mode, values that were packed or changed) is in engine_extras.py.
"""

from __future__ import annotations

import threading
from heapq import heappop, heappush, heappushpop
from typing import Any

import numpy as np

from . import engine_extras as extra
from . import versions
from .backends import allocator
from .dtypes import HALVES
from .grad_mode import state as grad_state
from .node import FREED, KIND_LEAF, KIND_NODE, KIND_SLOT, SECOND_TIME
from .observers import anomaly
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
    `.grad` of the leaves, all at the end (those in `grad_state.early` as soon as they are complete); with it (edge key -> position) they are put into `captured` instead, and
    only nodes that lead to one of these edges are run. The key of a leaf is its id, of a node's only output -seq, of
    one of several outputs (seq, number).
    """
    from .ops import arrays, tensors

    if not allocator.done:  # from here on this is a process that trains
        allocator.keep_freed_memory()
    m = tensors if create_graph else arrays
    heap: list[tuple[int, Any]] = []  # (-seq, node) of the nodes that something has arrived at
    pending: dict[int, Any] = {}  # seq -> what has arrived: a gradient, or a list of them for several outputs
    owned: set[int] = set()  # keys of `pending` whose buffer was made here, so that adding in place is safe
    leaves: dict[int, list[Any]] = {}  # id -> [leaf, gradient, whether its buffer was made for it alone]
    run, awaited = (None, None) if captures is None else extra.course(roots, captures)

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
    outer_calls, grad_state.after_backward = grad_state.after_backward, []
    plain = captures is None and not create_graph
    early, grad_state.early = grad_state.early, None
    complete = extra.completions(roots, early) if early and plain else []
    watched = anomaly.enabled or bool(complete)
    node: Any = None
    following: Any = None  # a node that would be pushed and popped again at once, in a chain
    try:
        with np.errstate(all="ignore"):
            while heap or following is not None:
                if following is None:
                    node = heappop(heap)[1]
                else:
                    node, following = following, None
                    if heap and -heap[0][0] > node.seq:
                        node = heappushpop(heap, (-node.seq, node))[1]
                key = node.seq
                g = pending.pop(key)
                extras = node.hooks
                if extras is not None:
                    g = extra.arrived(extras, g, create_graph)
                if captures is not None:
                    extra.capture(captures, captured, key, g)
                    if key not in run:  # type: ignore[operator]
                        continue
                if extras is not None and extras.pre:
                    g = extra.before(extras, g, create_graph)
                saved = node.saved
                if saved:
                    if saved is FREED:
                        raise RuntimeError(SECOND_TIME)
                    if create_graph or versions.last_change > key or (extras is not None and extras.packed):
                        grads = node.backward(m, g, *extra.values(node, saved, create_graph))
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
                if watched:
                    extra.check_nan(node, grads)
                    while complete and complete[-1][0] > key:
                        extra.hand_out(leaves.pop(complete.pop()[1], None), _accumulate, _writing_grad)
                if extras is not None and extras.post:
                    grads = extra.after(extras, grads, g, create_graph)
                last = None
                # One gradient for each edge: Function and hooks check what users return, tests what operations do.
                for edge, gi in zip(node.edges, grads):  # noqa: B905
                    if edge is None or gi is None:
                        continue
                    if plain:  # the two ordinary cases, without a call
                        if edge.kind == KIND_NODE:
                            seq = edge.seq
                            if seq not in pending and gi.shape == edge.shape and gi.dtype is edge.dtype:
                                pending[seq] = last = gi
                                if following is None:
                                    following = edge
                                else:
                                    heappush(heap, (-seq, edge))
                                continue
                        else:
                            held = leaves.get(id(edge))
                            if held is not None and held[2]:
                                total = held[1]
                                if gi.dtype is total.dtype:
                                    total += gi if gi.shape == total.shape else _reduced(m, gi, total.shape)
                                    held[1] = total
                                    continue
                    arrive(
                        edge, gi, plain and gi is not g and gi is not last and gi.base is None and node.fresh
                    )
                    last = gi
            node = None
            for leaf, g, fresh in leaves.values():
                cold = leaf._cold
                if cold is not None and cold.hooks:
                    g, fresh = extra.run_hooks(cold.hooks, g, create_graph), False
                if captures is not None:
                    captured[captures[id(leaf)]] = g  # type: ignore[index]
                    continue
                if not leaf._requires_grad:  # frozen since forward
                    continue
                with _writing_grad:
                    _accumulate(leaf, g, fresh, create_graph)
                if cold is not None and cold.post_accumulate_hooks:
                    for hook in tuple(cold.post_accumulate_hooks):
                        hook(leaf)
            for call in grad_state.after_backward:
                call()
    except Exception as e:
        if watched and node is not None:
            extra.name_forward(node, e)
        raise
    finally:
        grad_state.enabled, grad_state.after_backward = mode_before, outer_calls
        grad_state.early = early


def _reduced(m: Any, g: Any, shape: tuple[int, ...]) -> Any:
    """`g` summed to `shape`, from which broadcasting may have enlarged it."""
    if g.__class__ is not Tensor and g.dtype in HALVES:  # from a backward function of the user's
        g = g.astype(np.float32)
    lead = len(g.shape) - len(shape)
    if lead > 0 and g.shape[lead:] == shape:
        return m.sum_to(g, shape)
    if lead < 0 or any(n != k and n != 1 for n, k in zip(shape, g.shape[lead:], strict=True)):
        raise RuntimeError(
            f"a backward function or hook returned a gradient of shape {list(g.shape)} for a tensor of shape {list(shape)}"
        )
    return m.sum_to(g, shape)


def _accumulate(leaf: Any, g: Any, fresh: bool, create_graph: bool) -> None:
    """Adds `g` to `leaf.grad`: in place where nobody differentiates through it."""
    before = leaf._grad
    if create_graph:
        leaf._grad = g if before is None else before + g
    elif before is None:
        leaf._grad = Tensor._wrap(g if fresh else g.copy())
    else:
        versions.note_change(before._array)
        array = before._array
        array += g
