"""Convolutions made part by part, windows without a cell in the image, and circles of which nothing is left."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_in_parts_gives_pytorchs_values_and_gradients(groups):
    draw = np.random.default_rng(4)
    x, w, b = (
        draw.standard_normal((7, 8, 30, 30)),
        draw.standard_normal((4, 8 // groups, 5, 5)),
        draw.standard_normal(4),
    )
    found = []
    for t in (ours, theirs, ours):
        inputs = [t.tensor(a, requires_grad=True) for a in (x, w, b)]
        out = t.nn.functional.conv2d(*inputs, padding=2, groups=groups)
        (out * out).sum().backward()
        found.append([out.detach().numpy(), *(i.grad.numpy() for i in inputs)])
    assert 7 * 8 * 25 * 900 * 8 > 4 << 20  # columns that are made in parts
    for mine, expected, again in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-9)
        assert np.array_equal(mine, again)


def test_a_pool_of_nothing_but_minus_infinity_gives_its_gradient_to_the_image_not_to_the_margin(device):
    x = ours.full((1, 1, 3, 3), -float("inf"), dtype=ours.float64, device=device, requires_grad=True)
    ours.nn.functional.max_pool2d(x, 3, 3, 1).sum().backward()
    y = theirs.full((1, 1, 3, 3), -float("inf"), dtype=theirs.float64, requires_grad=True)
    theirs.nn.functional.max_pool2d(y, 3, 3, 1).sum().backward()
    assert x.grad.tolist() == y.grad.tolist() and x.grad.sum().item() == 1


@pytest.mark.parametrize("padding", [(-3, 3), (2, -4), (-5, 1)])
def test_a_circle_is_not_wrapped_more_than_once_around_what_is_left_of_it(padding, device):
    x = ours.ones(1, 2, 5, device=device)
    with pytest.raises(RuntimeError, match="wrapping around more than once"):
        ours.nn.functional.pad(x, padding, mode="circular")


def test_a_window_that_lies_in_the_margin_alone_is_refused(device):
    with pytest.raises(RuntimeError, match="has no cell in 1 elements"):
        ours.nn.functional.max_pool1d(ours.ones(1, 1, 1, device=device), 2, 1, padding=1, dilation=2)


@pytest.mark.parametrize("n", [2, 3])
def test_fractional_pooling_with_given_draws_has_pytorchs_values_and_gradients(n, device):
    draw = np.random.default_rng(8)
    x, samples = draw.standard_normal((2, 3, *(7, 6, 5)[:n])), draw.random((2, 3, n))
    found = []
    for t, where in ((ours, device), (theirs, "cpu")):
        layer = getattr(t.nn, f"FractionalMaxPool{n}d")(
            2, 3, return_indices=True, _random_samples=t.tensor(samples)
        )
        inputs = t.tensor(x, device=where, requires_grad=True)
        out, places = layer.to(where)(inputs)
        (out * out).sum().backward()
        found.append([a.cpu().numpy() for a in (out.detach(), places, inputs.grad)])
    for mine, expected in zip(*found, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-12)


def test_drawn_windows_repeat_under_the_seed_and_differ_without(device):
    x = ours.randn(1, 8, 20, 20, device=device)
    layer = ours.nn.FractionalMaxPool2d(3, output_ratio=0.4)
    ours.manual_seed(1)
    first, second = layer(x), layer(x)
    ours.manual_seed(1)
    assert (
        ours.equal(layer(x), first) and not ours.equal(first, second) and tuple(first.shape) == (1, 8, 8, 8)
    )
