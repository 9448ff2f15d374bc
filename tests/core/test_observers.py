"""Node hooks, hooks on saved tensors, anomaly mode and gradients of one of several outputs, beside PyTorch."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch as theirs

import gradwire as ours

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])


def _x(t):
    return t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)


@BOTH
def test_node_hooks_see_and_replace_gradients(t):
    x, seen = _x(t), []
    y = x * 3
    pre = y.grad_fn.register_prehook(lambda outs: seen.append(outs[0].tolist()) or (outs[0] * 2,))
    post = y.grad_fn.register_hook(lambda ins, outs: seen.append((ins[0].tolist(), outs[0].tolist())))
    y.sum().backward(retain_graph=True)
    assert seen == [[1, 1], ([6, 6], [2, 2])] and x.grad.tolist() == [6, 6]
    pre.remove()
    post.remove()
    y.sum().backward()
    assert len(seen) == 2 and x.grad.tolist() == [9, 9]


@BOTH
def test_the_order_is_tensor_hooks_then_retained_then_prehooks_then_hooks(t):
    order = []
    y = _x(t) * 3
    y.grad_fn.register_hook(lambda ins, outs: order.append("post"))
    y.grad_fn.register_prehook(lambda outs: order.append("pre"))
    y.retain_grad()
    y.register_hook(lambda g: order.append("tensor") or g * 5)
    y.sum().backward()
    assert order == ["tensor", "pre", "post"] and y.grad.tolist() == [5, 5]


@BOTH
def test_a_hook_that_returns_another_number_of_gradients_is_refused(t):
    y = _x(t) * 3
    y.grad_fn.register_hook(lambda ins, outs: (ins[0], ins[0], ins[0]))
    with pytest.raises(RuntimeError):
        y.sum().backward()


@BOTH
def test_saved_tensors_go_through_the_hooks_and_come_back_the_same(t):
    packed, unpacked = [], []

    def pack(s):
        packed.append(s.tolist())
        return s.numpy().copy()

    def unpack(kept):
        unpacked.append(kept.tolist())
        return t.from_numpy(kept)

    x = _x(t)
    with t.autograd.graph.saved_tensors_hooks(pack, unpack):
        z = (x * x).exp()
    outside = z * z
    assert packed[:2] == [[1, 2], [1, 2]] and len(packed) == 3 and not unpacked
    outside.sum().backward()
    assert len(unpacked) == 3
    reference = _x(t)
    ((reference * reference).exp() ** 2).sum().backward()
    assert x.grad.tolist() == pytest.approx(reference.grad.tolist())


@BOTH
def test_packed_tensors_are_differentiated_again(t):
    x = _x(t)
    with t.autograd.graph.saved_tensors_hooks(lambda s: s, lambda s: s):
        y = (x * x * x).sum()
    (g,) = t.autograd.grad(y, x, create_graph=True)
    g.sum().backward()
    assert g.tolist() == [3, 12] and x.grad.tolist() == [6, 12]


@BOTH
def test_save_on_cpu_changes_no_gradient_and_hooks_can_be_forbidden(t):
    x = _x(t)
    with t.autograd.graph.save_on_cpu():
        y = (x * x).sum()
    y.backward()
    assert x.grad.tolist() == [2, 4]
    with (
        t.autograd.graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
        t.autograd.graph.saved_tensors_hooks(lambda s: s, lambda s: s),
    ):
        pass


def test_what_a_function_saves_goes_through_the_hooks():
    class Square(ours.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * a * 2

    x, count = _x(ours), []
    with ours.autograd.graph.saved_tensors_hooks(lambda s: count.append(1) or s, lambda s: s):
        Square.apply(x).sum().backward()
    assert x.grad.tolist() == [2, 4] and count


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_anomaly_mode_names_the_function_and_the_forward_line():
    x = ours.tensor([0.0], requires_grad=True)
    with (
        ours.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="Function 'LogBackward0' returned nan values in its 0th output"),
    ):
        (ours.log(x) * (x * 1)).sum().backward()
    with ours.autograd.detect_anomaly():
        y = ours.sqrt(x * 1)
        with pytest.raises(RuntimeError, match="returned nan values") as caught:
            (y * 0).sum().backward()
    notes = "\n".join(caught.value.__notes__)
    assert "Error detected in SqrtBackward0" in notes and "y = ours.sqrt(x * 1)" in notes
    assert "test_observers.py" in notes and not ours.is_anomaly_enabled()


@BOTH
def test_anomaly_mode_may_be_set_and_put_back(t):
    with t.autograd.set_detect_anomaly(True, check_nan=False):
        assert t.is_anomaly_enabled()
        x = t.tensor([0.0], requires_grad=True)
        (t.sqrt(x) * 0).sum().backward()
    assert not t.is_anomaly_enabled()


@BOTH
def test_once_differentiable_gives_gradients_that_refuse_to_be_differentiated(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a**3

        @staticmethod
        @t.autograd.function.once_differentiable
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0] ** 2

    x = _x(t)
    (g,) = t.autograd.grad((Cube.apply(x) ** 2).sum(), x, create_graph=True)
    assert g.tolist() == [6, 192]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()


@BOTH
def test_outputs_of_a_function_take_hooks_and_can_be_asked_for(t):
    class Two(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a * 2, a * 3

        @staticmethod
        def backward(ctx, g, h):
            return g * 2 + h * 3

    x, seen = _x(t), []
    a, b = Two.apply(x)
    b.register_hook(lambda g: seen.append(g.tolist()))
    b.retain_grad()
    got = t.autograd.grad((a * a + b).sum(), [b, x, a], retain_graph=True)
    assert [g.tolist() for g in got] == [[1, 1], [11, 19], [4, 8]] and seen == [[1, 1]]
    (a * a + b).sum().backward()
    assert b.grad is not None and x.grad.tolist() == [11, 19]


@BOTH
def test_multi_grad_hooks_are_called_once_for_all(t):
    x, y, calls = _x(t), _x(t), []
    handle = t.autograd.graph.register_multi_grad_hook((x, y), lambda grads: calls.append(len(grads)))
    (x * y).sum().backward()
    (x * y).sum().backward()
    assert calls == [2, 2]
    handle.remove()
    (x * y).sum().backward()
    assert calls == [2, 2]


@BOTH
@pytest.mark.parametrize("mode", ["all", "any"])
def test_multi_grad_hooks_keep_the_passes_apart(t, mode):
    x, y, calls = _x(t), _x(t), []
    t.autograd.graph.register_multi_grad_hook((x, y), calls.append, mode=mode)
    (x * 2).sum().backward()
    (y * 3).sum().backward()
    (x * 2 + y * 3).sum().backward()
    if mode == "any":
        assert [g.tolist()[0] for g in calls[:2]] == [2, 3] and len(calls) == 3
    else:
        told = [[None if g is None else g.tolist()[0] for g in grads] for grads in calls]
        assert told == [[2, None], [None, 3], [2, 3]]


@BOTH
@pytest.mark.parametrize("bad", ["shape", "dtype", "kind", "itself"])
def test_a_gradient_that_does_not_fit_is_not_assigned(t, bad):
    x = _x(t)
    wrong = {"shape": t.zeros(3, dtype=t.float64), "dtype": t.zeros(2), "kind": 1.0, "itself": x}[bad]
    with pytest.raises(TypeError if bad == "kind" else RuntimeError):
        x.grad = wrong
    x.grad = t.ones(2, dtype=t.float64)
    del x.grad
    assert x.grad is None


@BOTH
def test_inference_mode_is_a_context_and_a_decorator(t):
    x = _x(t)
    with t.inference_mode():
        assert t.is_inference_mode_enabled() and not (x * 2).requires_grad

    @t.inference_mode()
    def double(a):
        return a * 2

    assert not double(x).requires_grad and not t.is_inference_mode_enabled()
    with t.inference_mode(False):
        assert (x * 2).requires_grad


def test_graphs_with_hooks_and_views_are_freed_as_soon_as_they_are_dropped():
    gc.collect()
    gc.disable()
    try:
        x = _x(ours)
        y = x * 2
        y.grad_fn.register_hook(lambda ins, outs: None)
        v = y[:1]
        v.mul_(3)
        z = (v * y).sum()
        refs = [weakref.ref(o) for o in (y, v, z, y.grad_fn, z.grad_fn)]
        z.backward()
        del y, v, z
        assert [r() for r in refs] == [None] * 5
    finally:
        gc.enable()
