"""checkpoint beside PyTorch's, and beside the same function without it: values, gradients, memory, random numbers."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import contextmanager

import pytest
import torch as theirs

import gradwire as ours
from gradwire.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential
from tests.core.beside import assert_alike, assert_refused_alike

BOTH = pytest.mark.parametrize("reentrant", [False, True], ids=["plain", "reentrant"])


def _leaves(t, device="cpu"):
    place = device if t is ours else "cpu"
    x = t.tensor([[0.5, -1.5], [2.0, 1.0]], dtype=t.float64, device=place, requires_grad=True)
    w = t.tensor([[1.0, 0.3], [-0.2, 0.7]], dtype=t.float64, device=place, requires_grad=True)
    return x, w


def _layer(x, w, scale=1.0):
    h = (x @ w).tanh()
    return (h * h).exp() @ w.T * scale


@BOTH
def test_values_and_gradients_are_those_of_the_function(reentrant, device):
    def run(t, with_checkpoint=True):
        x, w = _leaves(t, device)
        h = x * 2
        if with_checkpoint:
            h = t.utils.checkpoint.checkpoint(_layer, h, w, use_reentrant=reentrant)
        else:
            h = _layer(h, w)
        (h**2).sum().backward()
        return h.detach(), x.grad, w.grad

    assert_alike(run)
    for mine, plain in zip(run(ours), run(ours, False), strict=True):
        assert (mine == plain).all()


CALLS = {
    "keyword arguments": lambda t, c, x, w: c(_layer, x, w=w, scale=2.0),
    "several outputs": lambda t, c, x, w: sum(
        o.sum() for o in c(lambda a, b: (a.exp(), (a @ b).sin()), x, w)
    ),
    "an output that needs no gradient": lambda t, c, x, w: c(lambda a, b: ((a @ b).sin(), 3), x, w)[0],
    "a closed-over tensor": lambda t, c, x, w: c(lambda a: (a @ w).sin() * w, x),
    "nested": lambda t, c, x, w: c(lambda a, b: c(_layer, c(_layer, a, b).sin(), b).cos() * 2, x, w),
    "twice": lambda t, c, x, w: c(_layer, c(_layer, x, w), w),
    "shared inputs": lambda t, c, x, w: c(_layer, x, x) + c(_layer, w, x),
    "no input needs a gradient": lambda t, c, x, w: c(lambda a: a @ w, x.detach()),
    "in place on an input": lambda t, c, x, w: c(lambda a: (a * 1).mul_(a.sin()), x * w),
    "views": lambda t, c, x, w: c(lambda a: (a.T[0] * a[1]).exp(), x @ w),
    "late stop": lambda t, c, x, w: c(_layer, x, w, early_stop=False),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradients_of_every_order_are_pytorchs(name, device):
    def run(t):
        x, w = _leaves(t, device)

        def call(function, *args, **kwargs):
            return t.utils.checkpoint.checkpoint(function, *args, use_reentrant=False, **kwargs)

        y = CALLS[name](t, call, x, w)
        first = t.autograd.grad(y.sum(), (x, w), create_graph=True, allow_unused=True)
        total = sum((g * g).sum() for g in first if g is not None)
        if not total.requires_grad:
            return [y.detach(), *first]
        second = t.autograd.grad(total, (x, w), retain_graph=True, materialize_grads=True)
        again = t.autograd.grad(total, (x, w), materialize_grads=True)
        return [y.detach(), [None if g is None else g.detach() for g in first], second, again]

    assert_alike(run)


def test_a_modules_parameters_get_their_gradients():
    def run(t):
        x, _ = _leaves(t)
        model = t.nn.Sequential(*[t.nn.Linear(2, 2) for _ in range(5)]).double()
        with t.no_grad():
            for i, p in enumerate(model.parameters()):
                p.copy_((t.arange(p.numel(), dtype=t.float64) * 0.3 - i).reshape(p.shape))
        results = []
        for reentrant in (False, True):
            model.zero_grad()
            t.utils.checkpoint.checkpoint_sequential(model, 2, x, use_reentrant=reentrant).sum().backward()
            results.append([p.grad for p in model.parameters()])
        return results

    assert_alike(run)


@BOTH
def test_random_numbers_are_drawn_again_and_the_stream_goes_on(reentrant, device):
    x, _ = _leaves(ours, device)

    def noisy(a):
        return a * ours.nn.functional.dropout(a, 0.5) * ours.rand(2, 2, dtype=ours.float64, device=device)

    ours.manual_seed(7)
    plain = noisy(x)
    (expected,) = ours.autograd.grad(plain.sum(), x)
    following = ours.rand(2).tolist()
    ours.manual_seed(7)
    y = checkpoint(noisy, x, use_reentrant=reentrant)
    y.sum().backward()
    assert (y == plain).all() and (x.grad == expected).all()
    assert ours.rand(2).tolist() == following


def test_without_the_random_state_the_second_run_draws_others():
    x, _ = _leaves(ours)
    ours.manual_seed(7)
    y = checkpoint(lambda a: a.exp() * ours.rand(2, 2), x, use_reentrant=False, preserve_rng_state=False)
    (g,) = ours.autograd.grad(y.sum(), x)
    assert not (g == y).all()


def test_the_intermediate_tensors_are_dropped_and_made_again_once():
    gc.collect()
    gc.disable()
    try:
        x, w = _leaves(ours)
        made = []

        def watched(a, b):
            for _ in range(4):
                a = (a @ b).sin() * a.exp()
                a = a.relu() + a.sigmoid().softmax(0)
                made.append(weakref.ref(a._array))
            return a.sum()

        kept = watched(x, w)
        assert all(r() is not None for r in made[:3])
        del kept
        assert all(r() is None for r in made)
        made.clear()
        y = checkpoint(watched, x * 1, w, use_reentrant=False, early_stop=False)
        assert all(r() is None for r in made)
        y.backward(retain_graph=True)
        assert len(made) == 8 and all(r() is None for r in made)
        y.backward()
        assert len(made) == 12
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


def test_within_another_checkpoint_the_arguments_of_the_inner_one_are_dropped_too():
    gc.collect()
    gc.disable()
    try:
        x, w = _leaves(ours)
        made = []

        def inner(a):
            made.append(weakref.ref(a._array))
            return (a @ w).sin()

        def outer(a):
            for _ in range(3):
                a = checkpoint(inner, a * 2, use_reentrant=False)
            return a

        y = checkpoint(outer, x, use_reentrant=False)
        assert len(made) == 3 and all(r() is None for r in made)
        y.sum().backward()
        assert all(r() is None for r in made)
    finally:
        gc.enable()


def test_the_second_run_stops_early_or_goes_to_the_end():
    def run(t):
        x, _ = _leaves(t)
        seen = []

        def function(a):
            y = a.exp()
            seen.append("saved")
            y = y + 1
            seen.append("end")
            return y

        call = t.utils.checkpoint.checkpoint
        call(function, x, use_reentrant=False).sum().backward()
        call(function, x, use_reentrant=False, early_stop=False).sum().backward()
        with t.utils.checkpoint.set_checkpoint_early_stop(False):
            y = call(function, x, use_reentrant=False)
        y.sum().backward()
        return seen

    assert_alike(run)


def test_contexts_are_entered_for_each_run():
    def run(t):
        seen = []

        @contextmanager
        def telling(what):
            seen.append(what)
            yield
            seen.append("end of " + what)

        x, _ = _leaves(t)
        y = t.utils.checkpoint.checkpoint(
            lambda a: a.exp(),
            x,
            use_reentrant=False,
            context_fn=lambda: (telling("first"), telling("second")),
            early_stop=False,
        )
        seen.append("forward is over")
        y.sum().backward()
        return seen

    assert_alike(run)


def test_backward_within_the_function():
    def run(t):
        x, w = _leaves(t)

        def penalised(a, b):
            y = (a @ b).tanh()
            (g,) = t.autograd.grad(y.sum(), a, create_graph=True)
            return y.sum() + (g * g).sum()

        t.utils.checkpoint.checkpoint(penalised, x, w, use_reentrant=False).backward()
        return x.grad, w.grad

    assert_alike(run)


def test_threads_share_one_checkpoint():
    x, w = _leaves(ours)
    y = checkpoint(_layer, x, w, use_reentrant=False).sum()
    (expected,) = ours.autograd.grad(y, x, retain_graph=True)
    found = []

    def work():
        for _ in range(5):
            found.append(ours.autograd.grad(y, x, retain_graph=True)[0])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20 and all((g == expected).all() for g in found)


def _changing(t, *kinds):
    order = iter(kinds)
    return lambda a: next(order)(a)


@pytest.mark.parametrize(
    "kinds",
    [
        (lambda a: a.exp().exp(), lambda a: a.exp()),
        (lambda a: a.exp(), lambda a: a[:1].exp()),
        (lambda a: a.exp(), lambda a: a.float().exp()),
    ],
    ids=["fewer", "shape", "dtype"],
)
def test_another_second_run_is_an_error(kinds):
    for t, error in ((ours, CheckpointError), (theirs, theirs.utils.checkpoint.CheckpointError)):
        x, _ = _leaves(t)
        y = t.utils.checkpoint.checkpoint(_changing(t, *kinds), x, use_reentrant=False)
        with pytest.raises(error, match=r"torch.utils.checkpoint: (A different number|Recomputed values)"):
            y.sum().backward()


def test_more_saved_tensors_in_the_second_run_are_an_error():
    for t, error in ((ours, CheckpointError), (theirs, theirs.utils.checkpoint.CheckpointError)):
        x, _ = _leaves(t)
        function = _changing(t, lambda a: a.exp(), lambda a: a.exp().exp())
        y = t.utils.checkpoint.checkpoint(function, x, use_reentrant=False, early_stop=False)
        with pytest.raises(error, match="trying to save more tensors"):
            y.sum().backward()


@BOTH
def test_an_argument_that_was_changed_since_is_found(reentrant):
    x, w = _leaves(ours)
    h = x * 1
    y = checkpoint(_layer, h, w, use_reentrant=reentrant)
    h.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def _call(t, *args, **kwargs):
    x, w = _leaves(t)
    return t.utils.checkpoint.checkpoint(_layer, x, w, *args, **kwargs)


def _reentrant_grad(t):
    x, w = _leaves(t)
    return t.autograd.grad(t.utils.checkpoint.checkpoint(_layer, x, w, use_reentrant=True).sum(), x)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: _call(t, use_reentrant=True, more=1),
        lambda t: _call(t, use_reentrant=True, debug=True),
        lambda t: _call(t, use_reentrant=False, determinism_check="sometimes"),
        lambda t: _call(t, use_reentrant=False, more=1),
        lambda t: _reentrant_grad(t),
        lambda t: t.utils.checkpoint.checkpoint_sequential([abs], 1, 2.0, use_reentrant=False, more=1),
    ],
)
def test_a_bad_call_is_refused_as_pytorch_refuses_it(call):
    assert_refused_alike(call, 18)


def test_the_reentrant_form_is_not_differentiated_twice():
    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        _call(ours, use_reentrant=True).sum().backward(create_graph=True)


def test_the_reentrant_form_warns_of_inputs_without_gradients():
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        assert not checkpoint(lambda a: a * 2, ours.ones(2), use_reentrant=True).requires_grad


def test_leaving_use_reentrant_open_is_warned_about():
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        assert _call(ours).requires_grad
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint_sequential([lambda a: a * 2] * 2, 2, ours.ones(2, requires_grad=True))


def test_without_recording_nothing_is_kept():
    calls = []
    with ours.no_grad():
        y = checkpoint(lambda a: calls.append(1) or a * 2, ours.ones(2), use_reentrant=False)
    assert y.tolist() == [2, 2] and calls == [1]


def test_debug_is_refused():
    with pytest.raises(NotImplementedError, match="detect_anomaly"):
        _call(ours, use_reentrant=False, debug=True)


@pytest.mark.parametrize("segments", [0, 3])
def test_more_segments_than_functions_are_refused(segments):
    with pytest.raises(ValueError, match="segments must be from 1"):
        checkpoint_sequential([abs, abs], segments, 2.0, use_reentrant=False)
