"""Casts, moves, and what tensors, dtypes and devices tell of themselves, beside PyTorch."""

from __future__ import annotations

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
]  # fmt: skip


@pytest.mark.parametrize("ask", TOLD)
def test_the_answer_is_pytorchs(ask):
    assert described(outcome(ask, torch)) == described(outcome(ask, real))


@pytest.mark.parametrize("ask", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_type_of_error(ask):
    mine, theirs = outcome(ask, torch), outcome(ask, real)
    assert same_refusal(mine, theirs), f"{mine!r}\n{theirs!r}"
