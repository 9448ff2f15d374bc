"""A job as a row of the store, and back. Used by store.py."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages, schema
from gradwire.services import records as r
from gradwire.services.connections import from_us, to_us
from gradwire.services.history import StoredJob
from gradwire.services.states import JobState


def add_labels(connection: Connection, sequence: int, labels: Mapping[str, str]) -> None:
    """Writes the labels of a job that has none yet."""
    if labels:
        rows = [{"job": sequence, "key": key, "value": value} for key, value in labels.items()]
        schema.INSERT_LABELS(connection, rows)


def row_of(stored: StoredJob) -> dict[str, object]:
    """The columns that may change."""
    job = stored.job
    return {
        "state": int(job.state),
        "priority": job.spec.priority,
        "start_time_us": _us(job.start_time),
        "end_time_us": _us(job.end_time),
        "workers": job.workers,
        "step": job.step,
        "total_steps": job.total_steps,
        "epochs": job.epochs,
        "evaluated_step": stored.evaluated_step,
        "checkpoint_step": stored.checkpoint_step,
        "last_event": job.last_event,
        "metrics": _write_metrics(job.metrics),
        "evaluation_metrics": _write_metrics(job.evaluation_metrics),
        "parameters_sha256": job.parameters_sha256,
        "error": None if job.error is None else messages.error_to_message(job.error).SerializeToString(),
        "checkpoint": job.checkpoint,
        "attempt": job.attempt,
        "incarnation": stored.incarnation,
        "report": stored.report,
        "first_step_seconds": job.first_step_seconds,
        "cancel_requested": job.cancel_requested,
        "pause_requested": job.pause_requested,
        "wanted_workers": job.wanted_workers,
        "options_history": json.dumps(
            [[each.step, dict(each.options), each.order] for each in job.options_history]
        ),
        "wanted_options": json.dumps(dict(job.wanted_options)),
        "options_number": job.options_number,
        "chain": job.chain,
        "delete_time_us": _us(job.delete_time),
        "expire_time_us": _us(job.expire_time),
        "since_us": _us(job.since),
        "not_before_us": _us(job.not_before),
        "attempt_time_us": _us(job.attempt_time),
        "run_seconds": job.run_seconds,
        "level": job.level,
        "target_workers": job.target_workers,
        "gives_way": job.gives_way,
        "ends": json.dumps(dict(job.ends)),
        "stored_bytes": job.stored_bytes,
    }


def stored_in(row: Row[Any]) -> StoredJob:
    """The job that a row holds."""
    spec = messages.spec_from_message(pb.JobSpec.FromString(row.spec))
    error = None if row.error is None else messages.error_from_message(pb.JobError.FromString(row.error))
    job = r.Job(
        id=row.id,
        spec=spec,
        state=JobState(row.state),
        create_time=from_us(row.create_time_us),
        start_time=_time(row.start_time_us),
        end_time=_time(row.end_time_us),
        workers=row.workers,
        step=row.step,
        total_steps=row.total_steps,
        epochs=row.epochs,
        last_event=row.last_event,
        metrics=json.loads(row.metrics),
        evaluation_metrics=json.loads(row.evaluation_metrics),
        parameters_sha256=row.parameters_sha256,
        error=error,
        checkpoint=row.checkpoint,
        attempt=row.attempt,
        first_step_seconds=row.first_step_seconds,
        cancel_requested=bool(row.cancel_requested),
        pause_requested=bool(row.pause_requested),
        wanted_workers=row.wanted_workers,
        options_history=tuple(r.OptionsChanged(*each) for each in json.loads(row.options_history)),
        wanted_options=json.loads(row.wanted_options),
        options_number=row.options_number,
        chain=row.chain,
        owner=row.owner,
        delete_time=_time(row.delete_time_us),
        expire_time=_time(row.expire_time_us),
        replay_of=row.replay_of,
        run_seconds=row.run_seconds,
        order=row.sequence,
        since=_time(row.since_us),
        not_before=_time(row.not_before_us),
        attempt_time=_time(row.attempt_time_us),
        level=row.level,
        target_workers=row.target_workers,
        gives_way=bool(row.gives_way),
        ends=json.loads(row.ends),
        stored_bytes=row.stored_bytes,
    )
    return StoredJob(
        job=job,
        sequence=row.sequence,
        code_sha256=row.code_sha256,
        evaluated_step=row.evaluated_step,
        checkpoint_step=row.checkpoint_step,
        incarnation=row.incarnation,
        report=row.report,
    )


def _us(time: datetime | None) -> int | None:
    return None if time is None else to_us(time)


def _time(time_us: int | None) -> datetime | None:
    return None if time_us is None else from_us(time_us)


def _write_metrics(metrics: Mapping[str, float]) -> str:
    # Python's own NaN and Infinity are kept as such: nobody else reads this column.
    return json.dumps(dict(metrics)) if metrics else "{}"
