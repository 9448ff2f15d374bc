"""Views in the graph: what is written through one tensor is seen by all that share its storage, in value and in gradient.

A view knows its base (the tensor that is no view itself) and the operations that lead from it. A recorded in-place
operation on a view gives the base a new place in the graph, `CopySlices`; every other view finds out by its creation
number and is then made anew from the base. Those who write nothing in place pay one test in each operation.
"""

from __future__ import annotations

from typing import Any

from . import versions
from .grad_mode import state as grad_state
from .node import Node, next_seq

__all__ = ["View", "attach", "attach_returned", "check_base", "check_writable", "rebase", "refresh", "replay"]

_new = object.__new__


class View:
    """base: the tensor that all this is in; array: its array at that time. chain: (operation, attributes), from the base on. seq: when its place in the
    graph was made. recorded: whether that was outside of no_grad. made_by: the autograd.Function that returned the view,
    whose backward a place made anew would pass by."""

    __slots__ = ("array", "base", "chain", "made_by", "recorded", "seq")

    def __init__(
        self, base: Any, chain: tuple[tuple[type[Node], Any], ...], recorded: bool, made_by: str = ""
    ) -> None:
        self.base, self.array, self.chain = base, base._array, chain
        self.recorded, self.made_by = recorded, made_by
        self.seq = next_seq()


def attach(out: Any, op: type[Node], source: Any, attrs: Any) -> Any:
    """`out`, which `op` made of `source`, as a view of source's base, if the two share memory."""
    array, base = source._array, out._array.base
    if base is None and versions.owner_of(out._array) is not out._array:
        base = array  # which it was lent
    if base is None or (
        base is not array
        and base is not array.base
        and versions.owner_of(base) is not versions.owner_of(array)
    ):
        return out  # reshape had to copy
    before = source._view
    if before is None:
        out._view = View(source, ((op, attrs),), grad_state.enabled)
    else:
        out._view = View(before.base, (*before.chain, (op, attrs)), grad_state.enabled and before.recorded)
    return out


def attach_returned(out: Any, source: Any, made_by: str) -> None:
    """`out`, which an autograd.Function returned, as a view of `source`, whose storage it shares."""
    before = source._view
    out._view = View(source if before is None else before.base, (), False, made_by)


def _of_a_function(view: View) -> RuntimeError:
    return RuntimeError(
        f"Output 0 of {view.made_by} is a view and is being modified inplace. This view (or its base) was created inside a "
        "custom Function (or because an input was returned as-is), and the autograd logic to handle view+inplace would "
        "override its backward, leading to incorrect gradients. clone() what the Function returns."
    )


def check_base(view: View) -> None:
    """Raises RuntimeError where the base has got another shape or storage since: the chain no longer leads to the view."""
    if view.base._array is not view.array:
        raise RuntimeError(
            "the tensor that this is a view of was given another shape or storage in place (by t_(), unsqueeze_(), .data = or "
            "the like), so that its gradient can't follow what is written. Make the view after that."
        )


def replay(array: Any, chain: tuple[tuple[type[Node], Any], ...]) -> Any:
    """What the views of `chain` show of another array of the base's shape."""
    for op, attrs in chain:
        array = op.forward(array, *attrs)  # type: ignore[attr-defined]
    return array


def refresh(t: Any) -> None:
    """Makes the place of `t` in the graph anew if it is a view of a storage that has got a new place since."""
    view = t._view
    if view is None or not versions.rewritten_since(t._array, view.seq):
        return
    if view.made_by:
        raise _of_a_function(view)
    check_base(view)
    view.seq = next_seq()
    base = view.base
    if not base._requires_grad:
        t._node, t._requires_grad = None, False
        return
    place, array = base._node or base, base._array
    for op, attrs in view.chain:
        array = op.forward(array, *attrs)
        node: Any = _new(op)
        node.edges, node.saved, node.attrs, node.hooks = (place,), (), attrs, None
        node.seq, node.shape, node.dtype = next_seq(), array.shape, array.dtype
        place = node
    _put(t, place)


def _put(t: Any, place: Any) -> None:
    """Gives `t` its new place in the graph; the gradient that it retains is the one that arrives there."""
    t._node, t._requires_grad = place, True
    if t._cold is not None and t._cold.retains_grad:
        t._retain_here()


def rebase(t: Any, place: Any) -> None:
    """Puts `t` where `place` is in the graph, after a write that `place` computed; a view takes its base along."""
    from .ops.registry import index

    view = t._view
    if view is None:
        _put(t, place)
        return
    base = view.base
    node: Any = _new(index["copy_slices"])
    node.edges = ((base._node or base) if base._requires_grad else None, place)
    node.saved, node.attrs, node.hooks = (), (view.chain,), None
    node.seq, node.shape, node.dtype = next_seq(), base._array.shape, base._array.dtype
    _put(base, node)
    refresh(t)


def check_writable(t: Any, is_being: str = "is being") -> None:
    """Raises RuntimeError for a leaf that requires grad, or a view of one, in an in-place operation that is recorded."""
    if versions.watch:
        refresh(t)
    if not t._requires_grad:
        return
    if t._node is None:
        raise RuntimeError(f"a leaf Variable that requires grad {is_being} used in an in-place operation.")
    if t._view is not None and t._view.made_by:
        raise _of_a_function(t._view)
    if t._view is not None and t._view.base._node is None:
        raise RuntimeError(
            "a view of a leaf Variable that requires grad is being used in an in-place operation."
        )
