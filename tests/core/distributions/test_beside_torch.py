"""Densities, entropies, moments and divergences beside PyTorch's; samples by their moments and gradients."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

rng = np.random.default_rng(5)
LOC, SCALE, RATE = rng.standard_normal((2, 3)), rng.uniform(0.4, 2.0, (2, 3)), rng.uniform(0.3, 4.0, (2, 3))
PROBS, LOGITS = rng.uniform(0.1, 0.9, (2, 3)), rng.standard_normal((2, 3))
REAL, POSITIVE, UNIT = (
    rng.standard_normal((4, 2, 3)),
    rng.uniform(0.1, 3, (4, 2, 3)),
    rng.uniform(0.05, 0.95, (4, 2, 3)),
)
COUNTS = rng.integers(0, 5, (4, 2, 3)).astype(float)
SIMPLEX = rng.dirichlet([1.0, 2.0, 3.0], (4, 2))

# name, parameters, values
CASES = {
    "Normal": ({"loc": LOC, "scale": SCALE}, REAL),
    "Laplace": ({"loc": LOC, "scale": SCALE}, REAL),
    "Cauchy": ({"loc": LOC, "scale": SCALE}, REAL),
    "Gumbel": ({"loc": LOC, "scale": SCALE}, REAL),
    "LogNormal": ({"loc": LOC, "scale": SCALE}, POSITIVE),
    "HalfNormal": ({"scale": SCALE}, POSITIVE),
    "Uniform": ({"low": LOC, "high": LOC + SCALE}, LOC + SCALE * UNIT),
    "Exponential": ({"rate": RATE}, POSITIVE),
    "Gamma": ({"concentration": SCALE, "rate": RATE}, POSITIVE),
    "Chi2": ({"df": RATE}, POSITIVE),
    "Beta": ({"concentration1": SCALE, "concentration0": RATE}, UNIT),
    "Dirichlet": ({"concentration": RATE}, SIMPLEX),
    "StudentT": ({"df": RATE + 2, "loc": LOC, "scale": SCALE}, REAL),
    "Bernoulli": ({"probs": PROBS}, (UNIT > 0.5) * 1.0),
    "Bernoulli-logits": ({"logits": LOGITS}, (UNIT > 0.5) * 1.0),
    "Geometric": ({"probs": PROBS}, COUNTS),
    "Binomial": ({"total_count": 5, "probs": PROBS}, COUNTS),
    "Poisson": ({"rate": RATE}, COUNTS),
    "Categorical": ({"probs": PROBS}, rng.integers(0, 3, (4, 2)).astype(float)),
    "Categorical-logits": ({"logits": LOGITS}, rng.integers(0, 3, (4, 2)).astype(float)),
    "OneHotCategorical": ({"logits": LOGITS}, np.eye(3)[rng.integers(0, 3, (4, 2))]),
    "Multinomial": ({"total_count": 6, "probs": PROBS}, rng.multinomial(6, [0.2, 0.3, 0.5], (4, 2)).astype(float)),
}  # fmt: skip


def made(t, name, needs=False, **changes):
    kind = getattr(t.distributions, name.split("-")[0])
    given = {
        k: t.tensor(v, dtype=t.float64, requires_grad=needs) if isinstance(v, np.ndarray) else v
        for k, v in CASES[name][0].items()
    }
    given.update(changes)
    return kind(**given), [v for v in given.values() if hasattr(v, "requires_grad") and v.requires_grad]


def close(a, b, tolerance=1e-9):
    assert str(a.dtype) == str(b.dtype) and tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(
        np.asarray(a.detach().tolist(), float),
        np.asarray(b.detach().tolist(), float),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("name", CASES)
def test_logarithms_of_probabilities_and_their_gradients_are_torchs(name):
    results = []
    for t in (ours, theirs):
        d, params = made(t, name, needs=True)
        value = t.tensor(CASES[name][1], dtype=t.float64)
        logp = d.log_prob(value)
        grads = t.autograd.grad(logp.sum(), params, allow_unused=True)
        results.append([logp, *[g if g is not None else t.zeros(1) for g in grads]])
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-8)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(
    "what",
    [
        "mean",
        "variance",
        "stddev",
        "mode",
        "entropy",
        "batch_shape",
        "event_shape",
        "support",
        "repr",
        "cdf",
        "icdf",
    ],
)
def test_what_a_distribution_says_of_itself_is_torchs(name, what):
    def story(t):
        d, _ = made(t, name)
        if what == "repr":
            return repr(d)
        try:
            if what in ("cdf", "icdf"):
                value = t.tensor(CASES[name][1] if what == "cdf" else UNIT, dtype=t.float64)
                found = getattr(d, what)(value)
            else:
                found = getattr(d, what)
                found = found() if callable(found) else found
        except NotImplementedError:
            return "NotImplementedError"
        if what == "support":
            shown = repr(found)
            return shown.split("(")[0]
        return tuple(found) if isinstance(found, tuple) else found

    mine, expected = story(ours), story(theirs)
    if "NotImplementedError" in (str(mine), str(expected)) and what in ("cdf", "icdf", "mode", "entropy"):
        return  # one of the two does not offer it
    if what == "repr" and expected.endswith("()"):
        return  # made of another distribution there, and tells nothing of itself
    if isinstance(expected, theirs.Tensor):
        close(mine, expected, 1e-8)
    else:
        assert mine == expected


SAMPLED = [n for n in CASES if n not in ("Cauchy", "StudentT")]


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_have_their_mean_and_variance(name):
    d, _ = made(ours, name)
    x = d.sample((40_000,))
    assert tuple(x.shape) == (40_000, *d.batch_shape, *d.event_shape) and not x.requires_grad
    values = np.asarray(x.tolist())
    if name.startswith("Categorical"):
        share = np.stack([(values == k).mean(0) for k in range(3)], -1)
        np.testing.assert_allclose(share, d.probs.numpy(), atol=0.012)
        return
    mean, spread = d.mean.numpy(), np.sqrt(d.variance.numpy())
    assert np.abs((values.mean(0) - mean) / spread).max() < 0.03
    if name != "LogNormal":
        np.testing.assert_allclose(values.std(0), spread, rtol=0.06)
    again, _ = made(ours, name)
    ours.manual_seed(3)
    one = again.sample((2,))
    ours.manual_seed(3)
    assert ours.equal(one, again.sample((2,)))


@pytest.mark.parametrize(
    "name",
    [
        "Normal",
        "Laplace",
        "Gumbel",
        "Uniform",
        "Exponential",
        "HalfNormal",
        "Gamma",
        "Beta",
        "Dirichlet",
        "LogNormal",
    ],
)
def test_gradients_flow_through_samples(name):
    """By a function f of the samples: the gradient of the mean of f agrees with that of the known moments."""
    d, params = made(ours, name, needs=True)
    x = d.rsample((60_000,))
    found = ours.autograd.grad(x.mean(0).sum(), params)
    d2, params2 = made(ours, name, needs=True)
    expected = ours.autograd.grad(d2.mean.sum(), params2, allow_unused=True)
    for f, e in zip(found, expected, strict=True):
        e = np.zeros(f.shape) if e is None else e.numpy()
        scale = max(1.0, np.abs(e).max())
        assert np.abs(f.numpy() - e).max() < 0.09 * scale


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 3.0, 40.0])
def test_the_gradient_of_a_gamma_sample_is_torchs(alpha):
    from gradwire.distributions.gamma import _standard_gamma

    a = ours.full((200,), alpha, dtype=ours.float64, requires_grad=True)
    x = _standard_gamma(a)
    (g,) = ours.autograd.grad(x.sum(), a)
    expected = theirs._standard_gamma_grad(
        theirs.full((200,), alpha, dtype=theirs.float64), theirs.tensor(x.detach().numpy())
    )
    keep = x.detach().numpy() > 1e-8
    np.testing.assert_allclose(g.numpy()[keep], expected.numpy()[keep], rtol=2e-3)


PAIRS = ["Normal", "Laplace", "Exponential", "Gamma", "Beta", "Dirichlet", "Bernoulli", "Geometric", "Poisson", "Categorical", "OneHotCategorical"]  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_divergences_and_their_gradients_are_torchs(name):
    results = []
    for t in (ours, theirs):
        p, params = made(t, name, needs=True)
        changes = {
            k: t.tensor(v[::-1].copy() * (0.9 if k != "loc" else 1), dtype=t.float64)
            for k, v in CASES[name][0].items()
        }
        q, _ = made(t, name, **changes)
        kl = t.distributions.kl_divergence(p, q)
        results.append([kl, *t.autograd.grad(kl.sum(), params), t.distributions.kl_divergence(p, p)])
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-8)


@pytest.mark.parametrize("t", [ours, theirs])
def test_what_is_not_known_is_refused(t):
    D = t.distributions
    with pytest.raises(NotImplementedError):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Poisson(1.0))
    with pytest.raises(NotImplementedError):
        D.Bernoulli(0.5).rsample()


def test_a_divergence_of_ones_own_can_be_entered():
    class Mine(ours.distributions.Normal):
        pass

    @ours.distributions.register_kl(Mine, Mine)
    def _(p, q):
        return ours.tensor(7.0)

    m = Mine(0.0, 1.0)
    assert ours.distributions.kl_divergence(m, m).item() == 7
    assert ours.distributions.kl_divergence(m, ours.distributions.Normal(0.0, 1.0)).item() == 0


def uniform(t):
    return t.distributions.Uniform(t.zeros(2, 3, dtype=t.float64), t.ones(2, 3, dtype=t.float64))


def normal(t):
    return t.distributions.Normal(t.tensor(LOC), t.tensor(SCALE))


TRANSFORMED = {
    "log-normal": (lambda t, T: t.distributions.TransformedDistribution(normal(t), [T.ExpTransform()]), POSITIVE),
    "affine": (lambda t, T: t.distributions.TransformedDistribution(normal(t), T.AffineTransform(t.tensor(LOC), t.tensor(-SCALE))), REAL),
    "numbers": (lambda t, T: t.distributions.TransformedDistribution(normal(t), [T.AffineTransform(1.0, 2.0), T.ExpTransform()]), POSITIVE),
    "logistic": (
        lambda t, T: t.distributions.TransformedDistribution(uniform(t), [T.SigmoidTransform().inv, T.AffineTransform(0.5, 2.0)]), REAL),
    "tanh": (lambda t, T: t.distributions.TransformedDistribution(normal(t), [T.TanhTransform(cache_size=1)]), UNIT),
    "softplus": (lambda t, T: t.distributions.TransformedDistribution(normal(t), [T.SoftplusTransform()]), POSITIVE),
    "power": (lambda t, T: t.distributions.TransformedDistribution(t.distributions.Exponential(t.tensor(RATE)), [T.PowerTransform(0.5)]), POSITIVE),
    "simplex": (lambda t, T: t.distributions.TransformedDistribution(
        t.distributions.Normal(t.zeros(2, 2, dtype=t.float64), t.ones(2, 2, dtype=t.float64)), [T.StickBreakingTransform()]), SIMPLEX),
    "events": (lambda t, T: t.distributions.TransformedDistribution(
        t.distributions.Independent(normal(t), 1), [T.AffineTransform(1.0, 2.0)]), REAL),
    "event-affine": (lambda t, T: t.distributions.TransformedDistribution(
        normal(t), [T.AffineTransform(t.tensor(LOC[0]), t.tensor(SCALE[0]), event_dim=1)]), REAL),
    "independent-transform": (lambda t, T: t.distributions.TransformedDistribution(normal(t), [T.IndependentTransform(T.ExpTransform(), 1)]), POSITIVE),
}  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMED)
def test_transformed_distributions_have_torchs_densities_and_shapes(name):
    make, value = TRANSFORMED[name]
    results = []
    for t in (ours, theirs):
        d = make(t, t.distributions.transforms)
        x = d.sample((5,))
        results.append(
            (
                d.log_prob(t.tensor(value)),
                tuple(d.batch_shape),
                tuple(d.event_shape),
                tuple(x.shape),
                d.has_rsample,
            )
        )
        assert bool(d.support.check(x).all())
    close(results[0][0], results[1][0], 1e-8)
    assert results[0][1:] == results[1][1:]


def test_independent_sums_over_its_events():
    results = []
    for t in (ours, theirs):
        d = t.distributions.Independent(normal(t), 1)
        results.append(
            [
                d.log_prob(t.tensor(REAL)),
                d.entropy(),
                d.mean,
                t.distributions.kl_divergence(d, d),
                d.expand((4, 2)).log_prob(t.tensor(REAL)),
            ]
        )
        assert tuple(d.event_shape) == (3,) and tuple(d.rsample((5,)).shape) == (5, 2, 3)
    for a, b in zip(*results, strict=True):
        close(a, b)


@pytest.mark.parametrize(
    "act",
    [
        lambda t, D: D.Normal(t.zeros(2), t.tensor([1.0, -1.0])),
        lambda t, D: D.Uniform(t.ones(2), t.zeros(2)),
        lambda t, D: D.Bernoulli(),
        lambda t, D: D.Bernoulli(probs=t.tensor(0.5), logits=t.tensor(0.5)),
        lambda t, D: D.Bernoulli(probs=t.tensor(1.5)),
        lambda t, D: D.Categorical(probs=t.tensor(0.5)),
        lambda t, D: D.Categorical(probs=t.tensor([0.5, -0.5])),
        lambda t, D: D.Multinomial(t.tensor(3), probs=t.ones(2)),
        lambda t, D: D.Dirichlet(t.tensor(1.0)),
        lambda t, D: D.Gamma(-1.0, 1.0),
        lambda t, D: D.Normal("x", 1.0),
        lambda t, D: D.Normal(0.0, 1.0).log_prob(3.0),
        lambda t, D: D.Exponential(1.0).log_prob(t.tensor(-1.0)),
        lambda t, D: D.Normal(t.zeros(3), 1.0).log_prob(t.zeros(2)),
        lambda t, D: D.Dirichlet(t.ones(3)).log_prob(t.ones(2) / 2),
        lambda t, D: D.Bernoulli(0.5).log_prob(t.tensor(0.3)),
        lambda t, D: D.Independent(D.Normal(t.zeros(3), 1.0), 2),
        lambda t, D: D.TransformedDistribution(D.Normal(0.0, 1.0), 3),
        lambda t, D: D.TransformedDistribution(D.Normal(0.0, 1.0), [3]),
        lambda t, D: repr(D.Normal(0.0, 1.0)),
        lambda t, D: repr(D.Normal(t.zeros(3), 1.0)),
        lambda t, D: D.Normal(t.zeros(2), t.tensor([1.0, -1.0]), validate_args=False).loc.tolist(),
        lambda t, D: [
            tuple(x.shape)
            for x in (
                D.Normal(t.zeros(3), 1.0).expand((2, 3)).sample((4,)),
                D.Categorical(logits=t.zeros(3)).expand((2,)).sample(),
            )
        ],
        lambda t, D: D.Bernoulli(t.tensor([0.2, 0.3])).enumerate_support().tolist(),
        lambda t, D: D.Categorical(logits=t.zeros(2, 3)).enumerate_support(expand=False).tolist(),
        lambda t, D: D.OneHotCategorical(logits=t.zeros(3)).enumerate_support().tolist(),
    ],
)
def test_refusals_and_shapes_are_torchs(act):
    def story(t):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return act(t, t.distributions)

    same(story)


def test_infinite_divergence_where_nothing_of_q_is():
    p, q = ours.distributions.Uniform(0.0, 2.0), ours.distributions.Uniform(0.0, 1.0)
    assert ours.distributions.kl_divergence(p, q).item() == math.inf
