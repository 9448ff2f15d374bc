"""Sums of very many numbers keep their digits, whatever dimension they run over and however the array lies in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradwire

_draw = np.random.default_rng(5)
LAID_OUT = {
    "rows": (lambda a: a, (0,)),
    "columns-first": (lambda a: np.asfortranarray(a), (0,)),
    "transposed": (lambda a: a.T, (1,)),
    "every-other": (lambda a: np.repeat(a, 2, 1)[:, ::2], (0,)),
    "upside-down": (lambda a: a[::-1], (0,)),
    "all": (lambda a: a, (0, 1)),
    "blocks": (lambda a: a.reshape(1000, 1000, 3), (0, 1)),
    "middle": (lambda a: a.reshape(50, 20000, 3), (1,)),
    "short-rows": (lambda a: a.reshape(250, 3, 4000)[:, :, :3999].transpose(2, 1, 0), (0, 2)),
    "uneven": (lambda a: a[:999_983], (0,)),
}


@pytest.mark.parametrize("layout", LAID_OUT)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_a_sum_over_a_million_rows_is_right_to_the_last_digits(layout, name):
    arrange, dims = LAID_OUT[layout]
    a = arrange(_draw.random((1_000_000, 3), dtype=np.float32))
    mine = getattr(gradwire.Tensor._wrap(a), name)(dims).numpy()
    exact = getattr(a.astype(np.float64), name)(axis=dims)
    np.testing.assert_allclose(mine, exact, rtol=1.5e-6)
    plain = getattr(a, name)(axis=dims)  # NumPy's own sum, row by row, would fail that in the first layout
    assert layout != "rows" or np.abs(plain / exact - 1).max() > 1e-5


def test_the_error_is_not_above_pytorchs_by_much():
    a = _draw.random((1_000_000, 3), dtype=np.float32)
    exact = a.astype(np.float64).sum(axis=0)
    mine = np.abs(gradwire.from_numpy(a).sum(0).numpy() / exact - 1).max()
    theirs = np.abs(torch.from_numpy(a).sum(0).numpy() / exact - 1).max()
    assert mine <= max(4 * theirs, 4e-7)


@pytest.mark.parametrize("dims", [(0,), (0, 2), (1,), (0, 1, 2), (2,)])
def test_sums_of_every_size_around_the_limits_are_those_of_exact_numbers(dims):
    for n in (1, 63, 64, 255, 256, 257, 4097, 65, 16385):
        a = _draw.integers(-9, 10, (n, 2, 3)).astype(np.float32)
        for keepdim in (False, True):
            mine = gradwire.from_numpy(a).sum(dims, keepdim)
            np.testing.assert_array_equal(mine.numpy(), a.astype(np.int64).sum(axis=dims, keepdims=keepdim))


def test_a_long_sum_of_float16_is_kept_in_float32():
    a = np.full((100_000, 3), 0.1, np.float16)
    exact = a.astype(np.float64).sum(axis=0)
    assert gradwire.from_numpy(a).sum(0, dtype=gradwire.float32).numpy() == pytest.approx(exact, rel=2e-6)
    assert gradwire.from_numpy(a).mean(0).numpy() == pytest.approx(exact / 100_000, rel=1e-3)
    assert gradwire.from_numpy(a).var(0).numpy() == pytest.approx(0, abs=1e-7)
