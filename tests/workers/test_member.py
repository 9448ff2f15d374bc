"""Jobs under a supervisor against the oracle, gradwire.training.train_solo: every bit the same, and every failure told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gradwire.training import parameters_sha256
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Failed,
    Finished,
    Started,
    StepFinished,
)
from tests.workers.crews import CREWS, JOBS, Ran, oracle, run_job


@pytest.mark.parametrize("kind", CREWS)
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("name", ["mlp", "norm"])
def test_any_number_of_workers_ends_with_the_bits_of_the_oracle(
    kind: str, workers: int, name: str, tmp_path: Path
) -> None:
    run_job(name, tmp_path, workers, kind).is_the_oracle_s(name)


def test_a_number_of_shards_that_is_no_power_of_two_works_as_well(tmp_path: Path) -> None:
    run_job("mlp", tmp_path, 5, shards=7).is_the_oracle_s("mlp", 7)


def test_processes_of_their_own_end_with_these_bits_too_and_their_prints_are_told(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 2, "processes")
    ran.is_the_oracle_s("mlp")


def test_reports_come_in_order_and_once(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 2)
    kinds = [type(r).__name__ for r in ran.reports if not isinstance(r, CheckpointWritten)]
    epoch = ["StepFinished"] * 4 + ["EvaluationFinished"]
    assert kinds == ["Started", "Formed", *epoch, *epoch, *epoch, "Finished"]
    written = {r.step: ran.reports.index(r) for r in ran.of(CheckpointWritten)}
    finished = {r.step: ran.reports.index(r) for r in ran.of(StepFinished)}
    assert list(written) == [2, 4, 6, 8, 10, 12]  # each some time after its step
    assert all(written[step] > finished[step] for step in written)
    assert ran.of(Started) == [Started(total_steps=12, epochs=3)]
    steps = ran.of(StepFinished)
    assert [(r.step, r.epoch, r.samples, r.workers) for r in steps] == [
        (n, (n - 1) // 4 + 1, 5 if n % 4 == 0 else 24, 2) for n in range(1, 13)
    ]
    assert all(0 < r.seconds < 60 for r in steps)
    (*_, last) = ran.of(EvaluationFinished)
    assert (last.metrics, last.samples) == (oracle("mlp").evaluation, 29)


def test_a_checkpoint_holds_what_the_report_says(tmp_path: Path) -> None:
    ran = run_job("norm", tmp_path, 3)
    (finished,) = ran.of(Finished)
    read = checkpoints.read(Path(finished.checkpoint))
    assert parameters_sha256(read.model) == finished.parameters_sha256 == oracle("norm").parameters_sha256
    assert read.optimizer["first.weight/momentum_buffer"].shape == (16, 5)
    assert read.step_counts["first.weight"] == 12
    assert 0 < read.step_counts["rare.weight"] < 12


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 2), (4, 1)])
@pytest.mark.parametrize("name", ["mlp", "norm", "cycle"])
def test_going_on_from_any_checkpoint_with_other_workers_gives_the_same_bits(
    before: int, after: int, name: str, tmp_path: Path
) -> None:
    first = run_job(name, tmp_path, before)
    for report in first.of(CheckpointWritten)[-3:]:
        folder = tmp_path / str(report.step)
        shutil.copytree(report.path, folder / "checkpoints" / Path(report.path).name)
        again = run_job(name, folder, after)
        again.is_the_oracle_s(name)  # the steps before it are told again
        assert type(again.reports[0]) is StepFinished


def job_file(folder: Path, name: str, body: str) -> Path:
    """A job like mlp.py with another loss."""
    text = (JOBS / "mlp.py").read_text()
    path = folder / f"{name}.py"
    path.write_text(text[: text.index("    def loss(")] + body)
    return path


def failed(ran: Ran) -> Failed:
    (report,) = ran.of(Failed)
    assert ran.reports[-1] is report
    return report


@pytest.mark.parametrize("kind", [*CREWS, "processes"])
def test_one_rank_that_raises_ends_all_and_is_the_one_that_failed(kind: str, tmp_path: Path) -> None:
    body = """
    def loss(self, model, batch):
        x, y = batch
        if bool((x == self.marked).all(dim=1).any()):
            self.verify(x, "seven")
        return F.cross_entropy(model(x), y)

    def verify(self, x, name):
        raise KeyError(name)

    def train_data(self):
        data = self.data(77)
        self.marked = data[70][0]
        return data
"""
    path = job_file(tmp_path, "raises", body)
    report = failed(run_job(path, tmp_path, 4, kind))
    assert (report.reason, report.message) == ("USER_CODE", "KeyError: 'seven'")
    frames = [line.strip() for line in report.traceback.splitlines() if line.startswith("  File")]
    assert [(str(path) in f, f.rpartition(" ")[2]) for f in frames] == [(True, "loss"), (True, "verify")]


@pytest.mark.parametrize(
    ("name", "body", "reason", "message"),
    [
        ("nan", "    def loss(self, model, batch):\n        return model(batch[0]).sum() * float('nan')\n",
         "NON_FINITE_LOSS", "the loss of step 1 is nan"),
        ("vector", "    def loss(self, model, batch):\n        return model(batch[0])\n",
         "INVALID_JOB_FILE", "Mlp.loss(): expected 'loss' to be a scalar"),
        ("exits", "    def loss(self, model, batch):\n        raise SystemExit(3)\n",
         "USER_CODE", "the job called sys.exit(3)"),
        ("lacks", "", "INVALID_JOB_FILE", "lacks loss(self, model, batch)"),
        ("syntax", "    def loss(self, model batch):\n        pass\n", "INVALID_JOB_FILE", "does not import: SyntaxError"),
        ("imports", "import not_there_at_all\n", "INVALID_JOB_FILE", "does not import: ModuleNotFoundError"),
        ("divides", "x = 1 / 0\n", "USER_CODE", "ZeroDivisionError: division by zero"),
    ],
)  # fmt: skip
def test_each_kind_of_failure_has_its_reason(
    name: str, body: str, reason: str, message: str, tmp_path: Path
) -> None:
    report = failed(run_job(job_file(tmp_path, f"job_{name}", body), tmp_path, 1))
    assert report.reason == reason
    assert message in report.message
    assert "gradwire" not in report.traceback.replace(str(tmp_path), "")
    if reason == "USER_CODE" or name in ("syntax", "imports"):
        assert f"job_{name}.py" in report.traceback


def test_a_job_file_that_is_not_there_is_the_user_s_mistake(tmp_path: Path) -> None:
    assert failed(run_job(tmp_path / "none.py", tmp_path, 1)).reason == "INVALID_JOB_FILE"


def test_a_step_says_how_long_of_it_was_exchange(tmp_path: Path) -> None:
    alone, together = (
        run_job("mlp", tmp_path / str(workers), workers).of(StepFinished) for workers in (1, 2)
    )
    assert all(0 <= step.exchange_seconds <= step.seconds for step in [*alone, *together])
    assert all(step.exchange_seconds > 0 for step in together)
