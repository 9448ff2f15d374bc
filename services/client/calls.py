"""Every call of the clients: its request built, its answer read. Carried out by synchronous.py and asynchronous.py."""

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import TypedDict

from gradwire.proto.v1 import blobs_pb2
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.client.connection import Call, Stream
from gradwire.services.errors import InvalidRequestError, UnexpectedError, Violation
from gradwire.services.states import JobState
from gradwire.workers.process_limits import ProcessLimits

PAGE_SIZE = 200


class SubmitOptions(TypedDict, total=False):
    """What a job may be submitted with beside its program; records.JobSpec says what each means.

    `request_id`: one for each job that is meant, so that a repeat is not a second job; made where it is left out. `archive`: a
    .tar, .tar.gz or .zip with the program, which is uploaded; the program given is then the job file's path in it. Values of
    `data` that are files of this machine are uploaded as well.
    """

    name: str
    overrides: Mapping[str, str]
    workers: int
    shards: int
    device: str
    threads_per_worker: int
    priority: int
    labels: Mapping[str, str]
    min_workers: int
    max_workers: int
    data: Mapping[str, str]
    process_limits: ProcessLimits
    code_archive: str
    archive: str | os.PathLike[str] | None
    limits: r.JobLimits
    one_host: bool
    storage_bytes: int
    request_id: str


def submit(code: r.Code, options: SubmitOptions) -> Call[str]:
    """The id of a new job. Raises InvalidRequestError for what needs no service to be seen."""
    fields = {name: value for name, value in options.items() if name != "request_id"}
    # In the message 0 means "the default"; here 0 workers is the mistake that it looks like.
    zeros = [
        Violation(f"spec.{name}", "expected 1 or more, not 0")
        for name in ("workers", "shards", "threads_per_worker")
        if fields.get(name) == 0
    ]
    if zeros:
        raise InvalidRequestError(zeros)
    spec = r.JobSpec(**{"name": "", "code": code, **fields})  # type: ignore[arg-type]
    request = pb.SubmitJobRequest(
        spec=messages.spec_to_message(spec), request_id=options.get("request_id") or str(uuid.uuid4())
    )
    return Call("jobs", "SubmitJob", request, lambda answer: str(answer.job.id))


def get_job(job_id: str) -> Call[r.Job]:
    """A job as it stands."""
    return Call("jobs", "GetJob", pb.GetJobRequest(job_id=job_id), _job)


def get_code(job_id: str) -> Call[r.Code]:
    """The program of a job."""
    request = pb.GetJobRequest(job_id=job_id, include_code=True)
    return Call("jobs", "GetJob", request, lambda answer: messages.code_from_message(answer.job.spec.code))


def cancel(job_id: str, etag: str) -> Call[r.Job]:
    """Asks a job to stop."""
    return Call("jobs", "CancelJob", pb.CancelJobRequest(job_id=job_id, etag=etag), _job, not etag)


def pause(job_id: str, etag: str) -> Call[r.Job]:
    """Asks a job to pause."""
    return Call("jobs", "PauseJob", pb.PauseJobRequest(job_id=job_id, etag=etag), _job, not etag)


def resume(job_id: str, etag: str) -> Call[r.Job]:
    """Queues a paused job again."""
    return Call("jobs", "ResumeJob", pb.ResumeJobRequest(job_id=job_id, etag=etag), _job, not etag)


def resize(job_id: str, workers: int, etag: str) -> Call[r.Job]:
    """Says how many workers a job is to have."""
    request = pb.ResizeJobRequest(job_id=job_id, workers=workers, etag=etag)
    return Call("jobs", "ResizeJob", request, _job, not etag)


def delete(job_id: str, etag: str) -> Call[r.Job]:
    """Marks a job that has ended as deleted."""
    return Call("jobs", "DeleteJob", pb.DeleteJobRequest(job_id=job_id, etag=etag), _job, not etag)


def undelete(job_id: str) -> Call[r.Job]:
    """Takes a deletion back."""
    return Call("jobs", "UndeleteJob", pb.UndeleteJobRequest(job_id=job_id), _job)


def update(
    job_id: str,
    lr: float | None,
    priority: int | None,
    labels: Mapping[str, str] | None,
    remove_labels: Sequence[str],
    etag: str,
) -> Call[r.Job]:
    """Changes what is given."""
    options = {} if lr is None else {"lr": lr}
    wanted = r.Update(options, priority, dict(labels or {}), tuple(remove_labels))
    return Call("jobs", "UpdateJob", messages.update_to_message(job_id, wanted, etag), _job, not etag)


def query_metrics(
    job_id: str, names: Sequence[str], first_step: int, last_step: int, max_points: int, evaluation: bool
) -> Call[list[r.MetricSeries]]:
    """Metrics over a range of steps."""
    request = pb.QueryMetricsRequest(
        job_id=job_id,
        names=names,
        first_step=first_step,
        last_step=last_step,
        max_points=max_points,
        evaluation=evaluation,
    )
    return Call(
        "jobs",
        "QueryMetrics",
        request,
        lambda answer: [messages.series_from_message(each) for each in answer.series],
    )


def replay(job_id: str, workers: int, request_id: str) -> Call[str]:
    """The id of a new job that repeats one."""
    request = pb.ReplayJobRequest(job_id=job_id, workers=workers, request_id=request_id or str(uuid.uuid4()))
    return Call("jobs", "ReplayJob", request, lambda answer: str(answer.job.id))


def verify(job_id: str, against: str) -> Call[r.Comparison]:
    """Compares a job with another one."""
    request = pb.VerifyJobRequest(job_id=job_id, against_job_id=against)
    return Call("jobs", "VerifyJob", request, messages.comparison_from_message)


def list_checkpoints(job_id: str) -> Call[list[r.Checkpoint]]:
    """A job's checkpoints, newest first."""
    request = pb.ListCheckpointsRequest(job_id=job_id)
    return Call(
        "jobs",
        "ListCheckpoints",
        request,
        lambda answer: [messages.checkpoint_from_message(each) for each in answer.checkpoints],
    )


def read_blob(job_id: str, sha256: str, offset: int) -> blobs_pb2.ReadBlobRequest:
    """A file of a job's checkpoints, from an offset."""
    return blobs_pb2.ReadBlobRequest(job_id=job_id, sha256=sha256, offset=offset)


class JobPages:
    """A list of jobs, page by page: `call` asks for the next one while there is `more`."""

    def __init__(
        self, states: Sequence[JobState], limit: int | None, filter: str, show_deleted: bool
    ) -> None:
        self._asked = pb.ListJobsRequest(
            states=[messages.state_to_message(state) for state in states],
            filter=filter,
            show_deleted=show_deleted,
        )
        self._token, self._left = "", limit
        self.more = limit is None or limit > 0

    def call(self) -> Call[list[r.Job]]:
        """The next page."""
        size = PAGE_SIZE if self._left is None else min(self._left, PAGE_SIZE)
        request = pb.ListJobsRequest(page_size=size, page_token=self._token)
        request.MergeFrom(self._asked)
        return Call("jobs", "ListJobs", request, self._read)

    def _read(self, answer: pb.ListJobsResponse) -> list[r.Job]:
        self._token = answer.next_page_token
        if self._left is not None:
            self._left -= len(answer.jobs)
        self.more = bool(self._token) and (self._left is None or self._left > 0)
        return [messages.job_from_message(job) for job in answer.jobs]


class Following:
    """A watch of one job across connections: what is asked for next, which events are new, and whether it has ended."""

    def __init__(self, job_id: str, after: int) -> None:
        self._job_id, self._cursor = job_id, after
        self.ended = False

    def stream(self) -> Stream:
        """The events that are still to come."""
        return Stream("jobs", "WatchJob", lambda: pb.WatchJobRequest(job_id=self._job_id, after=self._cursor))

    def take(self, answer: pb.WatchJobResponse) -> r.Event | None:
        """The event of an answer; None for a heartbeat, one that came before, or a kind that this version does not know."""
        if not answer.HasField("event") or answer.event.number <= self._cursor:
            return None
        if answer.event.number != self._cursor + 1:
            raise UnexpectedError(
                f"job {self._job_id}: event {answer.event.number} came after event {self._cursor}"
            )
        self._cursor = answer.event.number
        event = messages.event_from_message(answer.event)
        if event is not None and isinstance(event.kind, r.StateChanged):
            self.ended = event.kind.state.terminal
        return event

    def look(self, job: r.Job) -> None:
        """Takes the job as it stands, after a stream that ended by itself."""
        self.ended = job.state.terminal and self._cursor >= job.last_event


class Output:
    """A worker's output across connections: what is asked for next, and which bytes are new."""

    def __init__(self, job_id: str, rank: int, stream: str, offset: int, follow: bool) -> None:
        self._asked = pb.ReadLogsRequest(job_id=job_id, rank=rank, stream=stream, follow=follow)
        self._offset = offset

    def stream(self) -> Stream:
        """The bytes that are still to come."""

        def request() -> pb.ReadLogsRequest:
            self._asked.offset = self._offset
            return self._asked

        return Stream("jobs", "ReadLogs", request)

    def take(self, answer: pb.ReadLogsResponse) -> bytes:
        """The bytes of an answer; b"" for a heartbeat."""
        if answer.next_offset != self._offset + len(answer.data):
            raise UnexpectedError(
                f"job {self._asked.job_id}: bytes up to {answer.next_offset} came after byte {self._offset}"
            )
        self._offset = answer.next_offset
        return answer.data


def _job(answer: "pb.GetJobResponse | pb.CancelJobResponse") -> r.Job:
    return messages.job_from_message(answer.job)
