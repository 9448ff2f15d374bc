"""inplace=True and the functions with an underscore: the tensor itself is written, and gradients are those of the plain form."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

X = np.array([[-2.5, -0.7, -0.2, 0.3], [0.8, 1.4, 3.5, 7.0]])

FORMS = {
    **{
        f"{name}-inplace": lambda t, x, n=name, a=args: getattr(t.nn.functional, n)(x, *a, inplace=True)
        for name, args in {
            "relu": (), "relu6": (), "elu": (0.7,), "selu": (), "celu": (0.7,), "leaky_relu": (0.2,), "silu": (), "mish": (),
            "hardswish": (), "hardtanh": (-0.5, 2.0), "threshold": (0.5, 20.0), "rrelu": (0.1, 0.4),
        }.items()
    },
    **{
        f"F.{name}": lambda t, x, n=name, a=args: getattr(t.nn.functional, n)(x, *a)
        for name, args in {
            "relu_": (), "elu_": (0.7,), "selu_": (), "celu_": (0.7,), "leaky_relu_": (0.2,), "hardtanh_": (-0.5, 2.0),
            "threshold_": (0.5, 20.0), "rrelu_": (0.1, 0.4),
        }.items()
    },
    **{
        f"torch.{name}": lambda t, x, n=name, a=args: getattr(t, n)(x, *a)
        for name, args in {"selu_": (), "celu_": (0.7,), "threshold_": (0.5, 20.0), "rrelu_": (0.1, 0.4)}.items()
    },
    "hardsigmoid-inplace": lambda t, x: t.nn.functional.hardsigmoid(x, inplace=True),
}  # fmt: skip


def _run(t, name, device):
    leaf = t.from_numpy(X.copy()).to(device).requires_grad_()
    x = leaf * 1
    out = FORMS[name](t, x)
    assert out is x
    (out * t.from_numpy(np.cos(X)).to(device)).sum().backward()
    return out.detach().to("cpu").numpy(), leaf.grad.to("cpu").numpy()


@pytest.mark.parametrize("name", FORMS)
def test_the_tensor_is_written_and_its_gradient_is_pytorchs(name, device):
    for mine, expected in zip(_run(ours, name, device), _run(theirs, name, "cpu"), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_a_leaf_that_requires_grad_is_not_written(t, name):
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        FORMS[name](t, t.ones(2, 4, requires_grad=True))


def test_rrelu_in_training_draws_its_slopes_from_the_generator(device):
    x = ours.full((400,), -2.0, dtype=ours.float64, device=device).requires_grad_()
    ours.manual_seed(3)
    y = ours.nn.functional.rrelu(x, 0.1, 0.3, training=True)
    ours.manual_seed(3)
    assert ours.equal(y, ours.nn.functional.rrelu(x, 0.1, 0.3, training=True))
    slopes = y.detach().to("cpu").numpy() / -2
    assert slopes.min() >= 0.1 and slopes.max() < 0.3 and abs(slopes.mean() - 0.2) < 0.01
    y.sum().backward()
    np.testing.assert_allclose(x.grad.to("cpu").numpy(), slopes)
    assert ours.equal(ours.nn.functional.rrelu(-x.detach(), training=True), -x.detach())


@pytest.mark.parametrize("name", ["softmax", "softmin", "log_softmax"])
@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_a_dimension_left_out_is_warned_of(t, name):
    with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name} has been deprecated"):
        getattr(t.nn.functional, name)(t.ones(2, 3))
