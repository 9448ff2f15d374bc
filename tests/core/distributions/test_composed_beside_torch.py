"""Distributions made of others beside PyTorch's: densities with gradients, what they say of themselves, samples, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

from .test_beside_torch import close

rng = np.random.default_rng(11)
LOC, SCALE, SHAPE = rng.standard_normal((2, 3)), rng.uniform(0.4, 2.0, (2, 3)), rng.uniform(2.5, 6.0, (2, 3))
PROBS, LOGITS = rng.uniform(0.1, 0.9, (2, 3)), rng.standard_normal((2, 3))
PROBS[0, 0] = 0.5003  # where the continuous Bernoulli takes its series
REAL, POSITIVE = rng.standard_normal((4, 2, 3)), rng.uniform(0.1, 3, (4, 2, 3))
UNIT = rng.uniform(0.05, 0.95, (4, 2, 3))
COUNTS = rng.integers(0, 5, (4, 2, 3)).astype(float)
SHARES = rng.dirichlet([1.0, 2.0, 3.0], (4, 2))
TAILS = np.array([[-0.3, 0.0, 0.2], [0.1, -0.1, 0.4]])

# name, parameters, values
CASES = {
    "HalfCauchy": ({"scale": SCALE}, POSITIVE),
    "InverseGamma": ({"concentration": SHAPE, "rate": SCALE}, POSITIVE),
    "Kumaraswamy": ({"concentration1": SHAPE, "concentration0": SCALE + 1}, UNIT),
    "LogisticNormal": ({"loc": LOC[:, :2], "scale": SCALE[:, :2]}, SHARES),
    "Pareto": ({"scale": SCALE, "alpha": SHAPE}, SCALE + POSITIVE),
    "Weibull": ({"scale": SCALE, "concentration": SHAPE}, POSITIVE),
    "FisherSnedecor": ({"df1": SHAPE, "df2": SHAPE + 6}, POSITIVE),
    "GeneralizedPareto": ({"loc": LOC, "scale": SCALE, "concentration": TAILS}, LOC + SCALE * UNIT),
    "ContinuousBernoulli": ({"probs": PROBS}, UNIT),
    "ContinuousBernoulli-logits": ({"logits": LOGITS}, UNIT),
    "VonMises": ({"loc": LOC, "concentration": SHAPE}, REAL),
    "NegativeBinomial": ({"total_count": np.array(3.0), "probs": PROBS}, COUNTS),
    "NegativeBinomial-logits": ({"total_count": np.array([0.5, 1.0, 2.5]), "logits": LOGITS}, COUNTS),
    "RelaxedBernoulli": ({"temperature": np.array(0.7), "probs": PROBS}, UNIT),
    "RelaxedBernoulli-logits": ({"temperature": np.array(0.4), "logits": LOGITS}, UNIT),
    "RelaxedOneHotCategorical": ({"temperature": np.array(0.7), "probs": PROBS}, SHARES),
    "RelaxedOneHotCategorical-logits": ({"temperature": np.array(1.5), "logits": LOGITS}, SHARES),
    "OneHotCategoricalStraightThrough": ({"logits": LOGITS}, np.eye(3)[rng.integers(0, 3, (4, 2))]),
}  # fmt: skip
# PyTorch's Bessel function is a polynomial of seven digits, and its GeneralizedPareto takes float32 alone.
LOOSE = {"VonMises": 2e-6, "GeneralizedPareto": 2e-5}
each = pytest.mark.parametrize("name", CASES)


def dtype_of(t, name):
    return t.float32 if name == "GeneralizedPareto" else t.float64


def made(t, name, needs=False, device="cpu", dtype=None):
    kind = getattr(t.distributions, name.split("-")[0])
    options = {"dtype": dtype or dtype_of(t, name), "requires_grad": needs, "device": device}
    given = {k: t.tensor(v, **options) for k, v in CASES[name][0].items()}
    return kind(**given), list(given.values())


@each
def test_logarithms_of_probabilities_and_their_gradients_are_torchs(name):
    results = []
    for t in (ours, theirs):
        d, params = made(t, name, needs=True)
        logp = d.log_prob(t.tensor(CASES[name][1], dtype=dtype_of(t, name)))
        grads = t.autograd.grad(logp.sum(), params, allow_unused=True)
        results.append(
            [logp, *[t.zeros_like(p) if g is None else g for g, p in zip(grads, params, strict=True)]]
        )
    for a, b in zip(*results, strict=True):
        close(a, b, LOOSE.get(name, 1e-7))


@each
@pytest.mark.parametrize("what", ["mean", "variance", "stddev", "mode", "entropy", "cdf", "icdf"])
def test_moments_entropies_and_quantiles_are_torchs(name, what):
    def story(t):
        d, _ = made(t, name)
        try:
            if what in ("cdf", "icdf"):
                return getattr(d, what)(
                    t.tensor(CASES[name][1] if what == "cdf" else UNIT, dtype=dtype_of(t, name))
                )
            found = getattr(d, what)
            return found() if callable(found) else found
        except NotImplementedError:
            return "NotImplementedError"

    mine, expected = story(ours), story(theirs)
    if name == "Kumaraswamy" and what == "mode":
        return  # PyTorch's is NaN; see test_the_mode_is_the_densitys_highest_place
    if isinstance(expected, str) or isinstance(mine, str):
        assert mine == expected
        return
    close(mine, expected, LOOSE.get(name, 1e-7))


@each
def test_shapes_supports_and_reprs_are_torchs(name):
    def story(t):
        d, _ = made(t, name)
        wide = d.expand((4, *d.batch_shape))
        shapes = [
            tuple(x)
            for x in (
                d.batch_shape,
                d.event_shape,
                wide.batch_shape,
                wide.event_shape,
                wide.sample((5,)).shape,
            )
        ]
        logp = tuple(wide.log_prob(t.tensor(CASES[name][1], dtype=dtype_of(t, name))).shape)
        told = repr(d) if name != "OneHotCategoricalStraightThrough" else ""  # PyTorch's tells nothing
        return told, type(wide).__name__, repr(d.support).split("(")[0], d.has_rsample, shapes, logp

    same(story)


@each
def test_samples_have_their_mean_and_variance_on_every_device(name, device):
    ours.manual_seed(4)
    d, _ = made(ours, name, device=device, dtype=ours.float64)
    x = d.sample((30_000,))
    assert x.device.type == device and x.dtype == ours.float64 and not x.requires_grad
    assert bool(d.support.check(x).all())
    values = x.cpu().numpy()
    if "Relaxed" in name:  # by which class comes first, which is the class's probability
        share = (values > 0.5).mean(0) if "Bernoulli" in name else np.eye(3)[values.argmax(-1)].mean(0)
        np.testing.assert_allclose(share, d.probs.cpu().numpy(), atol=0.015)
    elif name == "HalfCauchy":
        np.testing.assert_allclose(np.median(values, 0), d.scale.cpu().numpy(), rtol=0.04)
    elif name == "LogisticNormal":
        odds = np.log(values[..., :1] / (1 - values[..., :1]))
        np.testing.assert_allclose(odds.mean(0)[:, 0] + np.log(2), LOC[:, 0], atol=0.04)
    elif name == "VonMises":
        np.testing.assert_allclose(np.arctan2(np.sin(values).mean(0), np.cos(values).mean(0)), LOC, atol=0.02)
        far = 1 - np.cos(values - LOC).mean(0)
        np.testing.assert_allclose(far, d.variance.cpu().numpy(), rtol=0.05)
    else:
        mean, spread = d.mean.cpu().numpy(), np.sqrt(d.variance.cpu().numpy())
        assert np.abs((values.mean(0) - mean) / np.where(spread > 0, spread, 1)).max() < 0.035


REPARAMETRISED = [
    "HalfCauchy",
    "Kumaraswamy",
    "Pareto",
    "Weibull",
    "GeneralizedPareto",
    "ContinuousBernoulli",
]


@pytest.mark.parametrize("name", [*REPARAMETRISED, "InverseGamma"])
def test_gradients_through_samples_keep_the_probability_below_them(name):
    """Along a path of rsample, F(x(θ); θ) stays what it is: dx/dθ = -(∂F/∂θ) / density, with F by a fine sum of the density."""
    ours.manual_seed(2)
    d, params = made(ours, name, needs=True, dtype=ours.float64)
    x = d.rsample()
    grads = ours.autograd.grad(x.sum(), params)
    at = x.detach()

    def below(changed):
        """F by the midpoint rule in the logarithm of the distance from the least value."""
        kind = type(d)(*changed, validate_args=False)
        low = params[0].detach() if name == "GeneralizedPareto" else 0 * at
        low = changed[0] if name == "Pareto" else low
        steps = (ours.arange(20_000, dtype=ours.float64) + 0.5) / 20_000
        spots = steps.reshape(-1, 1, 1) ** 4
        place = low + (at - low) * spots
        widths = (at - low) * 4 * steps.reshape(-1, 1, 1) ** 3 / 20_000
        return (kind.log_prob(place).exp() * widths).sum(0)

    density = d.log_prob(at).exp().detach()
    for i, g in enumerate(grads):
        if name == "GeneralizedPareto" and i == 0:
            assert ours.equal(g, ours.ones_like(g))  # x moves with loc
            continue
        h = 1e-4
        up, down = (
            below([q.detach() + (s * h if j == i else 0.0) for j, q in enumerate(params)]) for s in (1, -1)
        )
        expected = np.asarray((-(up - down) / (2 * h) / density).numpy())
        if (
            i == len(params) - 1
        ):  # where a series or a limit stands for the formula it has no slope, as in PyTorch
            flat = {"GeneralizedPareto": TAILS == 0, "ContinuousBernoulli": abs(PROBS - 0.5) < 1e-3}.get(name)
            expected = expected if flat is None else np.where(flat, 0, expected)
        np.testing.assert_allclose(g.numpy(), expected, rtol=2e-3, atol=2e-4)


def test_gradients_through_samples_of_a_ratio_are_those_of_its_mean():
    ours.manual_seed(2)
    d, params = made(ours, "FisherSnedecor", needs=True)
    found = ours.autograd.grad(d.rsample((60_000,)).mean(0).sum(), params)
    assert np.abs(found[0].numpy()).max() < 0.05  # df1 is not in the mean
    np.testing.assert_allclose(found[1].numpy(), -2 / (SHAPE + 4) ** 2, atol=0.01)


def test_the_mode_is_the_densitys_highest_place():
    """PyTorch's mode of Kumaraswamy is NaN, and of Weibull not 0 where its density is highest there."""
    x = ours.linspace(0.001, 0.999, 999, dtype=ours.float64)
    d = ours.distributions.Kumaraswamy(ours.tensor(1.5, dtype=ours.float64), 2.5)
    assert abs(d.mode.item() - x[d.log_prob(x).argmax()].item()) < 1e-3
    w = ours.distributions.Weibull(ours.tensor([1.0, 2.0]), ours.tensor([0.5, 1.0]))
    assert w.mode.tolist() == [0, 0]


def test_straight_through_samples_have_the_gradient_of_probs():
    d, (logits,) = made(ours, "OneHotCategoricalStraightThrough", needs=True)
    x = d.rsample()
    weights = ours.tensor(REAL[0])
    (found,) = ours.autograd.grad((x * weights).sum(), logits)
    (expected,) = ours.autograd.grad((logits.softmax(-1) * weights).sum(), logits)
    assert ours.allclose(found, expected) and bool(
        ((x.detach() - d.sample() * 0).sum(-1) - 1).abs().max() < 1e-12
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda t, D: D.HalfCauchy(-1.0),
        lambda t, D: D.Chi2(1.0).expand((2,)).log_prob(t.tensor(-1.0)),
        lambda t, D: D.Beta(1.0, 1.0).expand((2,)).log_prob(t.tensor(2.0)),
        lambda t, D: D.MultivariateNormal(t.zeros(2), t.eye(2)).expand((3,)).log_prob(t.zeros(3)),
        lambda t, D: D.Pareto(1.0, 1.0).expand((2,)).log_prob(t.tensor(0.5)),
        lambda t, D: D.HalfCauchy(1.0).log_prob(t.tensor(-1.0)),
        lambda t, D: D.HalfCauchy(1.0, validate_args=False).log_prob(t.tensor([-1.0])).tolist(),
        lambda t, D: D.InverseGamma(-1.0, 1.0),
        lambda t, D: D.InverseGamma(t.tensor([0.5, 1.0, 1.5]), 1.0).mean.tolist(),
        lambda t, D: D.InverseGamma(t.tensor([0.5, 1.0, 1.5]), 1.0).variance.tolist(),
        lambda t, D: D.Kumaraswamy(-1.0, 1.0),
        lambda t, D: D.LogisticNormal(t.zeros(2), -t.ones(2)),
        lambda t, D: D.LogisticNormal(0.0, 1.0).event_shape[0],
        lambda t, D: D.Pareto(-1.0, 1.0),
        lambda t, D: D.Pareto(1.0, t.tensor([0.5, 1.0, 1.5])).mean.tolist(),
        lambda t, D: D.Pareto(2.0, 1.0).log_prob(t.tensor(1.0)),
        lambda t, D: D.Weibull(1.0, -1.0),
        lambda t, D: [
            bool(x.isnan()) for x in (D.FisherSnedecor(2.0, 2.0).mean, D.FisherSnedecor(2.0, 4.0).variance)
        ],
        lambda t, D: D.GeneralizedPareto(0.0, -1.0, 0.5),
        lambda t, D: D.GeneralizedPareto(0.0, 1.0, -0.5).log_prob(t.tensor(3.0)),
        lambda t, D: D.ContinuousBernoulli(),
        lambda t, D: D.VonMises(0.0, -1.0),
        lambda t, D: D.NegativeBinomial(-1, t.tensor(0.5)),
        lambda t, D: D.NegativeBinomial(2, t.tensor(1.0)),
        lambda t, D: D.NegativeBinomial(2),
        lambda t, D: D.NegativeBinomial(2, t.tensor(0.5)).log_prob(t.tensor(0.5)),
        lambda t, D: D.NegativeBinomial(0, t.tensor(0.5)).log_prob(t.tensor([0.0, 1.0])).tolist(),
        lambda t, D: D.RelaxedBernoulli(t.tensor(1.0)),
        lambda t, D: D.RelaxedBernoulli(t.tensor(1.0), probs=t.tensor(2.0)),
        lambda t, D: D.RelaxedOneHotCategorical(t.tensor(1.0), probs=t.tensor(0.5)),
        lambda t, D: D.RelaxedOneHotCategorical(t.tensor(1.0), logits=t.zeros(3)).log_prob(t.ones(3)),
        lambda t, D: [
            issubclass(getattr(D, n), D.ExponentialFamily)
            for n in ("Normal", "Gamma", "Beta", "Bernoulli", "Laplace", "Binomial", "Poisson")
        ],
    ],
)
def test_refusals_and_special_cases_are_torchs(act):
    def story(t):
        try:
            return act(t, t.distributions)
        except ValueError as e:  # which of the distributions inside says it, differs
            return str(e).split("(")[0]

    same(story)


@pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
def test_parameters_that_cannot_be_are_refused(t):
    with pytest.raises(ValueError):
        t.distributions.FisherSnedecor(0.0, 1.0)
    with pytest.raises(ValueError):
        t.distributions.ContinuousBernoulli(1.5, validate_args=True)
