"""Functions that make tensors: values, shapes and dtypes as torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch

MADE = [
    lambda t: t.tensor(1), lambda t: t.tensor(1.5), lambda t: t.tensor(True), lambda t: t.tensor([]), lambda t: t.tensor([[1, 2], [3, 4]]),
    lambda t: t.tensor([1, 2.5]), lambda t: t.tensor((True, 2)), lambda t: t.tensor([[1.0], [2.0]], dtype=t.float64),
    lambda t: t.tensor(np.arange(3, dtype=np.int16)), lambda t: t.tensor(np.float64(2)), lambda t: t.tensor([np.float32(1), 2]),
    lambda t: t.tensor([t.tensor(1.0), t.tensor(2.0)]), lambda t: t.tensor([1, 2], dtype=t.bool), lambda t: t.tensor(2**40),
    lambda t: t.zeros(2, 3), lambda t: t.zeros((2, 3)), lambda t: t.zeros(t.Size([2])), lambda t: t.zeros(()), lambda t: t.zeros([0, 2]),
    lambda t: t.ones(2, dtype=t.int32), lambda t: t.full((2,), 3), lambda t: t.full((2,), 3.0), lambda t: t.full((), True),
    lambda t: t.full((2,), 1, dtype=t.float16), lambda t: t.arange(5), lambda t: t.arange(2, 5), lambda t: t.arange(5, 0, -2),
    lambda t: t.arange(0, 1, 0.25), lambda t: t.arange(3.0), lambda t: t.arange(0), lambda t: t.arange(1, 4, dtype=t.float64),
    lambda t: t.linspace(0, 1, 5), lambda t: t.linspace(-1, 1, 1), lambda t: t.linspace(3, -3, 7, dtype=t.float64), lambda t: t.linspace(0, 1, 0),
    lambda t: t.eye(3), lambda t: t.eye(2, 4), lambda t: t.eye(2, dtype=t.int64),
    lambda t: t.zeros_like(t.ones(2, 3, dtype=t.float64)), lambda t: t.ones_like(t.zeros(2, dtype=t.int64)),
    lambda t: t.full_like(t.zeros(2), 7), lambda t: t.full_like(t.zeros(2, dtype=t.int64), 7), lambda t: t.ones_like(t.zeros(2), dtype=t.bool),
    lambda t: t.as_tensor([1, 2]), lambda t: t.as_tensor(np.ones(2)), lambda t: t.as_tensor(np.ones(2), dtype=t.float32),
    lambda t: t.from_numpy(np.arange(4).reshape(2, 2).T), lambda t: t.Tensor([1, 2]), lambda t: t.LongTensor([1, 2]), lambda t: t.FloatTensor([1, 2]),
    lambda t: t.ones(2).new_zeros(3), lambda t: t.ones(2, dtype=t.float64).new_ones((2, 1)), lambda t: t.ones(2).new_tensor([1, 2]),
    lambda t: t.ones(2).long(), lambda t: t.tensor([1.7, -1.7]).int(), lambda t: t.tensor([0, 2]).bool(), lambda t: t.ones(1).half(),
]  # fmt: skip


@pytest.mark.parametrize("make", MADE)
def test_value_shape_and_dtype_are_torchs(make):
    ours, theirs = make(torch), make(real)
    assert (str(ours.dtype), tuple(ours.shape), ours.tolist()) == (
        str(theirs.dtype),
        tuple(theirs.shape),
        theirs.tolist(),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.tensor([[1, 2], [3]]),
        lambda t: t.zeros(-1),
        lambda t: t.zeros("2"),
        lambda t: t.arange(0, 5, 0),
        lambda t: t.arange(5, 0),
        lambda t: t.from_numpy([1, 2]),
        lambda t: t.tensor([1, 2], requires_grad=True),
        lambda t: t.tensor("a"),
        lambda t: t.from_numpy(np.array(["a"])),
    ],
)
def test_what_torch_refuses_is_refused(wrong):
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        wrong(real)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        wrong(torch)


def test_tensor_copies_and_from_numpy_and_as_tensor_share():
    raw = np.zeros(2, np.float32)
    copied, shared, also = torch.tensor(raw), torch.from_numpy(raw), torch.as_tensor(raw)
    raw[0] = 5
    assert (copied[0].item(), shared[0].item(), also[0].item()) == (0, 5, 5)
    shared.numpy()[1] = 7
    assert raw.tolist() == [5, 7] and torch.as_tensor(shared) is shared


def test_uninitialised_tensors_have_their_shape_and_dtype():
    assert torch.empty(2, 3, dtype=torch.int16).shape == (2, 3) and torch.Tensor(3, 5).dtype is torch.float32
    assert torch.empty_like(torch.ones(4, dtype=torch.float64)).dtype is torch.float64


def test_requires_grad_may_be_asked_for_at_once():
    for t in (
        torch.ones(2, requires_grad=True),
        torch.rand(2, requires_grad=True),
        torch.zeros_like(torch.ones(1), requires_grad=True),
    ):
        assert t.requires_grad and t.is_leaf


def test_numpy_reads_tensors_and_dlpack_exchanges_them():
    x = torch.arange(3)
    assert np.asarray(x).tolist() == [0, 1, 2] and np.from_dlpack(x).tolist() == [0, 1, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(torch.ones(1, requires_grad=True))
    with pytest.raises(BufferError, match=r"requires? grad"):
        np.from_dlpack(torch.ones(1, requires_grad=True))


def test_to_returns_the_tensor_itself_where_nothing_changes():
    x = torch.ones(2)
    assert (
        x.to(torch.float32) is x
        and x.to("cpu") is x
        and x.to(torch.float64) is not x
        and x.to(torch.float32, copy=True) is not x
    )
