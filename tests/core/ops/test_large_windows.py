"""Convolutions of images large enough for products by image, and pooling with ties, beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradwire

# input, weight, options
CONVOLUTIONS = {
    "padded": ((3, 4, 14, 13), (6, 4, 3, 3), {"padding": 1}),
    "more-padding-than-kernel": ((2, 2, 12, 9), (3, 2, 2, 3), {"padding": (3, 2)}),
    "grouped": ((2, 6, 13, 12), (4, 3, 3, 2), {"groups": 2}),
    "strided": ((2, 3, 30, 28), (5, 3, 3, 3), {"stride": 2, "padding": 1}),
    "strided-down": ((2, 3, 30, 14), (5, 3, 3, 3), {"stride": (2, 1), "padding": (0, 1)}),
    "dilated": ((2, 3, 20, 17), (5, 3, 3, 3), {"dilation": (2, 3), "padding": (1, 4)}),
    "strided-and-dilated": ((2, 2, 31, 40), (3, 2, 3, 2), {"stride": 2, "dilation": 3, "padding": (2, 1)}),
    "one-cell": ((2, 3, 12, 12), (5, 3, 1, 1), {}),
    "one-column": ((2, 3, 14, 12), (5, 3, 3, 1), {"padding": (1, 0)}),
    "in-parts": ((50, 8, 24, 24), (3, 8, 3, 3), {"padding": 1}),
    "more-channels-than-windows": ((2, 3, 12, 12), (150, 3, 2, 2), {}),
    "few-windows": ((3, 4, 7, 6), (6, 4, 3, 3), {"padding": 1}),
    "line": ((2, 3, 150), (4, 3, 5), {"padding": 2, "stride": 1}),
    "volume": ((2, 2, 6, 7, 8), (3, 2, 2, 3, 3), {"padding": 1}),
    "volume-strided": ((2, 2, 12, 13, 14), (3, 2, 3, 3, 3), {"padding": 1, "stride": 2}),
}


def _convolved(lib, x, w, b, options, dtype):
    x, w, b = (lib.tensor(a, dtype=getattr(lib, dtype), requires_grad=True) for a in (x, w, b))
    out = getattr(lib.nn.functional, f"conv{x.ndim - 2}d")(x, w, b, **options)
    (out * out.detach().sin()).sum().backward()
    return [t.detach().numpy() for t in (out, x.grad, w.grad, b.grad)]


@pytest.mark.parametrize(("x", "w", "options"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 1e-4)])
def test_a_convolution_and_its_gradients_are_pytorchs(x, w, options, dtype, tolerance):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in (x, w, w[:1])]
    ours = _convolved(gradwire, *arrays, options, dtype)
    for mine, theirs in zip(ours, _convolved(torch, *arrays, options, dtype), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * abs(theirs).max())
    assert ours[0].flags.c_contiguous


POOLS = [
    ((2, 3, 8, 6), {"kernel_size": 2}),
    ((40, 8, 32, 40), {"kernel_size": 2}),
    ((2, 3, 9, 7), {"kernel_size": 2}),
    ((2, 3, 9, 9), {"kernel_size": 3}),
    ((2, 3, 9, 8), {"kernel_size": (3, 2)}),
    ((2, 3, 9, 9), {"kernel_size": 2, "stride": 3}),
    ((2, 3, 9, 9), {"kernel_size": 3, "stride": 1, "padding": 1}),
    ((2, 3, 11, 9), {"kernel_size": 2, "stride": 4, "dilation": 2}),
    ((2, 3, 5, 5), {"kernel_size": 1}),
    ((2, 3, 12), {"kernel_size": 3}),
    ((2, 2, 4, 6, 4), {"kernel_size": 2}),
    ((1, 2, 7, 6, 9), {"kernel_size": (3, 2, 3)}),
]


def _pooled(lib, x, options):
    x = lib.tensor(x, requires_grad=True)
    out = getattr(lib.nn.functional, f"max_pool{x.ndim - 2}d")(x, **options)
    weights = lib.arange(out.numel(), dtype=out.dtype).reshape(out.shape) + 1
    (out * weights).sum().backward()
    return out.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize(("shape", "options"), POOLS, ids=str)
@pytest.mark.parametrize("levels", [2, 3])
def test_of_equal_maxima_the_first_in_reading_order_gets_the_gradient(shape, options, levels):
    x = np.random.default_rng(2).integers(0, levels, shape).astype(np.float32)
    for ours, theirs in zip(_pooled(gradwire, x, options), _pooled(torch, x, options), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("shape", "options"), POOLS, ids=str)
def test_nan_is_the_maximum_of_its_windows(shape, options):
    rng = np.random.default_rng(3)
    x = np.where(rng.random(shape) < 0.1, np.nan, rng.standard_normal(shape))
    for ours, theirs in zip(_pooled(gradwire, x, options), _pooled(torch, x, options), strict=True):
        np.testing.assert_array_equal(ours, theirs)
