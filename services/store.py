"""The job store: jobs, their events, their code and the request ids, in SQLite or PostgreSQL. What it answers is on disk.

Every change goes through one writer thread (writer.py) as one transaction of state and events; reads use
connections of their own and never wait for the writer. Callers: front end, runner, service.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages, schema, steering
from gradwire.services import records as r
from gradwire.services.connections import Where, from_us, open_engine, to_us
from gradwire.services.errors import (
    CursorAheadError,
    InvalidRequestError,
    JobNotFoundError,
    RequestReusedError,
    Violation,
)
from gradwire.services.history import History, StoredJob, check_path
from gradwire.services.launcher import Capacity
from gradwire.services.migrations import prepare_tables
from gradwire.services.security import audit
from gradwire.services.security.callers import LOCAL, Caller, Scope
from gradwire.services.states import ACTIVE, JobState
from gradwire.services.writer import Writer
from gradwire.workers.reports import Report

log = logging.getLogger(__name__)
_ALL_STATES = [int(state) for state in JobState]
EVENTS_PAGE = 512


class StaleAttemptError(Exception):
    """A report of an attempt that is no longer the job's newest: whoever sent it is to be stopped."""


class StaleLeaseError(StaleAttemptError):
    """A write of a scheduler that is none any more: another front end schedules now, and follows this attempt."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the store: its number and gradwire.v1.Event in bytes."""

    number: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What one committed change did to one job. Listeners get these in order of commit."""

    job: r.Job
    events: tuple[StoredEvent, ...]


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be stored. `request_id` may be '' (then a repeat is a second job); `by` will own it."""

    id: str
    spec: r.JobSpec
    request_id: str = ""
    by: Caller = LOCAL


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the token of the next page ('' on the last)."""

    jobs: tuple[r.Job, ...]
    next_token: str


class Store:
    """Opens the store that is a file (made where there is none) or a PostgreSQL database (its tables are).

    Where a method takes `by`, jobs that this caller does not see do not exist; None, the service itself, sees all.
    """

    def __init__(self, where: Where, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Raises StorageError where the database does not answer, and what migrations.prepare_tables raises."""
        self._now = now
        self._listeners: list[Callable[[Sequence[Change]], None]] = []
        self._fence = 0
        self.engine = open_engine(where)
        try:
            prepare_tables(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        self._writer = Writer(self.engine, self._tell)

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Calls `listener` in the writer's thread after each commit; it must be quick and must not raise."""
        self._listeners.append(listener)

    def close(self) -> None:
        """Writes all that waits and closes the files."""
        self._writer.close()
        self.engine.dispose()

    # Changes: each returns a future, answered when the change is on disk.

    def submit(self, new: NewJob) -> "Future[Change]":
        """Stores a job as QUEUED; with a request_id its owner used before, returns that one's job and no events.

        The future raises RequestReusedError where that request_id came with another spec.
        """
        code, code_sha256 = encode_code(new.spec.code)
        spec = replace(new.spec, code=r.Code(new.spec.code.entrypoint))
        spec_bytes = messages.spec_to_message(spec).SerializeToString(deterministic=True)
        request_sha256 = hashlib.sha256(spec_bytes + code_sha256.encode()).hexdigest()

        def apply(connection: Connection) -> Change:
            if new.request_id:
                earlier = _earlier(connection, new.by.owner, new.request_id, request_sha256)
                if earlier is not None:
                    return Change(earlier, ())
            if schema.SELECT_CODE_KNOWN(connection, {"sha256": code_sha256}).first() is None:
                schema.INSERT_CODE(connection, {"sha256": code_sha256, "body": code})
            job = r.Job(
                new.id,
                spec,
                JobState.QUEUED,
                self._now(),
                last_event=1,
                wanted_workers=spec.workers,
                owner=new.by.owner,
            )
            row = {
                **_row(StoredJob(job, 0, code_sha256)),
                "id": job.id,
                "spec": spec_bytes,
                "owner": job.owner,
            }
            row |= {"code_sha256": code_sha256, "create_time_us": to_us(job.create_time)}
            sequence = schema.INSERT_JOB(connection, row).scalar_one()
            if new.request_id:
                request = {"owner": job.owner, "request_id": new.request_id}
                schema.INSERT_REQUEST(connection, {**request, "sha256": request_sha256, "job": sequence})
            audit.note(connection, job.create_time, new.by, "SubmitJob", job.id)
            queued = r.StateChanged(JobState.QUEUED, "submitted")
            return Change(job, _add_events(connection, sequence, 0, [queued], job.create_time))

        return self._writer.submit(apply)

    def request_cancel(self, job_id: str, by: Caller | None = None) -> "Future[Change]":
        """See steering.cancel."""
        return self._change(job_id, steering.cancel, by=by, action="CancelJob")

    def request_pause(self, job_id: str, by: Caller | None = None) -> "Future[Change]":
        """See steering.pause."""
        return self._change(job_id, steering.pause, by=by, action="PauseJob")

    def request_resume(self, job_id: str, by: Caller | None = None) -> "Future[Change]":
        """See steering.resume."""
        return self._change(job_id, steering.resume, by=by, action="ResumeJob")

    def request_resize(
        self, job_id: str, workers: int, capacity: Capacity, by: Caller | None = None
    ) -> "Future[Change]":
        """See steering.resize."""
        return self._change(
            job_id, lambda history: steering.resize(history, workers, capacity), by=by, action="ResizeJob"
        )

    def request_update(self, job_id: str, wanted: r.Update, by: Caller | None = None) -> "Future[Change]":
        """See steering.update."""
        return self._change(
            job_id, lambda history: steering.update(history, wanted), by=by, action="UpdateJob"
        )

    def begin_attempt(self, job_id: str, reason: str, workers: int) -> "Future[Change]":
        """Gives a waiting or recovering job its next attempt, with at most `workers`; see History.begin_attempt."""
        return self._change(job_id, lambda history: history.begin_attempt(reason, workers))

    def begin_resize(self, job_id: str, attempt: int, workers: int) -> "Future[Change]":
        """Says that an attempt is being told to go on with `workers`."""
        return self._change(job_id, lambda history: history.begin_resize(workers), attempt)

    def take_reports(
        self, job_id: str, attempt: int, incarnation: int, numbered: Sequence[tuple[int, Report]]
    ) -> "Future[Change]":
        """Takes reports of an attempt, each exactly once. The future raises StaleAttemptError for an older attempt."""

        def change(history: History) -> None:
            for number, report in numbered:
                history.take(incarnation, number, report)

        return self._change(job_id, change, attempt)

    def lose_attempt(self, job_id: str, attempt: int, message: str) -> "Future[Change]":
        """Says that an attempt's processes are gone: RECOVERING, or the end after too many."""

        def change(history: History) -> None:
            if not history.job.state.terminal:
                history.lose(message)

        return self._change(job_id, change, attempt)

    def end(
        self, job_id: str, attempt: int, state: JobState, reason: str, error: r.JobError | None = None
    ) -> "Future[Change]":
        """Ends an attempt and its job; a job that has ended already stays as it is."""

        def change(history: History) -> None:
            if not history.job.state.terminal:
                history.move(state, reason, error)

        return self._change(job_id, change, attempt)

    def _change(
        self,
        job_id: str,
        change: Callable[[History], None],
        attempt: int | None = None,
        by: Caller | None = None,
        action: str = "",
    ) -> "Future[Change]":
        def apply(connection: Connection) -> Change:
            before = _find(connection, job_id, by)
            if attempt is not None and before.job.attempt != attempt:
                raise StaleAttemptError(f"job {job_id}: attempt {attempt} is not {before.job.attempt}")
            now = self._now()
            history = History(before, now)
            change(history)
            check_path(job_id, before.job.state, history)
            after = history.stored
            added = _add_events(connection, after.sequence, after.job.last_event, history.events, now)
            if added:
                after = replace(after, job=replace(after.job, last_event=added[-1].number))
            if after != before:
                self._update(connection, before, after)
            else:
                self._check_lease(connection)
            if after.job.spec is not before.job.spec:
                spec = messages.spec_to_message(after.job.spec).SerializeToString(deterministic=True)
                schema.UPDATE_SPEC(connection, {"which": after.sequence, "spec": spec})
            if by is not None and after != before:
                audit.note(connection, now, by, action, job_id)
            return Change(after.job, added)

        return self._writer.submit(apply)

    def _update(self, connection: Connection, before: StoredJob, after: StoredJob) -> None:
        known = {"which": before.sequence, "fence": self._fence}
        known |= {"state_before": int(before.job.state), "last_event_before": before.job.last_event}
        if schema.UPDATE_JOB(connection, {**_row(after), **known}).rowcount != 1:
            self._check_lease(connection)
            raise RuntimeError(
                f"job {before.job.id} was changed by something that does not wait for its turn"
            )

    def _check_lease(self, connection: Connection) -> None:
        if self._fence and schema.SELECT_HOLDS_LEASE(connection, {"fence": self._fence}).first() is None:
            raise StaleLeaseError(f"lease {self._fence} of the scheduler is another front end's now")

    def _tell(self, changes: list[Any]) -> None:
        for listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                log.exception("a listener of the job store failed")

    # Reads: any thread, never waiting for the writer.

    def get(self, job_id: str, by: Caller | None = None) -> r.Job:
        """One job, its code's files left out. Raises JobNotFoundError."""
        with self.engine.connect() as connection:
            return _find(connection, job_id, by).job

    def code(self, job_id: str, by: Caller | None = None) -> r.Code:
        """A job's code with its files. Raises JobNotFoundError."""
        with self.engine.connect() as connection:
            stored = _find(connection, job_id, by)
            row = schema.SELECT_CODE(connection, {"sha256": stored.code_sha256}).one()
        return messages.code_from_message(pb.Code.FromString(row[0]))

    def page(self, size: int, token: str, states: Sequence[JobState], by: Caller | None = None) -> Page:
        """At most `size` jobs in one of `states` (none means all), newest first; stable while jobs are added."""
        wanted = sorted({int(state) for state in states})
        before = _read_token(token, wanted) if token else 2**62
        values = {"before": before, "states": wanted or _ALL_STATES, "size": size + 1}
        statement = schema.SELECT_PAGE
        if by is not None and by.scope != Scope.ADMIN:
            statement, values = schema.SELECT_PAGE_OF_OWNER, {**values, "owner": by.owner}
        with self.engine.connect() as connection:
            rows = connection.execute(statement, values).all()
        found = [_stored(row) for row in rows[:size]]
        more = len(rows) > size
        return Page(tuple(s.job for s in found), _write_token(found[-1].sequence, wanted) if more else "")

    def unfinished(self) -> list[r.Job]:
        """Jobs that wait or have workers, in order of submission."""
        states = [int(state) for state in (JobState.QUEUED, *ACTIVE)]
        with self.engine.connect() as connection:
            rows = connection.execute(schema.SELECT_UNFINISHED, {"states": states}).all()
        return [_stored(row).job for row in rows]

    def check_visible(self, job_id: str, by: Caller) -> None:
        """Raises JobNotFoundError where the job does not exist for this caller."""
        with self.engine.connect() as connection:
            row = schema.SELECT_SEQUENCE(connection, {"job_id": job_id}).first()
        if row is None or not by.sees(row.owner):
            raise JobNotFoundError.of(job_id)

    def events(self, job_id: str, after: int, size: int = EVENTS_PAGE) -> tuple[list[StoredEvent], bool]:
        """Events after number `after`, and True where no event can follow these.

        Raises JobNotFoundError, or CursorAheadError where the job has no event `after`.
        """
        with self.engine.connect() as connection:
            # One row says where the job stands before its events are read: it may move on meanwhile, never back.
            row = schema.SELECT_SEQUENCE(connection, {"job_id": job_id}).first()
            if row is None:
                raise JobNotFoundError.of(job_id)
            if after > row.last_event:
                raise CursorAheadError(
                    f"job {job_id} has {row.last_event} events, none after number {after}: was the cursor another job's?",
                    {"job": job_id, "last_event": str(row.last_event), "after": str(after)},
                )
            rows = schema.SELECT_EVENTS(connection, {"job": row.sequence, "after": after, "size": size}).all()
        found = [StoredEvent(row.number, row.body) for row in rows]
        last = found[-1].number if found else after
        return found, JobState(row.state).terminal and last >= row.last_event


def encode_code(code: r.Code) -> tuple[bytes, str]:
    """A program in canonical bytes (files in path order) and their sha256 in hex."""
    ordered = replace(code, files=tuple(sorted(code.files, key=lambda file: file.path)))
    body = messages.code_to_message(ordered).SerializeToString(deterministic=True)
    return body, hashlib.sha256(body).hexdigest()


def _earlier(connection: Connection, owner: str, request_id: str, request_sha256: str) -> r.Job | None:
    row = schema.SELECT_REQUEST(connection, {"owner": owner, "request_id": request_id}).first()
    if row is None:
        return None
    if row.sha256 != request_sha256:
        raise RequestReusedError(
            f"request_id {request_id} was used before, for job {row.id} with another spec: use a new one for a new job",
            {"request_id": request_id, "job": row.id},
        )
    return _stored(row).job


def _find(connection: Connection, job_id: str, by: Caller | None = None) -> StoredJob:
    row = schema.SELECT_JOB(connection, {"job_id": job_id}).first()
    if row is None or (by is not None and not by.sees(row.owner)):
        raise JobNotFoundError.of(job_id)
    return _stored(row)


def _add_events(
    connection: Connection, sequence: int, last: int, kinds: Iterable[r.EventKind], now: datetime
) -> tuple[StoredEvent, ...]:
    added = tuple(
        StoredEvent(number, messages.event_to_message(r.Event(number, now, kind)).SerializeToString())
        for number, kind in enumerate(kinds, start=last + 1)
    )
    if added:
        rows = [{"job": sequence, "number": each.number, "body": each.body} for each in added]
        schema.INSERT_EVENTS(connection, rows)
    return added


def _row(stored: StoredJob) -> dict[str, object]:
    job = stored.job
    return {
        "state": int(job.state),
        "priority": job.spec.priority,
        "start_time_us": None if job.start_time is None else to_us(job.start_time),
        "end_time_us": None if job.end_time is None else to_us(job.end_time),
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
        "losses": stored.losses,
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
    }


def _stored(row: Row[Any]) -> StoredJob:
    spec = messages.spec_from_message(pb.JobSpec.FromString(row.spec))
    error = None if row.error is None else messages.error_from_message(pb.JobError.FromString(row.error))
    job = r.Job(
        id=row.id,
        spec=spec,
        state=JobState(row.state),
        create_time=from_us(row.create_time_us),
        start_time=None if row.start_time_us is None else from_us(row.start_time_us),
        end_time=None if row.end_time_us is None else from_us(row.end_time_us),
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
    )
    return StoredJob(
        job=job,
        sequence=row.sequence,
        code_sha256=row.code_sha256,
        evaluated_step=row.evaluated_step,
        checkpoint_step=row.checkpoint_step,
        losses=row.losses,
        incarnation=row.incarnation,
        report=row.report,
    )


def _write_metrics(metrics: Mapping[str, float]) -> str:
    # Python's own NaN and Infinity are kept as such: nobody else reads this column.
    return json.dumps(dict(metrics))


def _write_token(sequence: int, states: Sequence[int]) -> str:
    return base64.urlsafe_b64encode(json.dumps([sequence, list(states)]).encode()).decode().rstrip("=")


def _read_token(token: str, states: Sequence[int]) -> int:
    try:
        sequence, stored_states = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if isinstance(sequence, int) and stored_states == list(states):
            return sequence
    except (ValueError, TypeError):
        pass
    raise InvalidRequestError(
        [
            Violation(
                "page_token",
                "not a token of a list with these states: repeat the request with the same states, "
                "or leave page_token out to begin anew",
            )
        ]
    )
