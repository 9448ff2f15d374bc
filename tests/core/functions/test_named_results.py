"""Results of several tensors have PyTorch's names, look like PyTorch's, and go through copy and pickle."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import gradwire

CALLS = {
    "max": lambda t: t.max(0),
    "min": lambda t: t.min(0),
    "sort": lambda t: t.sort(),
    "topk": lambda t: t.topk(2),
    "kthvalue": lambda t: t.kthvalue(1),
    "median": lambda t: t.median(0),
    "nanmedian": lambda t: t.nanmedian(0),
    "mode": lambda t: t.mode(),
    "cummax": lambda t: t.cummax(0),
    "cummin": lambda t: t.cummin(0),
    "aminmax": lambda t: t.aminmax(),
    "frexp": lambda t: t.frexp(),
    "histogram": lambda t: t.histogram(3),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_named_result_is_that_of_pytorch(name):
    values = [[1.0, 3.0, 2.0], [0.5, -1.0, 7.0]]
    mine, theirs = CALLS[name](gradwire.tensor(values)), CALLS[name](torch.tensor(values))
    assert type(mine) is getattr(gradwire.return_types, name)
    assert type(mine).__name__ == type(theirs).__name__.rpartition(".")[2]
    fields = [f for f in dir(theirs) if isinstance(getattr(theirs, f), torch.Tensor)]
    assert sorted(mine._fields) == sorted(fields)
    assert repr(mine) == repr(theirs)
    for again in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert type(again) is type(mine)
        assert repr(again) == repr(mine)


def test_a_name_without_a_named_result_is_refused():
    with pytest.raises(AttributeError, match="sum"):
        _ = gradwire.return_types.sum
