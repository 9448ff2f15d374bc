"""autocast beside PyTorch's: which dtype comes out of what, gradients, nesting, decorators, threads."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from gradwire import versions
from tests.core.stories import same

F32, F64 = "float32", "float64"


def given(t, *shape, dtype=F32):
    n = int(np.prod(shape))
    return t.arange(n, dtype=getattr(t, dtype)).reshape(shape) * 0.1 - 0.3


CALLS = {
    "matmul": lambda t, x: x @ x.T,
    "matmul-batch": lambda t, x: t.matmul(x.reshape(2, 2, 2), x.reshape(2, 2, 2)),
    "mm": lambda t, x: t.mm(x, x.T),
    "mv": lambda t, x: t.mv(x, x[0]),
    "bmm": lambda t, x: t.bmm(x.reshape(2, 2, 2), x.reshape(2, 2, 2)),
    "addmm": lambda t, x: t.addmm(x[:, :2], x, x.T[:, :2]),
    "linear": lambda t, x: t.nn.functional.linear(x, x, x[:, 0]),
    "linear-plain": lambda t, x: t.nn.functional.linear(x, x),
    "conv1d": lambda t, x: t.nn.functional.conv1d(x.reshape(1, 2, 4), x.reshape(2, 2, 2)),
    "conv-transpose": lambda t, x: t.nn.functional.conv_transpose1d(x.reshape(1, 2, 4), x.reshape(2, 2, 2)),
    "relu": lambda t, x: x.relu(),
    "sum": lambda t, x: (x @ x.T).sum(),
    "exp": lambda t, x: (x @ x.T).exp(),
    "add": lambda t, x: (x @ x.T) + x[:, :2],
    "cat": lambda t, x: t.cat([x @ x.T, x[:, :2]]),
    "softmax": lambda t, x: (x @ x.T).softmax(-1),
    "layer-norm": lambda t, x: t.nn.functional.layer_norm(x @ x.T, (2,)),
    "mse": lambda t, x: t.nn.functional.mse_loss(x @ x.T, x[:, :2]),
    "cross-entropy": lambda t, x: t.nn.functional.cross_entropy(x @ x.T, t.tensor([0, 1])),
    "bce-logits": lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x @ x.T, t.ones(2, 2, dtype=x.dtype)),
    "smooth-l1": lambda t, x: t.nn.functional.smooth_l1_loss(x @ x.T, x[:, :2]),
    "kl": lambda t, x: t.nn.functional.kl_div(x @ x.T, x[:, :2].softmax(-1), reduction="sum"),
    "prod": lambda t, x: (x @ x.T).prod(),
    "prod-dim": lambda t, x: t.prod(x @ x.T, 1),
    "trace": lambda t, x: t.trace(x @ x.T),
    "bilinear": lambda t, x: t.bilinear(x, x, x.reshape(1, 2, 4).repeat(3, 2, 1), None),
    "avg-pool3d": lambda t, x: t.nn.functional.avg_pool3d((x @ x.T).reshape(1, 1, 1, 2, 2), (1, 2, 2)),
    "einsum": lambda t, x: t.einsum("ij,kj->ik", x, x),
    "attention": lambda t, x: t.nn.functional.scaled_dot_product_attention(x[None], x[None], x[None]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("source", [F32, F64])
def test_results_have_torchs_dtypes_and_near_its_values(name, dtype, source):
    results = []
    for t in (ours, theirs):
        x = given(t, 2, 4, dtype=source)
        with t.autocast("cpu", dtype=getattr(t, dtype)):
            try:
                results.append(CALLS[name](t, x))
            except RuntimeError as e:
                results.append(type(e))
    mine, expected = results
    if isinstance(expected, type):
        assert mine is expected
        return
    assert str(mine.dtype) == str(expected.dtype)
    np.testing.assert_allclose(np.asarray(mine.tolist()), np.asarray(expected.tolist()), rtol=0.03, atol=0.03)


def mlp(t):
    m = t.nn.Sequential(t.nn.Linear(4, 8), t.nn.ReLU(), t.nn.Linear(8, 3))
    with t.no_grad():
        for p in m.parameters():
            p.copy_(given(t, *p.shape) * 0.5)
    return m


def test_a_training_step_casts_within_and_leaves_parameters_and_gradients_in_float32():
    grads = []
    for t in (ours, theirs):
        m, x = mlp(t), given(t, 5, 4)
        with t.autocast("cpu"):
            y = m(x)
            loss = t.nn.functional.cross_entropy(y, t.tensor([0, 1, 2, 1, 0]))
        assert y.dtype == t.bfloat16 and loss.dtype == t.float32
        loss.backward()
        assert all(p.grad.dtype == t.float32 for p in m.parameters())
        grads.append([np.asarray(p.grad.tolist()) for p in m.parameters()])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.01)


def test_recurrent_layers_take_what_comes_out_of_a_product():
    for t in (ours, theirs):
        with t.autocast("cpu"):
            y, (h, c) = t.nn.LSTM(4, 3)(t.nn.Linear(4, 4)(t.ones(2, 1, 4)))
        assert (y.dtype, h.dtype, c.dtype) == (t.bfloat16,) * 3


def test_a_parameter_is_cast_once_until_it_changes():
    w = ours.nn.Parameter(given(ours, 4, 4))
    x = given(ours, 2, 4)
    with ours.autocast("cpu"):
        a, b = x @ w, x @ w
        with ours.no_grad():
            w.add_(1.0)
        c = x @ w
    casts = [y.grad_fn.next_functions[1][0] for y in (a, b, c)]
    assert casts[0] is casts[1] and casts[1] is not casts[2]
    assert not ours.equal(b, c)
    with ours.autocast("cpu", cache_enabled=False):
        a, b = x @ w, x @ w
    assert a.grad_fn.next_functions[1][0] is not b.grad_fn.next_functions[1][0]


def test_casts_are_dropped_with_the_outermost_autocast():
    gc.disable()
    try:
        w = ours.nn.Parameter(given(ours, 4, 4))
        gone = weakref.ref(w)
        with ours.autocast("cpu"):
            given(ours, 2, 4) @ w
        del w
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "act",
    [
        lambda t: t.autocast("x"),
        lambda t: t.autocast(3),
        lambda t: t.autocast("cpu", dtype=t.float32) and None,
        lambda t: t.is_autocast_enabled("cpu"),
        lambda t: str(t.get_autocast_dtype("cpu")),
        lambda t: str(t.get_autocast_dtype("cuda")),
        lambda t: t.amp.is_autocast_available("cpu"),
    ],
)
def test_questions_and_refusals_are_torchs(act):
    def told(t):
        try:
            return act(t)
        except Exception as e:
            return type(e).__name__

    same(told)


def test_it_nests_and_is_switched_off_within():
    def story(t):
        x, seen = given(t, 2, 4), []
        with t.autocast("cpu"):
            with t.autocast("cpu", enabled=False):
                seen += [str((x @ x.T).dtype), t.is_autocast_enabled("cpu")]
            with t.autocast("cpu", dtype=t.float16):
                seen += [str((x @ x.T).dtype), str(t.get_autocast_dtype("cpu"))]
            seen += [str((x @ x.T).dtype), t.is_autocast_enabled("cpu")]
        return [*seen, str((x @ x.T).dtype), t.is_autocast_enabled("cpu")]

    same(story)


def test_it_decorates_and_holds_in_its_thread_alone():
    def story(t):
        x, seen = given(t, 2, 4), []

        @t.autocast("cpu")
        def run(y):
            """Told."""
            other = threading.Thread(target=lambda: seen.append(str((x @ x.T).dtype)))
            other.start()
            other.join()
            return y @ y.T

        return str(run(x).dtype), run.__doc__, seen

    same(story)


def test_nothing_watches_after_it():
    before = versions.watch
    with ours.autocast("cpu"):
        assert versions.watch > before
    with pytest.raises(ValueError, match="no"), ours.autocast("cpu"):
        raise ValueError("no")
    assert versions.watch == before


def test_functions_of_the_users_get_what_they_ask_for():
    def story(t):
        class Double(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu", cast_inputs=t.float32)
            def forward(ctx, x):
                ctx.seen = str(x.dtype), t.is_autocast_enabled("cpu")
                Double.seen = ctx.seen
                return x * 2

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, g):
                Double.back = t.is_autocast_enabled("cpu")
                return g * 2

        x = given(t, 2, 2).requires_grad_()
        with t.autocast("cpu"):
            y = Double.apply(x @ x)
        y.sum().backward()
        return str(y.dtype), Double.seen, Double.back

    same(story)
