"""Slices of the flat vector under every optimizer: any number of owners, and state that moves between them, same bits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import gradwire as torch
from gradwire import Job, nn, optim
from gradwire.backends import Device
from gradwire.nn import functional as F
from gradwire.services.optimizer import SliceOptimizer
from gradwire.training import BLOCK, JobFileError, ParameterLayout, build, train_solo
from gradwire.utils.data import TensorDataset
from tests.core.optim.problems import RULES, ids

ALL = [*RULES, ("Lion", {"weight_decay": 0.1}), ("Muon", {"lr": 0.02})]


class Model(nn.Module):
    def __init__(self, biases=True):
        super().__init__()
        self.first = nn.Linear(50, 60, bias=biases)
        self.second = nn.Linear(60, 7, bias=biases)
        self.third = nn.Linear(7, 3, bias=biases)

    def forward(self, x):
        return self.third(self.second(self.first(x).tanh()).tanh())


def made(name, options):
    torch.manual_seed(0)
    model = Model(biases=name != "Muon")
    optimizer = getattr(optim, name)(model.parameters(), **{"lr": 0.01, **options})
    return optimizer, ParameterLayout(model, optimizer, Device("cpu"))


def gradients(layout, step):
    rng = np.random.default_rng(step)
    total = np.zeros(layout.size, layout.dtype)
    for s in layout.parameter_segments:
        total[s.start : s.stop] = rng.standard_normal(s.stop - s.start)
    return total


def train(name, options, worlds, state=None):
    """The vector after three steps with each of `worlds`, whose owners take over from the ones before."""
    optimizer, layout = made(name, options)
    step = 0
    for world in worlds:
        bounds = [layout.slice_bounds(r, world) for r in range(world)]
        assert bounds[0][0] == 0 and bounds[-1][1] == layout.size
        assert all(a[1] == b[0] for a, b in pairwise(bounds))
        owners = [SliceOptimizer(optimizer, layout, b, 1.0) for b in bounds]
        if state is not None:
            for owner in owners:
                owner.load_state(*state)
        for _ in range(3):
            total = gradients(layout, step)
            sums = np.concatenate(
                [o.finish(total[a:b].copy(), 2.0, 1.0) for o, (a, b) in zip(owners, bounds, strict=True)]
            )
            used = [i != 1 or step % 2 == 0 for i in range(len(layout.parameter_segments))]
            parts = [o.apply(1, step, used, sums) for o in owners]
            for part, (a, b) in zip(parts, bounds, strict=True):
                layout.flat[a:b] = part
            step += 1
        shapes = {s.name: s.shape for s in layout.parameter_segments}
        arrays: dict = {}
        for owner in owners:
            for key, offset, array in owner.state_slices():
                whole = arrays.setdefault(key, np.zeros(shapes[key.rpartition("/")[0]], array.dtype))
                whole.reshape(-1)[offset : offset + array.size] = array
        counts = {s.name: n for s, n in zip(layout.parameter_segments, owners[0].step_counts, strict=True)}
        state = arrays, counts
    return layout.flat.copy(), arrays


@pytest.mark.parametrize("name,options", ALL, ids=ids(ALL))
def test_no_number_of_owners_changes_a_bit(name, options):
    expected, state = train(name, options, [1, 1, 1])
    for worlds in ([4, 4, 4], [1, 3, 2], [5, 1, 8]):
        flat, again = train(name, options, worlds)
        np.testing.assert_array_equal(flat, expected)
        assert state.keys() == again.keys()
        for key, array in state.items():
            np.testing.assert_array_equal(again[key], array, err_msg=key)


@pytest.mark.parametrize("name,options", ALL, ids=ids(ALL))
def test_owners_update_as_step_does(name, options):
    flat, _ = train(name, options, [2])
    torch.manual_seed(0)
    model = Model(biases=name != "Muon")
    optimizer = getattr(optim, name)(model.parameters(), **{"lr": 0.01, **options})
    _, layout = made(name, options)
    for step in range(3):
        total = gradients(layout, step) / np.float32(2)
        norm = np.sqrt((total.astype(np.float64) ** 2).sum())
        total *= np.float32(min(1.0, 1.0 / (norm + 1e-6)))
        for i, (s, p) in enumerate(zip(layout.parameter_segments, model.parameters(), strict=True)):
            skipped = i == 1 and step % 2
            p.grad = None if skipped else torch.tensor(total[s.start : s.stop].reshape(s.shape))
        optimizer.step()
    for s, p in zip(layout.parameter_segments, model.parameters(), strict=True):
        np.testing.assert_array_equal(
            flat[s.start : s.stop].reshape(s.shape), p.detach().numpy(), err_msg=s.name
        )


def test_slices_for_whole_parameters_cut_none():
    _, layout = made("Muon", {})
    starts = {s.start for s in layout.parameter_segments}
    assert all(start % BLOCK == 0 for start in starts)
    for world in range(1, 9):
        for rank in range(world):
            start, stop = layout.slice_bounds(rank, world)
            for s in layout.parameter_segments:
                assert s.stop <= start or stop <= s.start or (start <= s.start and s.stop <= stop)


X = np.random.default_rng(0).standard_normal((24, 50)).astype(np.float32)


class Small(Job):
    epochs = 2
    batch_size = 8

    def model(self):
        return Model(biases=False)

    def train_data(self):
        return TensorDataset(torch.from_numpy(X), torch.from_numpy((X.sum(1) > 0).astype(np.int64)))

    def optimizer(self, model):
        return optim.Muon(model.parameters(), lr=0.02)

    def loss(self, model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])


def test_a_job_trains_with_whole_parameters():
    first = train_solo(Small(), 4)
    assert first.parameters_sha256 == train_solo(Small(), 4).parameters_sha256
    assert first.history[-1]["loss"] < first.history[0]["loss"]


class Stepping(optim.Optimizer):
    def step(self, closure=None):
        return None


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda ps: optim.LBFGS(ps), "LBFGS evaluates the loss many times"),
        (lambda ps: optim.Adafactor(ps), "Adafactor keeps state of other shapes"),
        (lambda ps: Stepping(ps, {}), r"Stepping writes step\(\)"),
    ],
)
def test_what_slices_cannot_do_is_refused(make, message):
    class Refused(Small):
        def optimizer(self, model):
            return make(model.parameters())

    with pytest.raises(JobFileError, match=message):
        build(Refused(), Device("cpu"))


def test_a_schedule_that_needs_a_metric_is_refused():
    class Refused(Small):
        def scheduler(self, optimizer):
            return optim.lr_scheduler.ReduceLROnPlateau(optimizer)

    with pytest.raises(JobFileError, match="ReduceLROnPlateau needs a metric"):
        build(Refused(), Device("cpu"))
