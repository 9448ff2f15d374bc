"""Broadcasting of any shapes, and empty, 0-d and oddly laid out tensors, give PyTorch's values, shapes and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from torch.nn import functional as TF

import gradwire
from gradwire.backends import to_numpy
from gradwire.nn import functional as GF

quick = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum"]


def _leaves(arrays, device):
    ours = [gradwire.tensor(a, device=device, requires_grad=True) for a in arrays]
    return ours, [torch.tensor(a, requires_grad=True) for a in arrays]


def _agree(ours, theirs, inputs, their_inputs):
    """Output and gradients (of the sum of squares, so that each element has its own weight) are PyTorch's."""
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(to_numpy(ours._array), theirs.detach().numpy(), rtol=1e-10, atol=1e-12)
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    for x, t in zip(inputs, their_inputs, strict=True):
        assert (x.grad is None) == (t.grad is None)
        if t.grad is not None:
            assert tuple(x.grad.shape) == tuple(t.grad.shape)
            np.testing.assert_allclose(to_numpy(x.grad._array), t.grad.numpy(), rtol=1e-9, atol=1e-11)


@quick
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3),
    name=st.sampled_from(BINARY),
)
def test_two_tensors_broadcast_as_in_pytorch(shapes, name, device):
    draw = np.random.default_rng(1)
    arrays = [draw.uniform(0.5, 2.0, s) for s in shapes.input_shapes]
    ours, theirs = _leaves(arrays, device)
    _agree(getattr(gradwire, name)(*ours), getattr(torch, name)(*theirs), ours, theirs)


@quick
@given(shapes=mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
def test_where_broadcasts_its_three_tensors_as_in_pytorch(shapes, device):
    draw = np.random.default_rng(2)
    condition, *arrays = [draw.uniform(-1.0, 1.0, s) for s in shapes.input_shapes]
    mask = np.asarray(condition > 0)
    ours, theirs = _leaves(arrays, device)
    out = gradwire.where(gradwire.tensor(mask, device=device), *ours)
    _agree(out, torch.where(torch.tensor(mask), *theirs), ours, theirs)


@quick
@given(
    batch=mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3),
    sizes=st.tuples(*[st.integers(0, 3)] * 3),
)
def test_matmul_broadcasts_batches_as_in_pytorch(batch, sizes, device):
    n, k, m = sizes
    left, right = batch.input_shapes
    draw = np.random.default_rng(3)
    ours, theirs = _leaves(
        [draw.standard_normal((*left, n, k)), draw.standard_normal((*right, k, m))], device
    )
    _agree(ours[0] @ ours[1], theirs[0] @ theirs[1], ours, theirs)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((4, 2, 3), (3,)), ((2,), (4, 2, 3))]
)
def test_matmul_of_vectors_drops_their_dimension(a, b, device):
    draw = np.random.default_rng(4)
    ours, theirs = _leaves([draw.standard_normal(a), draw.standard_normal(b)], device)
    _agree(ours[0] @ ours[1], theirs[0] @ theirs[1], ours, theirs)


def _layouts(t):
    """The same view, taken of one leaf, in several layouts that are not contiguous."""
    return [
        t.permute(2, 0, 1),
        t[:, ::2],
        t[1:, :, 1],
        t[0, 1:],
        t[:, 1:2].expand(3, 4, 4),
        t[1, 2, 3],
        t[:, :0],
        t[..., None],
    ]


FUNCTIONS = {
    "sum": lambda t, F: t.sum(), "mean": lambda t, F: t.mean(-1) if t.ndim else t.mean(), "exp": lambda t, F: t.exp(),
    "softmax": lambda t, F: t.softmax(-1), "log_softmax": lambda t, F: t.log_softmax(0), "relu": lambda t, F: t.relu(),
    "reshape": lambda t, F: t.reshape(-1) * 2, "transpose": lambda t, F: t.transpose(0, -1) * t.transpose(0, -1),
    "cumsum": lambda t, F: t.cumsum(0), "var": lambda t, F: t.var(0, correction=0) if t.numel() > 1 else t * 1,
    "flatten": lambda t, F: t.flatten() * 1, "gelu": lambda t, F: F.gelu(t), "silu": lambda t, F: F.silu(t),
    "softplus": lambda t, F: F.softplus(t), "clamp": lambda t, F: t.clamp(-0.5, 0.5), "repeat": lambda t, F: t.repeat(2, 1, 1, 2),
    "norm": lambda t, F: t.norm(), "square": lambda t, F: t.square(), "unsqueeze": lambda t, F: t.unsqueeze(0) * 3,
    "logsumexp": lambda t, F: (t * 1).logsumexp(-1) if t.ndim and t.shape[-1] else t * 1,
}  # fmt: skip


@pytest.mark.parametrize("layout", range(8))
@pytest.mark.parametrize("name", FUNCTIONS)
def test_views_of_any_layout_give_pytorchs_values_and_gradients(name, layout, device):
    (x,), (t,) = _leaves([np.random.default_rng(6).standard_normal((3, 4, 4))], device)
    ours, theirs = _layouts(x)[layout], _layouts(t)[layout]
    _agree(FUNCTIONS[name](ours, GF), FUNCTIONS[name](theirs, TF), [x], [t])


POOLED = {
    "conv2d": lambda x, F, w: F.conv2d(x, w, stride=2, padding=1),
    "max_pool2d": lambda x, F, w: F.max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda x, F, w: F.avg_pool2d(x, 2),
    "layer_norm": lambda x, F, w: F.layer_norm(x, (4, 6)),
    "batch_norm": lambda x, F, w: F.batch_norm(x, None, None, training=True),
}


@pytest.mark.parametrize("name", POOLED)
def test_images_of_any_layout_give_pytorchs_values_and_gradients(name, device):
    draw = np.random.default_rng(7)
    (x, w), (t, u) = _leaves([draw.standard_normal((6, 4, 2, 3)), draw.standard_normal((2, 2, 3, 3))], device)
    ours, theirs = x.permute(3, 2, 1, 0), t.permute(3, 2, 1, 0)
    _agree(POOLED[name](ours, GF, w), POOLED[name](theirs, TF, u), [x, w], [t, u])


@pytest.mark.parametrize("name", ["conv2d", "avg_pool2d"])
def test_a_batch_without_samples_gives_an_output_without_samples(name, device):
    (x, w), (t, u) = _leaves([np.zeros((0, 2, 4, 6)), np.ones((2, 2, 3, 3))], device)
    _agree(POOLED[name](x, GF, w), POOLED[name](t, TF, u), [x, w], [t, u])


def test_shapes_that_do_not_broadcast_are_named(device):
    with pytest.raises(RuntimeError, match=r"size of tensor a \(3\) must match the size of tensor b \(4\)"):
        gradwire.ones(2, 3, device=device) + gradwire.ones(4, device=device)
