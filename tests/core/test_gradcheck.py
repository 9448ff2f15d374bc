"""gradcheck and gradgradcheck tell right derivatives from wrong ones."""

from __future__ import annotations

import pytest
import torch as theirs

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


def test_single_precision_is_refused_where_its_rounding_drowns_the_step(device):
    x = _input(device).detach().float().requires_grad_()
    with pytest.raises(ValueError, match=r"gradcheck: input 0 is torch.float32.*use float64"):
        gradcheck(lambda a: a * 2, x)
    with pytest.raises(ValueError, match="use float64"):
        gradgradcheck(lambda a: a * a, x)


def test_single_precision_is_warned_about_where_the_step_is_coarse(device):
    with pytest.warns(UserWarning, match="Input #0 requires gradient and is not a double precision"):
        gradcheck(lambda a: a * 2, _input(device).detach().float().requires_grad_(), eps=1e-2, atol=1e-2)


class HalfUndefined(Function):
    """Two outputs, whose backward takes a missing gradient for ones."""

    @staticmethod
    def forward(ctx, a):
        ctx.set_materialize_grads(False)
        return a * 2, a * 3

    @staticmethod
    def backward(ctx, g, h):
        return (g if g is not None else 1) * 2 + (h if h is not None else 0) * 3


def test_outputs_without_a_gradient_count_as_zeros(device):
    with pytest.raises(GradcheckError, match="outputs other than 1 are undefined"):
        gradcheck(HalfUndefined.apply, _input(device), nondet_tol=10, atol=10)
    assert gradcheck(lambda a: (a * 2, a.exp()), _input(device))


CHECKS = [
    lambda t, x, c: c(lambda a: a.detach() * 2, x),
    lambda t, x, c: c(lambda a: (a > 0).double(), x),
    lambda t, x, c: c(lambda a: (a * 2, a.detach()), x),
    lambda t, x, c: c(lambda a: a[..., 0] * 2, x),
    lambda t, x, c: c(lambda a: (a * 2).float().double(), x),
    lambda t, x, c: c(lambda a: a * 2, x.expand(3, 2, 2)),
    lambda t, x, c: c(lambda a: a * 2, x.detach()),
    lambda t, x, c: c(lambda a: a * 2, 3),
    lambda t, x, c: c(lambda a: a * 2, x, check_grad_dtypes=True, check_undefined_grad=False),
    lambda t, x, c: c(lambda a, b: a @ b, [x, x.T.detach().clone()]),
    lambda t, x, c: t.autograd.gradcheck(lambda a: a * 2, x, check_backward_ad=False),
    lambda t, x, c: t.autograd.gradcheck(
        lambda a: a * 2, x, rtol=0.0, atol=0.0, eps=1e-7, raise_exception=False
    ),
    lambda t, x, c: t.autograd.gradgradcheck(lambda a: a.exp(), x, gen_non_contig_grad_outputs=True),
    lambda t, x, c: t.autograd.gradgradcheck(lambda a: a * a, x, t.ones(3, dtype=t.float64)),
    lambda t, x, c: t.autograd.gradgradcheck(lambda a: a * a, x, check_rev_over_rev=False),
]


@pytest.mark.parametrize("call", CHECKS)
def test_the_verdict_is_pytorchs(call):
    """The same answer, or an error of the same kind with the same beginning."""

    def outcome(t):
        x = t.tensor([[0.5, -1.5], [2.0, 1.0]], dtype=t.float64, requires_grad=True)
        try:
            return call(t, x, t.autograd.gradcheck)
        except (RuntimeError, ValueError, TypeError, AssertionError) as e:
            return type(e).__name__, str(e)[:40]

    assert outcome(gradwire) == outcome(theirs)


@pytest.mark.parametrize(
    "option", ["fast_mode", "check_forward_ad", "check_batched_grad", "check_batched_forward_grad", "masked"]
)
def test_what_is_not_there_is_refused(option):
    with pytest.raises(NotImplementedError, match=option):
        gradcheck(lambda a: a * 2, _input("cpu"), **{option: True})


@pytest.mark.parametrize("option", ["fast_mode", "check_fwd_over_rev", "check_batched_grad", "masked"])
def test_what_is_not_there_is_refused_for_second_derivatives_too(option):
    with pytest.raises(NotImplementedError, match=option):
        gradgradcheck(lambda a: a * 2, _input("cpu"), **{option: True})


def test_a_backward_that_differs_each_time_is_found():
    class Drifting(Function):
        count = 0

        @staticmethod
        def forward(ctx, a):
            return a * 2

        @staticmethod
        def backward(ctx, g):
            Drifting.count += 1
            return g * (2 + 1e-9 * Drifting.count)

    with pytest.raises(GradcheckError, match="Backward is not reentrant"):
        gradcheck(Drifting.apply, _input("cpu"))
    assert gradcheck(Drifting.apply, _input("cpu"), nondet_tol=1e-3)
