"""What the backward pass promises beyond the right numbers: what it refuses, what it leaves alone, what it keeps quiet about."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import gradwire as torch
from gradwire.nn import functional as F


def test_a_hook_that_returns_another_shape_is_refused():
    w = torch.ones(3, requires_grad=True)
    w.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match="has changed the size of value"):
        (w * 2).sum().backward()


def test_a_function_that_returns_a_gradient_of_another_shape_is_refused():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return torch.ones(5)

    with pytest.raises(RuntimeError, match=r"gradient of shape \[5\] for a tensor of shape \[3\]"):
        Wrong.apply(torch.ones(3, requires_grad=True)).sum().backward()


def test_grad_runs_only_what_leads_to_the_inputs_and_leaves_the_rest_whole():
    w = torch.tensor([2.0], requires_grad=True)
    middle = w.exp()
    ran = []
    middle.register_hook(lambda g: ran.append("middle"))
    below = w * w
    below.register_hook(lambda g: ran.append("below"))
    loss = (middle * below).sum()
    (g,) = torch.autograd.grad(loss, middle)
    assert g.item() == 4.0 and ran == ["middle"]
    (again,) = torch.autograd.grad(
        below.sum(), w
    )  # its buffers were not freed by the pass that did not need it
    assert again.item() == 4.0


def test_an_output_saved_by_a_function_is_differentiated_again():
    class Exp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            (out,) = ctx.saved_tensors
            return g * out

    x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(Exp.apply(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    assert first.item() == second.item() == third.item() == pytest.approx(np.exp(0.5))


def test_a_gradient_that_a_graph_holds_is_not_changed_under_it_in_silence():
    w = torch.tensor([3.0], requires_grad=True)
    (w * w).sum().backward()
    v = torch.tensor([2.0], requires_grad=True)
    later = (v * w.grad).sum()
    (w * w).sum().backward()  # adds into w.grad in place
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        later.backward()


def test_overflow_and_nan_warn_nobody_as_in_pytorch():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = torch.tensor([3e38, 0.0, -1.0], requires_grad=True)
        for y in (
            x * x,
            x + x,
            x / 0,
            x.log(),
            x**0.5,
            x.exp(),
            x - float("inf"),
            x.sqrt(),
            F.softmax(x * 1e38, 0),
        ):
            y.sum().backward()


def test_relu_keeps_an_infinite_gradient_out_of_what_it_cut_off():
    x = torch.tensor([-1.0, 2.0], requires_grad=True)
    x.relu().backward(torch.tensor([float("inf"), float("inf")]))
    assert x.grad.tolist() == [0.0, float("inf")]


def test_a_masked_score_of_minus_infinity_leaves_no_nan():
    mask = torch.triu(torch.full((2, 2), float("-inf")), diagonal=1)
    assert mask.tolist() == [[0.0, float("-inf")], [0.0, 0.0]]
    w = torch.zeros(2, requires_grad=True)
    w.norm().backward()
    assert w.grad.tolist() == [0.0, 0.0]
