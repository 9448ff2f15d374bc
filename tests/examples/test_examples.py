"""Each example in a short setting: it runs, learns, draws what it says, and does so twice alike."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from gradwire.training import load_job, train_solo
from tests.workers.crews import run_job

EXAMPLES = Path(__file__).parents[2] / "examples"

# The arguments of a short run, and what the text that it prints must hold.
SHORT = {
    "digits": ("--set epochs=1 --set batch_size=512", r"parameters sha256 [0-9a-f]{64}"),
    "charlm": (
        "--set letters=3000 --set width=16 --set layers=1 --set heads=2 --set batch_size=64",
        r"-{80}\nclass [\x20-\x7e\n]{800,}\n$",
    ),
    "vae": ("--set epochs=1 --set width=16", r"invented\n([ .:\-=+*#%@]{106}\n){8}"),
    "names": ("--set epochs=1 --set width=8 --set most=40", r"held-out names.*\n.*Korean.*\n *Cherokee"),
    "tree": ("--set epochs=1 --set samples=32", r"4    *\d+ of 100   \(not seen in training\)"),
    "waves": ("--set epochs=1", r"accuracy 0\.\d+\n.*parameters sha256 [0-9a-f]{64}"),
    "lbfgs": ("--steps 3", r"turns    4\.1000"),
    "reinforce": ("--updates 2", r"after\n([\^>v<#OG](?= |\n)[ \n]?)+$"),
}


def run(name, arguments, monkeypatch, capsys):
    """What the example prints, without the time that it took."""
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments.split()])
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return re.sub(r"steps in [\d.]+ s", "", capsys.readouterr().out)


def test_every_example_is_here():
    assert set(SHORT) == {p.stem for p in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("name", SHORT)
def test_an_example_shows_what_it_says_and_twice_the_same(name, monkeypatch, capsys):
    arguments, held = SHORT[name]
    first = run(name, arguments, monkeypatch, capsys)
    assert re.search(held, first), first
    assert run(name, arguments, monkeypatch, capsys) == first


# Settings of a run of seconds, and by how much its loss must fall below that of the first step.
LEARNING = {
    "charlm": ({"letters": "20000", "width": "32", "layers": "1", "epochs": "2"}, 0.8),
    "vae": ({"epochs": "3"}, 0.75),
    "names": ({"epochs": "4", "most": "60"}, 0.6),
    "tree": ({"samples": "200", "epochs": "2"}, 0.9),
}


@pytest.mark.parametrize("name", LEARNING)
def test_a_job_learns(name):
    settings, share = LEARNING[name]
    history = train_solo(load_job(EXAMPLES / f"{name}.py", settings)).history
    ends = [np.mean([m["loss"] for m in part]) for part in (history[:1], history[-5:])]
    assert ends[1] < share * ends[0], ends


@pytest.mark.parametrize("name", LEARNING)
def test_three_workers_end_with_the_bits_of_one(name, tmp_path):
    job = EXAMPLES / f"{name}.py"
    settings = dict(re.findall(r"--set (\w+)=(\w+)", SHORT[name][0]))
    ran = run_job(job, tmp_path, 3, overrides=settings)
    assert ran.sha256 == train_solo(load_job(job, settings)).parameters_sha256


def test_the_curve_that_lbfgs_finds_is_as_near_as_the_noise_lets_it():
    example = runpy.run_path(str(EXAMPLES / "lbfgs.py"))
    found, losses = example["main"]()
    assert losses[-1] < example["NOISE"] ** 2
    for name, value in example["TRUTH"].items():
        assert found[name] == pytest.approx(value, abs=0.15)


def test_an_expression_is_judged_by_a_graph_of_its_own_size():
    example = runpy.run_path(str(EXAMPLES / "tree.py"))
    net = example["TreeNet"](4)

    def nodes(text):
        seen, waiting = set(), [net(text).grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [n for n, _ in node.next_functions]
        return len(seen)

    assert (
        nodes("True") < nodes("not True") < nodes("not (True and False)") < nodes("not (True != (not False))")
    )


def test_walkers_stop_in_holes_and_at_the_goal_and_at_no_wall():
    example = runpy.run_path(str(EXAMPLES / "reinforce.py"))
    ice = example["Ice"](4, np.random.default_rng(0))
    example["Ice"].move.__globals__["SLIP"] = 0.0
    ice.at = np.array([[0, 2], [1, 4], [5, 6], [0, 0]])
    earned = ice.move(np.array([1, 1, 1, 0]))  # into a wall, into a hole, to the goal, off the map
    assert ice.at.tolist() == [[0, 2], [1, 5], [5, 7], [0, 0]]
    np.testing.assert_allclose(earned, [-0.01, -0.31, 0.99, -0.01])
    assert ice.walking.tolist() == [True, False, False, True]
    assert ice.move(np.array([1, 1, 1, 1]))[1:3].tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_walkers_learn_to_reach_the_goal():
    _, reached = runpy.run_path(str(EXAMPLES / "reinforce.py"))["main"]()
    assert reached > 0.75
