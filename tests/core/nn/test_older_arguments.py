"""size_average and reduce, which older programs give in place of reduction; and other names with a history."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
X, Y = np.array([[0.2, 0.7], [0.4, 0.9]]), np.array([[0.3, 0.5], [0.6, 0.8]])
CALLS = {
    "mse_loss": (X, Y), "l1_loss": (X, Y), "smooth_l1_loss": (X, Y), "binary_cross_entropy": (X, Y), "poisson_nll_loss": (X, Y),
    "binary_cross_entropy_with_logits": (X, Y), "kl_div": (X, Y), "hinge_embedding_loss": (X, np.sign(Y - 0.55)),
    "soft_margin_loss": (X, np.sign(Y - 0.55)), "multilabel_soft_margin_loss": (X, Y), "nll_loss": (X, np.array([0, 1])),
    "cross_entropy": (X, np.array([0, 1])), "multi_margin_loss": (X, np.array([0, 1])),
    "multilabel_margin_loss": (X, np.array([[1, -1], [0, -1]])), "margin_ranking_loss": (X, Y, np.sign(X - 0.5)),
    "triplet_margin_loss": (X, Y, Y[::-1].copy()), "cosine_embedding_loss": (X, Y, np.array([1, -1])),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_they_are_taken_with_pytorchs_meaning_and_a_warning(name):
    for average, reduce in itertools.product((None, True, False), repeat=2):
        if average is None and reduce is None:
            continue
        results = []
        for t in (ours, theirs):
            args = [t.from_numpy(a.copy()) for a in CALLS[name]]
            with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
                results.append(
                    getattr(t.nn.functional, name)(*args, size_average=average, reduce=reduce).numpy()
                )
        np.testing.assert_allclose(results[0], results[1], rtol=1e-10)


@BOTH
def test_modules_take_them_too(t):
    with pytest.warns(UserWarning, match="reduction='sum'"):
        assert t.nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="reduction='none'"):
        assert t.nn.CrossEntropyLoss(reduce=False).reduction == "none"


@BOTH
def test_hardtanh_takes_its_older_names(t):
    with pytest.warns(FutureWarning, match="`min_value` is deprecated"):
        assert repr(t.nn.Hardtanh(min_value=-2.0)) == "Hardtanh(min_val=-2.0, max_val=1.0)"


@BOTH
def test_the_mean_of_kl_div_is_warned_of(t):
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        t.nn.functional.kl_div(t.zeros(2, 2), t.ones(2, 2))


@BOTH
def test_an_eps_of_gumbel_softmax_is_warned_of(t):
    with pytest.warns(UserWarning, match="`eps` parameter is deprecated"):
        t.nn.functional.gumbel_softmax(t.zeros(2, 2), eps=1e-3)


@BOTH
def test_masks_of_different_kinds_are_warned_of(t):
    layer = t.nn.MultiheadAttention(4, 2)
    x = t.zeros(3, 1, 4)
    with pytest.warns(
        UserWarning, match="Support for mismatched key_padding_mask and attn_mask is deprecated"
    ):
        layer(x, x, x, key_padding_mask=t.zeros(1, 3, dtype=t.bool), attn_mask=t.zeros(3, 3))


@BOTH
def test_an_instance_norm_of_other_channels_without_parameters_is_warned_of(t):
    with pytest.warns(UserWarning, match="does not match num_features"):
        t.nn.InstanceNorm1d(5)(t.rand(2, 4, 3))


@BOTH
def test_pretrained_tables_are_taken_as_they_are(t):
    values = t.tensor([[1.0, 2.0], [3.0, 4.0]])
    table = t.nn.Embedding.from_pretrained(values, padding_idx=0)
    assert (
        not table.weight.requires_grad
        and table(t.tensor([1])).tolist() == [[3, 4]]
        and table.padding_idx == 0
    )
    bags = t.nn.EmbeddingBag.from_pretrained(values, freeze=False, mode="sum")
    assert bags.weight.requires_grad and bags(t.tensor([[0, 1]])).tolist() == [[4, 6]]
    values[1, 0] = 7
    assert table(t.tensor([1])).tolist() == [[7, 4]]
    with pytest.raises(AssertionError, match="Embeddings parameter is expected to be 2-dimensional"):
        t.nn.Embedding.from_pretrained(t.zeros(3))


@BOTH
def test_layers_are_made_in_the_dtype_that_is_asked_for(t):
    made = [
        t.nn.BatchNorm1d(3, dtype=t.float64), t.nn.LayerNorm(3, dtype=t.float64), t.nn.RMSNorm(3, dtype=t.float64),
        t.nn.GroupNorm(1, 3, dtype=t.float64), t.nn.PReLU(dtype=t.float64), t.nn.Embedding(3, 2, dtype=t.float64),
        t.nn.EmbeddingBag(3, 2, dtype=t.float64), t.nn.Bilinear(2, 2, 2, dtype=t.float64),
        t.nn.MultiheadAttention(4, 2, add_bias_kv=True, dtype=t.float64), t.nn.InstanceNorm1d(3, affine=True, dtype=t.float64),
    ]  # fmt: skip
    for layer in made:
        for key, value in layer.state_dict().items():
            assert str(value.dtype) == ("torch.int64" if "tracked" in key else "torch.float64"), (layer, key)


def test_chunks_of_linear_cross_entropy_are_refused():
    layer = ours.nn.LinearCrossEntropyLoss(2, 3, options=object())
    with pytest.raises(NotImplementedError, match="leave options=None"):
        layer(ours.ones(4, 2), ours.tensor([0, 1, 2, 0]))
