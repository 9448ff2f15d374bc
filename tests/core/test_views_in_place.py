"""In-place changes through views: base and every view see them, in value and in gradient, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
VALUES = [[0.5, -1.0, 2.0], [1.5, 3.0, -0.25], [0.75, 1.0, 4.0]]


def _x(t):
    return t.tensor(VALUES, dtype=t.float64, requires_grad=True)


def _row_scaled(t, x):
    y = x * 1
    y[1].mul_(3)
    return y


def _column_from_weight(t, x):
    y = t.zeros(3, 3, dtype=t.float64)
    y[:, 2].add_(x[0] * x[1])
    return y * x


def _view_of_view(t, x):
    y = x * 2
    y.view(9)[2:7].view(5, 1)[1:3].exp_()
    return y


def _transposed(t, x):
    y = x + 0
    y.t()[0].copy_(x[2] * x[1])
    return y


def _transposed_then_flat(t, x):
    y = (x * 1).t()
    y.reshape(-1)  # a copy: no view of y
    y.t().view(-1)[::2].mul_(2)
    return y * y


def _stale_view(t, x):
    y = x * 1
    v = y[0]
    y.mul_(x)
    return v * v


def _sibling(t, x):
    y = x * 1
    a, b = y[:2], y[1:]
    a.mul_(2)
    b.mul_(x[1:])
    return a.sum() * b


def _expanded_base(t, x):
    y = t.zeros(2, 3, 3, dtype=t.float64)
    y[1] = x
    y[0] += y[1] * 2
    return y


def _zeroed(t, x):
    y = x * x
    y[1].zero_()
    y[:, 0].fill_(5.0)
    return y * x


def _squeezed(t, x):
    y = x.unsqueeze(0) * 1
    y.squeeze(0)[2].sub_(x[0])
    return y


def _narrowed(t, x):
    y = x * 1
    y.narrow(1, 1, 2).mul_(x[:, :2])
    y.select(0, 1).div_(2)
    return y


def _overwritten_whole(t, x):
    y = x * 3
    v = y[0]
    y.copy_(x.t())
    return v + y


PROGRAMS = [
    _row_scaled, _column_from_weight, _view_of_view, _transposed, _transposed_then_flat, _stale_view, _sibling,
    _expanded_base, _zeroed, _squeezed, _narrowed, _overwritten_whole,
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__.strip("_"))
def test_values_and_gradients_are_pytorchs(program):
    results = []
    for t in (ours, theirs):
        x = _x(t)
        out = program(t, x)
        (out * out).sum().backward()
        results.append((out.detach().numpy(), x.grad.numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__.strip("_"))
def test_second_derivatives_are_pytorchs(program):
    results = []
    for t in (ours, theirs):
        x = _x(t)
        (g,) = t.autograd.grad((program(t, x) ** 3).sum(), x, create_graph=True)
        (g * g).sum().backward()
        results.append(x.grad.numpy())
    np.testing.assert_allclose(results[0], results[1], rtol=1e-10)


@pytest.mark.parametrize("program", [_row_scaled, _column_from_weight, _transposed, _zeroed])
def test_it_is_the_same_on_the_stand_in(program, device):
    x = ours.tensor(VALUES, dtype=ours.float64, device=device).requires_grad_()

    class On:
        float64 = ours.float64

        @staticmethod
        def zeros(*size, dtype):
            return ours.zeros(*size, dtype=dtype, device=device)

    out = program(On, x)
    (out * out).sum().backward()
    host = _x(ours)
    expected = program(ours, host)
    (expected * expected).sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), host.grad.numpy())


@BOTH
def test_a_view_that_needed_no_gradient_needs_one_after_its_base_was_written_with_one(t):
    x, y = _x(t), t.zeros(3, 3, dtype=t.float64)
    v = y[0]
    assert not v.requires_grad and v.is_leaf
    y.add_(x)
    assert v.requires_grad and not v.is_leaf and v.grad_fn is not None
    assert type(y.grad_fn).__name__.startswith("Add")


@BOTH
def test_a_base_written_through_a_view_has_copy_slices_as_its_node(t):
    y = _x(t) * 1
    v = y[0]
    v.mul_(2)
    assert "CopySlices" in (y.grad_fn.name() if hasattr(y.grad_fn, "name") else "")
    assert v._base is y and v._is_view() and not y._is_view()


@BOTH
def test_a_view_of_a_leaf_that_requires_grad_is_not_written(t):
    x = _x(t)
    with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
        x[0].mul_(2)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x.mul_(2)
    with t.no_grad():
        x[0].mul_(2)
    assert x[0].tolist() == [1.0, -2.0, 4.0]


@BOTH
def test_a_view_made_in_no_grad_is_not_written_outside_of_it(t):
    y = _x(t) * 1
    with t.no_grad():
        v = y[0]
    with pytest.raises(RuntimeError, match="A view was created in no_grad mode"):
        v.mul_(2)


@BOTH
def test_a_write_through_a_view_is_noticed_by_who_saved_the_base(t):
    y = _x(t) * 1
    z = y * y
    y[0].add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@BOTH
def test_views_are_not_detached_in_place(t):
    y = _x(t) * 1
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        y[0].detach_()


@BOTH
def test_a_function_that_marks_its_input_dirty_takes_the_base_along(t):
    class Double(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            a.mul_(2)
            ctx.mark_dirty(a)
            return a

        @staticmethod
        def backward(ctx, g):
            return g * 2

    x = _x(t)
    y = x * 1
    assert Double.apply(y[1]).tolist() == [3.0, 6.0, -0.5]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 1, 1], [2, 2, 2], [1, 1, 1]]
    z = x * 1
    assert Double.apply(z) is z
    z.sum().backward()
    assert x.grad[0].tolist() == [3, 3, 3]


@BOTH
def test_an_element_written_through_a_view_that_has_come_to_need_a_gradient_loses_it(t):
    x, y = _x(t), t.zeros(3, 3, dtype=t.float64)
    v = y[0]
    y.add_(x)
    v[1] = 5.0
    y.sum().backward()
    assert y[0].tolist() == [0.5, 5, 2] and x.grad[0].tolist() == [1, 0, 1]


@BOTH
def test_a_view_that_has_come_to_need_a_gradient_is_not_exported(t):
    x, y = _x(t), t.zeros(3, 3, dtype=t.float64)
    v = y[0]
    y.add_(x)
    with pytest.raises(RuntimeError, match="Can't call numpy"):
        v.numpy()


@BOTH
@pytest.mark.parametrize("returns", ["a view", "an input"])
@pytest.mark.parametrize("written", ["the output", "the input"])
def test_what_a_function_returns_of_its_input_is_not_changed_in_place(t, returns, written):
    class Thrice(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            return a.view(-1) if returns == "a view" else a

        @staticmethod
        def backward(ctx, g):
            return 3 * g.reshape(3, 3)

    y = _x(t) * 1
    out = Thrice.apply(y)
    with pytest.raises(RuntimeError, match="inplace"):
        if written == "the output":
            out.mul_(2)
        else:
            y.mul_(2)
            out.sum().backward()


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_a_view_that_out_resizes_is_a_view_no_more():
    base = ours.zeros(4)
    part = base[:2]
    ours.add(ours.ones(3), 1, out=part)
    assert part.tolist() == [2, 2, 2] and part._base is None and base.tolist() == [0, 0, 0, 0]
