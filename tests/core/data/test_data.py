"""Data sets, loaders and collation beside torch's."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch as real
import torch.utils.data

import gradwire as torch

BOTH = pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
Point = namedtuple("Point", "x y")


def plain(x):
    """Nested values with dtypes, of either library."""
    if hasattr(x, "tolist"):
        return str(x.dtype), x.tolist()
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x).__name__, [plain(v) for v in x]
    return x


@pytest.mark.parametrize(
    "samples",
    [
        [1, 2, 3],
        [1.5, 2.0],
        [True, False],
        ["a", "b"],
        [(1, 2.0), (3, 4.0)],
        [[1, 2], [3, 4]],
        [{"a": 1, "b": (2, "x")}, {"a": 3, "b": (4, "y")}],
        [Point(1, 2.0), Point(3, 4.0)],
        [np.float32(1), np.float32(2)],
        [np.ones((2, 2), np.float32), np.zeros((2, 2), np.float32)],
        [np.int64(4)],
    ],
)
def test_collated_samples_are_torchs(samples):
    from gradwire.utils.data import default_collate

    assert plain(default_collate(samples)) == plain(real.utils.data.default_collate(samples))


@BOTH
def test_tensors_are_stacked(t):
    from gradwire.utils.data import default_collate

    collate = default_collate if t is torch else real.utils.data.default_collate
    assert collate([t.ones(2), t.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        collate([[1], [1, 2]])
    with pytest.raises(
        TypeError, match="batch must contain tensors, numpy arrays, numbers, dicts or lists; found"
    ):
        collate([object()])


def dataset(t, n=10):
    return t.utils.data.TensorDataset(t.arange(n), t.arange(n * 2).reshape(n, 2))


@BOTH
def test_a_tensor_dataset_gives_rows(t):
    d = dataset(t)
    assert (
        len(d) == 10
        and [x.tolist() for x in d[3]] == [3, [6, 7]]
        and [x.tolist() for x in d[-1]] == [9, [18, 19]]
    )
    assert d[2:4][0].tolist() == [2, 3]


def test_a_tensor_dataset_of_unequal_tensors_is_refused():
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        torch.utils.data.TensorDataset(torch.ones(2), torch.ones(3))


@pytest.mark.parametrize("options", [{}, {"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_size": 3, "sampler": [5, 1, 7, 7]}, {"batch_sampler": [[1], [2, 3]]}])  # fmt: skip
def test_batches_are_torchs(options):
    ours, theirs = (
        torch.utils.data.DataLoader(dataset(torch), **options),
        real.utils.data.DataLoader(dataset(real), **options),
    )
    assert [plain(b) for b in ours] == [plain(b) for b in theirs] and len(ours) == len(theirs)


def test_shuffling_sees_every_sample_once_in_an_order_of_its_own_each_time():
    loader = torch.utils.data.DataLoader(dataset(torch, 50), batch_size=8, shuffle=True)
    first, second = ([i for b in loader for i in b[0].tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50)) and first != second


def test_a_seeded_generator_gives_the_same_order_again():
    def order():
        g = torch.Generator().manual_seed(4)
        return [
            b[0].tolist() for b in torch.utils.data.DataLoader(dataset(torch), 3, shuffle=True, generator=g)
        ]

    assert order() == order()


def test_a_collate_function_of_ones_own_gets_the_samples():
    loader = torch.utils.data.DataLoader([1, 2, 3], batch_size=2, collate_fn=sum)
    assert list(loader) == [3, 3]


@pytest.mark.parametrize(
    "options", [{"batch_size": 0}, {"batch_size": 2, "shuffle": True, "sampler": [1]}, {"num_workers": -1}]
)
@BOTH
def test_wrong_options_are_refused(t, options):
    with pytest.raises(ValueError, match=r"batch_size|sampler|num_workers"):
        t.utils.data.DataLoader(dataset(t), **options)


@BOTH
@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [([7, 3], [7, 3]), ([0.5, 0.5], [5, 5]), ([0.33, 0.33, 0.34], [4, 3, 3]), ([10, 0], [10, 0])],
)
@pytest.mark.filterwarnings("ignore:Length of split")
def test_random_split_is_disjoint_and_complete(t, lengths, sizes):
    parts = t.utils.data.random_split(list(range(10)), lengths)
    assert [len(p) for p in parts] == sizes and sorted(x for p in parts for x in p) == list(range(10))


@BOTH
def test_random_split_of_wrong_lengths_is_refused(t):
    with pytest.raises(
        ValueError, match="Sum of input lengths does not equal the length of the input dataset!"
    ):
        t.utils.data.random_split(list(range(10)), [5, 6])


@BOTH
def test_subsets_and_concatenations_count_from_both_ends(t):
    data = t.utils.data
    both = data.ConcatDataset([data.Subset([10, 20, 30], [2, 0]), [1, 2]])
    assert [both[i] for i in (0, 1, 2, 3, -1, -4)] == [30, 10, 1, 2, 2, 30] and len(both) == 4
