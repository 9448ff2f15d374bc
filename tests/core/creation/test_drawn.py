"""Random tensors beside PyTorch's: shapes, dtypes and refusals; see test_distributions.py for the numbers."""

from __future__ import annotations

import pytest
import torch as real

import gradwire as torch

from .outcome import described, outcome, same_refusal

DRAWN = [
    lambda t: t.randint(5,(2,)).dtype, lambda t: t.randint(0,5,(2,),dtype=t.float32).dtype,
    lambda t: t.randint(low=0,high=5,size=(2,)).shape, lambda t: t.randint(high=5,size=(2,)).shape,
    lambda t: t.randint_like(t.ones(2),5).dtype, lambda t: t.randint_like(t.ones(2),2,5).dtype,
    lambda t: t.randperm(3,dtype=t.float16).dtype, lambda t: t.normal(t.zeros(2,dtype=t.float64),t.ones(2)).dtype,
    lambda t: t.normal(t.zeros(2)).shape, lambda t: t.normal(0.,t.ones(2)).shape,
    lambda t: t.normal(t.zeros(2),t.ones(3,1)).shape, lambda t: t.normal(0,1,(2,)).dtype,
    lambda t: t.normal(mean=t.zeros(2,requires_grad=True),std=1.).requires_grad, lambda t: t.bernoulli(t.zeros(3),0.5).shape,
    lambda t: t.bernoulli(t.zeros(3,dtype=t.int64),0.5).dtype,
    lambda t: t.bernoulli(t.zeros(3,requires_grad=True)).requires_grad,
    lambda t: t.bernoulli(t.zeros(3,requires_grad=True)).grad_fn.name(),
    lambda t: t.zeros(3,dtype=t.int64).bernoulli_(0.5).dtype, lambda t: t.zeros(3).bernoulli_(t.tensor([0.,1,0])),
    lambda t: t.zeros(3,dtype=t.bool).bernoulli_(1), lambda t: t.multinomial(t.tensor([0.,0,1]),2),
    lambda t: t.multinomial(t.ones(2,3),2).shape, lambda t: t.poisson(t.ones(3)).dtype,
    lambda t: t.binomial(t.tensor([10.]),t.tensor([0.5])).dtype, lambda t: t.zeros(2,dtype=t.int64).geometric_(0.5).dtype,
    lambda t: t.zeros(2).uniform_(1,1), lambda t: t.zeros(2,dtype=t.int8).random_(),
    lambda t: t.zeros(2,dtype=t.bool).random_(), lambda t: t.zeros(1000).random_().max(),
    lambda t: t.zeros(1000,dtype=t.float16).random_().max(), lambda t: t.zeros(1000,dtype=t.float64).random_().max() < 2**53,
    lambda t: t.zeros(1000,dtype=t.int64).random_().min() > 0, lambda t: t.rand(2,generator=t.Generator()).shape,
    lambda t: t.Generator().device, lambda t: t.Generator(device="cpu").initial_seed(), lambda t: t.get_rng_state().dtype,
    lambda t: t.rand_like(t.ones(2,dtype=t.int64),dtype=t.float32).dtype,
]  # fmt: skip

REFUSED = [
    lambda t: t.rand(2,dtype=t.int64), lambda t: t.randn(2,dtype=t.int64), lambda t: t.randint(5,5,(2,)),
    lambda t: t.randint(0,5,(2,),dtype=t.bool).dtype, lambda t: t.randint(0,300,(2,),dtype=t.uint8), lambda t: t.randint(0,5),
    lambda t: t.randint(2.5,(2,)), lambda t: t.randint(0,5,2), lambda t: t.randperm(-1), lambda t: t.randperm(3,dtype=t.bool),
    lambda t: t.randperm(300,dtype=t.uint8).dtype, lambda t: t.normal(0.,-1.,(2,)), lambda t: t.normal(t.zeros(2),-1.),
    lambda t: t.normal(t.zeros(2),t.tensor([-1.,1])), lambda t: t.normal(t.zeros(2),t.ones(3)),
    lambda t: t.normal(t.zeros(2,dtype=t.int64),1.).dtype, lambda t: t.normal(0.,1.), lambda t: t.bernoulli(t.tensor([2.])),
    lambda t: t.bernoulli(t.tensor([1])), lambda t: t.bernoulli(t.tensor([float('nan')])),
    lambda t: t.bernoulli(t.zeros(3),p=1.5), lambda t: t.zeros(3).bernoulli_(t.tensor([0.,1])),
    lambda t: t.multinomial(t.ones(3),4), lambda t: t.multinomial(t.ones(3),0), lambda t: t.multinomial(t.tensor([-1.,2]),1),
    lambda t: t.multinomial(t.tensor([0.,0]),1), lambda t: t.multinomial(t.ones(2,2,2),2),
    lambda t: t.multinomial(t.tensor([1,2]),2), lambda t: t.multinomial(t.tensor([float('inf'),1]),1),
    lambda t: t.multinomial(t.ones(3),2.5), lambda t: t.multinomial(t.tensor(1.),1), lambda t: t.poisson(t.tensor([-1.])),
    lambda t: t.poisson(t.tensor([1])), lambda t: t.binomial(t.tensor([10]),t.tensor([.5])),
    lambda t: t.zeros(2).exponential_(-1), lambda t: t.zeros(2).exponential_(0),
    lambda t: t.zeros(2,dtype=t.int64).exponential_(), lambda t: t.zeros(2).cauchy_(0,-1),
    lambda t: t.zeros(2,dtype=t.int64).cauchy_(), lambda t: t.zeros(2).geometric_(0), lambda t: t.zeros(2).geometric_(1.5),
    lambda t: t.zeros(2).geometric_(1), lambda t: t.zeros(2).log_normal_(1,-2),
    lambda t: t.zeros(2,dtype=t.int64).log_normal_(), lambda t: t.zeros(2).normal_(0,-1),
    lambda t: t.zeros(2,dtype=t.int64).normal_(), lambda t: t.zeros(2).uniform_(1,0),
    lambda t: t.zeros(2,dtype=t.int64).uniform_(), lambda t: t.zeros(2).uniform_(0,float('inf')),
    lambda t: t.zeros(2,dtype=t.int8).random_(300), lambda t: t.zeros(2,dtype=t.int8).random_(5,5),
    lambda t: t.zeros(2).random_(2.5), lambda t: t.zeros(2,requires_grad=True).normal_(), lambda t: t.rand(2,generator=3),
    lambda t: t.rand_like(t.ones(2,dtype=t.int64)),
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWN)
def test_shape_and_dtype_are_pytorchs(draw):
    assert described(outcome(draw, torch), values=False) == described(outcome(draw, real), values=False)


@pytest.mark.parametrize("draw", REFUSED)
def test_what_pytorch_refuses_is_refused_with_the_same_type_of_error(draw):
    mine, theirs = outcome(draw, torch), outcome(draw, real)
    assert same_refusal(mine, theirs), f"{mine!r}\n{theirs!r}"
