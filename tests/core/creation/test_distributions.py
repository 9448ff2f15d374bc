"""The numbers of random tensors: their distributions (Kolmogorov-Smirnov, chi-square), streams, devices, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch as real

import gradwire as torch

N = 20_000


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def distance(drawn, cdf):
    """sqrt(n) times the largest distance between the empirical distribution and `cdf`."""
    x = np.sort(drawn.double().numpy())
    at = cdf(x)
    n = len(x)
    return math.sqrt(n) * max(np.max(np.arange(1, n + 1) / n - at), np.max(at - np.arange(n) / n))


CONTINUOUS = {
    "rand": (lambda g, d: torch.rand(N, generator=g, dtype=d), lambda x: np.clip(x, 0, 1)),
    "randn": (lambda g, d: torch.randn(N, generator=g, dtype=d), normal_cdf),
    "normal": (lambda g, d: torch.normal(torch.full((N,), 2.0, dtype=d), 3.0, generator=g), lambda x: normal_cdf((x - 2) / 3)),
    "uniform_": (lambda g, d: torch.empty(N, dtype=d).uniform_(-1, 3, generator=g), lambda x: np.clip((x + 1) / 4, 0, 1)),
    "normal_": (lambda g, d: torch.empty(N, dtype=d).normal_(-1, 0.5, generator=g), lambda x: normal_cdf((x + 1) / 0.5)),
    "exponential_": (lambda g, d: torch.empty(N, dtype=d).exponential_(2.5, generator=g), lambda x: 1 - np.exp(-2.5 * x)),
    "cauchy_": (lambda g, d: torch.empty(N, dtype=d).cauchy_(1, 2, generator=g), lambda x: 0.5 + np.arctan((x - 1) / 2) / np.pi),
    "log_normal_": (lambda g, d: torch.empty(N, dtype=d).log_normal_(0.5, 0.7, generator=g), lambda x: normal_cdf((np.log(x) - 0.5) / 0.7)),
    "rand_like": (lambda g, d: torch.rand_like(torch.empty(N, dtype=d), generator=g), lambda x: np.clip(x, 0, 1)),
    "randn_like": (lambda g, d: torch.randn_like(torch.empty(N, dtype=d), generator=g), normal_cdf),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_continuous_distribution_is_what_it_says(name, dtype):
    draw, cdf = CONTINUOUS[name]
    assert distance(draw(seeded(), getattr(torch, dtype)), cdf) < 1.95  # the chance of more is 1 in 1000


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_precision_keeps_within_the_range_and_rounds_the_moments_little(name):
    x = torch.rand(N, dtype=getattr(torch, name), generator=seeded()).double()
    assert x.min().item() >= 0 and x.max().item() < 1 and abs(x.mean().item() - 0.5) < 0.01
    y = torch.empty(N, dtype=getattr(torch, name)).uniform_(1, 2, generator=seeded()).double()
    assert y.min().item() >= 1 and y.max().item() < 2
    z = torch.randn(N, dtype=getattr(torch, name), generator=seeded()).double()
    assert abs(z.mean().item()) < 0.03 and abs(z.std().item() - 1) < 0.03


def poisson_pmf(rate):
    return lambda k: math.exp(-rate) * rate**k / math.factorial(k)


DISCRETE = {
    "randint": (lambda g: torch.randint(2, 9, (N,), generator=g), lambda k: 1 / 7 if 2 <= k < 9 else 0),
    "randint_like": (lambda g: torch.randint_like(torch.empty(N), 4, generator=g), lambda k: 1 / 4 if 0 <= k < 4 else 0),
    "random_": (lambda g: torch.empty(N, dtype=torch.int16).random_(-3, 3, generator=g), lambda k: 1 / 6 if -3 <= k < 3 else 0),
    "bernoulli": (lambda g: torch.bernoulli(torch.full((N,), 0.3), generator=g), lambda k: {0: 0.7, 1: 0.3}.get(k, 0)),
    "bernoulli_": (lambda g: torch.empty(N).bernoulli_(0.8, generator=g), lambda k: {0: 0.2, 1: 0.8}.get(k, 0)),
    "geometric_": (lambda g: torch.empty(N).geometric_(0.4, generator=g), lambda k: 0.4 * 0.6 ** (k - 1) if k > 0 else 0),
    "poisson": (lambda g: torch.poisson(torch.full((N,), 3.5), generator=g), poisson_pmf(3.5)),
    "binomial": (
        lambda g: torch.binomial(torch.full((N,), 6.0), torch.full((N,), 0.25), generator=g),
        lambda k: math.comb(6, k) * 0.25**k * 0.75 ** (6 - k) if 0 <= k <= 6 else 0,
    ),
    "multinomial": (
        lambda g: torch.multinomial(torch.tensor([1.0, 0.0, 3.0, 4.0]), N, replacement=True, generator=g),
        lambda k: [1 / 8, 0, 3 / 8, 1 / 2][k],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DISCRETE)
def test_a_discrete_distribution_is_what_it_says(name):
    draw, pmf = DISCRETE[name]
    values, counts = np.unique(draw(seeded()).double().numpy().astype(int), return_counts=True)
    for k, n in zip(values.tolist(), counts.tolist(), strict=True):
        p = pmf(k)
        assert p > 0, f"{k} can't be drawn"
        assert abs(n - N * p) < 5 * math.sqrt(N * p) + 5, (k, n, N * p)


def test_without_replacement_the_first_index_has_the_weights_odds_and_none_comes_twice():
    g = seeded()
    weights = torch.tensor([1.0, 2.0, 5.0]).expand(4000, 3)
    drawn = torch.multinomial(weights, 2, generator=g).numpy()
    assert (drawn[:, 0] != drawn[:, 1]).all()
    for k, p in enumerate((1 / 8, 2 / 8, 5 / 8)):
        assert abs((drawn[:, 0] == k).mean() - p) < 0.03
    second = drawn[drawn[:, 0] == 2, 1]
    assert abs((second == 1).mean() - 2 / 3) < 0.04


DRAWS = [
    lambda d, g: torch.rand(2, 3, device=d, generator=g),
    lambda d, g: torch.randn(2, 3, device=d, generator=g),
    lambda d, g: torch.randint(0, 100, (2, 3), device=d, generator=g),
    lambda d, g: torch.randperm(6, device=d, generator=g),
    lambda d, g: torch.normal(torch.zeros(3, device=d), torch.ones(3, device=d), generator=g),
    lambda d, g: torch.normal(1.0, 2.0, (3,), device=d, generator=g),
    lambda d, g: torch.bernoulli(torch.full((6,), 0.5, device=d), generator=g),
    lambda d, g: torch.multinomial(torch.ones(2, 6, device=d), 3, generator=g),
    lambda d, g: torch.poisson(torch.full((6,), 2.0, device=d), generator=g),
    lambda d, g: torch.binomial(torch.full((6,), 5.0, device=d), torch.full((6,), 0.5, device=d), generator=g),
    lambda d, g: torch.rand_like(torch.ones(4, device=d), generator=g),
    lambda d, g: torch.randn_like(torch.ones(4, device=d), generator=g),
    lambda d, g: torch.randint_like(torch.ones(4, device=d), 9, generator=g),
    *(
        lambda d, g, name=name, args=args: getattr(torch.empty(5, device=d), name)(*args, generator=g)
        for name, args in {
            "uniform_": (), "normal_": (), "log_normal_": (), "exponential_": (), "cauchy_": (), "geometric_": (0.5,),
            "random_": (50,), "bernoulli_": (0.5,),
        }.items()
    ),
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWS)
def test_every_device_sees_the_same_numbers_and_a_generator_repeats_them(draw, device):
    first, again, other = (draw(d, seeded(5)) for d in ("cpu", device, device))
    assert again.device.type == device
    assert first.tolist() == again.tolist() == other.tolist()
    torch.manual_seed(5)
    assert draw(device, None).tolist() == first.tolist()
    assert draw(device, seeded(6)).tolist() != first.tolist() or first.numel() == 0


@pytest.mark.parametrize(
    "draw",
    [
        lambda t, x: t.bernoulli(x.sigmoid()),
        lambda t, x: t.poisson(x.exp()),
        lambda t, x: t.normal(x, 1.0),
        lambda t, x: t.normal(x, x.exp()),
        lambda t, x: t.normal(0.0, x.exp()),
        lambda t, x: (x * 2).normal_(),
        lambda t, x: (x * 2).bernoulli_(0.5),
    ],
)
def test_gradients_of_drawn_values_are_zero(draw):
    found = []
    for lib in (torch, real):
        x = lib.ones(3, requires_grad=True)
        y = draw(lib, x)
        assert y.requires_grad and str(y.dtype) == "torch.float32"
        y.sum().backward()
        found.append((y.grad_fn.name(), x.grad.tolist()))
    assert found[0] == found[1]


def test_states_forks_and_clones_keep_the_place():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first = torch.rand(4).tolist()
    with torch.random.fork_rng():
        torch.rand(10)
    second = torch.rand(4).tolist()
    torch.set_rng_state(state)
    assert torch.rand(8).tolist() == first + second
    g = seeded(4)
    torch.rand(3, generator=g)
    assert torch.rand(3, generator=g.clone_state()).tolist() == torch.rand(3, generator=g).tolist()
    with torch.random.fork_rng(enabled=False):
        torch.rand(1)
    assert torch.initial_seed() == 3 and torch.default_generator.initial_seed() == 3
    assert str(g.device) == "cpu"


def test_numpy_integers_are_seeds():
    assert torch.rand(1, generator=seeded(np.int64(3))).item() == torch.rand(1, generator=seeded(3)).item()


def test_drawing_into_a_leaf_that_requires_grad_is_refused_and_without_grad_is_not():
    x = torch.ones(3, requires_grad=True)
    for fill in (lambda: x.normal_(), lambda: x.uniform_(), lambda: x.bernoulli_(0.5), lambda: x.random_(5)):
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            fill()
        with torch.no_grad():
            fill()


def test_out_and_memory_order_are_kept():
    target = torch.empty(3, 2).t()
    assert torch.rand(2, 3, out=target, generator=seeded()) is target
    assert target.tolist() == torch.rand(2, 3, generator=seeded()).tolist()
    assert torch.rand_like(torch.ones(2, 3).t()).stride() == (1, 3)
