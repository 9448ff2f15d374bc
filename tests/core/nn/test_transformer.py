"""What of transformers has no place in a table of cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire import nn


def test_the_causal_mask_is_pytorchs():
    for size in (0, 1, 4):
        mine, theirs = (n.Transformer.generate_square_subsequent_mask(size) for n in (nn, real.nn))
        assert np.array_equal(mine.numpy(), theirs.numpy()) and mine.dtype == torch.float32
    mine = nn.Transformer.generate_square_subsequent_mask(2, dtype=torch.float64)
    assert mine.dtype == torch.float64


def test_layers_of_a_stack_are_copies_that_begin_alike_and_share_nothing():
    layer = nn.TransformerEncoderLayer(4, 2, 6)
    stack = nn.TransformerEncoder(layer, 2)
    a, b = (dict(x.named_parameters()) for x in stack.layers)
    for name, p in layer.named_parameters():
        assert torch.equal(a[name], p) and torch.equal(b[name], p)
        assert a[name] is not p and a[name] is not b[name]
    with torch.no_grad():
        a["linear1.weight"].add_(1.0)
    assert not torch.equal(a["linear1.weight"], b["linear1.weight"])


@pytest.mark.parametrize("library", [torch, real], ids=["gradwire", "torch"])
def test_masks_of_two_kinds_are_warned_of_and_both_hold(library):
    layer = library.nn.TransformerEncoderLayer(4, 2, 6).eval()
    x = library.tensor(np.random.default_rng(0).standard_normal((3, 1, 4)), dtype=library.float32)
    hidden, padded = library.tensor([[False, True, False]] * 3), library.tensor([[0.0, 0.0, -np.inf]])
    with pytest.warns(UserWarning, match="Support for mismatched src_key_padding_mask and src_mask is"):
        both = layer(x, hidden, padded)
    alone = layer(x, library.tensor([[False, True, True]] * 3))
    np.testing.assert_allclose(both.detach().numpy(), alone.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_shape_mismatch_names_the_place_within_the_stack():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6), 2)
    model.layers[1].linear1 = nn.Linear(5, 6)
    with pytest.raises(RuntimeError, match=r"layers\.1\.linear1"):
        model(torch.randn(3, 2, 4))
