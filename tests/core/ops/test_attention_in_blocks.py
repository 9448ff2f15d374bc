"""Attention of more queries, heads and keys than one block holds, beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import gradwire

SHAPES = {
    "queries of two blocks and a bit": ((2, 3, 130, 8), 130),
    "heads of several groups": ((1, 40, 64, 4), 200),
    "batches of several groups": ((30, 2, 33, 4), 40),
    "more keys than are added in a row": ((1, 1, 70, 4), 2100),
    "fewer keys than queries": ((2, 2, 150, 4), 70),
    "batches alone": ((5, 100, 4), 90),
    "a matrix": ((129, 4), 65),
}


def _inputs(shape, keys, seed=3):
    rng = np.random.default_rng(seed)
    *lead, _, size = shape
    return [rng.standard_normal(s) for s in (shape, (*lead, keys, size), (*lead, keys, 6))]


def _run(lib, arrays, dtype, mask=None, causal=False):
    q, k, v = (lib.tensor(a, dtype=getattr(lib, dtype), requires_grad=True) for a in arrays)
    seen = None if mask is None else lib.tensor(mask)
    out = lib.nn.functional.scaled_dot_product_attention(q, k, v, seen, is_causal=causal)
    (out * out.detach().cos()).sum().backward()
    return [t.detach().numpy() for t in (out, q.grad, k.grad, v.grad)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("shape", "keys"), SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 2e-5)])
def test_value_and_gradients_are_pytorchs(shape, keys, causal, dtype, tolerance):
    arrays = _inputs(shape, keys)
    for ours, theirs in zip(
        _run(gradwire, arrays, dtype, None, causal), _run(torch, arrays, dtype, None, causal), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("of", ["all", "batches", "heads", "keys"])
def test_a_mask_takes_part_in_every_block(of):
    shape = (3, 2, 130, 4)
    arrays = _inputs(shape, 100)
    sizes = {"all": (130, 100), "batches": (3, 1, 1, 100), "heads": (2, 130, 100), "keys": (1, 100)}
    mask = np.random.default_rng(1).random(sizes[of]) < 0.5
    if of == "all":
        mask[[0, 64, 129]] = False  # queries for which no key takes part
    for ours, theirs in zip(
        _run(gradwire, arrays, "float64", mask), _run(torch, arrays, "float64", mask), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12)


def test_large_scores_do_not_overflow():
    q = gradwire.full((2, 100, 4), 40.0)
    out = gradwire.nn.functional.scaled_dot_product_attention(q, q, gradwire.ones(2, 100, 3), is_causal=True)
    np.testing.assert_allclose(out.numpy(), 1, rtol=1e-6)


def test_what_is_written_into_the_output_is_noticed_in_backward():
    q = gradwire.ones(2, 3, 4, requires_grad=True)
    out = gradwire.nn.functional.scaled_dot_product_attention(q, q, q)
    out.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()
