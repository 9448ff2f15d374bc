"""A rank dies or stalls at every named place between two states: no step is lost, none is told twice, the bits stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradwire.workers.faults import POINTS, Fault, FaultPoints
from gradwire.workers.reports import CheckpointWritten, Formed, StepFinished
from tests.workers.crews import run_job

AT_FORMATION = ("loaded", "connecting", "connected", "told-status", "handed-over")
"""Reached while the first group forms; the others in the making of a step, or after it."""
ON_RECOVERY = ("finished-forward",)
ASIDE = ("writing", "written")
"""Reached by a thread beside the member's life; only a process dies of it."""


def step_of(point: str) -> int:
    if point in AT_FORMATION:
        return 1
    return {"leaving": 12, "computed-a-leaf": 3}.get(
        point, 4
    )  # the fourth step ends an epoch, and has few rows


@pytest.mark.parametrize("member", [0, 1, 2])
@pytest.mark.parametrize("point", [p for p in POINTS if p not in (*ON_RECOVERY, *ASIDE)])
def test_a_death_at_any_place_costs_no_step_and_no_bit(point: str, member: int, tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 3, faults=[Fault(member, point, step_of(point))])
    ran.is_the_oracle_s("mlp")
    if point != "leaving":  # the job is over for the others then
        assert f"worker {member} was lost" in ran.warnings[0]
    if point not in AT_FORMATION:
        assert not any("checkpoint" in text for text in ran.warnings)
    steps = [report.step for report in ran.of(CheckpointWritten)]
    # What was on its way to storage when its writer died is lost, unless it is of the step at which the others go on.
    assert steps == sorted(set(steps))
    assert {6, 8, 10, 12} <= set(steps)


@pytest.mark.parametrize("point", ["reduced", "prepared", "passed", "gathered", "evaluated", "captured"])
@pytest.mark.parametrize("name", ["norm", "cycle"])
@pytest.mark.parametrize("workers", [2, 5])
def test_other_models_at_other_sizes_too(name: str, point: str, workers: int, tmp_path: Path) -> None:
    ran = run_job(name, tmp_path, workers, faults=[Fault(workers - 1, point, 4)])
    ran.is_the_oracle_s(name)


@pytest.mark.parametrize(
    "second",
    ["connecting", "connected", "told-status", "finished-forward", "handed-over", "computed", "passed"],
)
@pytest.mark.parametrize("first", ["computed-a-leaf", "passed"])
def test_a_second_death_while_the_first_is_mended_costs_nothing_either(
    first: str, second: str, tmp_path: Path
) -> None:
    """Ranks 1 and 3 of 6 hold no slice between them, so each lives on with a neighbour."""
    count = 1 if second == "finished-forward" else 2 if second in ("computed", "passed") else 1
    step = 4
    faults = [Fault(1, first, step), Fault(3, second, step, count=count)]
    ran = run_job("mlp", tmp_path, 6, faults=faults)
    ran.is_the_oracle_s("mlp")


def test_deaths_one_after_the_other_down_to_a_single_worker_are_survived(tmp_path: Path) -> None:
    faults = [Fault(0, "reduced", 2), Fault(3, "passed", 4), Fault(1, "gathered", 6), Fault(2, "computed", 9)]
    ran = run_job("mlp", tmp_path, 4, faults=faults)
    ran.is_the_oracle_s("mlp")
    assert len(ran.warnings) == 4


def test_where_both_copies_of_a_slice_are_gone_the_newest_checkpoint_helps(tmp_path: Path) -> None:
    faults = [Fault(1, "reduced", 6), Fault(2, "connecting", 6)]
    ran = run_job("mlp", tmp_path, 4, faults=faults)
    ran.is_the_oracle_s("mlp")
    assert any("going on from the newest checkpoint" in text for text in ran.warnings)


def test_when_all_die_at_once_others_go_on_from_the_newest_checkpoint(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 2, faults=[Fault(0, "computing", 6), Fault(1, "computing", 6)])
    ran.is_the_oracle_s("mlp")


def test_without_live_copies_a_death_goes_back_to_the_checkpoint(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 3, faults=[Fault(1, "computed", 6)], live_copies=False)
    ran.is_the_oracle_s("mlp")
    assert any("newest checkpoint" in text for text in ran.warnings)


def test_only_the_missing_leaves_are_computed_again(tmp_path: Path) -> None:
    """Of 8 shards 3 ranks have 2, 3 and 3; who dies after all were computed leaves those of one rank to do."""
    line = "        if model.training:\n            open(__file__ + '.seen', 'a').write('x')\n"

    def seen(folder: Path, faults: list[Fault]) -> int:
        folder.mkdir()
        job = changed(folder, line)
        run_job(job, folder, 3, faults=faults).is_the_oracle_s("mlp")
        return len(Path(f"{job}.seen").read_text())

    assert seen(tmp_path / "a", []) == 3 * (3 * 8 + 5)  # the last batch of an epoch has 5 rows
    assert seen(tmp_path / "b", [Fault(1, "reduced", 2)]) == 3 * (3 * 8 + 5) + 3


def test_a_rank_that_stalls_is_named_with_its_place_and_replaced(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 3, faults=[Fault(2, "computed-a-leaf", 5, "hang")], deadline_s=1.0)
    ran.is_the_oracle_s("mlp")
    (text,) = ran.warnings
    assert "worker 2 was lost" in text
    assert "reduce-scatter" in text


def test_a_job_that_kills_its_worker_again_and_again_is_given_up(tmp_path: Path) -> None:
    faults = [Fault(member, "computing", 3) for member in range(20)]
    ran = run_job("mlp", tmp_path, 1, faults=faults, supervisor={"losses_limit": 3})
    assert type(ran.reports[-1]).__name__ == "Failed"
    assert [r.step for r in ran.of(StepFinished)] == [1, 2]


@pytest.mark.parametrize("point", ["connected", "computing", "reduced", "passed", "gathered", "captured"])
def test_real_processes_killed_with_signal_9_at_these_places(point: str, tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 3, "processes", faults=[Fault(1, point, step_of(point))])
    ran.is_the_oracle_s("mlp")
    assert "worker 1 was lost" in ran.warnings[0]


@pytest.mark.long  # two minutes of processes for each transport
@pytest.mark.parametrize("kind", ["processes", "processes_over_sockets"])
@pytest.mark.parametrize("member", [0, 1, 2])
@pytest.mark.parametrize("point", [p for p in POINTS if p not in ON_RECOVERY])
def test_real_processes_killed_at_every_place_on_both_transports(
    point: str, member: int, kind: str, tmp_path: Path
) -> None:
    step = 2 if point in ASIDE else step_of(point)
    run_job("mlp", tmp_path, 3, kind, faults=[Fault(member, point, step)]).is_the_oracle_s("mlp")


@pytest.mark.parametrize("point", ASIDE)
def test_a_writer_killed_while_it_writes_leaves_nothing_half(point: str, tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 2, "processes", faults=[Fault(0, point, 4)])
    ran.is_the_oracle_s("mlp")
    assert {6, 8, 10, 12} <= {report.step for report in ran.of(CheckpointWritten)}
    names = sorted(
        path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith("step-")
    )
    assert names == ["step-00000008", "step-00000010", "step-00000012"]


def test_a_stopped_process_is_found_by_its_silence(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 3, "processes", faults=[Fault(0, "reduced", 5, "hang")], deadline_s=1.5)
    ran.is_the_oracle_s("mlp")
    assert "worker 0 was lost: it does not answer" in ran.warnings[0]


def test_a_replacement_joins_at_a_step_boundary(tmp_path: Path) -> None:
    job = changed(tmp_path, "        import time\n\n        time.sleep(0.03)\n")
    ran = run_job(job, tmp_path, 3, faults=[Fault(1, "reduced", 2)])
    assert [(f.workers) for f in ran.of(Formed)][:3] == [3, 2, 3]
    ran.is_the_oracle_s("mlp")


def changed(folder: Path, lines: str) -> Path:
    """mlp.py with more lines at the beginning of its loss."""
    text = (Path(__file__).parent / "jobs" / "mlp.py").read_text()
    path = folder / "changed.py"
    path.write_text(text.replace("        x, y = batch\n", lines + "        x, y = batch\n"))
    return path


def test_a_fault_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such fault"):
        FaultPoints([Fault(0, "nowhere", 1)], 0)
