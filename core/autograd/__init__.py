"""torch.autograd: backward, grad, and Function for one's own operations."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ..backends import module_of
from ..engine import run_backward
from ..function import Function
from ..grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled, state
from ..gradcheck import GradcheckError, gradcheck, gradgradcheck
from ..node import KIND_LEAF, KIND_SLOT, AccumulateGrad, OutputSlot
from ..tensor import Size, Tensor
from . import function, functional, graph
from .anomaly_mode import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .graph import GradientEdge, Node
from .variable import Variable

__all__ = [
    "Node",
    "Variable",
    "detect_anomaly",
    "function",
    "functional",
    "graph",
    "is_anomaly_enabled",
    "set_detect_anomaly",
    "Function",
    "GradcheckError",
    "backward",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "no_grad",
    "set_grad_enabled",
]


def _as_list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (tuple, list)) and not isinstance(x, GradientEdge) else [x]


def _place(t: Tensor | GradientEdge, g: Any = None) -> Any:
    """Where gradients arrive for a tensor or an edge: a node, one of its outputs, or a leaf."""
    if isinstance(t, Tensor):
        return t._node or t
    node = t.node
    if isinstance(node, AccumulateGrad):
        return node.variable
    if node.n_outputs == 1:
        return node
    shape, dtype = (None, None) if g is None else (g._array.shape, g._array.dtype)
    return OutputSlot(node, t.output_nr, shape, dtype)  # type: ignore[arg-type]


def _leaf_below(place: Any) -> Any:
    """A leaf that `place` leads to, for its device."""
    while place.kind != KIND_LEAF:
        place = next(e for e in place.edges if e is not None)
        place = place.node if place.kind == KIND_SLOT else place
    return place


def _root_of_an_edge(i: int, edge: GradientEdge, g: Any, create_graph: bool) -> tuple[Any, Any]:
    place = _place(edge, g if isinstance(g, Tensor) else None)
    shape = place._array.shape if place.kind == KIND_LEAF else place.shape
    if g is None:
        if shape is None or math.prod(shape) != 1:
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        leaf = _leaf_below(place)
        dtype = leaf._array.dtype if leaf is place else place.dtype
        g = Tensor._wrap(module_of(leaf._array).ones(shape, dtype))
    if not isinstance(g, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    if g._array.shape != shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape of {Size(shape)}."
        )
    return place, g if create_graph else g._array


def _roots(outputs: list[Tensor], grads: list[Any], create_graph: bool) -> tuple[list[Any], list[Any]]:
    """Edges of the outputs and their first gradients, checked."""
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    edges, values = [], []
    for i, (t, g) in enumerate(zip(outputs, grads, strict=True)):
        if isinstance(t, GradientEdge):
            place, value = _root_of_an_edge(i, t, g, create_graph)
            edges.append(place)
            values.append(value)
            continue
        if not isinstance(t, Tensor):
            raise TypeError(f"backward: expected a tensor, got {type(t).__name__}")
        if not t.requires_grad:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if t._array.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            g = Tensor._wrap(module_of(t._array).ones(t._array.shape, t._array.dtype))
        elif not isinstance(g, Tensor):
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
        if g._array.shape != t._array.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape of {t.shape}."
            )
        if g._array.__class__ is not t._array.__class__:
            raise RuntimeError(
                f"backward: expected a gradient on {t.device} for output {i}, got one on {g.device}"
            )
        edges.append(t._node or t)
        values.append(g if create_graph else g._array)
    return edges, values


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Adds the gradients of `tensors`, weighted by `grad_tensors`, to `.grad` of the leaves (or only of `inputs`).

    tensors: or gradient edges. grad_variables: the old name of grad_tensors.
    """
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        grad_tensors = grad_variables
    outputs = _as_list(tensors)
    grads = [None] * len(outputs) if grad_tensors is None else _as_list(grad_tensors)
    edges, values = _roots(outputs, grads, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(edges, values, retain_graph=keep, create_graph=create_graph)
        return
    wanted = list(inputs.values()) if isinstance(inputs, dict) else _as_list(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if any(isinstance(t, GradientEdge) for t in wanted):
        raise NotImplementedError("backward: `inputs` must be tensors; autograd.grad takes gradient edges")
    if not all(t.requires_grad for t in wanted):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    for t, g in zip(wanted, _captured(edges, values, wanted, keep, create_graph), strict=True):
        if g is not None and not t.retains_grad:  # what is retained has been put there on the way
            t.grad = g if t.grad is None else t.grad + g


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> Any:
    """The gradients of `outputs`, weighted by `grad_outputs`, for each of `inputs`, as a tuple; `.grad` is left alone.

    outputs, inputs: tensors or gradient edges; a dict of inputs gives a dict of gradients. Raises RuntimeError for an input that the outputs do not depend on, unless
    allow_unused (None in its place) or materialize_grads (zeros). is_grads_batched: the first dimension of grad_outputs
    counts weights, for each of which there is a backward pass; the gradients get that dimension too.
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other parts of "
            "the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if isinstance(inputs, dict):
        options = (allow_unused, is_grads_batched, materialize_grads)
        found = grad(outputs, list(inputs.values()), grad_outputs, retain_graph, create_graph, True, *options)
        return dict(zip(inputs, found, strict=True))
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outs, wanted = _as_list(outputs), _as_list(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    grads = [None] * len(outs) if grad_outputs is None else _as_list(grad_outputs)
    for t in wanted:
        if isinstance(t, GradientEdge):
            if materialize_grads:
                raise RuntimeError("materialize_grads cannot be used when the given input is a GradientEdge")
        elif not isinstance(t, Tensor):
            raise RuntimeError(f"all inputs have to be Tensors or GradientEdges, but got {type(t).__name__}")
        elif not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    if is_grads_batched:
        return _batched(outs, wanted, grads, retain_graph, create_graph, allow_unused, materialize_grads)
    edges, values = _roots(outs, grads, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    result = _captured(edges, values, wanted, keep, create_graph)
    for i, (t, g) in enumerate(zip(wanted, result, strict=True)):
        if g is None and materialize_grads:
            result[i] = Tensor._wrap(module_of(t._array).zeros(t._array.shape, t._array.dtype))
        elif g is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {i} appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    return tuple(result)


def _batched(
    outs: list[Any], wanted: list[Any], grads: list[Any], retain_graph: bool | None, create_graph: bool,
    allow_unused: bool | None, materialize_grads: bool,
) -> tuple[Any, ...]:  # fmt: skip
    """`grad` once for each of several weights, which the first dimension of `grads` counts."""
    from ..functions import stack

    if len(grads) != len(outs):
        raise RuntimeError(f"got {len(outs)} tensors and {len(grads)} gradients")
    for i, (t, g) in enumerate(zip(outs, grads, strict=True)):
        if not isinstance(g, Tensor):
            raise RuntimeError("grad can be implicitly created only for scalar outputs")
        if isinstance(t, Tensor) and (not g.ndim or g.shape[1:] != t.shape):
            raise RuntimeError(
                "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the batch dimension. The "
                "sizes of the remaining dimensions are expected to match the shape of corresponding output, but a mismatch was "
                f"detected: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a shape of {t.shape}."
            )
    sizes = [g.shape[0] for g in grads]
    if any(n != sizes[0] for n in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
        )
    keep = create_graph if retain_graph is None else retain_graph
    rows = [
        grad(
            outs,
            wanted,
            [g[i] for g in grads],
            keep or i + 1 < sizes[0],
            create_graph,
            True,
            allow_unused,
            False,
            materialize_grads,
        )
        for i in range(sizes[0])
    ]
    if not rows:
        raise NotImplementedError("grad: is_grads_batched=True needs at least one row of grad_outputs")
    return tuple(None if column[0] is None else stack(column) for column in zip(*rows, strict=True))


def _capture_key(t: Tensor | GradientEdge) -> Any:
    """How run_backward knows the place of `t`."""
    node = _place(t)
    if node.kind == KIND_LEAF:
        return id(node)
    return (node.node.seq, node.index) if node.kind == KIND_SLOT else -node.seq


def _captured(
    edges: list[Any], values: list[Any], wanted: list[Tensor], keep: bool, create_graph: bool
) -> list[Any]:
    captures: dict[Any, int] = {}
    for i, t in enumerate(wanted):
        captures.setdefault(_capture_key(t), i)
    captured: list[Any] = [None] * len(wanted)
    outer, state.capturing = state.capturing, True
    try:
        run_backward(
            edges,
            values,
            retain_graph=keep,
            create_graph=create_graph,
            captures=captures,
            captured=captured,
        )
    finally:
        state.capturing = outer
    for i, t in enumerate(wanted):  # one tensor asked for twice
        captured[i] = captured[captures[_capture_key(t)]]
    return [
        None
        if g is None
        else g
        if create_graph
        else Tensor._wrap(np.array(g) if isinstance(g, np.ndarray) else g.copy())
        for g in captured
    ]
