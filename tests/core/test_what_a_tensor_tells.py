"""Casts, moves, and what tensors, dtypes and devices tell of themselves, beside PyTorch."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .creation.outcome import described, outcome, same_refusal

TOLD = [
    lambda t: t.finfo(t.float32), lambda t: t.finfo(t.bfloat16), lambda t: t.finfo(t.float16), lambda t: t.finfo(t.float64),
    lambda t: t.finfo(), lambda t: t.iinfo(t.int8), lambda t: t.iinfo(t.uint8), lambda t: t.finfo(t.float32).dtype,
    lambda t: t.finfo(t.bfloat16).resolution, lambda t: t.can_cast(t.float32,t.int64), lambda t: t.can_cast(t.int64,t.float16),
    lambda t: t.can_cast(t.int64,t.bool), lambda t: t.can_cast(t.float64,t.float16), lambda t: t.can_cast(t.uint8,t.int8),
    lambda t: t.is_tensor(3), lambda t: t.is_floating_point(t.ones(1)), lambda t: t.numel(t.ones(2,3)),
    lambda t: t.is_nonzero(t.tensor(3)), lambda t: t.result_type(t.ones(2),1.0), lambda t: t.result_type(1,2.5),
    lambda t: t.result_type(t.ones(2,dtype=t.int8),2.5), lambda t: t.ones(2).type(),
    lambda t: t.ones(2,dtype=t.bfloat16).type(), lambda t: t.ones(2).type(t.int64), lambda t: t.ones(2).type("t.DoubleTensor"),
    lambda t: t.ones(2).type(t.DoubleTensor), lambda t: t.ones(2).to(), lambda t: t.ones(2).to("cpu",t.float64),
    lambda t: t.ones(2).to(t.float64,False,True), lambda t: t.ones(2).to(t.ones(1,dtype=t.int8)),
    lambda t: t.ones(2).to(device="cpu",dtype=t.int8), lambda t: t.ones(2).to(None),
    lambda t: t.ones(2).to(t.float64,copy=True), lambda t: t.ones(2).to(dtype=None),
    lambda t: t.ones(2).long().short().char().byte(), lambda t: t.ones(2).float(memory_format=t.preserve_format),
    lambda t: t.ones(2,requires_grad=True).long().requires_grad, lambda t: t.ones(2).type_as(t.ones(1,dtype=t.int8)),
    lambda t: t.ones(2,3).size(1), lambda t: t.ones(2,3).size(-1), lambda t: t.ones(2,3).size(dim=0),
    lambda t: t.ones(2,3)[1:].storage_offset(), lambda t: t.ones(2,3).nbytes, lambda t: t.ones(2,3).itemsize,
    lambda t: t.ones(2,3).ndimension(), lambda t: t.ones(2,3).element_size(), lambda t: t.ones(2).data_ptr() > 0,
    lambda t: t.ones(0).data_ptr(), lambda t: t.ones(1,1).item(), lambda t: t.ones(2,3).tolist(),
    lambda t: t.tensor(3).tolist(), lambda t: bool(t.ones(1,1)), lambda t: [1,2,3][t.tensor(1)],
    lambda t: [1,2,3][t.tensor([1])], lambda t: [1,2,3][t.tensor(True)], lambda t: f"{t.tensor(1.5):.3f}",
    lambda t: f"{t.ones(2)}", lambda t: 1 in t.ones(2), lambda t: t.tensor(1.) in t.ones(2), lambda t: int(t.tensor(2.7)),
    lambda t: complex(t.ones(1)), lambda t: t.ones(2).is_complex(), lambda t: t.ones(2).is_signed(),
    lambda t: t.ones(2,dtype=t.uint8).is_signed(), lambda t: t.ones(2).is_pinned(), lambda t: t.ones(2).is_sparse,
    lambda t: t.ones(2).layout, lambda t: t.ones(2,3).stride(), lambda t: t.ones(2).get_device(), lambda t: t.ones(2).is_cpu,
    lambda t: t.ones(2).is_quantized, lambda t: t.ones(2).is_meta, lambda t: t.ones(2).nelement(),
    lambda t: t.contiguous_format, lambda t: t.channels_last,
    lambda t: t.ones(1,3,2,2).to(memory_format=t.channels_last).stride(), lambda t: t.strided, lambda t: t.int8.is_signed,
    lambda t: t.float32.itemsize, lambda t: t.device("cpu").type, lambda t: t.device("cpu",0), lambda t: t.device("cpu:0"),
    lambda t: t.device("cuda",1), lambda t: t.device(type="cuda",index=1), lambda t: t.device("cuda")==t.device("cuda:0"),
    lambda t: t.ones(2).ndim, lambda t: t.ones(2).half().dtype, lambda t: t.ones(2).cpu(),
    lambda t: t.ones(3).__array_priority__,
    lambda t: pickle.loads(pickle.dumps(t.ones(2,requires_grad=True)*2)), lambda t: copy.copy(t.ones(2,requires_grad=True)*2),
    lambda t: copy.copy(t.ones(2,requires_grad=True)), lambda t: copy.copy(t.ones(2)).dtype,
    lambda t: copy.deepcopy(t.ones(2,3).t()).stride(), lambda t: list(t.ones(2)), lambda t: t.ones(2,0).tolist(),
    lambda t: t.tensor(2**40).item(), lambda t: t.tensor(True).item(), lambda t: t.tensor([True,False]).tolist(),
    lambda t: t.tensor(1.5,dtype=t.bfloat16).item(), lambda t: t.ones(2).size(), lambda t: t.ones(2).shape==(2,),
    lambda t: t.Size([2,3])[1:], lambda t: t.Size([2,3])[0], lambda t: t.Size((2,3)).numel(),
    lambda t: t.Size([2])*2, lambda t: repr(t.Size([2])), lambda t: hash(t.Size([2]))==hash((2,)),
    lambda t: t.ones(2).new(3).shape, lambda t: t.ones(2).new([1,2]), lambda t: t.ones(2).element_size(),
    lambda t: t.ones(2).to_dense(), lambda t: t.ones(2).__len__(), lambda t: t.ones(2).is_same_size(t.ones(2)),
    lambda t: t.ones(2).data, lambda t: t.ones(2).T, lambda t: t.Tensor.__name__, lambda t: t.ones(2).output_nr,
    lambda t: t.ones(2).requires_grad_(False).requires_grad, lambda t: t.ones(2).ndim, lambda t: t.ones(2).__reversed__(),
    lambda t: reversed(t.arange(3)), lambda t: t.tensor(3).__int__(), lambda t: abs(t.tensor(-1)),
    lambda t: math.floor(t.tensor(2.5)), lambda t: math.sqrt(t.tensor(4.)),
    lambda t: t.tensor([1,2.]).type(t.FloatTensor).dtype, lambda t: t.float, lambda t: t.float32==t.float,
    lambda t: str(t.float32), lambda t: t.promote_types(t.uint8,t.int8), lambda t: t.result_type(np.float64(1),t.ones(2)),
    lambda t: t.device("cpu")=="cpu", lambda t: str(t.device("cuda",0)), lambda t: repr(t.device("cuda:0")),
    lambda t: t.device(t.device("cpu")),
]  # fmt: skip

REFUSED = [
    lambda t: t.finfo(t.int32), lambda t: t.iinfo(t.bool), lambda t: t.iinfo(t.float32), lambda t: t.iinfo(3),
    lambda t: t.is_floating_point(3), lambda t: t.numel([1]), lambda t: t.is_nonzero(t.ones(2)),
    lambda t: t.ones(2).type("DoubleTensor"), lambda t: t.ones(2).type("float32"), lambda t: t.ones(2).type(3),
    lambda t: t.ones(2).to(other=t.ones(1,dtype=t.int8)), lambda t: t.ones(2).to(t.float64,"cpu"),
    lambda t: t.ones(2).to("abc"), lambda t: t.ones(2).to(dtype="float64"), lambda t: t.ones(2,3).size(2),
    lambda t: t.ones(2,3).stride(5), lambda t: t.ones(2).item(), lambda t: t.ones(0).item(), lambda t: len(t.tensor(3)),
    lambda t: bool(t.ones(2)), lambda t: bool(t.ones(0)), lambda t: [1,2,3][t.tensor(1.)], lambda t: f"{t.ones(2):.3f}",
    lambda t: "a" in t.ones(2), lambda t: None in t.ones(2), lambda t: float(t.ones(2)), lambda t: int(t.ones(2)),
    lambda t: t.tensor(2.5).__index__(), lambda t: t.device("abc"),
    lambda t: list(t.tensor(1.)), lambda t: t.Size(["a"]), lambda t: t.Size([2.5]), lambda t: t.Size(3),
    lambda t: round(t.tensor(2.567),1), lambda t: round(t.tensor(2.5)), lambda t: divmod(t.tensor(7),2),
    lambda t: t.promote_types("a",t.int8), lambda t: t.result_type("a",1), lambda t: t.can_cast("a",t.int8),
    lambda t: t.device("cuda",-1), lambda t: t.device("cuda:x"), lambda t: t.device(None), lambda t: t.device(),
]  # fmt: skip


@pytest.mark.parametrize("ask", TOLD)
def test_the_answer_is_pytorchs(ask):
    assert described(outcome(ask, torch)) == described(outcome(ask, real))


@pytest.mark.parametrize("ask", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_type_of_error(ask):
    mine, theirs = outcome(ask, torch), outcome(ask, real)
    assert same_refusal(mine, theirs), f"{mine!r}\n{theirs!r}"


def test_sizes_stay_sizes_in_all_that_is_made_of_them():
    for lib in (torch, real):
        a = lib.Size([2, 3])
        for made in (
            a[1:],
            a + a,
            a.__add__((4,)),
            a.__radd__((4,)),
            a * 2,
            lib.Size(a),
            lib.ones(2, 3).shape[:1],
            pickle.loads(pickle.dumps(a)),
            lib.ones(2).size(),
        ):
            assert type(made) is lib.Size
        assert type(a[0]) is int and a[1:].numel() == 3


def test_the_number_of_threads_is_what_was_set():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert torch.get_num_threads() == before
    for lib in (torch, real):
        with pytest.raises(RuntimeError, match="expects a positive integer"):
            lib.set_num_threads(0)
        with pytest.raises((TypeError, RuntimeError), match="expects an int, but got float"):
            lib.set_num_threads(1.5)


@pytest.mark.parametrize("name", ["float64", "float16", "bfloat16"])
def test_another_default_dtype_is_that_of_new_tensors(name):
    made = []
    for lib in (torch, real):
        try:
            lib.set_default_dtype(getattr(lib, name))
            made.append([str(f(lib).dtype) for f in (
                lambda t: t.tensor(1.5), lambda t: t.tensor([1, 2.5]), lambda t: t.zeros(2), lambda t: t.rand(2), lambda t: t.full((2,), 1.5),
                lambda t: t.arange(2.0), lambda t: t.tensor([1]) * 2.5, lambda t: t.tensor([1]) / 2, lambda t: t.linspace(0, 1, 3), lambda t: t.ones(2).long().float(),
            )])  # fmt: skip
        finally:
            lib.set_default_dtype(lib.float32)
    assert made[0] == made[1]


RESIZED = [
    lambda t: t.arange(6).resize_(2, 3),
    lambda t: t.arange(6).resize_((3,)),
    lambda t: t.arange(6).resize_(2, 2),
    lambda t: t.arange(6)[2:].resize_(2),
    lambda t: t.arange(6).resize_(0).resize_(6),
    lambda t: t.arange(6).resize_as_(t.ones(3, 1)),
    lambda t: t.arange(6).reshape(2, 3).resize_(5),
    lambda t: t.empty(0).resize_(2, 3).shape,
    lambda t: t.arange(6)[1:3].resize_(5),
    lambda t: t.add(t.ones(3), 1, out=t.ones(2, 2).resize_(0)),
]


@pytest.mark.parametrize("resize", RESIZED)
def test_a_resized_tensor_shows_its_storage_as_pytorchs_does(resize):
    assert described(outcome(resize, torch)) == described(outcome(resize, real))


def test_resizing_shares_and_refuses():
    for lib in (torch, real):
        x = lib.zeros(4)
        y = x.detach()
        y.resize_(2, 2).add_(1)
        assert x.tolist() == [1.0] * 4
        with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
            lib.ones(2, requires_grad=True).resize_(1)
        with pytest.raises(RuntimeError):
            lib.ones(2).resize_(-1)
    with pytest.raises(RuntimeError, match="can't grow to shape"):
        torch.ones(2).resize_(3)
