"""The cold parts of the backward pass: captures, hooks, anomaly mode, and saved values that need more than a look."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from . import versions
from .backends import module_of
from .dtypes import FLOATS
from .node import KIND_LEAF, KIND_SLOT, Extras, OutputSlot
from .observers import anomaly, unpacked
from .tensor import Tensor


def course(roots: list[Any], captures: dict[Any, int]) -> tuple[set[int], set[int]]:
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
    slots = {key[0] for key in captures if isinstance(key, tuple)}
    awaited = {seq for seq in found if -seq in captures or seq in slots}
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


def capture(captures: dict[Any, int], captured: Any, seq: int, g: Any) -> None:
    """Keeps the gradient(s) of the node `seq` where it, or one of its outputs, is asked for."""
    if -seq in captures:
        captured[captures[-seq]] = g
    elif isinstance(g, list):
        for i, gi in enumerate(g):
            if gi is not None and (seq, i) in captures:
                captured[captures[seq, i]] = gi


def run_hooks(hooks: Iterable[Any], g: Any, create_graph: bool) -> Any:
    """`g` after the hooks of a tensor, each of which may replace it."""
    t = g if create_graph else Tensor._wrap(g)
    for hook in tuple(hooks):
        replaced = hook(t)
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor):
            raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}'")
        name = getattr(hook, "__name__", type(hook).__name__)
        if replaced._array.dtype != t._array.dtype:
            raise RuntimeError(
                f"hook '{name}' has changed the type of value (was {t.dtype} got {replaced.dtype})"
            )
        if replaced._array.shape != t._array.shape:
            raise RuntimeError(
                f"hook '{name}' has changed the size of value (was {list(t.shape)} got {list(replaced.shape)})"
            )
        t = replaced
    return t if create_graph else t._array


def arrived(extras: Extras, g: Any, create_graph: bool) -> Any:
    """The gradient(s) at a node after the hooks of its output tensors, those that retain it last."""
    for number, hook in (*extras.tensor_hooks, *extras.retained):
        if not isinstance(g, list):
            g = run_hooks((hook,), g, create_graph)
        elif g[number] is not None:
            g[number] = run_hooks((hook,), g[number], create_graph)
    return g


def _lifted(g: Any) -> Any:
    return g if g is None or isinstance(g, Tensor) else Tensor._wrap(g)


def _replaced(what: str, new: Any, old: list[Any], create_graph: bool) -> list[Any]:
    new = list(new) if isinstance(new, (tuple, list)) else [new]
    if len(new) != len(old):
        raise RuntimeError(f"{what}: expected {len(old)} gradients to be returned, got {len(new)}")
    for n in new:
        if n is not None and not isinstance(n, Tensor):
            raise TypeError(f"{what}: expected tensors or None to be returned, got {type(n).__name__}")
    return [n if n is None or create_graph else n._array for n in new]


def before(extras: Extras, g: Any, create_graph: bool) -> Any:
    """What the node's own prehooks make of the gradient(s) of its outputs."""
    several = isinstance(g, list)
    grads = g if several else [g]
    for (hook,) in tuple(extras.pre):
        new = hook(tuple(_lifted(x) for x in grads))
        if new is not None:
            grads = _replaced("prehook", new, grads, create_graph)
    return grads if several else grads[0]


def after(extras: Extras, grads: Any, g: Any, create_graph: bool) -> Any:
    """What the node's own hooks make of the gradients of its inputs."""
    inputs = list(grads)
    outputs = tuple(_lifted(x) for x in (g if isinstance(g, list) else [g]))
    for (hook,) in tuple(extras.post):
        new = hook(tuple(_lifted(x) for x in inputs), outputs)
        if new is not None:
            inputs = _replaced("hook", new, inputs, create_graph)
    return inputs


def values(node: Any, saved: tuple[Any, ...], create_graph: bool) -> list[Any]:
    """What backward gets for `saved`, after checking that none of it was changed in place since."""
    if node.hooks is not None and node.hooks.packed:
        saved = unpacked(node, create_graph)
    elif versions.last_change > node.seq:
        for s in saved:
            _check_unchanged(node, s._array if isinstance(s, Tensor) else s)
    if not create_graph:
        return [s._array if isinstance(s, Tensor) else s for s in saved]
    result = list(saved)
    packed = node.hooks is not None and node.hooks.packed
    for i, where in enumerate(() if packed else getattr(node, "save", ())):
        s = result[i]
        if where != "out" and isinstance(s, Tensor):
            result[i] = at_its_place(s, node.edges[where])
    if node.saves_output and node.n_outputs == 1:
        result[-1] = Tensor._recorded(result[-1], node)
    elif node.saves_output:
        shift = len(result) - node.n_outputs  # from the number of an output to its place
        for i in range(node.first_saved, node.n_outputs):
            value = result[shift + i]
            if value.dtype in FLOATS:
                result[shift + i] = Tensor._recorded(value, OutputSlot(node, i, value.shape, value.dtype))
            else:
                result[shift + i] = Tensor._wrap(value)
    return result


def at_its_place(t: Tensor, place: Any) -> Tensor:
    """A saved tensor where it was in the graph when it was saved; detach_() may have taken it out since."""
    if place is None or place.kind == KIND_LEAF or t._node is place:
        return t
    return Tensor._recorded(t._array, place)


def _check_unchanged(node: Any, value: Any) -> None:
    if hasattr(value, "base") and versions.changed_since(value, node.seq):
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"{node.name()} saved a tensor of shape {list(value.shape)} that was changed afterwards (it is at version "
            f"{versions.version_of(value)}). Use the out-of-place form, or clone() it first."
        )


def completions(roots: Sequence[Any], early: Collection[int]) -> list[tuple[int, int]]:
    """(seq of the last node that feeds it, id of the leaf) of the leaves in `early`, in ascending order of seq.

    Nodes run in descending order, so a leaf's gradient is complete when one with a smaller seq runs.
    """
    last: dict[int, int] = {}
    waiting = [root.node if root.kind == KIND_SLOT else root for root in roots if root.kind != KIND_LEAF]
    seen = {node.seq for node in waiting}
    while waiting:
        node = waiting.pop()
        for edge in node.edges:
            if edge is None:
                continue
            if edge.kind == KIND_LEAF:
                if id(edge) in early:
                    last[id(edge)] = min(node.seq, last.get(id(edge), node.seq))
                continue
            before = edge.node if edge.kind == KIND_SLOT else edge
            if before.seq not in seen:
                seen.add(before.seq)
                waiting.append(before)
    return sorted((seq, leaf) for leaf, seq in last.items())


def hand_out(held: list[Any] | None, accumulate: Callable[..., None], lock: Any) -> None:
    """Adds what arrived at a leaf into its `.grad`, and runs its hooks, while the pass goes on."""
    if held is None:
        return
    leaf, g, fresh = held
    cold = leaf._cold
    if cold is not None and cold.hooks:
        g, fresh = run_hooks(cold.hooks, g, False), False
    if not leaf._requires_grad:  # frozen since forward
        return
    with lock:
        accumulate(leaf, g, fresh, False)
    if cold is not None:
        for hook in tuple(cold.post_accumulate_hooks):
            hook(leaf)


def check_nan(node: Any, grads: Any) -> None:
    """Raises RuntimeError where one of `grads` has a NaN, in anomaly mode with check_nan."""
    if not (anomaly.enabled and anomaly.check_nan):
        return
    for i, g in enumerate(grads):
        array = g._array if isinstance(g, Tensor) else g
        if array is not None and bool(module_of(array).isnan(array).any()):
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {i}th output.")


def name_forward(node: Any, error: Exception) -> None:
    """Adds to `error` where the forward operation of `node` was called."""
    trace = None if node.hooks is None else node.hooks.trace
    if trace:
        error.add_note(
            f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n{trace}"
        )
    else:
        error.add_note(
            f"Error detected in {node.name()}. No forward call is known: it was made before anomaly mode was on."
        )
