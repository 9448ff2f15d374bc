"""Graph nodes: one instance of an `Op` subclass is one recorded application of that operation.

An op declares forward and backward side by side. `forward` sees raw arrays. `backward` is written once with
operators and the functions of `m`, and is run either on raw arrays (m = ops.arrays, the ordinary path) or on
tensors (m = ops.tensors, when the gradient itself is to be differentiated).
"""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

__all__ = [
    "FREED",
    "SECOND_TIME",
    "AccumulateGrad",
    "Extras",
    "Node",
    "Op",
    "OutputSlot",
    "RemovableHandle",
    "hooked",
    "next_seq",
]

next_seq = itertools.count(1).__next__


class _Freed:
    def __repr__(self) -> str:
        return "<freed>"


FREED: Any = _Freed()

SECOND_TIME = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)

# What an edge leads to; a class attribute, so that the engine asks with one load.
KIND_NODE, KIND_LEAF, KIND_SLOT = 0, 1, 2


class RemovableHandle:
    """Returned where a hook is registered: `remove()` takes the hook away again; as a context manager, at its end."""

    __slots__ = ("_entry", "_hooks")

    def __init__(self, hooks: list[Any], entry: Any) -> None:
        self._hooks, self._entry = hooks, entry

    def remove(self) -> None:
        for i, entry in enumerate(self._hooks):
            if entry is self._entry:
                del self._hooks[i]
                break
        self._hooks = []  # a second remove() must not take away another registration of the same hook

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def hooked(hooks: list[Any], entry: Any) -> RemovableHandle:
    """Appends `entry` to `hooks`."""
    hooks.append(entry)
    return RemovableHandle(hooks, entry)


class Extras:
    """What most nodes never have; made at the first use.

    tensor_hooks, retained: (number of the output, hook) pairs, run on the gradient as it arrives. pre, post: the node's
    own hooks. packed: whether saved tensors went through saved_tensors_hooks. trace: where the operation was called,
    kept in anomaly mode. metadata: the user's.
    """

    __slots__ = ("metadata", "packed", "post", "pre", "retained", "tensor_hooks", "trace")

    def __init__(self) -> None:
        self.tensor_hooks: list[tuple[int, Any]] = []
        self.retained: list[tuple[int, Any]] = []
        self.pre: list[tuple[Any]] = []
        self.post: list[tuple[Any]] = []
        self.packed = False
        self.trace: str | None = None
        self.metadata: dict[Any, Any] = {}


class Node:
    """A recorded operation.

    edges: for each input a node, an output slot, a leaf tensor, or None where no gradient is wanted.
    saved: what backward needs; FREED once used.
    seq: rises with creation; inputs of a node always have smaller ones, so descending order is a valid order.
    shape, dtype: of the output (its gradient must have the same).
    hooks: Extras, or None.
    """

    __slots__ = ("__weakref__", "attrs", "dtype", "edges", "hooks", "saved", "seq", "shape")
    kind: ClassVar[int] = KIND_NODE
    saves_output: ClassVar[bool] = False
    fresh: ClassVar[bool] = (
        True  # backward returns arrays that nobody else holds (but for views and the incoming gradient)
    )
    n_outputs: ClassVar[int] = 1
    first_saved: ClassVar[int] = 0  # of several outputs, the first that "out" in save stands for

    edges: tuple[Any, ...]
    seq: int
    shape: tuple[int, ...]
    dtype: Any
    saved: Any
    attrs: Any
    hooks: Extras | None

    def backward(self, m: Any, g: Any, *saved: Any) -> tuple[Any, ...]:
        raise NotImplementedError(f"{self.name()} has no backward")

    def input_shape(self, i: int = 0) -> tuple[int, ...]:
        """Shape of the recorded input number `i` (which must have an edge)."""
        edge = self.edges[i]
        shape: tuple[int, ...] = edge._array.shape if edge.kind == KIND_LEAF else edge.shape
        return shape

    @property
    def extras(self) -> Extras:
        if self.hooks is None:
            self.hooks = Extras()
        return self.hooks

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user."""
        return self.extras.metadata

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_inputs, grad_outputs)` after this node's backward; a returned tuple replaces grad_inputs."""
        return hooked(self.extras.post, (fn,))

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Calls `fn(grad_outputs)` before this node's backward; a returned tuple replaces grad_outputs."""
        return hooked(self.extras.pre, (fn,))

    def name(self) -> str:
        """PyTorch's name of the node, such as MulBackward0."""
        return type(self).__name__ + "Backward0"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input its node (AccumulateGrad for a leaf, None where no gradient flows) and output number."""
        result: list[tuple[Any, int]] = []
        for e in self.edges:
            if e is None:
                result.append((None, 0))
            elif e.kind == KIND_LEAF:
                result.append((AccumulateGrad(e), 0))
            elif e.kind == KIND_SLOT:
                result.append((e.node, e.index))
            else:
                result.append((e, 0))
        return tuple(result)

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


class Op(Node):
    """Base of all built-in operations.

    save: which inputs backward gets, by position, and/or "out" for the output, in that order.
    spares: those of two saved inputs that backward needs for the gradient of the other one alone.
    promotes: a binary operation whose operands may be numbers, of different dtypes and of shapes that broadcast.
    exact: forward only moves, selects or compares values, so that half precision needs no float32 in between.
    scales: a number beside float16 or bfloat16 keeps all its digits, where other operations take it in that dtype.
    is_view: forward gives a view of its only input where the layout permits, and the same view of any other array of
    that shape and layout.
    """

    __slots__ = ()
    save: ClassVar[tuple[int | str, ...]] = ()
    spares: ClassVar[tuple[int, ...]] = ()
    promotes: ClassVar[bool] = False
    is_view: ClassVar[bool] = False
    scales: ClassVar[bool] = False
    exact: ClassVar[bool] = False
    registered: ClassVar[str] = ""

    @staticmethod
    def forward(*args: Any) -> Any:
        raise NotImplementedError("an operation declares forward(*arrays, *attributes)")


class OutputSlot:
    """Output number `index` of a node with several outputs."""

    __slots__ = ("dtype", "index", "node", "shape")
    kind = KIND_SLOT

    def __init__(self, node: Node, index: int, shape: tuple[int, ...], dtype: Any) -> None:
        self.node, self.index, self.shape, self.dtype = node, index, shape, dtype


class AccumulateGrad:
    """What `next_functions` shows for a leaf: the place where its gradient is added into `.grad`."""

    __slots__ = ("variable",)
    next_functions: tuple[Any, ...] = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        return "struct torch::autograd::AccumulateGrad"

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Calls `fn((), (grad,))` after the gradient was added."""

        def call(leaf: Any) -> None:
            fn((), (leaf.grad,))

        return hooked(self.variable._make_cold().post_accumulate_hooks, call)

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Calls `fn((grad,))` before the gradient is added; a returned tuple replaces it."""

        def call(g: Any) -> Any:
            replaced = fn((g,))
            return None if replaced is None else replaced[0]

        return hooked(self.variable._make_cold().hooks, call)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"
