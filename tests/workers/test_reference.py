"""The reference goes on from any checkpoint, and repeats changes of options: with the bits of the whole run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gradwire.training import Reference, SoloResult, load_job, train_solo
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.reports import OptionsChanged
from gradwire.workers.state import restore_reference
from tests.workers.crews import JOBS, oracle, run_job
from tests.workers.test_elastic import at_step, slow


@cache
def whole(name: str) -> SoloResult:
    return oracle(name)


@pytest.mark.parametrize("name", ["overflow", "cycle", "norm", "mlp", "gpt"])
def test_it_goes_on_from_every_checkpoint(name: str, tmp_path: Path) -> None:
    run_job(name, tmp_path, 2, overrides={"keep_last": "99"})
    found = checkpoints.checkpoints(tmp_path / "checkpoints")
    assert len(found) >= 3
    for path in found:
        reference = Reference(load_job(JOBS / f"{name}.py"), 8)
        restore_reference(checkpoints.read(path), reference)
        start = reference.finished
        assert reference.chain == whole(name).chains[start - 1]
        history, chains = [], []
        while reference.finished < reference.plan.total_steps:
            history.append(reference.step())
            chains.append(reference.chain)
        assert repr(history) == repr(whole(name).history[start:])
        assert chains == whole(name).chains[start:]
        assert reference.parameters_sha256 == whole(name).parameters_sha256


@pytest.mark.parametrize("name", ["mlp", "cycle"])
def test_it_repeats_a_change_of_options_as_workers_made_it(name: str, tmp_path: Path) -> None:
    ran = run_job(slow(tmp_path, name), tmp_path, 2, on_report=at_step(3, lambda s: s.update({"lr": 0.05})))
    (changed,) = ran.of(OptionsChanged)
    solo = train_solo(load_job(JOBS / f"{name}.py"), options_history=[(changed.step, changed.options)])
    assert ran.chains == [value.hex() for value in solo.chains]
    assert (ran.sha256, ran.history) == (solo.parameters_sha256, solo.history)
    assert solo.chains != whole(name).chains
