"""gradcheck and gradgradcheck tell right derivatives from wrong ones."""

from __future__ import annotations

import pytest

import gradwire
from gradwire.autograd import Function, GradcheckError, gradcheck, gradgradcheck


class Scaled(Function):
    """3 a, with a gradient that is right only for factor 3."""

    @staticmethod
    def forward(ctx, a, factor):
        ctx.factor = factor
        return a * 3

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None


class Cubed(Function):
    """a ** 3, whose second derivative is lost because backward detaches."""

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a**3

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return g * 3 * a.detach() ** 2


def _input(device):
    return gradwire.tensor(
        [[0.5, -1.5], [2.0, 1.0]], dtype=gradwire.float64, device=device, requires_grad=True
    )


def test_a_right_gradient_passes(device):
    assert gradcheck(lambda a: Scaled.apply(a, 3), _input(device))
    assert gradcheck(lambda a, b: (a @ b, a.sum()), (_input(device), _input(device)))


def test_a_wrong_gradient_raises_and_names_the_pair(device):
    with pytest.raises(GradcheckError, match="output 0 with respect to input 0"):
        gradcheck(lambda a: Scaled.apply(a, 2), _input(device))


def test_a_wrong_gradient_is_false_where_asked(device):
    assert gradcheck(lambda a: Scaled.apply(a, 2), _input(device), raise_exception=False) is False


def test_a_lost_second_derivative_is_found_though_the_first_is_right(device):
    assert gradcheck(Cubed.apply, _input(device))
    with pytest.raises(GradcheckError):
        gradgradcheck(Cubed.apply, _input(device))
    assert gradgradcheck(lambda a: a**3, _input(device))


def test_second_derivatives_take_weights_of_the_caller(device):
    weights = gradwire.ones(2, 2, dtype=gradwire.float64, device=device)
    assert gradgradcheck(lambda a: a.exp(), _input(device), weights)


def test_inputs_without_grad_are_refused(device):
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(lambda a: a * 2, _input(device).detach())


def test_single_precision_is_warned_about(device):
    with pytest.warns(UserWarning, match="use float64"):
        gradcheck(lambda a: a * 2, _input(device).detach().float().requires_grad_(), eps=1e-2, atol=1e-2)
