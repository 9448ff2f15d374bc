"""kl_divergence of every pair that PyTorch knows, with gradients, beside PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

from .test_beside_torch import close

rng = np.random.default_rng(21)
A, B, C, E = (rng.uniform(0.5, 2.0, (2, 3)) for _ in range(4))
U, V = rng.uniform(0.1, 0.45, (2, 3)), rng.uniform(0.55, 0.9, (2, 3))
FACTOR = np.tril(rng.standard_normal((2, 3, 3))) * 0.3 + np.eye(3)

MADE = {
    "Bernoulli": (lambda D, a, b: D.Bernoulli(a), (U, V)), "Poisson": (lambda D, a, b: D.Poisson(a), (A, B)),
    "Beta": (lambda D, a, b: D.Beta(a, b), (A, B)), "Gamma": (lambda D, a, b: D.Gamma(a, b), (A, B)),
    "ContinuousBernoulli": (lambda D, a, b: D.ContinuousBernoulli(a), (U, V)), "Exponential": (lambda D, a, b: D.Exponential(a), (A, B)),
    "Normal": (lambda D, a, b: D.Normal(a, b), (A, B)), "Laplace": (lambda D, a, b: D.Laplace(a, b), (A, B)),
    "Gumbel": (lambda D, a, b: D.Gumbel(a, b), (A, B)), "Pareto": (lambda D, a, b: D.Pareto(a, b), (A, B + 2)),
    "Uniform": (lambda D, a, b: D.Uniform(a, b), (U, V)), "Binomial": (lambda D, a, b: D.Binomial(4, a), (U, V)),
    "Cauchy": (lambda D, a, b: D.Cauchy(a, b), (A, B)), "HalfNormal": (lambda D, a, b: D.HalfNormal(a), (A, B)),
    "LogNormal": (lambda D, a, b: D.LogNormal(a, b), (A, B)), "HalfCauchy": (lambda D, a, b: D.HalfCauchy(a), (A, B)),
    "Geometric": (lambda D, a, b: D.Geometric(a), (U, V)),
    "MultivariateNormal": (lambda D, a, b: D.MultivariateNormal(a, scale_tril=b), (A, FACTOR)),
    "LowRankMultivariateNormal": (lambda D, a, b: D.LowRankMultivariateNormal(a, b.unsqueeze(-1), a + 0.5), (A, B)),
    "LogisticNormal": (lambda D, a, b: D.LogisticNormal(a, b), (A, B)),
    "Transformed": (lambda D, a, b: D.TransformedDistribution(D.Normal(a, b), [D.AffineTransform(1.0, 2.0), D.ExpTransform()]), (A, B)),
    "Other": (lambda D, a, b: D.TransformedDistribution(D.Normal(a, b), [D.AffineTransform(1.0, 3.0), D.ExpTransform()]), (A, B)),
}  # fmt: skip


def told(t, name_p, name_q):
    D = t.distributions
    made, params = [], []
    for i, name in enumerate((name_p, name_q)):
        make, values = MADE[name]
        given = [t.tensor(v[::-1].copy() if i else v, requires_grad=True) for v in values]
        made.append(make(D, *given))
        params += given
    try:
        found = D.kl_divergence(*made)
    except NotImplementedError:
        return None
    loss = found[found.isfinite()].sum()
    grads = t.autograd.grad(loss, params, allow_unused=True) if loss.requires_grad else [None] * 4
    return [found, *(t.zeros_like(p) if g is None else g for g, p in zip(grads, params, strict=True))]


@pytest.mark.parametrize("name_p", MADE)
def test_divergences_and_their_gradients_are_torchs(name_p):
    known = 0
    for name_q in MADE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mine, expected = told(ours, name_p, name_q), told(theirs, name_p, name_q)
        assert (mine is None) == (expected is None), name_q
        if expected is None:
            continue
        known += 1
        for a, b in zip(mine, expected, strict=True):
            close(a, b, 1e-7)
    assert known


@pytest.mark.parametrize(
    ("p", "q"),
    [
        ("Uniform(0.1, 0.6)", "Beta(2.0, 3.0)"), ("Uniform(0.1, 0.6)", "ContinuousBernoulli(0.3)"), ("Beta(2.0, 1.5)", "Uniform(0.0, 1.0)"),
        ("Beta(2.0, 1.5)", "Uniform(-1.0, 2.0)"), ("ContinuousBernoulli(0.3)", "Uniform(0.0, 1.0)"), ("Uniform(1.0, 2.0)", "Pareto(0.5, 2.0)"),
        ("Uniform(0.5, 2.0)", "Gamma(2.0, 1.5)"), ("Uniform(0.5, 2.0)", "Exponential(1.5)"),
    ],
)  # fmt: skip
def test_divergences_are_the_integral_of_their_definition(p, q):
    one, other = (eval(f"ours.distributions.{d}") for d in (p, q))
    low, high = (float(x) for x in (one.support.lower_bound, one.support.upper_bound))
    x = low + (high - low) * (ours.arange(20_000, dtype=ours.float64) + 0.5) / 20_000
    away = (one.log_prob(x) - other.log_prob(x)) * one.log_prob(x).exp()
    assert ours.distributions.kl_divergence(one, other).item() == pytest.approx(
        away.mean().item() * (high - low), abs=2e-4
    )


def test_divergences_are_infinite_where_q_has_nothing_of_p():
    D = ours.distributions
    pairs = [
        (D.Uniform(0.5, 1.5), D.Beta(1.0, 1.0)), (D.Uniform(-1.0, 1.0), D.Exponential(1.0)), (D.Pareto(1.0, 1.0), D.Exponential(1.0)),
        (D.Pareto(1.0, 2.0), D.Pareto(2.0, 2.0)), (D.Beta(1.0, 1.0), D.Uniform(0.2, 1.0)), (D.Binomial(4, ours.tensor(0.5)), D.Binomial(3, ours.tensor(0.5))),
    ]  # fmt: skip
    assert all(D.kl_divergence(p, q).item() == float("inf") for p, q in pairs)
