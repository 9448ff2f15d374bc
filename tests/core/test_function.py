"""autograd.Function: one's own operations beside the same class in torch."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch as real

import gradwire as torch

BOTH = pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])


def leaf(t, *values):
    return t.tensor(list(values), dtype=t.float64, requires_grad=True)


def cube(t):
    class Cube(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return g * 3 * x * x

    return Cube


def exp_saving_its_output(t):
    class Exp(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.exp()
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, g):
            (y,) = ctx.saved_tensors
            return g * y

    return Exp


def sum_and_product(t):
    class SumAndProduct(t.autograd.Function):
        @staticmethod
        def forward(a, b):
            return a + b, a * b

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, gs, gp):
            a, b = ctx.saved_tensors
            return gs + gp * b, gs + gp * a

    return SumAndProduct


@BOTH
def test_a_function_gives_value_gradient_and_name(t):
    x = leaf(t, 2.0)
    y = cube(t).apply(x)
    y.sum().backward()
    assert (y.item(), x.grad.item(), y.grad_fn.name()) == (8, 12, "CubeBackward")


@BOTH
@pytest.mark.parametrize("make", [cube, exp_saving_its_output])
def test_a_function_can_be_differentiated_twice(t, make):
    x = leaf(t, 2.0)
    (g,) = t.autograd.grad(make(t).apply(x).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h.item(), 12 if make is cube else np.exp(2), rtol=1e-12)


@BOTH
def test_several_outputs_with_setup_context(t):
    a, b = leaf(t, 2.0), leaf(t, 5.0)
    s, p = sum_and_product(t).apply(a, b)
    (s * 10 + p).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (15, 12)


@BOTH
def test_the_gradient_of_an_unused_output_arrives_as_zeros(t):
    a, b = leaf(t, 2.0), leaf(t, 5.0)
    sum_and_product(t).apply(a, b)[1].sum().backward()
    assert (a.grad.item(), b.grad.item()) == (5, 2)


@BOTH
def test_it_arrives_as_none_where_zeros_are_not_wanted(t):
    seen = []

    class Two(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            return x * 1, x * 2

        @staticmethod
        def backward(ctx, a, b):
            seen.append((a is None, b is None))
            return b * 2

    Two.apply(leaf(t, 1.0))[1].sum().backward()
    assert seen == [(True, False)]


@BOTH
def test_needs_input_grad_tells_which_inputs_want_one(t):
    seen = []

    class Mul(t.autograd.Function):
        @staticmethod
        def forward(ctx, a, b, scale):
            ctx.save_for_backward(a, b)
            ctx.scale = scale
            return a * b * scale

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            a, _ = ctx.saved_tensors
            return None, g * a * ctx.scale, None

    b = leaf(t, 4.0)
    Mul.apply(t.tensor([3.0], dtype=t.float64), b, 2).sum().backward()
    assert seen == [(False, True, False)] and b.grad.item() == 6


@BOTH
def test_an_output_marked_as_not_differentiable_requires_no_grad(t):
    class WithRounding(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            rounded = x.round()
            ctx.mark_non_differentiable(rounded)
            return x * 2, rounded

        @staticmethod
        def backward(ctx, g, _):
            return g * 2

    x = leaf(t, 1.2)
    y, rounded = WithRounding.apply(x)
    (y * rounded).sum().backward()
    assert not rounded.requires_grad and x.grad.item() == 2


@BOTH
def test_a_function_of_constants_is_not_recorded(t):
    assert not cube(t).apply(t.ones(1)).requires_grad
    with t.no_grad():
        assert not cube(t).apply(leaf(t, 1.0)).requires_grad


@BOTH
def test_an_input_returned_as_it_is_becomes_a_result(t):
    class Identity(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, g):
            return g * 7

    x = leaf(t, 1.0)
    y = Identity.apply(x)
    y.sum().backward()
    assert y is not x and x.is_leaf and x.grad.item() == 7


@BOTH
def test_backward_twice_over_freed_tensors_is_an_error(t):
    y = cube(t).apply(leaf(t, 1.0)).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@BOTH
def test_a_saved_input_that_was_changed_is_found(t):
    x = leaf(t, 2.0) * 1
    y = cube(t).apply(x).sum()
    x.detach().add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


@BOTH
def test_too_few_gradients_are_an_error(t):
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, a, b):
            return a + b

        @staticmethod
        def backward(ctx, g):
            return g

    with pytest.raises(RuntimeError, match="returned an incorrect number of gradients"):
        Wrong.apply(leaf(t, 1.0), leaf(t, 1.0)).sum().backward()


@BOTH
def test_only_tensors_can_be_saved(t):
    class Wrong(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(3)
            return x

    with pytest.raises(
        TypeError, match="save_for_backward can only save variables, but argument 0 is of type int"
    ):
        Wrong.apply(leaf(t, 1.0))


@BOTH
def test_a_missing_backward_says_so(t):
    class Half(t.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x / 2

    with pytest.raises(NotImplementedError, match="You must implement either the backward or vjp method"):
        Half.apply(leaf(t, 1.0)).sum().backward()


@pytest.mark.parametrize("make", [cube, exp_saving_its_output])
def test_a_dropped_function_is_freed_without_the_garbage_collector(make):
    gc.collect()
    gc.disable()
    try:
        y = make(torch).apply(leaf(torch, 1.0))
        node = weakref.ref(y.grad_fn)
        del y
        assert node() is None
    finally:
        gc.enable()


@BOTH
def test_a_function_that_writes_to_a_view_is_passed_by_gradients_of_view_and_base(t):
    class Tripled(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            a.mul_(3)
            ctx.mark_dirty(a)
            return a

        @staticmethod
        def backward(ctx, g):
            return g * 3

    x = leaf(t, 1.0, 2.0)
    base = x * 1
    view, other = base[:1], base[1:]
    assert Tripled.apply(view) is view
    (g,) = t.autograd.grad((view * 10).sum() + base.sum() + (other * 100).sum(), x)
    assert base.tolist() == [3, 2] and g.tolist() == [33, 101]
