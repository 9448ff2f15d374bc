"""Growing, shrinking, pausing and changing options of a running job, at step boundaries: the same bits as ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradwire.workers.crew import Crew
from gradwire.workers.faults import Fault
from gradwire.workers.reports import Formed, OptionsChanged, Paused, Report, StepFinished, Warned
from gradwire.workers.supervisor import Supervisor
from tests.workers.crews import JOBS, run_job


def at_step(step: int, do: object):  # type: ignore[no-untyped-def]
    """Calls do(supervisor) when that step is reported, once."""
    done: list[int] = []

    def on_report(supervisor: Supervisor, crew: Crew, report: Report) -> None:
        if isinstance(report, StepFinished) and report.step == step and not done:
            done.append(step)
            do(supervisor)  # type: ignore[operator]

    return on_report


def slow(folder: Path, name: str = "mlp", seconds: float = 0.02) -> Path:
    text = (JOBS / f"{name}.py").read_text()
    path = folder / f"slow_{name}.py"
    path.write_text(
        text.replace(
            "    def loss(self, model, batch):\n",
            f"    def loss(self, model, batch):\n        import os, time\n\n"
            f"        if not os.path.exists(__file__ + '.fast'):\n            time.sleep({seconds})\n",
        )
    )
    return path


@pytest.mark.parametrize("kind", ["threads", "processes"])
@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1), (2, 5), (4, 3)])
def test_a_resized_job_ends_with_the_same_bits(kind: str, before: int, after: int, tmp_path: Path) -> None:
    # A second for a step until the others are there, however long a process takes to start.
    job = slow(tmp_path, seconds=0.12 * before if kind == "processes" else 0.02)

    def on_report(supervisor: Supervisor, crew: Crew, report: Report) -> None:
        if isinstance(report, StepFinished) and report.step == 2:
            supervisor.resize(after)
        if isinstance(report, Formed) and report.workers == after:
            Path(f"{job}.fast").touch()

    ran = run_job(job, tmp_path, before, kind, on_report=on_report)
    ran.is_the_oracle_s("mlp")
    assert [f.workers for f in ran.of(Formed)] == [before, after]
    assert ran.warnings == []
    assert ran.of(StepFinished)[-1].workers == after


@pytest.mark.parametrize("name", ["norm", "cycle"])
def test_other_models_are_resized_too_again_and_again(name: str, tmp_path: Path) -> None:
    def on_report(supervisor: Supervisor, crew: Crew, report: Report) -> None:
        if isinstance(report, StepFinished):
            supervisor.resize(report.step * 7 % 5 + 1)

    ran = run_job(slow(tmp_path, name), tmp_path, 2, on_report=on_report)
    ran.is_the_oracle_s(name)
    assert len(ran.of(Formed)) > 3


def test_a_death_in_the_middle_of_a_resize_costs_nothing(tmp_path: Path) -> None:
    for number, point in enumerate(("connecting", "connected", "told-status", "handed-over")):
        folder = tmp_path / point
        folder.mkdir()
        faults = [Fault(member, point, step, count=1) for member in (1, 3) for step in (4, 5)]
        ran = run_job(slow(folder), folder, 3, faults=faults, on_report=at_step(2, lambda s: s.resize(4)))
        ran.is_the_oracle_s("mlp")
        assert number < 4


def test_a_paused_job_leaves_a_checkpoint_of_the_very_step_and_goes_on_from_it(tmp_path: Path) -> None:
    first = run_job(slow(tmp_path), tmp_path, 3, on_report=at_step(5, lambda s: s.pause()))
    (paused,) = first.of(Paused)
    assert first.reports[-1] is paused
    assert paused.step == first.of(StepFinished)[-1].step < 12
    assert Path(paused.checkpoint).name == f"step-{paused.step:08d}"
    second = run_job("mlp", tmp_path, 2)
    second.is_the_oracle_s("mlp")
    assert second.of(Formed)[0].step == paused.step


def test_a_pause_whose_first_rank_dies_is_asked_for_again(tmp_path: Path) -> None:
    faults = [Fault(0, point, 7) for point in ("prepared",)]
    first = run_job(slow(tmp_path), tmp_path, 3, faults=faults, on_report=at_step(6, lambda s: s.pause()))
    assert len(first.of(Paused)) == 1
    run_job("mlp", tmp_path, 2).is_the_oracle_s("mlp")


@pytest.mark.parametrize("point", ["loaded", "connecting", "connected", "told-status", "handed-over"])
def test_a_death_before_the_first_group_is_whole_goes_back_no_further_than_the_checkpoint(
    point: str, tmp_path: Path
) -> None:
    first = run_job(slow(tmp_path), tmp_path, 3, on_report=at_step(5, lambda s: s.pause()))
    (paused,) = first.of(Paused)
    second = run_job("mlp", tmp_path, 3, faults=[Fault(1, point, 1)])
    second.is_the_oracle_s("mlp")
    assert min(f.step for f in second.of(Formed)) == paused.step


@pytest.mark.parametrize("action", ["kill", "hang"])
def test_a_death_among_those_who_leave_after_a_pause_does_not_hold_it_up(action: str, tmp_path: Path) -> None:
    faults = [Fault(1, "leaving", step, action) for step in range(6, 13)]
    first = run_job(slow(tmp_path), tmp_path, 3, faults=faults, on_report=at_step(5, lambda s: s.pause()))
    assert isinstance(first.reports[-1], Paused)
    run_job("mlp", tmp_path, 2).is_the_oracle_s("mlp")


def test_a_pause_that_can_t_be_written_is_told_and_the_job_goes_on(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    ran = run_job(slow(tmp_path), tmp_path, 2, on_report=at_step(3, lambda s: s.pause()))
    ran.is_the_oracle_s("mlp")
    assert "PAUSE_FAILED" in [report.reason for report in ran.of(Warned)]


def test_a_new_learning_rate_holds_from_a_step_boundary_on_through_deaths_and_restarts(
    tmp_path: Path,
) -> None:
    change = {"lr": 0.05}
    whole = run_job(slow(tmp_path), tmp_path / "a", 2, on_report=at_step(4, lambda s: s.update(change)))
    (changed,) = whole.of(OptionsChanged)
    assert changed.options == change
    assert 4 < changed.step < 12
    # Again, with the change known from the beginning, at another size; with deaths; and from a checkpoint before it.
    history = {"history": [changed]}
    again = run_job("mlp", tmp_path / "b", 3, supervisor=history)
    assert (again.sha256, again.history) == (whole.sha256, whole.history)
    faults = [Fault(0, "passed", changed.step), Fault(2, "gathered", changed.step + 1)]
    harmed = run_job("mlp", tmp_path / "c", 4, supervisor=history, faults=faults)
    assert (harmed.sha256, harmed.history) == (whole.sha256, whole.history)
    all_die = [Fault(member, "computing", changed.step + 2) for member in (0, 1)]
    restarted = run_job("mlp", tmp_path / "d", 2, supervisor=history, faults=all_die)
    assert (restarted.sha256, restarted.history) == (whole.sha256, whole.history)
    assert whole.sha256 != run_job("mlp", tmp_path / "e", 2).sha256


@pytest.mark.parametrize("point", ["computing", "reduced", "prepared", "passed", "gathered", "committed"])
def test_an_order_is_carried_out_once_whenever_the_first_rank_dies(point: str, tmp_path: Path) -> None:
    """The order goes out with some step after the fourth; rank 0 dies in the sixth."""
    ran = run_job(
        slow(tmp_path),
        tmp_path / "x",
        3,
        faults=[Fault(0, point, 6)],
        on_report=at_step(4, lambda s: s.update({"lr": 0.05})),
    )
    (changed,) = ran.of(OptionsChanged)
    again = run_job("mlp", tmp_path / "y", 1, supervisor={"history": [changed]})
    assert (ran.sha256, ran.history) == (again.sha256, again.history)


def test_leaves_move_from_a_slow_rank_to_fast_ones_and_no_bit_changes(tmp_path: Path) -> None:
    text = (JOBS / "mlp.py").read_text()
    lines = """        import threading
        import time

        name = threading.current_thread().name
        if model.training:
            open(f"{__file__}.{name}", "a").write("x")
        time.sleep(0.02 if name == "member-1" else 0.001)
"""
    job = tmp_path / "uneven.py"
    job.write_text(text.replace("        x, y = batch\n", lines + "        x, y = batch\n"))
    overrides = {"epochs": "9"}
    ran = run_job(job, tmp_path, 2, overrides=overrides)
    assert ran.sha256 == run_job("mlp", tmp_path / "even", 1, overrides=overrides).sha256
    seen = {name: len(Path(f"{job}.member-{name}").read_text()) for name in (0, 1)}
    assert seen[1] < 0.65 * seen[0]


def test_a_warm_spare_takes_a_lost_one_s_place_at_once(tmp_path: Path) -> None:
    ran = run_job(slow(tmp_path), tmp_path, 3, faults=[Fault(1, "reduced", 5)], supervisor={"spares": 1})
    ran.is_the_oracle_s("mlp")
    assert [f.workers for f in ran.of(Formed)][:2] == [3, 3]


def test_a_stop_ends_it_soon_without_a_result(tmp_path: Path) -> None:
    ran = run_job(slow(tmp_path, seconds=0.1), tmp_path, 3, on_report=at_step(2, lambda s: s.stop("enough")))
    assert len(ran.of(StepFinished)) < 5
    assert type(ran.reports[-1]).__name__ not in ("Finished", "Failed")
