"""The normal distribution of vectors beside PyTorch's, by each of its three matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

from .test_beside_torch import close

rng = np.random.default_rng(7)
FACTOR = np.tril(rng.standard_normal((2, 3, 3))) * 0.5 + np.eye(3)
COVARIANCE = FACTOR @ FACTOR.swapaxes(1, 2)
LOC, VALUES = rng.standard_normal((2, 3)), rng.standard_normal((4, 2, 3))
MATRICES = {
    "scale_tril": FACTOR,
    "covariance_matrix": COVARIANCE,
    "precision_matrix": np.linalg.inv(COVARIANCE),
}
MATRICES["precision_matrix"] = (
    MATRICES["precision_matrix"] + MATRICES["precision_matrix"].swapaxes(1, 2)
) / 2


def made(t, name, needs=False):
    given = [t.tensor(a, dtype=t.float64, requires_grad=needs) for a in (LOC, MATRICES[name])]
    return t.distributions.MultivariateNormal(given[0], **{name: given[1]}), given


@pytest.mark.parametrize("name", MATRICES)
def test_densities_moments_and_divergences_are_torchs(name):
    results = []
    for t in (ours, theirs):
        d, given = made(t, name, needs=True)
        other = t.distributions.MultivariateNormal(
            t.zeros(3, dtype=t.float64), scale_tril=t.eye(3, dtype=t.float64) * 2
        )
        logp, kl = d.log_prob(t.tensor(VALUES)), t.distributions.kl_divergence(d, other)
        results.append([
            logp, d.mean, d.mode, d.variance, d.entropy(), d.covariance_matrix, d.precision_matrix, d.scale_tril, kl,
            t.distributions.kl_divergence(other, d), *t.autograd.grad(logp.sum() + kl.sum(), given), d.expand((4, 2)).log_prob(t.tensor(VALUES)),
        ])  # fmt: skip
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-7)


def test_samples_have_their_mean_and_covariance_and_gradients():
    d, given = made(ours, "covariance_matrix", needs=True)
    x = d.rsample((40_000,))
    values = x.detach().numpy()
    np.testing.assert_allclose(values.mean(0), LOC, atol=0.04)
    for i in range(2):
        np.testing.assert_allclose(np.cov(values[:, i].T), COVARIANCE[i], atol=0.09)
    assert all(g is not None for g in ours.autograd.grad(x.sum(), given))


@pytest.mark.parametrize(
    "act",
    [
        lambda t, M: M(t.tensor(0.0), t.eye(2)),
        lambda t, M: M(t.zeros(2)),
        lambda t, M: M(t.zeros(2), t.eye(2), t.eye(2)),
        lambda t, M: M(t.zeros(2), t.ones(2)),
        lambda t, M: M(t.zeros(2), -t.eye(2)),
        lambda t, M: M(t.zeros(2), scale_tril=t.ones(2, 2)),
        lambda t, M: (
            tuple(M(t.zeros(4, 1, 2), t.eye(2).expand(3, 2, 2)).batch_shape),
            repr(M(t.zeros(2), t.eye(2))),
        ),
    ],
)
def test_refusals_and_shapes_are_torchs(act):
    same(lambda t: act(t, t.distributions.MultivariateNormal))
