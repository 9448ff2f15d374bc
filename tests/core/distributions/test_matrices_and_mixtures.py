"""Mixtures, low-rank normals and distributions of matrices beside PyTorch's; samples by their moments."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

from .test_beside_torch import close

rng = np.random.default_rng(12)
FACTOR = np.tril(rng.standard_normal((2, 3, 3))) * 0.3 + np.eye(3)
COVARIANCE = FACTOR @ FACTOR.swapaxes(1, 2)
INVERSE = np.linalg.inv(COVARIANCE)
WEIGHTS, LOC, SCALE = rng.dirichlet(np.ones(3), 2), rng.standard_normal((2, 3)), rng.uniform(0.4, 2, (2, 3))
LOW, DIAGONAL = rng.standard_normal((2, 3, 2)), rng.uniform(0.5, 2, (2, 3))
REAL, VECTORS = rng.standard_normal((4, 2)), rng.standard_normal((4, 2, 3))
SHAPE = np.array([3.5, 6.0])
CORRELATED = FACTOR / np.sqrt((FACTOR**2).sum(-1, keepdims=True))
NEAR = np.einsum("bij,bkj->bik", FACTOR, FACTOR) * 2 + np.eye(3)


def mixture(t, w, loc, scale):
    D = t.distributions
    return D.MixtureSameFamily(D.Categorical(w), D.Normal(loc, scale))


def vectors(t, w, loc, scale):
    D = t.distributions
    parts = D.Independent(D.Normal(loc.unsqueeze(0).expand(2, 2, 3), scale), 1)
    return D.MixtureSameFamily(D.Categorical(w[:, :2]), parts)


# name: how it is made, parameters, values, whether PyTorch has cdf
CASES = {
    "mixture": (mixture, (WEIGHTS, LOC, SCALE), REAL),
    "mixture of vectors": (vectors, (WEIGHTS, LOC, SCALE), VECTORS),
    "low rank": (lambda t, *p: t.distributions.LowRankMultivariateNormal(*p), (LOC, LOW, DIAGONAL), VECTORS),
    "low rank, one factor": (lambda t, *p: t.distributions.LowRankMultivariateNormal(*p), (LOC, LOW[0], DIAGONAL[0]), VECTORS),
    "wishart": (lambda t, df, v: t.distributions.Wishart(df, v), (SHAPE + 1, COVARIANCE), NEAR),
    "wishart by factor": (lambda t, df, v: t.distributions.Wishart(df, scale_tril=v), (SHAPE, FACTOR), NEAR),
    "wishart by precision": (lambda t, df, v: t.distributions.Wishart(df, precision_matrix=(v + v.mT) / 2), (SHAPE, INVERSE), NEAR),
    "correlations": (lambda t, c: t.distributions.LKJCholesky(3, c), (np.array([0.7, 2.0]),), CORRELATED),
}  # fmt: skip
each = pytest.mark.parametrize("name", CASES)


def made(t, name, needs=False, device="cpu"):
    make, values, _ = CASES[name]
    params = [t.tensor(v, requires_grad=needs, device=device) for v in values]
    return make(t, *params), params


@each
def test_logarithms_of_probabilities_and_their_gradients_are_torchs(name, device):
    results = []
    for t, on in ((ours, device), (theirs, "cpu")):
        d, params = made(t, name, needs=True, device=on)
        logp = d.log_prob(t.tensor(CASES[name][2], device=on))
        grads = t.autograd.grad(logp.sum(), params)
        if (
            name == "wishart by factor"
        ):  # PyTorch's gradient has numbers above the diagonal too, which it does not look at
            grads = [grads[0], grads[1].tril()]
        results.append([logp, *grads])
    for a, b in zip(*results, strict=True):
        close(a.cpu(), b, 1e-7)


@each
def test_moments_and_entropies_are_torchs(name):
    for what in (
        "mean",
        "variance",
        "mode",
        "entropy",
        "covariance_matrix",
        "precision_matrix",
        "scale_tril",
        "cdf",
    ):
        found = []
        for t in (ours, theirs):
            d, _ = made(t, name)
            try:
                value = d.cdf(t.tensor(CASES[name][2])) if what == "cdf" else getattr(d, what)
                found.append(value() if what == "entropy" else value)
            except (NotImplementedError, AttributeError):
                found.append(what)
        if isinstance(found[1], str):
            assert found[0] == found[1]
        else:
            close(*found, 1e-7)


@each
def test_shapes_supports_and_reprs_are_torchs(name):
    def story(t):
        d, _ = made(t, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, when it has drawn a singular matrix and draws again
            return told(t, d)

    def told(t, d):
        wide = d.expand((4, *d.batch_shape))
        shapes = [tuple(x) for x in (d.batch_shape, d.event_shape, wide.batch_shape, wide.sample((5,)).shape)]
        return (
            re.sub(r", logits: torch.Size\(.*?\)", "", repr(d), count=1), repr(d.support), d.has_rsample, shapes, tuple(wide.log_prob(t.tensor(CASES[name][2])).shape),
            sorted(d.arg_constraints),
        )  # fmt: skip

    same(story)


@each
def test_samples_have_their_mean_and_variance_on_every_device(name, device):
    ours.manual_seed(3)
    d, params = made(ours, name, needs=True, device=device)
    x = d.sample((20_000,))
    assert x.device.type == device and x.dtype == ours.float64 and not x.requires_grad
    assert bool(d.support.check(x).all())
    values = x.cpu().numpy()
    if name == "correlations":  # each of them is 2 Beta(c + 1/2, c + 1/2) - 1 for three variables
        found = np.einsum("nbij,nbkj->nbik", values, values)
        for b, c in enumerate((0.7, 2.0)):
            for i, j in ((1, 0), (2, 0), (2, 1)):
                assert abs(found[:, b, i, j].mean()) < 0.02
                assert abs(found[:, b, i, j].var() - 1 / (2 * c + 2)) < 0.01
        return
    mean, spread = d.mean.detach().cpu().numpy(), np.sqrt(d.variance.detach().cpu().numpy())
    assert np.abs((values.mean(0) - mean) / spread).max() < 0.035
    np.testing.assert_allclose(values.std(0), spread, rtol=0.06)
    if d.has_rsample:
        grads = ours.autograd.grad(d.rsample((20_000,)).mean(0).sum(), params, allow_unused=True)
        expected = ours.autograd.grad(made_again(d, name, params), params, allow_unused=True)
        for g, e in zip(grads, expected, strict=True):
            e = np.zeros(g.shape) if e is None else e.cpu().numpy()
            assert np.abs(g.cpu().numpy() - e).max() < 0.06 * max(1, np.abs(e).max())


def made_again(d, name, params):
    return CASES[name][0](ours, *params).mean.sum()


@pytest.mark.parametrize(
    "act",
    [
        lambda t, D: D.MixtureSameFamily(3, 4),
        lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(2)), 3),
        lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(2)), D.Normal(t.zeros(3), 1.0)),
        lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(5, 2)), D.Normal(t.zeros(4, 2), 1.0)),
        lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(2)), D.Gamma(t.ones(2), 1.0)).log_prob(
            t.tensor(-1.0)
        ),
        lambda t, D: D.MixtureSameFamily(D.Categorical(t.ones(2)), D.Normal(t.zeros(2), 1.0)).rsample(),
        lambda t, D: D.LowRankMultivariateNormal(t.tensor(0.0), t.ones(2, 1), t.ones(3)),
        lambda t, D: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2), t.ones(2)),
        lambda t, D: D.LowRankMultivariateNormal(t.zeros(2), t.ones(3, 1), t.ones(2)),
        lambda t, D: D.LowRankMultivariateNormal(t.zeros(2), t.ones(2, 1), t.ones(3)),
        lambda t, D: D.LowRankMultivariateNormal(t.zeros(4, 2), t.ones(3, 2, 1), t.ones(2)),
        lambda t, D: D.Wishart(t.tensor(3.0)),
        lambda t, D: D.Wishart(t.tensor(3.0), t.ones(2)),
        lambda t, D: D.Wishart(t.tensor(1.0), t.eye(2)),
        lambda t, D: D.Wishart(t.tensor(3.0), -t.eye(2)),
        lambda t, D: repr(D.Wishart(1.5, t.eye(2)).df),  # both warn
        lambda t, D: D.Wishart(t.tensor(3.0), t.eye(2)).log_prob(-t.eye(2)),
        lambda t, D: D.LKJCholesky(1),
        lambda t, D: D.LKJCholesky(3, -1.0),
        lambda t, D: D.LKJCholesky(3).log_prob(t.eye(3) * 2),
        lambda t, D: D.LKJCholesky(2).log_prob(t.eye(2)).item(),
    ],
)
def test_refusals_are_torchs(act):
    def story(t):
        try:
            return act(t, t.distributions)
        except NotImplementedError:
            return "NotImplementedError"
        except ValueError as e:
            return str(e).split("Wishart(")[0].split(" (Tensor")[0].partition(": loc")[0]

    same(story)
