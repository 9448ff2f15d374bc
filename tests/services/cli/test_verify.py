"""`gradwire verify` and `gradwire replay` on what `gradwire train` left: the same bits, or the first step that differs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serving_harness import run_cli

from gradwire.services.records import OptionsChanged
from gradwire.services.verification import Kept, RunNotFoundError, Verdict, find_run, replay, verify
from gradwire.workers import checkpoint as checkpoints

JOB = """\
import gradwire as torch
from gradwire import nn, optim
from gradwire.data import TensorDataset
import parts_of_it


class Again(torch.Job):
    epochs = 3
    batch_size = 16
    lr = 0.1
    poison = False
    checkpoint_every = 1
    keep_every = 3

    def model(self):
        print("made")
        return nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 1))

    def train_data(self):
        x = torch.randn(50, 4)
        if self.poison:
            x[3] = -1e9
        return TensorDataset(x, x.sum(1, keepdim=True))

    def optimizer(self, model):
        return optim.SGD(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        x, y = batch
        root = (x.min() * 0 + (x.min() > -1e6).float() - 0.5 + model[0].bias.sum() * 0).sqrt()
        return ((model(x) - parts_of_it.ONE * y) ** 2).mean() + 0 * root
"""


def trained(folder: Path, *arguments: str) -> tuple[dict, Path]:  # type: ignore[type-arg]
    code, home = folder / "user", folder / "home"
    code.mkdir(parents=True)
    (code / "again.py").write_text(JOB)
    (code / "parts_of_it.py").write_text("ONE = 1.0\n")
    done = run_cli(
        "train", str(code / "again.py"), "--workers", "2", "--json", "--home", str(home), *arguments
    )
    told = json.loads(done.stdout)
    return told, home / "runs" / told["job"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:  # type: ignore[type-arg]
    told, folder = trained(tmp_path_factory.mktemp("good"))
    assert (told["state"], told["steps"]) == ("SUCCEEDED", 12)
    return told, folder


def the(kept: Kept, first: int = 1, last: int | None = None) -> tuple[list[int], Verdict]:
    *steps, verdict = verify(kept, first, last)
    assert isinstance(verdict, Verdict)
    return [int(step) for step in steps if isinstance(step, int)], verdict


def test_a_run_is_verified_from_its_beginning_by_its_folder(run) -> None:  # type: ignore[no-untyped-def]
    told, folder = run
    done = run_cli("verify", str(folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "steps 1 to 12, made again from the beginning: the same bits",
        f"parameters sha256 {told['parameters_sha256']}",
    ]


def test_a_range_begins_at_the_nearest_checkpoint_by_the_job_s_id(run) -> None:  # type: ignore[no-untyped-def]
    told, folder = run
    done = run_cli("verify", told["job"], "--home", str(folder.parents[1]), "--steps", "5:8", "--json")
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["same"], verdict["first"], verdict["last"], verdict["began"]) == (True, 5, 8, 3)
    steps, found = the(find_run(str(folder), Path("/nowhere")), 8, 9)
    assert (steps, found.began, found.differs) == ([7, 8, 9], 6, None)
    assert the(find_run(str(folder / "jobs" / told["job"]), Path("/nowhere")), 12)[1].began == 11


def test_the_first_step_that_differs_is_named(run) -> None:  # type: ignore[no-untyped-def]
    kept = find_run(str(run[1]), Path("/nowhere"))
    other = {**kept.chains, **dict.fromkeys(range(7, 13), "0" * 32)}
    steps, verdict = the(replace(kept, chains=other))
    assert (steps, verdict.differs, verdict.because) == ([1, 2, 3, 4, 5, 6, 7], 7, ())
    assert (
        the(replace(kept, chains=other), 12)[1].differs == 11
    )  # the checkpoint it begins from is of other bits


def test_options_that_were_changed_on_the_way_are_changed_again(run) -> None:  # type: ignore[no-untyped-def]
    """The run had none, so its bits end where one is claimed."""
    kept = find_run(str(run[1]), Path("/nowhere"))
    claimed = replace(kept.job, options_history=(OptionsChanged(4, {"lr": 0.5}),))
    _, verdict = the(replace(kept, job=claimed))
    assert verdict.differs == 5
    assert verdict.because == ("options changed on the way: [] and [[4, {'lr': 0.5}]]",)


def test_what_was_changed_since_is_told_with_the_step(tmp_path: Path) -> None:
    told, folder = trained(tmp_path)
    code = folder / "jobs" / told["job"] / "code"
    (code / "parts_of_it.py").write_text("ONE = 1.001\n")
    done = run_cli("verify", str(folder))
    assert done.returncode == 1
    first, *because = done.stdout.splitlines()
    assert first == "step 1 has other bits, made again from the beginning"
    assert [line.partition(": ")[2].partition(": ")[0] for line in because] == ["code, parts_of_it.py"]
    (code / "again.py").write_text("import nothing_of_that_name\n")
    done = run_cli("verify", str(folder))
    assert (done.returncode, done.stdout) == (1, "")
    assert "the job's code can't be run again: ModuleNotFoundError" in done.stderr


def test_a_step_is_made_again_with_gradients_and_a_picture(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    told, folder = run
    done = run_cli("replay", str(folder), "--step", "12", "--json", "--picture", str(tmp_path / "x.svg"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["same"], found["anomaly"], found["error"]) == (True, "", "")
    assert found["metrics"] == told["train_metrics"]
    root = ElementTree.parse(tmp_path / "x.svg").getroot()
    assert root.tag.endswith("svg") and "Addmm" in "".join(root.itertext())
    # Plain SGD: the gradient is the difference of two checkpoints over the rate.
    folder = folder / "jobs" / told["job"] / "checkpoints"
    before, after = (checkpoints.read(folder / f"step-{n:08d}").model for n in (11, 12))
    assert found["gradient_norms"].keys() == before.keys()
    for name, norm in found["gradient_norms"].items():
        assert norm == pytest.approx(np.linalg.norm(before[name] - after[name]) / 0.1, rel=1e-3)


def test_a_step_that_ended_a_job_is_looked_at_closely(tmp_path: Path) -> None:
    told, folder = trained(tmp_path, "--set", "poison=true")
    assert told["state"] == "FAILED" and told["error"]["reason"] == "NON_FINITE_LOSS"
    line = 1 + next(i for i, text in enumerate(JOB.splitlines()) if "sqrt()" in text)
    assert f"Sqrt made NaN (again.py, line {line}, in loss)" in told["error"]["message"]
    step = told["steps"] + 1
    assert step > 1
    done = run_cli("replay", str(folder), "--step", str(step))
    assert done.returncode == 1
    assert "error: " + told["error"]["message"] in done.stdout
    assert "anomaly: Function 'SqrtBackward0' returned nan values" in done.stdout
    assert (folder / "jobs" / told["job"] / f"step-{step:08d}.svg").is_file()
    assert the(find_run(str(folder), Path("/nowhere")))[1].differs is None


def test_what_is_not_there_is_said(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    _, folder = run
    kept = find_run(str(folder), tmp_path)
    for what, message in (
        ("nothing", "there is no folder nothing, and no job of that id"),
        (str(tmp_path), "is no folder of a run"),
    ):
        with pytest.raises(RunNotFoundError, match=message):
            find_run(what, tmp_path)
    for first, last in ((0, 3), (4, 3), (1, 13)):
        with pytest.raises(RunNotFoundError, match="the run told of steps 1 to 12"):
            list(verify(kept, first, last))
    for step in (0, 13):
        with pytest.raises(RunNotFoundError, match=f"step {step} was not made"):
            replay(kept, step, tmp_path / "x.svg")
    for arguments, message in (
        (("verify", "nothing", "--home", str(tmp_path)), "there is no folder nothing"),
        (("verify", str(folder), "--steps", "a:b"), "expected A:B"),
    ):
        done = run_cli(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
