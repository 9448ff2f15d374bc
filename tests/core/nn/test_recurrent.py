"""Recurrent modules, cells and packed sequences beside torch: outputs, gradients, names, reprs, refusals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from gradwire.backends import to_numpy
from tests.core.stories import same

LAYERS = {
    "RNN": ((3, 4), {}),
    "RNN-relu": ((3, 4), {"nonlinearity": "relu", "num_layers": 2}),
    "LSTM": ((3, 4), {}),
    "LSTM-deep": ((3, 4), {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    "LSTM-projects": ((3, 4), {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    "LSTM-plain": ((3, 4), {"bias": False, "batch_first": True}),
    "GRU": ((3, 4), {"bidirectional": True}),
    "GRU-deep": ((3, 4), {"num_layers": 3, "bias": False}),
    "GRU-positional": ((3, 4, 2, True, True, 0.0, True), {}),
    "RNN-positional": ((3, 4, 2, "relu", False), {}),
}


def pair(name):
    """The layer in both libraries, float64, with the same weights."""
    args, options = LAYERS[name]
    kind = name.split("-")[0]
    theirs.manual_seed(1)
    b = getattr(theirs.nn, kind)(*args, **options).double()
    a = getattr(ours.nn, kind)(*args, **options).double()
    assert repr(a) == repr(b) and list(a.state_dict()) == list(b.state_dict())
    a.load_state_dict({k: ours.from_numpy(v.numpy().copy()) for k, v in b.state_dict().items()})
    return a, b


def tensors(result):
    """The tensors in nested results, in order."""
    if isinstance(result, (ours.Tensor, theirs.Tensor)):
        return [result]
    return [t for part in result for t in tensors(part)] if isinstance(result, (tuple, list)) else []


def agree(mine, expected, tolerance=1e-12):
    mine, expected = tensors(mine), tensors(expected)
    assert len(mine) == len(expected)
    for x, y in zip(mine, expected, strict=True):
        assert tuple(x.shape) == tuple(y.shape) and str(x.dtype) == str(y.dtype)
        np.testing.assert_allclose(
            to_numpy(x.detach()._array), y.detach().numpy(), rtol=tolerance, atol=tolerance
        )


def weighted(t, results):
    total = None
    for i, r in enumerate(r for r in tensors(results) if r.dtype.is_floating_point):
        w = t.cos(t.arange(r.numel(), dtype=t.float64) + i).reshape(r.shape).to(r.device)
        total = (r * w).sum() if total is None else total + (r * w).sum()
    return total


def both_run(a, b, arrays, call):
    """Outputs and gradients (of inputs and weights) are the same."""
    results, grads = [], []
    for t, m in ((ours, a), (theirs, b)):
        given = [t.tensor(x, dtype=t.float64, requires_grad=True) for x in arrays]
        out = call(t, m, *given)
        weighted(t, out).backward()
        results.append(out)
        grads.append([x.grad for x in (*given, *m.parameters()) if x.grad is not None])
    agree(*results)
    agree(*grads)


rng = np.random.default_rng(3)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("batched", [True, False])
def test_outputs_and_gradients_are_torchs(name, states, batched):
    a, b = pair(name)
    x = rng.standard_normal((5, 2, 3) if batched else (5, 3))
    arrays = [x]
    if states:
        count = a.num_layers * (1 + a.bidirectional)
        batch = ((5 if a.batch_first else 2),) if batched else ()
        arrays.append(rng.standard_normal((count, *batch, a.proj_size or 4)))
        if a.mode == "LSTM":
            arrays.append(rng.standard_normal((count, *batch, 4)))

    def call(t, m, x, *hx):
        return m(x, tuple(hx) if len(hx) == 2 else hx[0]) if hx else m(x)

    both_run(a, b, arrays, call)


@pytest.mark.parametrize("name", ["RNN-relu", "LSTM-deep", "LSTM-projects", "GRU", "GRU-deep"])
@pytest.mark.parametrize("lengths", [[4, 2, 1], [1, 4, 2]])
def test_packed_sequences_give_what_torchs_do(name, lengths):
    a, b = pair(name)

    def call(t, m, x):
        U = t.nn.utils.rnn
        packed = U.pack_padded_sequence(x, lengths, batch_first=m.batch_first, enforce_sorted=lengths[0] == 4)
        out, ends = m(packed)
        return U.pad_packed_sequence(out, batch_first=m.batch_first, padding_value=-1.0, total_length=5), ends

    both_run(a, b, [rng.standard_normal((3, 4, 3) if a.batch_first else (4, 3, 3))], call)


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize(("batched", "states", "bias"), list(itertools.product((True, False), repeat=3)))
def test_cells_are_torchs(kind, batched, states, bias):
    b = getattr(theirs.nn, kind)(3, 4, bias=bias).double()
    a = getattr(ours.nn, kind)(3, 4, bias=bias).double()
    assert repr(a) == repr(b) and list(a.state_dict()) == list(b.state_dict())
    a.load_state_dict({k: ours.from_numpy(v.numpy().copy()) for k, v in b.state_dict().items()})
    batch = (2,) if batched else ()
    arrays = [rng.standard_normal((*batch, 3))]
    if states:
        arrays += [rng.standard_normal((*batch, 4)) for _ in range(1 + (kind == "LSTMCell"))]
    both_run(a, b, arrays, lambda t, m, x, *hx: m(x, tuple(hx) if len(hx) == 2 else hx[0]) if hx else m(x))


def test_layers_on_the_device_are_those_of_the_cpu(device):
    a, _ = pair("LSTM-deep")
    x = ours.tensor(rng.standard_normal((2, 3, 3)))
    expected, _ = a(x)
    out, (h, c) = a.to(device)(x.to(device))
    assert out.device.type == h.device.type == c.device.type == device
    agree(out.cpu(), theirs.from_numpy(expected.detach().numpy()))


def test_dropout_between_layers_is_drawn_in_training_alone():
    m = ours.nn.LSTM(3, 4, num_layers=2, dropout=0.5)
    x = ours.ones(2, 1, 3)
    ours.manual_seed(0)
    first, second = m(x)[0], m(x)[0]
    assert not ours.equal(first, second)
    ours.manual_seed(0)
    assert ours.equal(first, m(x)[0])
    m.eval()
    assert ours.equal(m(x)[0], m(x)[0])


def test_float16_is_computed_in_float32_and_rounded():
    m = ours.nn.GRU(3, 4)
    x = ours.randn(4, 2, 3)
    wide = m(x)[0]
    narrow = m.half()(x.half())[0]
    assert narrow.dtype == ours.float16
    assert (narrow.float() - wide).abs().amax().item() < 5e-3


@pytest.mark.parametrize(
    "act",
    [
        lambda t: t.nn.LSTM(3, 4)(t.ones(3)),
        lambda t: t.nn.RNN(3, 4)(t.ones(3)),
        lambda t: t.nn.GRU(3, 4)(t.ones(1, 1, 1, 3)),
        lambda t: t.nn.LSTM(3, 4)(t.ones(2, 2, 5)),
        lambda t: t.nn.LSTM(3, 4)(t.ones(2, 2, 3), (t.ones(1, 4), t.ones(1, 4))),
        lambda t: t.nn.GRU(3, 4)(t.ones(2, 3), t.ones(1, 1, 4)),
        lambda t: t.nn.GRU(3, 4)(t.ones(2, 2, 3), t.ones(1, 4)),
        lambda t: t.nn.GRU(3, 4)(t.ones(2, 2, 3), t.ones(1, 3, 4)),
        lambda t: t.nn.LSTM(3, 4)(t.ones(2, 2, 3), (t.ones(1, 2, 4), t.ones(1, 2, 5))),
        lambda t: t.nn.LSTM(3, 4)(t.ones(2, 2, 3, dtype=t.float64)),
        lambda t: t.nn.LSTM(3, 4)(t.ones(0, 2, 3)),
        lambda t: t.nn.LSTM(3, 4, dropout=2),
        lambda t: t.nn.LSTM(3, 4, dropout=0.5) and None,
        lambda t: t.nn.LSTM(3, 4, bias="yes"),
        lambda t: t.nn.LSTM(0, 4),
        lambda t: t.nn.LSTM(3, 0),
        lambda t: t.nn.LSTM(3.0, 4),
        lambda t: t.nn.LSTM(3, 4, 0),
        lambda t: t.nn.LSTM(3, 4, proj_size=4),
        lambda t: t.nn.LSTM(3, 4, proj_size=-1),
        lambda t: t.nn.GRU(3, 4, proj_size=2),
        lambda t: t.nn.RNN(3, 4, proj_size=2),
        lambda t: t.nn.RNN(3, 4, nonlinearity="x"),
        lambda t: t.nn.RNNBase("x", 3, 4),
        lambda t: t.nn.LSTMCell(3, 4)(t.ones(1, 1, 3)),
        lambda t: t.nn.LSTMCell(3, 4)(t.ones(1, 3), (t.ones(1, 1, 4), t.ones(1, 4))),
        lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 3), t.ones(1, 1, 4)),
        lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 5)),
        lambda t: t.nn.GRUCell(3, 4)(t.ones(2, 3), t.ones(3, 4)),
        lambda t: t.nn.RNNCell(3, 4)(t.ones(2, 3), t.ones(2, 5)),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), [3, 0]),
        lambda t: t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), [3]),
        lambda t: t.nn.utils.rnn.pad_packed_sequence(
            t.nn.utils.rnn.pack_padded_sequence(t.ones(3, 2, 1), [3, 2]), total_length=2
        ),
        lambda t: t.nn.utils.rnn.pad_sequence(3),
        lambda t: t.nn.utils.rnn.pad_sequence([]),
    ],
)
def test_what_torch_refuses_is_refused_in_its_words(act):
    same(lambda t: act(t))


@pytest.mark.parametrize("batch_first", [False, True])
def test_padding_and_packing_go_there_and_back(batch_first):
    def story(t):
        U = t.nn.utils.rnn
        parts = [t.arange(n * 2, dtype=t.float32).reshape(n, 2) for n in (2, 4, 1)]
        packed = U.pack_sequence(parts, enforce_sorted=False)
        padded, lengths = U.pad_packed_sequence(packed, batch_first=batch_first)
        return [
            packed.data.tolist(), packed.batch_sizes.tolist(), packed.sorted_indices.tolist(), packed.unsorted_indices.tolist(),
            padded.tolist(), lengths.tolist(), [p.tolist() for p in U.unpack_sequence(packed)],
            [p.tolist() for p in U.unpad_sequence(padded, lengths, batch_first)],
            U.pad_sequence(parts, batch_first, 9.0, "left").tolist(), str(packed.double().data.dtype), packed.is_cuda,
        ]  # fmt: skip

    same(story)


def test_sizes_and_lengths_of_packed_sequences_stay_on_the_cpu_whatever_device_is_the_default(device):
    before = ours.get_default_device()
    ours.set_default_device(device)
    try:
        U = ours.nn.utils.rnn
        packed = U.pack_padded_sequence(ours.arange(6.0).reshape(3, 2, 1), [1, 3], enforce_sorted=False)
        padded, lengths = U.pad_packed_sequence(ours.nn.RNN(1, 4)(packed)[0])
        devices = [packed.data, packed.batch_sizes, packed.sorted_indices, padded, lengths]
        assert [t.device.type for t in devices] == [device, "cpu", device, device, "cpu"]
        assert (packed.batch_sizes.tolist(), lengths.tolist()) == ([2, 1, 1], [1, 3])
    finally:
        ours.set_default_device(before)


def test_lengths_that_do_not_fall_are_refused_with_the_way_out():
    with pytest.raises(RuntimeError, match="enforce_sorted=False"):
        ours.nn.utils.rnn.pack_padded_sequence(ours.ones(3, 2, 1), [1, 3])
