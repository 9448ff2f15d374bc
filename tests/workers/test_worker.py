"""Ranks as threads and over sockets against the oracle, gradwire.training.train_solo: every bit the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gradwire.training import SoloResult, load_job, parameters_sha256, train_solo
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Failed,
    Finished,
    Started,
    StepFinished,
)
from gradwire.workers.worker import End
from tests.workers.groups import TRANSPORTS, form_group
from tests.workers.ranks import JOBS, Ran, run_ranks, spec_of


@cache
def oracle(name: str, shards: int = 8) -> SoloResult:
    return train_solo(load_job(JOBS / f"{name}.py"), shards)


@pytest.mark.parametrize("kind", TRANSPORTS)
@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("name", ["mlp", "norm"])
def test_any_number_of_ranks_ends_with_the_bits_of_the_oracle(
    kind: str, world_size: int, name: str, tmp_path: Path
) -> None:
    ran = run_ranks(spec_of(JOBS / f"{name}.py", tmp_path), form_group(kind, world_size))
    assert [e.end for e in ran.ends] == [End.FINISHED] * world_size, ran.reports
    assert ran.sha256 == oracle(name).parameters_sha256
    steps = [r for r in ran.of(StepFinished) if isinstance(r, StepFinished)]
    assert [r.metrics for r in steps] == oracle(name).history


def test_a_number_of_shards_that_is_no_power_of_two_works_as_well(tmp_path: Path) -> None:
    ran = run_ranks(spec_of(JOBS / "mlp.py", tmp_path, shards=7), form_group("in_process", 5))
    assert ran.sha256 == oracle("mlp", 7).parameters_sha256


def test_reports_come_in_order_and_from_rank_0_alone(tmp_path: Path) -> None:
    ran = run_ranks(spec_of(JOBS / "mlp.py", tmp_path), form_group("in_process", 2))
    assert ran.reports[1] == []
    kinds = [type(r).__name__ for r in ran.reports[0]]
    step, both = ["StepFinished"], ["StepFinished", "CheckpointWritten"]
    epoch = [*step, *both, *step, "StepFinished", "EvaluationFinished"]
    assert kinds == [
        "Started",
        *(*epoch, "CheckpointWritten"),
        *(*step, *both, *step, "StepFinished", "EvaluationFinished", "CheckpointWritten"),
        *(*epoch, "CheckpointWritten"),
        "Finished",
    ]
    assert ran.of(Started) == [Started(total_steps=12, epochs=3)]
    steps = [r for r in ran.of(StepFinished) if isinstance(r, StepFinished)]
    assert [(r.step, r.epoch, r.samples) for r in steps] == [
        (n, (n - 1) // 4 + 1, 5 if n % 4 == 0 else 24) for n in range(1, 13)
    ]
    (*_, last) = (r for r in ran.of(EvaluationFinished) if isinstance(r, EvaluationFinished))
    assert (last.metrics, last.samples) == (oracle("mlp").evaluation, 29)


def test_a_checkpoint_holds_what_the_report_says(tmp_path: Path) -> None:
    ran = run_ranks(spec_of(JOBS / "norm.py", tmp_path), form_group("in_process", 3))
    (finished,) = ran.of(Finished)
    assert isinstance(finished, Finished)
    read = checkpoints.read(Path(finished.checkpoint))
    assert parameters_sha256(read.model) == finished.parameters_sha256 == oracle("norm").parameters_sha256
    assert read.optimizer["first.weight/momentum_buffer"].shape == (16, 5)
    assert read.step_counts["first.weight"] == 12
    assert 0 < read.step_counts["rare.weight"] < 12


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 2), (4, 1)])
@pytest.mark.parametrize("name", ["mlp", "norm", "cycle"])
def test_going_on_from_any_checkpoint_with_other_ranks_gives_the_same_bits(
    before: int, after: int, name: str, tmp_path: Path
) -> None:
    spec = spec_of(JOBS / f"{name}.py", tmp_path)
    first = run_ranks(spec, form_group("in_process", before))
    written = [r for r in first.of(CheckpointWritten) if isinstance(r, CheckpointWritten)][-3:]
    for report in written:
        again = run_ranks(spec, form_group("in_process", after), resume=report.path)
        assert again.sha256 == oracle(name).parameters_sha256
        steps = [r for r in again.of(StepFinished) if isinstance(r, StepFinished)]
        assert [r.metrics for r in steps] == oracle(name).history  # the earlier ones are told again


def job_file(folder: Path, name: str, body: str) -> Path:
    """A job like mlp.py with another loss."""
    text = (JOBS / "mlp.py").read_text()
    path = folder / f"{name}.py"
    path.write_text(text[: text.index("    def loss(")] + body)
    return path


def failed(ran: Ran) -> tuple[int, Failed]:
    ((rank, report),) = [
        (r, x) for r, reports in enumerate(ran.reports) for x in reports if isinstance(x, Failed)
    ]
    return rank, report


@pytest.mark.parametrize("kind", TRANSPORTS)
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
    ran = run_ranks(spec_of(path, tmp_path / "c"), form_group(kind, 4))
    rank, report = failed(ran)
    assert (report.reason, report.message) == ("USER_CODE", "KeyError: 'seven'")
    frames = [line.strip() for line in report.traceback.splitlines() if line.startswith("  File")]
    assert [(str(path) in f, f.rpartition(" ")[2]) for f in frames] == [(True, "loss"), (True, "verify")]
    ends = [e.end for e in ran.ends]
    assert ends[rank] is End.FAILED
    assert set(ends[:rank] + ends[rank + 1 :]) == {End.INTERRUPTED}
    assert all("KeyError" in e.message for e in ran.ends)


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
    ran = run_ranks(
        spec_of(job_file(tmp_path, f"job_{name}", body), tmp_path / "c"), form_group("in_process", 1)
    )
    _, report = failed(ran)
    assert report.reason == reason
    assert message in report.message
    assert "gradwire" not in report.traceback.replace(str(tmp_path), "")
    if reason == "USER_CODE" or name in ("syntax", "imports"):
        assert f"job_{name}.py" in report.traceback


def test_a_job_file_that_is_not_there_is_the_user_s_mistake(tmp_path: Path) -> None:
    ran = run_ranks(spec_of(tmp_path / "none.py", tmp_path), form_group("in_process", 1))
    assert failed(ran)[1].reason == "INVALID_JOB_FILE"
