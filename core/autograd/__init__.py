"""torch.autograd: backward, grad, and Function for one's own operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..engine import run_backward
from ..function import Function
from ..grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled, state
from ..gradcheck import GradcheckError, gradcheck, gradgradcheck
from ..node import KIND_SLOT
from ..tensor import Tensor
from . import function, functional, graph
from .anomaly_mode import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .graph import Node
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
    return list(x) if isinstance(x, (tuple, list)) else [x]


def _roots(outputs: list[Tensor], grads: list[Any], create_graph: bool) -> tuple[list[Any], list[Any]]:
    """Edges of the outputs and their first gradients, checked."""
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    edges, values = [], []
    for i, (t, g) in enumerate(zip(outputs, grads, strict=True)):
        if not isinstance(t, Tensor):
            raise TypeError(f"backward: expected a tensor, got {type(t).__name__}")
        if not t.requires_grad:
            raise RuntimeError(f"element {i} of tensors does not require grad and does not have a grad_fn")
        if g is None:
            if t._array.size != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            g = Tensor._wrap(module_of(t._array).ones(t._array.shape, t._array.dtype))
        elif isinstance(g, (int, float)) and t._array.size == 1:
            g = Tensor._wrap(module_of(t._array).full(t._array.shape, g, t._array.dtype))
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
    inputs: Any = None,
) -> None:
    """Adds the gradients of `tensors`, weighted by `grad_tensors`, to `.grad` of the leaves (or only of `inputs`)."""
    outputs = _as_list(tensors)
    grads = [None] * len(outputs) if grad_tensors is None else _as_list(grad_tensors)
    edges, values = _roots(outputs, grads, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(edges, values, retain_graph=keep, create_graph=create_graph)
        return
    wanted = _as_list(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    if not all(t.requires_grad for t in wanted):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    for t, g in zip(wanted, _captured(edges, values, wanted, keep, create_graph), strict=True):
        if g is not None:
            t.grad = g if t.grad is None else t.grad + g


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs`, weighted by `grad_outputs`, for each of `inputs`; `.grad` is left alone.

    Raises RuntimeError for an input that the outputs do not depend on, unless allow_unused (None in its place) or
    materialize_grads (zeros).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: allow_unused=False."
        )
    outs, wanted = _as_list(outputs), _as_list(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    grads = [None] * len(outs) if grad_outputs is None else _as_list(grad_outputs)
    for t in wanted:
        if not t.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    edges, values = _roots(outs, grads, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    result = _captured(edges, values, wanted, keep, create_graph)
    for i, (t, g) in enumerate(zip(wanted, result, strict=True)):
        if g is None and materialize_grads:
            result[i] = Tensor._wrap(module_of(t._array).zeros(t._array.shape, t._array.dtype))
        elif g is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. "
                "Set allow_unused=True if this is the desired behavior."
            )
    return tuple(result)


def _capture_key(t: Tensor) -> Any:
    """How run_backward knows the place of `t`."""
    node = t._node
    if node is None:
        return id(t)
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
