"""Jobs on real Ray workers: the oracle's bits at every number of them, through kill -9, hangs, failures and stops."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradwire.training import load_job, train_solo
from tests.workers.crews import JOBS, oracle
from tests.workers.test_matrix import MODELS, SIZES

DRIVER = Path(__file__).parent / "ray_driver.py"
MLP = JOBS / "mlp.py"
Run = list[dict[str, Any]]


def on_ray(folder: Path, job: Path, *runs: dict[str, Any], timeout_s: float = 280.0) -> list[Run]:
    """What each of the runs reported, one after the other on one cluster."""
    command = [sys.executable, str(DRIVER), str(folder / "home"), str(job), json.dumps({"runs": runs})]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    result: list[Run] = [[]]
    for report in reports[1:]:
        result[-1].append(report)
        if report["kind"] == "Left":
            result.append([])
    return result[:-1]


def of(run: Run, kind: str) -> Run:
    return [report for report in run if report["kind"] == kind]


def steps_once(run: Run) -> list[dict[str, float]]:
    """The metrics of the steps, in order, the first time each was told, which is all that the service keeps."""
    seen: list[dict[str, float]] = []
    for report in of(run, "StepFinished"):
        if report["step"] == len(seen) + 1:
            seen.append(report["metrics"])
        else:
            assert report["metrics"] == seen[report["step"] - 1]  # told again: the same bits
    return seen


def chatty(folder: Path, extra: str = "", before: str = "", sleep_s: float = 0.02) -> Path:
    """mlp.py, which also says its process, and takes its time over a shard."""
    text = MLP.read_text().replace(
        "    def model(self):\n",
        "    def model(self):\n        import os\n        print('pid', os.getpid())\n",
    )
    text = text.replace(
        "        x, y = batch\n",
        f"        import time\n        time.sleep({sleep_s})\n        x, y = batch\n{extra}",
    )
    path = folder / "chatty.py"
    path.write_text(before + text)
    return path


pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_each_number_of_workers_ends_with_the_bits_of_the_reference(tmp_path: Path) -> None:
    """The part of tests/workers/test_matrix.py that needs a cluster."""
    asked = [*(("mlp", w) for w in SIZES), *((model, w) for model in MODELS[1:] for w in (2, 3))]
    runs = on_ray(tmp_path, MLP, *({"workers": w, "job": str(JOBS / f"{model}.py")} for model, w in asked))
    for (model, _), run in zip(asked, runs, strict=True):
        expected = oracle(model)
        (finished,) = of(run, "Finished")
        assert finished["parameters_sha256"] == expected.parameters_sha256
        assert steps_once(run) == expected.history
    assert runs[0][-1]["files"] == ["step-00000008", "step-00000010", "step-00000012"]


def test_workers_lost_by_kill_9_or_a_hang_are_replaced_and_the_bits_are_the_same(tmp_path: Path) -> None:
    job = chatty(tmp_path)
    runs = on_ray(
        tmp_path,
        job,
        {"workers": 3, "harm": "kill", "at": 5, "rank": 1},
        {"workers": 2, "harm": "kill", "at": 1, "rank": 0},
        {"workers": 3, "harm": "stop", "at": 4, "rank": 2, "deadline_s": 5.0},
    )
    expected = train_solo(load_job(MLP))
    for run, words in zip(runs, ("worker 1 was lost", "worker 0 was lost", "worker 2 was lost"), strict=True):
        (finished,) = of(run, "Finished")
        assert finished["parameters_sha256"] == expected.parameters_sha256
        assert steps_once(run) == expected.history
        warned = of(run, "Warned")[0]
        assert warned["reason"] == "WORKER_LOST"
        assert words in warned["message"]
        first, shrunk, *_ = of(run, "Formed")
        assert (
            shrunk["workers"] == first["workers"] - 1
        )  # the rest goes on at once, and no step is made again
        assert [report["step"] for report in of(run, "StepFinished")] == list(range(1, 13))


def test_a_rank_that_raises_fails_the_job_with_its_own_traceback_and_nobody_is_lost(tmp_path: Path) -> None:
    extra = "        if counted(x):\n            raise ValueError('seven is too many')\n"
    before = "STEPS = []\n\n\ndef counted(x):\n    STEPS.append(x)\n    return len(STEPS) == 7\n\n\n"
    job = chatty(tmp_path, extra, before)
    (run,) = on_ray(tmp_path, job, {"workers": 3})
    (failed,) = of(run, "Failed")
    assert (failed["reason"], failed["message"]) == ("USER_CODE", "ValueError: seven is too many")
    assert "chatty.py" in failed["traceback"]
    assert "gradwire/" not in failed["traceback"]
    assert "ray/" not in failed["traceback"]
    assert of(run, "Warned") == []
    assert run[-2] == failed


def test_a_stop_ends_a_job_soon_without_a_result_or_half_a_checkpoint(tmp_path: Path) -> None:
    job = chatty(tmp_path, sleep_s=0.1)
    (run,) = on_ray(tmp_path, job, {"workers": 2, "harm": "cancel", "at": 3})
    (harm,), (stopped,) = of(run, "Harm"), of(run, "Stopped")
    assert stopped["at"] - harm["at"] < 5
    assert of(run, "Finished") + of(run, "Failed") + of(run, "Warned") == []
    assert all(name.startswith("step-") for name in run[-1]["files"])


def test_every_printed_line_comes_with_its_rank_before_the_end(tmp_path: Path) -> None:
    extra = "        import sys\n        print('out', float(y.float().sum()))\n        print('err', file=sys.stderr, flush=True)\n"
    (run,) = on_ray(
        tmp_path, chatty(tmp_path, extra, sleep_s=0.0), {"workers": 2, "overrides": {"epochs": "1"}}
    )
    lines = of(run, "LogLine")
    # 4 steps of 8 shards, the last with 5 rows only, and 2 evaluation batches, the second with 5 rows.
    calls = 3 * 8 + 5 + 8 + 5
    assert len([x for x in lines if x["stream"] == "stdout" and x["text"].startswith("out ")]) == calls
    assert len([x for x in lines if x["stream"] == "stderr" and x["text"] == "err"]) == calls
    assert {x["rank"] for x in lines} == {0, 1}
    assert run[-2]["kind"] == "Finished"


@pytest.mark.slow
def test_a_job_that_kills_its_worker_every_time_is_given_up(tmp_path: Path) -> None:
    extra = "        import glob, os\n        if glob.glob('run-0/checkpoints/step-*'):\n            os._exit(9)\n"
    (run,) = on_ray(tmp_path, chatty(tmp_path, extra, sleep_s=0.0), {"workers": 1, "losses_limit": 3})
    (failed,) = of(run, "Failed")
    assert failed["reason"] == "WORKERS_LOST"
    # No attempt gets beyond the step after the checkpoint of step 2; whether that one was told in the instant before the
    # first kill is chance.
    assert len([w for w in of(run, "Warned") if w["reason"] == "WORKER_LOST"]) in (4, 5)
    assert [report["step"] for report in of(run, "StepFinished")] == [1, 2]
    assert [report["step"] for report in of(run, "CheckpointWritten")] == [2]
    assert run[-1]["files"] == ["step-00000002"]
