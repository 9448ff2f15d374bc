"""Records to protobuf and back. The only place that knows both; used by the store, front end and client."""

from dataclasses import asdict
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from gradwire.proto.v1 import blobs_pb2
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import records as r
from gradwire.services.etags import etag_of
from gradwire.services.states import JobState
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_timestamp(time: datetime) -> Timestamp:
    """An aware time as a protobuf Timestamp, to the microsecond."""
    since = time - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1000)


def from_timestamp(stamp: Timestamp) -> datetime:
    """A protobuf Timestamp as an aware time in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)


def code_to_message(code: r.Code) -> pb.Code:
    """A program with its files."""
    return pb.Code(
        entrypoint=code.entrypoint,
        files=[pb.SourceFile(path=file.path, content=file.content) for file in code.files],
    )


def code_from_message(message: pb.Code) -> r.Code:
    """A program with its files, in path order."""
    files = sorted((r.SourceFile(f.path, f.content) for f in message.files), key=lambda file: file.path)
    return r.Code(entrypoint=message.entrypoint, files=tuple(files))


def spec_to_message(spec: r.JobSpec) -> pb.JobSpec:
    """A spec, with its code's files where it has them."""
    return pb.JobSpec(
        name=spec.name,
        code=code_to_message(spec.code),
        overrides=spec.overrides,
        workers=spec.workers,
        shards=spec.shards,
        device=spec.device,
        threads_per_worker=spec.threads_per_worker,
        priority=spec.priority,
        labels=spec.labels,
        min_workers=spec.min_workers,
        max_workers=spec.max_workers,
        data=spec.data,
        limits=limits_to_message(spec.limits),
        one_host=spec.one_host,
        storage_bytes=spec.storage_bytes,
        process_limits=_limits_to_message(spec.process_limits),
        code_archive=spec.code_archive,
    )


def limits_to_message(limits: r.JobLimits) -> pb.Limits | None:
    """Bounds on time and retries; None where there are none."""
    if limits == r.JobLimits():
        return None
    return pb.Limits(
        attempt_seconds=limits.attempt_seconds, job_seconds=limits.job_seconds, retries=limits.retries
    )


def limits_from_message(message: pb.Limits) -> r.JobLimits:
    """Bounds on time and retries."""
    return r.JobLimits(message.attempt_seconds, message.job_seconds, dict(message.retries))


def _limits_to_message(limits: ProcessLimits) -> pb.ProcessLimits | None:
    return None if limits == NO_LIMITS else pb.ProcessLimits(**asdict(limits))


def spec_from_message(message: pb.JobSpec) -> r.JobSpec:
    """A spec as it stands: `validation.py` fills the defaults and checks it."""
    return r.JobSpec(
        name=message.name,
        code=code_from_message(message.code),
        overrides=dict(message.overrides),
        workers=message.workers,
        shards=message.shards,
        device=message.device,
        threads_per_worker=message.threads_per_worker,
        priority=message.priority,
        labels=dict(message.labels),
        min_workers=message.min_workers,
        max_workers=message.max_workers,
        data=dict(message.data),
        limits=limits_from_message(message.limits),
        one_host=message.one_host,
        storage_bytes=message.storage_bytes,
        process_limits=ProcessLimits(
            message.process_limits.memory_bytes,
            message.process_limits.file_bytes,
            message.process_limits.open_files,
            message.process_limits.processes,
        ),
        code_archive=message.code_archive,
    )


def update_to_message(job_id: str, update: r.Update, etag: str = "") -> pb.UpdateJobRequest:
    """A request for a change of one job."""
    return pb.UpdateJobRequest(
        job_id=job_id,
        options=update.options,
        priority=update.priority,
        labels=update.labels,
        remove_labels=update.remove_labels,
        etag=etag,
    )


def update_from_message(message: pb.UpdateJobRequest) -> r.Update:
    """What is to change, as it stands: `validation.py` checks it."""
    return r.Update(
        options=dict(message.options),
        priority=message.priority if message.HasField("priority") else None,
        labels=dict(message.labels),
        remove_labels=tuple(message.remove_labels),
    )


def error_to_message(error: r.JobError) -> pb.JobError:
    """Why a job failed."""
    return pb.JobError(reason=error.reason, message=error.message, traceback=error.traceback)


def error_from_message(message: pb.JobError) -> r.JobError:
    """Why a job failed."""
    return r.JobError(message.reason, message.message, message.traceback)


def state_to_message(state: JobState) -> pb.JobState.ValueType:
    """The numbers are the same on both sides; this tells the type checker."""
    return pb.JobState.ValueType(int(state))


def options_to_message(changed: r.OptionsChanged) -> pb.OptionsChanged:
    """Options and the step they hold from."""
    return pb.OptionsChanged(step=changed.step, options=changed.options, order=changed.order)


def options_from_message(message: pb.OptionsChanged) -> r.OptionsChanged:
    """Options and the step they hold from."""
    return r.OptionsChanged(message.step, dict(message.options), message.order)


def job_to_message(job: r.Job) -> pb.Job:
    """A whole job."""
    message = pb.Job(
        id=job.id,
        spec=spec_to_message(job.spec),
        state=state_to_message(job.state),
        create_time=to_timestamp(job.create_time),
        workers=job.workers,
        step=job.step,
        total_steps=job.total_steps,
        last_event=job.last_event,
        metrics=job.metrics,
        parameters_sha256=job.parameters_sha256,
        checkpoint=job.checkpoint,
        attempt=job.attempt,
        waiting_reason=job.waiting_reason,
        first_step_seconds=job.first_step_seconds,
        evaluation_metrics=job.evaluation_metrics,
        epochs=job.epochs,
        cancel_requested=job.cancel_requested,
        pause_requested=job.pause_requested,
        wanted_workers=job.wanted_workers,
        options_history=[options_to_message(each) for each in job.options_history],
        wanted_options=job.wanted_options,
        chain=job.chain,
        owner=job.owner,
        etag=etag_of(job),
        replay_of=job.replay_of,
        run_seconds=job.run_seconds_at(datetime.now(UTC)),
    )
    if job.delete_time is not None:
        message.delete_time.CopyFrom(to_timestamp(job.delete_time))
    if job.expire_time is not None:
        message.expire_time.CopyFrom(to_timestamp(job.expire_time))
    if job.start_time is not None:
        message.start_time.CopyFrom(to_timestamp(job.start_time))
    if job.end_time is not None:
        message.end_time.CopyFrom(to_timestamp(job.end_time))
    if job.error is not None:
        message.error.CopyFrom(error_to_message(job.error))
    return message


def job_from_message(message: pb.Job) -> r.Job:
    """A whole job."""
    return r.Job(
        id=message.id,
        spec=spec_from_message(message.spec),
        state=JobState(message.state),
        create_time=from_timestamp(message.create_time),
        start_time=from_timestamp(message.start_time) if message.HasField("start_time") else None,
        end_time=from_timestamp(message.end_time) if message.HasField("end_time") else None,
        workers=message.workers,
        step=message.step,
        total_steps=message.total_steps,
        epochs=message.epochs,
        last_event=message.last_event,
        metrics=dict(message.metrics),
        evaluation_metrics=dict(message.evaluation_metrics),
        parameters_sha256=message.parameters_sha256,
        error=error_from_message(message.error) if message.HasField("error") else None,
        checkpoint=message.checkpoint,
        attempt=message.attempt,
        waiting_reason=message.waiting_reason,
        first_step_seconds=message.first_step_seconds,
        cancel_requested=message.cancel_requested,
        pause_requested=message.pause_requested,
        wanted_workers=message.wanted_workers,
        options_history=tuple(options_from_message(each) for each in message.options_history),
        wanted_options=dict(message.wanted_options),
        chain=message.chain,
        owner=message.owner,
        etag=message.etag,
        delete_time=from_timestamp(message.delete_time) if message.HasField("delete_time") else None,
        expire_time=from_timestamp(message.expire_time) if message.HasField("expire_time") else None,
        replay_of=message.replay_of,
        run_seconds=message.run_seconds,
    )


def event_to_message(event: r.Event) -> pb.Event:
    """One line of a job's history."""
    message = pb.Event(number=event.number, time=to_timestamp(event.time))
    match event.kind:
        case r.StateChanged(state, reason, error):
            message.state_changed.state = state_to_message(state)
            message.state_changed.reason = reason
            if error is not None:
                message.state_changed.error.CopyFrom(error_to_message(error))
        case r.StepFinished() as step:
            message.step_finished.CopyFrom(
                pb.StepFinished(
                    step=step.step,
                    total_steps=step.total_steps,
                    epoch=step.epoch,
                    epochs=step.epochs,
                    metrics=step.metrics,
                    samples=step.samples,
                    seconds=step.seconds,
                    workers=step.workers,
                    chain=step.chain,
                    exchange_seconds=step.exchange_seconds,
                )
            )
        case r.EvaluationFinished(step_number, epoch, metrics, samples):
            message.evaluation_finished.CopyFrom(
                pb.EvaluationFinished(step=step_number, epoch=epoch, metrics=metrics, samples=samples)
            )
        case r.CheckpointWritten(step_number, path, sha256):
            message.checkpoint_written.CopyFrom(
                pb.CheckpointWritten(step=step_number, path=path, parameters_sha256=sha256)
            )
        case r.LogLine(rank, stream, text, raw, offset):
            line = pb.LogLine(rank=rank, stream=stream, text=text, raw=raw, offset=offset)
            message.log_line.CopyFrom(line)
        case r.Warned(reason, text):
            message.warning.CopyFrom(pb.Warning(reason=reason, message=text))
        case r.GroupFormed(generation, workers, step_number, reason):
            message.group_formed.CopyFrom(
                pb.GroupFormed(generation=generation, workers=workers, step=step_number, reason=reason)
            )
        case r.OptionsChanged() as changed:
            message.options_changed.CopyFrom(options_to_message(changed))
        case r.JobUpdated() as updated:
            message.job_updated.CopyFrom(
                pb.JobUpdated(
                    workers=updated.workers,
                    priority=updated.priority,
                    labels=updated.labels,
                    removed_labels=updated.removed_labels,
                    options=updated.options,
                )
            )
    return message


def event_from_message(message: pb.Event) -> r.Event | None:
    """One line of a job's history; None for a kind this version does not know."""
    kind: r.EventKind
    match message.WhichOneof("kind"):
        case "state_changed":
            state = message.state_changed
            error = error_from_message(state.error) if state.HasField("error") else None
            kind = r.StateChanged(JobState(state.state), state.reason, error)
        case "step_finished":
            step = message.step_finished
            kind = r.StepFinished(
                step.step,
                step.total_steps,
                step.epoch,
                step.epochs,
                dict(step.metrics),
                step.samples,
                step.seconds,
                step.workers,
                step.chain,
                step.exchange_seconds,
            )
        case "evaluation_finished":
            evaluation = message.evaluation_finished
            kind = r.EvaluationFinished(
                evaluation.step, evaluation.epoch, dict(evaluation.metrics), evaluation.samples
            )
        case "checkpoint_written":
            written = message.checkpoint_written
            kind = r.CheckpointWritten(written.step, written.path, written.parameters_sha256)
        case "log_line":
            line = message.log_line
            kind = r.LogLine(line.rank, line.stream, line.text, line.raw, line.offset)
        case "warning":
            kind = r.Warned(message.warning.reason, message.warning.message)
        case "group_formed":
            formed = message.group_formed
            kind = r.GroupFormed(formed.generation, formed.workers, formed.step, formed.reason)
        case "options_changed":
            kind = options_from_message(message.options_changed)
        case "job_updated":
            updated = message.job_updated
            kind = r.JobUpdated(
                workers=updated.workers if updated.HasField("workers") else None,
                priority=updated.priority if updated.HasField("priority") else None,
                labels=dict(updated.labels),
                removed_labels=tuple(updated.removed_labels),
                options=dict(updated.options),
            )
        case _:
            return None
    return r.Event(message.number, from_timestamp(message.time), kind)


def checkpoint_to_message(checkpoint: r.Checkpoint) -> pb.Checkpoint:
    """A checkpoint and its files."""
    return pb.Checkpoint(
        step=checkpoint.step,
        path=checkpoint.path,
        parameters_sha256=checkpoint.parameters_sha256,
        files=[pb.CheckpointFile(name=f.name, size=f.size, sha256=f.sha256) for f in checkpoint.files],
        create_time=to_timestamp(checkpoint.create_time),
    )


def checkpoint_from_message(message: pb.Checkpoint) -> r.Checkpoint:
    """A checkpoint and its files."""
    files = tuple(r.CheckpointFile(f.name, f.size, f.sha256) for f in message.files)
    return r.Checkpoint(
        message.step, message.path, message.parameters_sha256, files, from_timestamp(message.create_time)
    )


def blob_to_message(blob: r.Blob) -> blobs_pb2.Blob:
    """A blob as it stands."""
    return blobs_pb2.Blob(
        sha256=blob.sha256,
        size=blob.size,
        received=blob.received,
        create_time=to_timestamp(blob.create_time),
    )


def blob_from_message(message: blobs_pb2.Blob) -> r.Blob:
    """A blob as it stands."""
    return r.Blob(message.sha256, message.size, message.received, from_timestamp(message.create_time))


def series_from_message(message: pb.MetricSeries) -> r.MetricSeries:
    """One metric of a job."""
    points = tuple(
        r.MetricPoint(p.step, from_timestamp(p.time), p.mean, p.min, p.max, p.count) for p in message.points
    )
    return r.MetricSeries(message.name, points)


def comparison_to_message(found: r.Comparison) -> pb.VerifyJobResponse:
    """What a comparison of two jobs found."""
    return pb.VerifyJobResponse(
        against_job_id=found.against,
        same=found.same,
        compared_steps=found.compared_steps,
        first_different_step=found.first_different_step,
        differences=found.differences,
    )


def comparison_from_message(message: pb.VerifyJobResponse) -> r.Comparison:
    """What a comparison of two jobs found."""
    return r.Comparison(
        message.against_job_id,
        message.same,
        message.compared_steps,
        message.first_different_step,
        tuple(message.differences),
    )
