"""What local_program.py runs: the whole job in this one process, by the plain loop of gradwire.training."""

import hashlib
import json
import os
import shutil
import sys
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gradwire
from gradwire.services.launcher import Launch
from gradwire.services.local_program import Tell, run
from gradwire.training import JobFileError, LossError, Plan, load_job, train_solo
from gradwire.training.solo import NonFiniteLoss, state_arrays
from gradwire.workers import reports as w

_OWN_FOLDER = str(Path(gradwire.__file__).parent)
_SERVICE_FOLDERS = (_OWN_FOLDER, str(Path(__file__).parent))


def train(launch: Launch, tell: Tell) -> None:
    """Trains the job to its end, reporting as it goes; a failure is a report too."""
    try:
        job = load_job(launch.job_file, launch.overrides)
    except JobFileError as error:
        tell(w.Failed("INVALID_JOB_FILE", str(error), ""))
        return
    except Exception as error:
        message = f"{launch.entrypoint} could not be imported: {type(error).__name__}: {error}"
        tell(w.Failed("INVALID_JOB_FILE", message, _user_traceback(error)))
        return
    try:
        started, last = False, time.perf_counter()

        def on_step(plan: Plan, step: int, metrics: dict[str, float]) -> None:
            nonlocal started, last
            if not started:
                tell(w.Started(plan.total_steps, plan.epochs))
                started = True
            now = time.perf_counter()
            seconds, last = now - last, now
            tell(
                w.StepFinished(step + 1, plan.epoch_of(step) + 1, metrics, plan.batch_samples(step), seconds)
            )

        def on_evaluation(plan: Plan, step: int, metrics: dict[str, float]) -> None:
            nonlocal last
            tell(w.EvaluationFinished(step + 1, plan.epoch_of(step) + 1, metrics, plan.n_eval))
            last = time.perf_counter()

        result = train_solo(
            job, launch.shards, launch.device, launch.threads_per_worker, on_step, on_evaluation
        )
        path = _write_checkpoint(launch, result.steps, state_arrays(result.model), result.parameters_sha256)
        tell(w.CheckpointWritten(result.steps, str(path), result.parameters_sha256))
        tell(w.Finished(result.parameters_sha256, str(path)))
    except (JobFileError, LossError) as error:
        tell(w.Failed("INVALID_JOB_FILE", str(error), ""))
    except NonFiniteLoss as error:
        tell(w.Failed("NON_FINITE_LOSS", str(error), ""))
    except Exception as error:
        tell(w.Failed("USER_CODE", f"{type(error).__name__}: {error}", _user_traceback(error)))


def _user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without frames of gradwire and of the import machinery."""

    def own(frame: traceback.FrameSummary) -> bool:
        return frame.filename.startswith(_SERVICE_FOLDERS) or "importlib" in frame.filename

    told = traceback.TracebackException.from_exception(error)
    current: traceback.TracebackException | None = told
    while current is not None:
        kept = [frame for frame in current.stack if not own(frame)]
        current.stack = traceback.StackSummary.from_list(kept)
        current = current.__cause__ or current.__context__
    return "".join(told.format())


def _write_checkpoint(launch: Launch, step: int, state: Mapping[str, Any], sha256: str) -> Path:
    from safetensors.numpy import save

    body = save(dict(state))
    target = launch.checkpoints / f"step-{step:08d}"
    if target.exists():
        return target
    aside = launch.checkpoints / f".tmp-{target.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    files = [{"name": "model.safetensors", "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}]
    manifest = {
        "format": 1,
        "step": step,
        "parameters_sha256": sha256,
        "created": datetime.now(UTC).isoformat(),
        "files": files,
    }
    for name, content in (("model.safetensors", body), ("manifest.json", json.dumps(manifest).encode())):
        with open(aside / name, "xb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    aside.rename(target)
    return target


if __name__ == "__main__":
    sys.exit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
