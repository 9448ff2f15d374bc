"""What dropout and its kin draw; tables whose rows are shortened; gradients that count."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

F = ours.nn.functional
LEAST = -1.7580993408473766


def _host(t):
    return t.detach().to("cpu").numpy()


def test_dropout_scales_what_it_keeps_and_its_gradient_is_the_same(device):
    ours.manual_seed(0)
    x = ours.ones(200, 50, dtype=ours.float64, device=device).requires_grad_()
    y = F.dropout(x, 0.25)
    y.sum().backward()
    values = _host(y)
    assert set(np.unique(values)) == {0.0, 1 / 0.75} and abs(values.mean() - 1) < 0.02
    np.testing.assert_array_equal(_host(x.grad), values)


@pytest.mark.parametrize(
    "name,shape",
    [("dropout1d", (40, 50, 3)), ("dropout2d", (40, 50, 2, 2)), ("dropout3d", (40, 50, 2, 1, 2))],
)
def test_channels_are_dropped_as_a_whole(device, name, shape):
    ours.manual_seed(1)
    values = _host(getattr(F, name)(ours.ones(shape, device=device), 0.25))
    each = values.reshape(40, 50, -1)
    assert (each == each[..., :1]).all()
    assert set(np.unique(values)) == {0.0, np.float32(1 / 0.75)} and abs(values.mean() - 1) < 0.1


@pytest.mark.parametrize("name", ["dropout1d", "dropout3d"])
def test_one_example_without_a_batch_is_dropped_by_channels(name):
    values = _host(getattr(F, name)(ours.ones((60, 4) if name == "dropout1d" else (60, 2, 2, 1)), 0.5))
    assert set(np.unique(values.reshape(60, -1).mean(1))) == {0.0, 2.0}


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(device, p):
    ours.manual_seed(2)
    x = ours.randn(300, 200, dtype=ours.float64, device=device)
    y = _host(F.alpha_dropout(x, p, training=True))
    assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02
    scale = 1 / np.sqrt((LEAST**2 * p + 1) * (1 - p))
    moved = -LEAST * scale * p
    dropped = np.isclose(y, LEAST * scale + moved)
    assert abs(dropped.mean() - p) < 0.02
    np.testing.assert_allclose(y[~dropped], (_host(x) * scale + moved)[~dropped], rtol=1e-12)


def test_feature_alpha_dropout_drops_channels(device):
    y = _host(F.feature_alpha_dropout(ours.zeros(20, 30, 4, device=device), 0.5, training=True))
    assert (y == y[..., :1]).all() and len(np.unique(y)) == 2


@pytest.mark.parametrize(
    "name", ["dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"]
)
def test_in_place_the_tensor_itself_is_written_and_draws_are_those_of_the_plain_form(device, name):
    shape = {"dropout2d": (4, 5, 2, 2), "dropout3d": (4, 5, 2, 2, 1)}.get(name, (4, 5, 2))
    x = ours.ones(shape, device=device)
    ours.manual_seed(7)
    plain = getattr(F, name)(x, 0.5, True)
    ours.manual_seed(7)
    assert getattr(F, name)(x, 0.5, True, inplace=True) is x
    assert ours.equal(x, plain)


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_unusual_numbers_of_dimensions_are_warned_of(t):
    with pytest.warns(UserWarning, match="dropout2d: Received a 3D input"):
        t.nn.functional.dropout2d(t.ones(2, 3, 4))
    with pytest.warns(UserWarning, match="dropout3d: Received a 3-D input"):
        t.nn.functional.dropout3d(t.ones(2, 3, 4))


def test_gumbel_softmax_draws_classes_by_their_probability_and_passes_soft_gradients(device):
    ours.manual_seed(4)
    p = np.array([0.6, 0.3, 0.1])
    logits = ours.tensor(np.log(p)).to(device).expand(4000, 3).clone().requires_grad_()
    drawn = F.gumbel_softmax(logits, tau=0.7, hard=True)
    values = _host(drawn)
    np.testing.assert_allclose(values.sum(1), 1)
    assert set(np.unique(values.round(12))) == {0.0, 1.0}
    np.testing.assert_allclose(values.mean(0), p, atol=0.03)
    drawn[:, 0].sum().backward()
    hard = _host(logits.grad)
    ours.manual_seed(4)
    logits.grad = None
    F.gumbel_softmax(logits, tau=0.7)[:, 0].sum().backward()
    np.testing.assert_allclose(hard, _host(logits.grad))


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_long_rows_that_are_read_are_shortened_in_the_table_itself(t):
    table = t.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]], requires_grad=True)
    out = t.nn.functional.embedding(t.tensor([0, 1, 0]), table, max_norm=1.0)
    np.testing.assert_allclose(table.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [6, 8]], rtol=1e-6)
    np.testing.assert_allclose(out.detach().numpy(), table.detach().numpy()[[0, 1, 0]])
    out.sum().backward()
    assert table.grad.tolist() == [[2, 2], [1, 1], [0, 0]]


def test_bags_divide_the_gradient_of_a_row_by_how_often_it_is_read(device):
    """As in embedding; PyTorch's CPU kernel takes the counts of other rows."""
    table = np.arange(12.0).reshape(6, 2)
    ids = np.array([0, 5, 2, 2, 1, 2, 0])
    grads = []
    for read in (
        lambda i, w: F.embedding(i, w, scale_grad_by_freq=True).sum(),
        lambda i, w: F.embedding_bag(
            i, w, ours.tensor([0, 3], device=device), scale_grad_by_freq=True, mode="sum"
        ).sum(),
    ):
        w = ours.tensor(table).to(device).requires_grad_()
        read(ours.tensor(ids).to(device), w).backward()
        grads.append(_host(w.grad))
    np.testing.assert_allclose(grads[0], grads[1])
    np.testing.assert_allclose(grads[0][:, 0], [1, 1, 1, 0, 0, 1])


@pytest.mark.parametrize("make", [
    lambda: F.embedding(ours.tensor([0]), ours.ones(2, 2), sparse=True),
    lambda: F.embedding_bag(ours.tensor([[0]]), ours.ones(2, 2), sparse=True),
])  # fmt: skip
def test_sparse_gradients_are_refused(make):
    with pytest.raises(NotImplementedError, match="sparse=False"):
        make()


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
@pytest.mark.parametrize("row", [3, -4])
def test_a_padding_row_beyond_the_table_is_refused(t, row):
    with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
        t.nn.functional.embedding(t.tensor([0]), t.ones(3, 2), row)
