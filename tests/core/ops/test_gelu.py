"""gelu of float32, which goes by a polynomial of its own and in blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest

import gradwire
from gradwire.backends import to_numpy
from gradwire.nn import functional as F

SIZE = 16384 * 2 + 77  # more than two blocks


def _inputs():
    return np.linspace(-8, 8, SIZE, dtype=np.float32)


def _exact(a):
    share = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in a.tolist()])
    wide = a.astype(np.float64)
    return wide * share, share + wide * np.exp(-wide * wide / 2) / math.sqrt(2 * math.pi)


def test_value_and_slope_are_within_a_millionth_of_the_exact_ones(device):
    a = _inputs()
    x = gradwire.from_numpy(a).to(device).requires_grad_()
    out = F.gelu(x)
    out.sum().backward()
    value, slope = _exact(a)
    assert abs(to_numpy(out._array) - value).max() < 6e-7
    assert abs(to_numpy(x.grad._array) - slope).max() < 6e-7


@pytest.mark.parametrize("size", [1, 100, 16384, SIZE])
def test_value_and_gradient_have_the_same_bits_whether_the_slope_is_kept_or_not(device, size):
    x = gradwire.from_numpy(_inputs()[:size].copy()).to(device).requires_grad_()
    kept = F.gelu(x)
    with gradwire.no_grad():
        assert F.gelu(x).equal(kept)
    apart = gradwire.ops.tensors.gelu(x)
    weights = gradwire.arange(size, device=device) * 0.37 - 3
    (by_kept,) = gradwire.autograd.grad((kept * weights).sum(), x)
    (by_input,) = gradwire.autograd.grad((apart * weights).sum(), x)
    assert by_kept.equal(by_input)


@pytest.mark.parametrize(("value", "expected"), [(3e38, 3e38), (-3e38, 0.0), (0.0, 0.0), (1e-40, 5e-41)])
def test_the_ends_of_the_range_are_right(device, value, expected):
    out = F.gelu(gradwire.tensor([value], device=device)).item()
    assert out == np.float32(expected)
