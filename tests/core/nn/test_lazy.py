"""Lazy layers: as PyTorch's before the first input, and the ordinary layers from then on."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

LAYERS = {
    "LazyLinear": ((3,), {}, (2, 4)),
    "LazyConv1d": ((6, 3), {"groups": 2}, (2, 4, 7)),
    "LazyConv2d": ((6, 3), {"padding": 1, "stride": 2}, (2, 4, 7, 6)),
    "LazyConv3d": ((2, 2), {"bias": False}, (4, 3, 4, 5)),
    "LazyConvTranspose1d": ((6, 3), {"groups": 2}, (2, 4, 7)),
    "LazyConvTranspose2d": ((6, 3), {"stride": 2, "output_padding": 1}, (4, 7, 6)),
    "LazyConvTranspose3d": ((2, 2), {"padding": 1}, (1, 4, 3, 4, 5)),
    "LazyBatchNorm1d": ((), {"momentum": 0.3}, (3, 4)),
    "LazyBatchNorm2d": ((0.1,), {"bias": False}, (2, 4, 3, 2)),
    "LazyBatchNorm3d": ((), {"track_running_stats": False}, (2, 4, 3, 2, 2)),
    "LazyInstanceNorm1d": ((), {}, (3, 4, 5)),
    "LazyInstanceNorm2d": ((0.1,), {"track_running_stats": False}, (2, 4, 3, 2)),
    "LazyInstanceNorm3d": ((), {"momentum": 0.3}, (2, 4, 3, 2, 2)),
}
each = pytest.mark.parametrize("name", LAYERS)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that lazy modules may change
        yield


def _pair(name):
    args, options, shape = LAYERS[name]
    a, b = (getattr(t.nn, name)(*args, **options) for t in (ours, theirs))
    return a, b, np.random.default_rng(2).standard_normal(shape)


@each
def test_a_lazy_layer_prints_as_pytorchs_before_and_after_its_first_input(name):
    mine, expected, x = _pair(name)
    assert repr(mine) == repr(expected) and list(mine.state_dict()) == list(expected.state_dict())
    mine(ours.tensor(x, dtype=ours.float32)), expected(theirs.tensor(x, dtype=theirs.float32))
    assert repr(mine) == repr(expected) and type(mine).__name__ == type(expected).__name__
    assert {k: tuple(v.shape) for k, v in mine.state_dict().items()} == {
        k: tuple(v.shape) for k, v in expected.state_dict().items()
    }
    parameters = [list(inspect.signature(getattr(t.nn, name).__init__).parameters) for t in (ours, theirs)]
    assert parameters[0] == parameters[1]


@each
def test_what_it_becomes_computes_and_learns_as_pytorchs(name, device):
    mine, expected, x = _pair(name)
    mine, expected = mine.to(device).double(), expected.double()
    first, y = ours.tensor(x, device=device), theirs.tensor(x)
    mine(first), expected(y)
    mine.load_state_dict({k: ours.tensor(v.numpy(), device=device) for k, v in expected.state_dict().items()})
    out, wanted = mine(first), expected(y)
    np.testing.assert_allclose(out.detach().cpu().numpy(), wanted.detach().numpy(), rtol=1e-10, atol=1e-12)
    (out**3).sum().backward(), (wanted**3).sum().backward()
    for p, q in zip(mine.parameters(), expected.parameters(), strict=True):
        assert p.device.type == device and isinstance(p, ours.nn.Parameter)
        np.testing.assert_allclose(p.grad.cpu().numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-10)
    for b, c in zip(mine.buffers(), expected.buffers(), strict=True):
        np.testing.assert_allclose(b.cpu().numpy(), c.numpy(), rtol=1e-10)


@each
def test_the_shape_of_a_parameter_that_has_none_is_refused_in_pytorchs_words(name):
    told = []
    for layer in _pair(name)[:2]:
        with pytest.raises(RuntimeError) as e:
            layer.weight.shape  # noqa: B018
        told.append(str(e.value))
    assert told[0] == told[1]


def test_initial_values_fill_the_bound_of_the_fan_in():
    layer = ours.nn.LazyConv2d(40, 3)
    layer(ours.zeros(1, 5, 4, 4))
    values = np.abs(layer.weight.detach().numpy())
    assert 0.8 / np.sqrt(45) < values.max() <= 1 / np.sqrt(45)


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_inputs_that_do_not_fit_are_refused(t):
    with pytest.raises(RuntimeError, match="Expected 3D"):
        t.nn.LazyConv2d(4, 3)(t.zeros(3, 3))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        t.nn.LazyConv2d(4, 3, groups=2)(t.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_a_state_gives_a_lazy_layer_its_shapes_and_values(t):
    layer, ordinary = t.nn.LazyConv2d(6, 3), t.nn.Conv2d(4, 6, 3)
    layer.load_state_dict(ordinary.state_dict())
    x = t.ones(1, 4, 5, 5)
    assert t.equal(layer(x), ordinary(x)) and type(layer).__name__ == "Conv2d"
    norm, seen = t.nn.LazyBatchNorm2d(), t.nn.BatchNorm2d(4)
    seen(x + 1)
    norm.load_state_dict(seen.state_dict())
    assert t.equal(norm.eval()(x), seen.eval()(x)) and t.equal(norm.running_mean, seen.running_mean)
    with pytest.raises(RuntimeError):
        ordinary.load_state_dict(t.nn.LazyConv2d(6, 3).state_dict())
    with pytest.raises(ValueError, match="uninitialized parameter"):
        sum(p.numel() for p in t.nn.LazyLinear(2).parameters())


def test_a_lazy_layer_without_parameters_and_statistics_is_the_ordinary_one():
    layers = [t.nn.LazyBatchNorm1d(affine=False, track_running_stats=False) for t in (ours, theirs)]
    for layer, t in zip(layers, (ours, theirs), strict=True):
        layer(t.ones(3, 4))
    assert repr(layers[0]) == repr(layers[1])
