"""No public function leaves a cycle behind: with the garbage collector off, a graph is gone as soon as it is dropped."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import pytest

from . import driver
from .test_every_function import CASES


@pytest.fixture
def no_collector():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _outputs(c, library):
    """The results that have a graph, on inputs that require grad."""
    args, kwargs = library.arguments(c, "float64")
    for t in driver.leaves([args, kwargs]):
        if t.is_floating_point():
            t.requires_grad_()
    out = driver.outcome(lambda: library.function(c.entry, c.entry.name)(*args, **kwargs))
    if isinstance(out, Exception):
        return [], None
    inputs = [t for t in driver.leaves([args, kwargs]) if t.requires_grad]
    return [t for t in driver.leaves([out]) if t.requires_grad], inputs


def _alive(c, library, use):
    """What is left of the graph after it was dropped, or after backward through it."""
    outputs, inputs = _outputs(c, library)
    gone = [weakref.ref(t.grad_fn) for t in outputs if t.grad_fn is not None]
    gone += [weakref.ref(t) for t in outputs if not t.is_leaf]
    if use != "forward" and outputs:
        weights = [t.detach() for t in outputs]
        grad = library.root.autograd.grad
        found = driver.outcome(
            partial(grad, outputs, inputs, weights, allow_unused=True, create_graph=use == "twice")
        )
        if not isinstance(found, Exception):
            gone += [weakref.ref(g.grad_fn) for g in found if g is not None and g.grad_fn is not None]
        del found, weights
    del outputs, inputs
    return [r() for r in gone if r() is not None]


@pytest.mark.parametrize("c", [p for p in CASES if p.values[0].grad])
def test_a_dropped_graph_is_freed_at_once(c, device, no_collector):
    for use in ("forward", "backward", "twice"):
        alive = _alive(c, driver.ours(device), use)
        assert not alive, f"after {use}: {alive}"
