"""Random numbers: a seed gives one stream everywhere; streams are independent; distributions have their moments."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import gradwire as torch
from gradwire.random import current, keyed


def test_a_seed_gives_the_same_numbers_again_and_another_gives_others():
    a, b, c = (torch.rand(5, generator=torch.Generator().manual_seed(s)).tolist() for s in (1, 1, 2))
    assert a == b != c


def test_the_stream_is_philox_of_the_seed_as_numpy_has_it():
    expected = np.random.Generator(np.random.Philox(key=7)).standard_normal(4, np.float32)
    assert torch.randn(4, generator=torch.Generator().manual_seed(7)).tolist() == expected.tolist()


@pytest.mark.parametrize("draws", [0, 1, 3])
def test_a_state_brings_back_the_place_in_the_stream(draws):
    g = torch.Generator().manual_seed(-3)
    torch.randint(10, (draws,), generator=g, dtype=torch.uint8)
    state = g.get_state()
    first = torch.rand(7, generator=g).tolist()
    again = torch.Generator().set_state(state)
    assert torch.rand(7, generator=again).tolist() == first and again.initial_seed() == g.initial_seed()


def test_what_is_no_state_is_refused():
    with pytest.raises(TypeError, match="expected a state that get_state"):
        torch.Generator().set_state(torch.zeros(3, dtype=torch.uint8))


@pytest.mark.parametrize("seed", [True, 1.5, 2**64, "1"])
def test_a_seed_must_be_an_integer_of_64_bits(seed):
    with pytest.raises(ValueError, match="expected an integer of at most 64 bits"):
        torch.manual_seed(seed)


def test_seed_and_initial_seed_agree():
    g = torch.Generator()
    assert g.seed() == g.initial_seed() and g.seed() != torch.Generator().seed()


def test_a_keyed_stream_starts_anew_and_leaves_the_default_where_it_was():
    torch.manual_seed(0)
    expected = torch.rand(4).tolist()
    torch.manual_seed(0)
    got = torch.rand(2).tolist()
    with keyed(1, "step", 2):
        inside = torch.rand(3).tolist()
        with keyed(9):
            torch.rand(1)
        more = torch.rand(1).tolist()
    got += torch.rand(2).tolist()
    with keyed(1, "step", 2):
        assert torch.rand(4).tolist() == inside + more
    assert got == expected


def test_other_keys_are_other_streams():
    draws = set()
    for key in [(0, "step", 1, 2), (0, "step", 12), (0, "eval", 1, 2), (1, "step", 1, 2), (0, "step", 2, 1)]:
        with keyed(*key):
            draws.add(torch.rand(1, dtype=torch.float64).item())
    assert len(draws) == 5


def test_a_keyed_stream_belongs_to_its_thread():
    seen = []
    with keyed(1):
        inside = current()
        t = threading.Thread(target=lambda: seen.append(current()))
        t.start()
        t.join()
    assert seen[0] is not inside and current() is seen[0]


@pytest.mark.parametrize(
    ("draw", "mean", "spread"),
    [
        (lambda g: torch.rand(20_000, generator=g), 0.5, 12**-0.5),
        (lambda g: torch.rand(20_000, generator=g, dtype=torch.float16), 0.5, 12**-0.5),
        (lambda g: torch.randn(20_000, generator=g, dtype=torch.float64), 0, 1),
        (lambda g: torch.normal(3.0, 2.0, (20_000,), generator=g), 3, 2),
        (lambda g: torch.randint(3, 7, (20_000,), generator=g).double(), 4.5, 1.25**0.5),
        (lambda g: torch.bernoulli(torch.full((20_000,), 0.2), generator=g), 0.2, 0.4),
        (lambda g: torch.empty(20_000).uniform_(-1, 3, generator=g), 1, 4 * 12**-0.5),
        (lambda g: torch.empty(20_000).normal_(-1, 3, generator=g), -1, 3),
    ],
)
def test_draws_have_the_mean_and_spread_of_their_distribution(draw, mean, spread):
    values = draw(torch.Generator().manual_seed(0)).double().numpy()
    assert values.mean() == pytest.approx(
        mean, abs=4 * spread / 20_000**0.5
    ) and values.std() == pytest.approx(spread, rel=0.03)


def test_permutations_and_drawn_indices_are_what_they_say():
    g = torch.Generator().manual_seed(0)
    assert sorted(torch.randperm(30, generator=g).tolist()) == list(range(30))
    drawn = torch.multinomial(torch.tensor([0.0, 3.0, 1.0]), 4000, replacement=True, generator=g).numpy()
    assert np.bincount(drawn, minlength=3)[0] == 0 and np.mean(drawn == 1) == pytest.approx(0.75, abs=0.03)
    assert sorted(torch.multinomial(torch.ones(2, 5), 5, generator=g)[1].tolist()) == [0, 1, 2, 3, 4]
