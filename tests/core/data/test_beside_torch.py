"""Options, samplers, data sets and conversions told by both libraries."""

from __future__ import annotations

from collections import OrderedDict, UserDict, namedtuple

import numpy as np
import pytest
import torch as theirs
import torch.utils.data

import gradwire as ours
from tests.core.stories import same

Point = namedtuple("Point", "x y")
D = {ours: ours.utils.data, theirs: torch.utils.data}


def plain(x):
    if hasattr(x, "tolist"):
        return str(x.dtype), x.tolist()
    if isinstance(x, (dict, UserDict)):
        return type(x).__name__, {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [plain(v) for v in x]
    return x


def stream(t):
    class Stream(D[t].IterableDataset):
        def __iter__(self):
            return iter(range(7))

    return Stream()


@pytest.mark.parametrize(
    "act",
    [
        lambda t, d: d.DataLoader([1, 2], num_workers=-1),
        lambda t, d: d.DataLoader([1, 2], timeout=-1),
        lambda t, d: d.DataLoader([1, 2], prefetch_factor=2),
        lambda t, d: d.DataLoader([1, 2], num_workers=1, prefetch_factor=-1),
        lambda t, d: d.DataLoader([1, 2], persistent_workers=True),
        lambda t, d: d.DataLoader([1, 2], batch_size=0),
        lambda t, d: d.DataLoader([1, 2], batch_size=1.5),
        lambda t, d: d.DataLoader([1, 2], drop_last=3),
        lambda t, d: d.DataLoader([1, 2], shuffle=True, sampler=[1]),
        lambda t, d: d.DataLoader([1, 2], batch_sampler=[[1]], batch_size=3),
        lambda t, d: d.DataLoader([1, 2], batch_sampler=[[1]], drop_last=True),
        lambda t, d: d.DataLoader([1, 2], batch_size=None, drop_last=True),
        lambda t, d: d.DataLoader([1, 2], multiprocessing_context="fork"),
        lambda t, d: d.DataLoader([1, 2], num_workers=1, multiprocessing_context=3),
        lambda t, d: d.DataLoader([], shuffle=True),
        lambda t, d: d.DataLoader(stream(t), shuffle=True),
        lambda t, d: d.DataLoader(stream(t), batch_sampler=[[1]]),
        lambda t, d: d.DataLoader(stream(t), batch_size=-1),
        lambda t, d: list(d.DataLoader([])),
        lambda t, d: len(d.DataLoader(stream(t))),
        lambda t, d: [plain(b) for b in d.DataLoader(stream(t), batch_size=3)],
        lambda t, d: [plain(b) for b in d.DataLoader(stream(t), batch_size=3, drop_last=True)],
        lambda t, d: [plain(b) for b in d.DataLoader(stream(t), batch_size=None)],
        lambda t, d: [plain(b) for b in d.DataLoader([(1, np.ones(2)), (2, np.zeros(2))], batch_size=None)],
        lambda t, d: [plain(b) for b in d.DataLoader({"a": 1, "b": 2}, sampler=["b", "a"])],
        lambda t, d: [plain(b) for b in d.DataLoader([1, 2, 3], batch_size=None, sampler=[2, 0])],
        lambda t, d: len(iter(d.DataLoader([1, 2, 3], batch_size=2))),
        lambda t, d: d.RandomSampler([1], replacement=1),
        lambda t, d: d.RandomSampler([1], num_samples=0),
        lambda t, d: len(d.RandomSampler([1, 2, 3], num_samples=7)),
        lambda t, d: sorted(d.RandomSampler([1, 2, 3], num_samples=6)),
        lambda t, d: len(list(d.RandomSampler([1, 2, 3], replacement=True, num_samples=40))),
        lambda t, d: sorted(d.SubsetRandomSampler([5, 6, 9])),
        lambda t, d: d.WeightedRandomSampler([1.0], 0),
        lambda t, d: d.WeightedRandomSampler([[1.0]], 1),
        lambda t, d: d.WeightedRandomSampler([1.0], 1, replacement=1),
        lambda t, d: list(d.WeightedRandomSampler([0.0, 1.0, 0.0], 3)),
        lambda t, d: sorted(d.WeightedRandomSampler([0.5, 0.0, 0.5], 2, replacement=False)),
        lambda t, d: d.BatchSampler([1], 0, False),
        lambda t, d: d.BatchSampler([1], 2, 3),
        lambda t, d: list(d.BatchSampler([5, 3, 1], 2, False)),
        lambda t, d: d.StackDataset(),
        lambda t, d: d.StackDataset([1], [1, 2]),
        lambda t, d: d.StackDataset([1, 2], [3, 4])[1],
        lambda t, d: d.StackDataset(a=[1, 2], b=[3, 4])[-1],
        lambda t, d: d.ConcatDataset([]),
        lambda t, d: d.ConcatDataset([stream(t)]),
        lambda t, d: d.ConcatDataset([[1], [2, 3]])[-4],
        lambda t, d: list(d.ChainDataset([stream(t), stream(t)])),
        lambda t, d: list(stream(t) + stream(t)),
        lambda t, d: list(d.ChainDataset([[1]])),
        lambda t, d: d.random_split([1, 2], [0.5, 0.6]),
        lambda t, d: d.random_split([1, 2], [1.5, -0.5]),
        lambda t, d: [len(p) for p in d.random_split([1, 2], [1, 0])],
        lambda t, d: [len(p) for p in d.random_split([1], [0.4, 0.6])],
        lambda t, d: d.Dataset()[0],
    ],
)
def test_loaders_samplers_and_data_sets_are_torchs(act):
    same(lambda t: act(t, D[t]))


@pytest.mark.parametrize(
    "value",
    [
        np.float32(2), np.ones(2, np.int32), [np.zeros(1), "a"], (1, np.ones(1)), {"a": np.ones(1)}, Point(np.ones(1), 2), "text", 3,
        np.array(["a"]), OrderedDict(a=np.ones(1)), UserDict(a=np.ones(1)),
    ],
)  # fmt: skip
def test_samples_alone_are_converted_as_torch_does(value):
    assert plain(ours.utils.data.default_convert(value)) == plain(torch.utils.data.default_convert(value))


@pytest.mark.parametrize(
    "batch",
    [
        [OrderedDict(a=1), OrderedDict(a=2)], [UserDict(a=1), UserDict(a=2)], [Point(1, (2, 3.0)), Point(4, (5, 6.0))], [range(2), range(2)],
        [np.array("x"), np.array("y")], [None, None], [np.array([1, 2]), np.array([3, 4])],
    ],
)  # fmt: skip
def test_batches_are_collated_as_torch_does(batch):
    def story(t):
        try:
            return plain(D[t].default_collate(batch))
        except TypeError as e:
            return "TypeError", str(e).split(";")[0].rsplit(" ", 1)[0]

    same(story)


def test_weights_decide_how_often_a_sample_comes():
    ours.manual_seed(0)
    drawn = np.bincount(list(ours.utils.data.WeightedRandomSampler([1.0, 3.0], 20_000)))
    assert drawn[1] / drawn.sum() == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [float("nan"), 1.0]])
def test_weights_that_are_no_chances_are_refused(weights):
    with pytest.raises(RuntimeError, match="weights"):
        ours.utils.data.WeightedRandomSampler(weights, 1)
