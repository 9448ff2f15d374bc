"""torch.special as a namespace, and values that PyTorch's own kernels are too coarse to check."""

from __future__ import annotations

import importlib
import math

import gradwire


def test_the_attribute_is_the_public_module_and_shows_its_public_names_alone():
    assert gradwire.special is importlib.import_module("gradwire.special")
    shown = {n for n in dir(gradwire.special) if not n.startswith("_")}
    assert shown == set(gradwire.special.__all__)


def _near(t, expected):
    assert math.isclose(t.item(), expected, rel_tol=2e-15)


def test_trigamma_at_one_is_pi_squared_over_six(device):
    _near(gradwire.polygamma(1, gradwire.tensor(1.0, dtype=gradwire.float64, device=device)), math.pi**2 / 6)
    _near(gradwire.polygamma(1, gradwire.tensor(0.5, dtype=gradwire.float64, device=device)), math.pi**2 / 2)


def test_bessel_functions_of_the_first_and_second_kind_have_wronskian_two_over_pi_x(device):
    x = gradwire.tensor([0.1, 2.0, 9.5, 24.9, 25.1, 300.0], dtype=gradwire.float64, device=device)
    s = gradwire.special
    wronskian = s.bessel_j1(x) * s.bessel_y0(x) - s.bessel_j0(x) * s.bessel_y1(x)
    assert gradwire.allclose(wronskian * x * (math.pi / 2), gradwire.ones_like(x), rtol=1e-13, atol=0)


def test_modified_bessel_functions_have_wronskian_one_over_x(device):
    x = gradwire.tensor([0.1, 1.9, 2.1, 19.0, 21.0, 300.0], dtype=gradwire.float64, device=device)
    s = gradwire.special
    wronskian = s.i0e(x) * s.scaled_modified_bessel_k1(x) + s.i1e(x) * s.scaled_modified_bessel_k0(x)
    assert gradwire.allclose(wronskian * x, gradwire.ones_like(x), rtol=1e-13, atol=0)


def test_incomplete_gamma_functions_of_whole_parameters_are_sums_of_poisson_probabilities(device):
    for a, x in ((5, 0.3), (5, 12.0), (40, 35.0), (40, 60.0)):
        tail = sum(math.exp(k * math.log(x) - x - math.lgamma(k + 1)) for k in range(a))
        both = [gradwire.tensor(float(v), dtype=gradwire.float64, device=device) for v in (a, x)]
        assert math.isclose(gradwire.igammac(*both).item(), tail, rel_tol=1e-13)
        assert math.isclose(gradwire.igamma(*both).item(), 1 - tail, rel_tol=1e-9)


def test_the_second_derivative_of_sinc_at_0_is_that_of_its_series(device):
    x = gradwire.tensor([0.0, 1e-9], dtype=gradwire.float64, device=device, requires_grad=True)
    (first,) = gradwire.autograd.grad(gradwire.sinc(x).sum(), x, create_graph=True)
    (second,) = gradwire.autograd.grad(first.sum(), x)
    assert gradwire.allclose(second, gradwire.full_like(second, -(math.pi**2) / 3), rtol=1e-12)


def test_digamma_and_its_derivative_keep_their_digits_beside_a_pole(device):
    x = gradwire.tensor(-1.0, dtype=gradwire.float64, device=device) + 2.0**-30
    assert math.isclose(gradwire.digamma(x).item(), -(2.0**30), rel_tol=1e-9)  # -1 / distance + 0.42
    assert math.isclose(gradwire.polygamma(1, x).item(), 2.0**60, rel_tol=1e-13)
