"""What a large graph, several threads, and an early end of use must not break."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
import torch as theirs

import gradwire as ours
from gradwire.autograd import Function
from tests.core.beside import assert_same, plain

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
MANY = 30_000


@pytest.fixture
def no_collector():
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _leaf(*values):
    return ours.tensor(list(values), dtype=ours.float64, requires_grad=True)


# Graphs of many nodes


def test_a_long_chain_is_differentiated_by_grad_and_by_func():
    def long(x):
        for _ in range(MANY // 2):
            x = x + 1.0
            x = x * 1.0
        return x.sum()

    x = _leaf(3.0)
    (g,) = ours.autograd.grad(long(x), x)
    assert g.item() == 1.0
    assert ours.func.grad(long)(x.detach()).item() == 1.0


def test_the_gradient_of_a_long_chain_is_differentiated_again():
    x = _leaf(1.0)
    y = x
    for _ in range(4000):
        y = y * 1.0 + x * x * 0.25e-3
    (g,) = ours.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = ours.autograd.grad(g.sum(), x)
    assert g.item() == pytest.approx(3.0) and h.item() == pytest.approx(2.0)


def test_a_wide_graph_of_one_leaf_is_summed_in_one_pass():
    x = _leaf(2.0)
    total = ours.stack([x * float(i) for i in range(2000)]).sum()
    total.backward()
    assert x.grad.item() == sum(range(2000))


def test_a_long_chain_of_writes_through_a_view_is_walked_and_dropped():
    x = _leaf(1.0, 2.0)
    y = x * 1
    v = y[0:1]
    for _ in range(2000):
        v.mul_(1.0)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    gone = weakref.ref(y.grad_fn)
    del y, v
    assert gone() is None


# Freed at once


class Doubled(Function):
    @staticmethod
    def forward(ctx, x):
        y = x * 2
        ctx.save_for_backward(x, y)
        ctx.note = "kept"
        return y, x + 1

    @staticmethod
    def backward(ctx, g, h):
        x, y = ctx.saved_tensors
        return g * y / x + h


BUILDS = {
    "a view written in place": lambda x: _written_view(x),
    "a view of a view": lambda x: (x * 2)[1:][0:1].view(1),
    "an in-place chain": lambda x: (x * 1).mul_(x).add_(1).exp_(),
    "a custom function": lambda x: Doubled.apply(x)[0],
    "its second output": lambda x: Doubled.apply(x)[1],
    "a tensor hook": lambda x: _hooked(x, "tensor"),
    "node hooks": lambda x: _hooked(x, "node"),
    "a retained gradient": lambda x: _hooked(x, "retain"),
    "metadata": lambda x: _hooked(x, "metadata"),
    "packed tensors": lambda x: _packed(x),
    "anomaly mode": lambda x: _in_anomaly_mode(x),
    "a checkpoint": lambda x: ours.utils.checkpoint.checkpoint(lambda a: a.exp() * x, x, use_reentrant=False),
    "a reentrant checkpoint": lambda x: ours.utils.checkpoint.checkpoint(lambda a: a.exp() * x, x, use_reentrant=True),
    "several gradients' hook": lambda x: _multi(x),
    "a Jacobian in a graph": lambda x: ours.autograd.functional.jacobian(lambda a: a**3, x, create_graph=True),
    "a Hessian in a graph": lambda x: ours.func.hessian(lambda a: (a**3).sum())(x),
    "a map": lambda x: ours.func.vmap(lambda a: a.exp())(x),
}  # fmt: skip


def _written_view(x):
    y = x * 1
    y[0:1].mul_(3)
    y[1] = x[0]
    return y


def _hooked(x, kind):
    y = x * 2
    if kind == "tensor":
        y.register_hook(lambda g: g * 2)
    elif kind == "node":
        y.grad_fn.register_prehook(lambda g: None)
        y.grad_fn.register_hook(lambda a, b: None)
    elif kind == "retain":
        y.retain_grad()
    else:
        y.grad_fn.metadata["a"] = 1
    return y


def _packed(x):
    with ours.autograd.graph.saved_tensors_hooks(lambda s: s.numpy().copy(), ours.from_numpy):
        return (x * x).exp()


def _in_anomaly_mode(x):
    with ours.autograd.detect_anomaly():
        return (x * x).exp()


def _multi(x):
    y, z = x * 2, x * 3
    ours.autograd.graph.register_multi_grad_hook([y, z], lambda grads: None)
    return y + z


@pytest.mark.parametrize("use", ["forward", "backward", "twice"])
@pytest.mark.parametrize("name", BUILDS)
def test_a_dropped_graph_is_freed_at_once(name, use, no_collector):
    x = _leaf(0.5, 2.0)
    y = BUILDS[name](x)
    below = y.grad_fn.next_functions[0][0]
    gone = [weakref.ref(y), weakref.ref(y.grad_fn)]
    if not isinstance(below, type(None)) and below.next_functions:
        gone.append(weakref.ref(below))
    del below
    if use != "forward":
        second = use == "twice" and "reentrant" not in name
        y.backward(y.detach() * 0 + 1, create_graph=second)
        if second and x.grad.grad_fn is not None:
            gone.append(weakref.ref(x.grad.grad_fn))
        x.grad = None
    del y
    assert [r() for r in gone] == [None] * len(gone)


# Threads


def _in_threads(count, work):
    errors = []

    def guarded(i):
        try:
            work(i)
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


def test_threads_share_leaves_and_the_lower_part_of_a_graph():
    w, x = _leaf(1.5, -0.5), _leaf(2.0, 3.0)
    shared = (w * x).exp()  # whose buffers all backward passes use
    expected = ours.autograd.grad((shared * 2.0).sum(), (w, x), retain_graph=True)

    def work(i):
        for _ in range(20):
            (shared * 2.0).sum().backward(retain_graph=True)

    _in_threads(4, work)
    for leaf, g in zip((w, x), expected, strict=True):
        assert leaf.grad.tolist() == pytest.approx((g * 80).tolist(), rel=1e-12)


def test_threads_with_hooks_modes_and_second_derivatives_do_not_meet():
    w = _leaf(1.5, -0.5)
    found = [None] * 4

    def work(i):
        for _ in range(10):
            y = (w * float(i + 1)).exp()
            y.register_hook(lambda g: g * 2)
            with ours.no_grad():
                assert not (w * 2).requires_grad
            (g,) = ours.autograd.grad(y.sum(), w, create_graph=True)
            found[i] = ours.autograd.grad(g.sum(), w)[0].tolist()

    _in_threads(4, work)
    for i in range(4):
        # the hook doubles dy each time it is passed: in the first backward, and in the second one's way through y
        y = (w * float(i + 1)).exp()
        y.register_hook(lambda g: g * 2)
        (g,) = ours.autograd.grad(y.sum(), w, create_graph=True)
        assert found[i] == ours.autograd.grad(g.sum(), w)[0].tolist()


# Smaller parts of autograd.graph


@BOTH
def test_a_write_behind_autograds_back_can_be_told(t):
    x = t.tensor([1.0, 2.0], requires_grad=True)
    y = x * 1
    z = y.exp() * y
    before = y._version
    t.autograd.graph.increment_version([y])
    assert y._version == before + 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@BOTH
def test_a_gradient_edge_names_node_and_output(t):
    x = t.tensor([[1.0, 2.0]], requires_grad=True)
    y = x * 1
    values = y.max(1)
    edge = t.autograd.graph.get_gradient_edge(values.values)
    assert edge.node.name() == values.values.grad_fn.name() and edge.output_nr == 0
    assert t.autograd.graph.get_gradient_edge(x).node.name().endswith("AccumulateGrad")
    with pytest.raises(RuntimeError, match="does not require gradients"):
        t.autograd.graph.get_gradient_edge(x.detach())


@BOTH
def test_modes_are_told_by_functions(t):
    with t.inference_mode():
        inside = t.is_inference_mode_enabled(), t.is_grad_enabled()
    with t.set_grad_enabled(False):
        off = t.is_grad_enabled()
    assert inside == (True, False) and off is False
    assert not t.is_inference_mode_enabled() and t.is_grad_enabled()
    with t.autograd.set_detect_anomaly(True):
        assert t.is_anomaly_enabled()
    assert not t.is_anomaly_enabled()


@BOTH
def test_variable_is_the_old_name_of_a_tensor(t):
    x = t.ones(2, requires_grad=True)
    v = t.autograd.Variable(x * 2, requires_grad=True)
    assert v.is_leaf and v.requires_grad and v.tolist() == [2, 2]
    assert isinstance(x, t.autograd.Variable) and not isinstance(2, t.autograd.Variable)
    assert not t.autograd.Variable(x).requires_grad
    with pytest.raises(TypeError, match="Variable data has to be a tensor, but got int"):
        t.autograd.Variable(3)


# The arguments of grad and backward that few use

EDGES = [
    lambda t, x, y, z, e: t.autograd.grad(e(z.sum()), e(x)),
    lambda t, x, y, z, e: t.autograd.grad(z.sum(), (e(y), x)),
    lambda t, x, y, z, e: t.autograd.grad(e(z), [e(y)], t.tensor([1.0, 3.0])),
    lambda t, x, y, z, e: t.autograd.grad(e(z), e(y)),
    lambda t, x, y, z, e: t.autograd.grad(e(z), e(y), t.ones(3)),
    lambda t, x, y, z, e: t.autograd.grad(e(y.max(0).values), x),
    lambda t, x, y, z, e: t.autograd.grad(y.max(0).values * 2, e(y)),
    lambda t, x, y, z, e: t.autograd.grad(x.sum(), e(y)),
    lambda t, x, y, z, e: t.autograd.grad(x.sum(), e(y), allow_unused=True),
    lambda t, x, y, z, e: t.autograd.grad(x.sum(), e(y), materialize_grads=True),
    lambda t, x, y, z, e: t.autograd.grad(z, x, t.eye(2), is_grads_batched=True),
    lambda t, x, y, z, e: t.autograd.grad(z, x, t.eye(2), None, True, True, None, True),
    lambda t, x, y, z, e: t.autograd.grad([z, y], [x, y], [t.eye(2), t.ones(2, 2)], is_grads_batched=True),
    lambda t, x, y, z, e: t.autograd.grad([z, y], [x, y], [t.eye(2), t.ones(3, 2)], is_grads_batched=True),
    lambda t, x, y, z, e: t.autograd.grad(z, x, t.ones(2), is_grads_batched=True),
    lambda t, x, y, z, e: t.autograd.grad(z, x, is_grads_batched=True),
    lambda t, x, y, z, e: (t.autograd.backward(e(z), t.ones(2)), x.grad),
    lambda t, x, y, z, e: (t.autograd.backward([e(z), y.sum()], [t.ones(2), None]), x.grad),
    lambda t, x, y, z, e: (t.autograd.backward(z, grad_variables=t.ones(2)), x.grad),
    lambda t, x, y, z, e: t.autograd.backward(z, t.ones(2), grad_variables=t.ones(2)),
    lambda t, x, y, z, e: t.autograd.backward(z, t.ones(2), inputs=[]),
    lambda t, x, y, z, e: t.autograd.grad(z.sum(), {"y": y, "x": x}),
    lambda t, x, y, z, e: t.autograd.grad(z.sum(), {}),
    lambda t, x, y, z, e: t.autograd.grad(x.sum(), {"y": y, "x": x}, allow_unused=True),
    lambda t, x, y, z, e: (t.autograd.backward(z.sum(), inputs={"x": x}), x.grad),
    lambda t, x, y, z, e: t.autograd.grad(z.sum(), x, only_inputs=False),
]


@pytest.mark.parametrize("call", EDGES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_edges_and_batched_weights_are_taken_as_in_pytorch(call):
    def outcome(t):
        x = t.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        try:
            return plain(call(t, x, y, y * y, t.autograd.graph.get_gradient_edge))
        except (RuntimeError, ValueError) as e:
            return type(e).__name__, str(e)[:60]

    assert_same(outcome(ours), outcome(theirs))


def test_an_edge_takes_ones_of_its_own_device(device):
    x = ours.tensor([1.0, 2.0], device=device, requires_grad=True)
    (g,) = ours.autograd.grad(ours.autograd.graph.get_gradient_edge((x * x).sum()), x)
    assert g.device.type == device and g.tolist() == [2, 4]
    with pytest.raises(NotImplementedError, match=r"autograd\.grad takes gradient edges"):
        ours.autograd.backward(x.sum(), inputs=ours.autograd.graph.get_gradient_edge(x))
