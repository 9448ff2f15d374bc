"""Functions that make tensors, beside PyTorch's: values, dtypes, shapes, strides and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .outcome import described, outcome, same_refusal

MADE = [
    lambda t: t.tensor(-1,dtype=t.uint8), lambda t: t.tensor(1.7,dtype=t.int64), lambda t: t.tensor(1e6,dtype=t.float16),
    lambda t: t.tensor(1e300,dtype=t.float32), lambda t: t.tensor([[],[]]), lambda t: t.tensor(np.float64(1.5)),
    lambda t: t.tensor([np.float64(1.5)]), lambda t: t.tensor([1.0,np.float64(1.5)]), lambda t: t.tensor([np.float32(1.5)]),
    lambda t: t.tensor([np.float16(1.5),2]), lambda t: t.tensor(np.int8(3)), lambda t: t.tensor([np.int8(3)]),
    lambda t: t.tensor([np.int8(3),2]), lambda t: t.tensor([np.array([1,2],np.int32)]), lambda t: t.tensor([t.tensor(1.0),2]),
    lambda t: t.tensor([t.tensor(1.0,dtype=t.float64),2]), lambda t: t.tensor([t.tensor([1])]), lambda t: t.tensor([True,2]),
    lambda t: t.tensor([True,2.5]), lambda t: t.tensor(range(3)), lambda t: t.tensor((1,2)),
    lambda t: t.tensor(np.float64(1.5),dtype=t.int8), lambda t: t.tensor([1.5,2.5],dtype=t.int64),
    lambda t: t.tensor([1,0],dtype=t.bool), lambda t: t.tensor(0.5,dtype=t.bool), lambda t: t.as_tensor([1,2],dtype=t.float32),
    lambda t: t.full((2,),True), lambda t: t.full((2,),1), lambda t: t.full((2,),1.5), lambda t: t.full((2,),t.tensor(1.5)),
    lambda t: t.full((2,),1.5,dtype=t.int8), lambda t: t.zeros([]), lambda t: t.zeros(t.tensor(2)),
    lambda t: t.zeros(np.int64(2),3), lambda t: t.zeros(size=(2,)), lambda t: t.arange(5.), lambda t: t.arange(5,1,-2),
    lambda t: t.arange(t.tensor(3)), lambda t: t.arange(True), lambda t: t.arange(end=4), lambda t: t.arange(start=1,end=4),
    lambda t: t.arange(2,end=4), lambda t: t.arange(0), lambda t: t.arange(0,1,0.1), lambda t: t.linspace(0,1,5),
    lambda t: t.linspace(0,1,1), lambda t: t.linspace(0,1,0), lambda t: t.linspace(0,10,4,dtype=t.int64),
    lambda t: t.linspace(t.tensor(0.),t.tensor(1.),3), lambda t: t.logspace(0,2,3), lambda t: t.logspace(0,2,3,base=2),
    lambda t: t.logspace(0,4,5,dtype=t.int32,base=2), lambda t: t.logspace(0,2,3,base=-2), lambda t: t.eye(2,3),
    lambda t: t.eye(2,dtype=t.bool), lambda t: t.zeros_like(t.ones(2,3).t()).stride(),
    lambda t: t.zeros_like(t.ones(2,3).t(),memory_format=t.contiguous_format).stride(),
    lambda t: t.zeros_like(t.ones(1,3).expand(2,3)).stride(), lambda t: t.empty_like(t.ones(4,6)[:, ::2]).stride(),
    lambda t: t.full_like(t.ones(2,dtype=t.int64),1.5), lambda t: t.ones(2).new_zeros((2,3)),
    lambda t: t.ones(2).new_zeros(2,3), lambda t: t.ones(2).new_full((2,),3),
    lambda t: t.ones(2,dtype=t.int64).new_full((2,),3.5), lambda t: t.ones(2).new_tensor([1,2]),
    lambda t: t.ones(2,dtype=t.int64).new_tensor([1.5,2]), lambda t: t.ones(2).new_empty(2,0), lambda t: t.scalar_tensor(3),
    lambda t: t.scalar_tensor(3,dtype=t.int64), lambda t: t.scalar_tensor(True),
    lambda t: t.empty_strided((2,3),(1,2)).stride(), lambda t: t.empty_permuted((2,3),(1,0)).stride(),
    lambda t: t.zeros(2,out=t.empty(2,dtype=t.int8)), lambda t: t.arange(3,out=t.empty(3,dtype=t.int8)),
    lambda t: t.frombuffer(bytearray(8),dtype=t.int32), lambda t: t.frombuffer(bytearray(8),dtype=t.int32,count=1,offset=4),
    lambda t: t.asarray([1,2]), lambda t: t.asarray(np.array([1,2])), lambda t: t.asarray(3.5),
    lambda t: t.asarray(bytearray(8)), lambda t: t.asarray(t.ones(2),requires_grad=True),
    lambda t: t.ones(2,dtype=t.int64).new_tensor(t.tensor([1.5])),
    lambda t: t.ones(2,dtype=t.int64).new_tensor(np.array([1.5])),
    lambda t: t.ones(2,dtype=t.int64).new_tensor(np.float64(1.5)), lambda t: t.asarray(t.ones(2,requires_grad=True)),
    lambda t: t.asarray(t.ones(2,requires_grad=True),copy=True), lambda t: t.Tensor(2,3).shape, lambda t: t.Tensor([1,2]),
    lambda t: t.Tensor(3).shape, lambda t: t.Tensor(t.ones(2)), lambda t: t.Tensor(), lambda t: t.FloatTensor(2,3).shape,
    lambda t: t.LongTensor([1.5,2]), lambda t: t.LongTensor([1,2]), lambda t: t.IntTensor(3).dtype,
    lambda t: t.BoolTensor([0,1]), lambda t: isinstance(t.ones(2),t.FloatTensor), lambda t: isinstance(t.ones(2),t.LongTensor),
    lambda t: t.FloatTensor(t.ones(2)), lambda t: t.FloatTensor(np.ones(2)), lambda t: t.HalfTensor([1]).dtype,
    lambda t: t.FloatTensor.__name__, lambda t: t.FloatTensor.dtype,
]  # fmt: skip

REFUSED = [
    lambda t: t.tensor(2**70), lambda t: t.tensor(2**63), lambda t: t.tensor(300,dtype=t.uint8),
    lambda t: t.tensor([300],dtype=t.int8), lambda t: t.tensor(float('nan'),dtype=t.int64),
    lambda t: t.tensor(float('inf'),dtype=t.int64), lambda t: t.tensor(1e10,dtype=t.int32), lambda t: t.tensor([[1,2],[3]]),
    lambda t: t.tensor([[1,2],3]), lambda t: t.tensor([1,[2]]), lambda t: t.tensor("a"), lambda t: t.tensor(["a"]),
    lambda t: t.tensor(None), lambda t: t.tensor([1,None]), lambda t: t.tensor([t.tensor([1.0,2])]), lambda t: t.tensor({1}),
    lambda t: t.tensor(1,requires_grad=True), lambda t: t.tensor(np.array(["a"])), lambda t: t.tensor(np.array([1,2])[::-1]),
    lambda t: t.tensor([1.5,-2.5],dtype=t.uint8), lambda t: t.from_numpy(np.array([1,2])[::-1]), lambda t: t.from_numpy([1]),
    lambda t: t.from_numpy(np.array([1],'>f4')), lambda t: t.from_numpy(np.array([None])),
    lambda t: t.from_numpy(np.float32(3)), lambda t: t.as_tensor(np.array([1,2])[::-1]), lambda t: t.full((2,),t.tensor([1.5])),
    lambda t: t.full(2,1.5), lambda t: t.full((2,),300,dtype=t.int8), lambda t: t.full((2,),1e300), lambda t: t.full((2,),'a'),
    lambda t: t.zeros(-1), lambda t: t.zeros(2.5), lambda t: t.zeros("a"), lambda t: t.zeros(2,(3,)), lambda t: t.zeros(),
    lambda t: t.zeros(True), lambda t: t.zeros((2,),dtype=t.int8,requires_grad=True), lambda t: t.arange(1,5,0),
    lambda t: t.arange(5,1), lambda t: t.arange(0,float('inf')), lambda t: t.arange(float('nan')),
    lambda t: t.arange(3,dtype=t.bool), lambda t: t.arange("a"), lambda t: t.arange(-3), lambda t: t.linspace(0,1,-1),
    lambda t: t.linspace(0,1,2.5), lambda t: t.linspace(t.tensor([0.]),1,3), lambda t: t.linspace(0,1),
    lambda t: t.linspace(0,1,3,dtype=t.bool), lambda t: t.eye(-1), lambda t: t.eye(2,-1), lambda t: t.eye(2.5),
    lambda t: t.zeros_like(np.ones(2)), lambda t: t.full_like(t.ones(2,dtype=t.int8),300),
    lambda t: t.empty_strided((2,3),(1,)), lambda t: t.zeros(2,out=t.empty(2,dtype=t.int8),dtype=t.float32),
    lambda t: t.frombuffer(bytearray(7),dtype=t.int32), lambda t: t.frombuffer(bytearray(8),dtype=t.int32,count=3),
    lambda t: t.frombuffer(bytearray(0),dtype=t.int32), lambda t: t.frombuffer(bytearray(8),dtype=t.int32,offset=9),
    lambda t: t.frombuffer(bytearray(8),dtype=t.int32,count=0), lambda t: t.frombuffer([1],dtype=t.int32),
    lambda t: t.asarray([1.],copy=False), lambda t: t.asarray(np.ones(2),copy=False,dtype=t.float32), lambda t: t.asarray("a"),
    lambda t: t.tensor([[1,2],[3,[4]]]), lambda t: t.tensor([[[1],[2]],[[3],[4,5]]]), lambda t: t.tensor(np.array([1,2],'>f4')),
    lambda t: t.Tensor(2.5), lambda t: t.ByteTensor([300]), lambda t: t.FloatTensor(t.ones(2).long()),
]  # fmt: skip


@pytest.mark.parametrize("make", MADE)
def test_what_is_made_is_pytorchs(make):
    assert described(outcome(make, torch)) == described(outcome(make, real))


@pytest.mark.parametrize("make", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_type_of_error(make):
    mine, theirs = outcome(make, torch), outcome(make, real)
    assert same_refusal(mine, theirs), f"{mine!r}\n{theirs!r}"
