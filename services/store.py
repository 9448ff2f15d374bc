"""The job store: jobs, their events, their code and the request ids, in SQLite or PostgreSQL. What it answers is on disk.

Every change goes through one writer thread (writer.py) as one transaction of state and events; reads use
connections of their own and never wait for the writer. Callers: front end, runner, service.
"""

import copy
import hashlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages, schema, steering
from gradwire.services import records as r
from gradwire.services.blobs import rows
from gradwire.services.blobs.naming import blobs_of
from gradwire.services.code_hash import encode_code as encode_code
from gradwire.services.commits import Change as Change
from gradwire.services.commits import changes_after, position_now
from gradwire.services.connections import Where, open_engine, to_us
from gradwire.services.errors import (
    CursorAheadError,
    InvalidRequestError,
    JobNotFoundError,
    RequestReusedError,
    Violation,
)
from gradwire.services.etags import check_etag
from gradwire.services.event_rows import StoredEvent as StoredEvent
from gradwire.services.event_rows import add_events
from gradwire.services.follower import News
from gradwire.services.history import History, StoredJob, check_path
from gradwire.services.job_rows import add_labels, row_of, stored_in
from gradwire.services.launcher import Capacity
from gradwire.services.listing import pages
from gradwire.services.listing.pages import Page, Query
from gradwire.services.migrations import prepare_tables
from gradwire.services.scheduling.limits import Cause
from gradwire.services.security import audit
from gradwire.services.security.callers import LOCAL, Caller, Scope
from gradwire.services.states import ACTIVE, JobState
from gradwire.services.writer import Writer
from gradwire.workers.reports import Report

T = TypeVar("T")
log = logging.getLogger(__name__)
EVENTS_PAGE = 512


class StaleAttemptError(Exception):
    """A report of an attempt that is no longer the job's newest: whoever sent it is to be stopped."""


class StaleLeaseError(StaleAttemptError):
    """A write of a scheduler that is none any more: another front end schedules now, and follows this attempt."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be stored. `request_id` may be '' (then a repeat is a second job); `by` will own it.

    A replay names the job that it repeats and the options that change at its steps. `code_sha256`: of code that is in an
    archive alone; a replay may leave it out.
    """

    id: str
    spec: r.JobSpec
    request_id: str = ""
    by: Caller = LOCAL
    replay_of: str = ""
    options_history: tuple[r.OptionsChanged, ...] = ()
    code_sha256: str = ""

    def sha256(self, spec_bytes: bytes, code_sha256: str) -> str:
        """Of what the request asked for, so that its id can't come again with something else."""
        if self.replay_of:
            # The spec follows from the job that is repeated, whose labels may have changed since.
            asked = f"replay {self.replay_of} {self.spec.workers}".encode()
        else:
            asked = spec_bytes + code_sha256.encode()
        return hashlib.sha256(asked).hexdigest()


class Store:
    """Opens the store that is a file (made where there is none) or a PostgreSQL database (its tables are).

    Where a method takes `by`, jobs that this caller does not see do not exist; None, the service itself, sees all.
    """

    def __init__(self, where: Where, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Raises StorageError where the database does not answer, and what migrations.prepare_tables raises."""
        self._now = now
        self.fence = 0
        """Token of the scheduler's lease that changes carry; 0 for those of others."""
        self.engine = open_engine(where)
        try:
            prepare_tables(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        self._news: News[Change] = News(self.engine, position_now, changes_after)
        self.writer = self._writer = Writer(self.engine, self._committed)

    def under(self, fence: int) -> "Store":
        """This store as the scheduler with that lease writes it: a change raises StaleLeaseError once another has the lease."""
        view = copy.copy(self)
        view.fence = fence
        return view

    def listen(self, listener: Callable[[Sequence[Change]], None]) -> None:
        """Calls `listener` after each commit from now on; it must be quick and must not raise.

        In the writer's thread on SQLite, before the answer; in a thread of its own on PostgreSQL, a moment after it.
        """
        self._news.listen(id(self), listener)

    def leave(self) -> None:
        """Tells what listens to this view of the store nothing more."""
        self._news.leave(id(self))

    def close(self) -> None:
        """Writes all that waits and closes the files."""
        self._news.close()
        self._writer.close()
        self.engine.dispose()

    # Changes: each returns a future, answered when the change is on disk.

    def submit(self, new: NewJob) -> "Future[Change]":
        """Stores a job as QUEUED; with a request_id its owner used before, returns that one's job and no events.

        The future raises RequestReusedError where that request_id came with another spec.
        """
        code, code_sha256 = encode_code(new.spec.code)
        if new.spec.code_archive and not new.spec.code.files:
            # What is too large for a message stays in its archive alone.
            code, code_sha256 = b"", new.code_sha256
        spec = replace(new.spec, code=r.Code(new.spec.code.entrypoint))
        spec_bytes = messages.spec_to_message(spec).SerializeToString(deterministic=True)
        # The same files are the same request, whether they came in an archive or not.
        unpacked = messages.spec_to_message(replace(spec, code_archive=""))
        request_sha256 = new.sha256(unpacked.SerializeToString(deterministic=True), code_sha256)
        needed = list(blobs_of(spec))

        def apply(connection: Connection) -> Change:
            if new.request_id:
                earlier = _earlier(connection, new.by.owner, new.request_id, request_sha256)
                if earlier is not None:
                    return Change(earlier, ())
            for field, sha256 in needed:
                # Whoever may repeat a job may use what that job keeps.
                of_repeated = new.replay_of and rows.kept_by_job(connection, new.replay_of, sha256)
                if not (of_repeated or rows.usable(connection, new.by.owner, sha256)):
                    text = f"no blob {sha256} of yours: it was deleted a moment ago"
                    raise InvalidRequestError([Violation(field, text)])
            program = code_sha256 or _find(connection, new.replay_of, new.by).code_sha256
            if schema.SELECT_CODE_KNOWN(connection, {"sha256": program}).first() is None:
                schema.INSERT_CODE(connection, {"sha256": program, "body": code})
            job = r.Job(
                new.id,
                spec,
                JobState.QUEUED,
                self._now(),
                last_event=1,
                wanted_workers=spec.first_wish,
                owner=new.by.owner,
                options_history=new.options_history,
                replay_of=new.replay_of,
            )
            row = {
                **row_of(StoredJob(job, 0, program)),
                "id": job.id,
                "spec": spec_bytes,
                "owner": job.owner,
            }
            row |= {"code_sha256": program, "create_time_us": to_us(job.create_time)}
            row |= {"name": spec.name, "device": spec.device, "replay_of": job.replay_of}
            sequence = schema.INSERT_JOB(connection, row).scalar_one()
            add_labels(connection, sequence, spec.labels)
            job = replace(job, order=sequence)
            rows.keep(connection, sequence, (sha256 for _, sha256 in needed))
            if new.request_id:
                request = {"owner": job.owner, "request_id": new.request_id}
                schema.INSERT_REQUEST(connection, {**request, "sha256": request_sha256, "job": sequence})
            audit.note(
                connection, job.create_time, new.by, "ReplayJob" if new.replay_of else "SubmitJob", job.id
            )
            queued = r.StateChanged(JobState.QUEUED, "submitted")
            return Change(job, add_events(connection, sequence, 0, [queued], job.create_time))

        return self._writer.submit(apply)

    def request_cancel(self, job_id: str, by: Caller | None = None, etag: str = "") -> "Future[Change]":
        """See steering.cancel."""
        return self._change(job_id, steering.cancel, by=by, action="CancelJob", etag=etag)

    def request_pause(self, job_id: str, by: Caller | None = None, etag: str = "") -> "Future[Change]":
        """See steering.pause."""
        return self._change(job_id, steering.pause, by=by, action="PauseJob", etag=etag)

    def request_resume(self, job_id: str, by: Caller | None = None, etag: str = "") -> "Future[Change]":
        """See steering.resume."""
        return self._change(job_id, steering.resume, by=by, action="ResumeJob", etag=etag)

    def request_resize(
        self, job_id: str, workers: int, capacity: Capacity, by: Caller | None = None, etag: str = ""
    ) -> "Future[Change]":
        """See steering.resize."""

        def resize(history: History) -> None:
            steering.resize(history, workers, capacity)

        return self._change(job_id, resize, by=by, action="ResizeJob", etag=etag)

    def request_update(
        self, job_id: str, wanted: r.Update, by: Caller | None = None, etag: str = ""
    ) -> "Future[Change]":
        """See steering.update."""
        return self._change(
            job_id, lambda history: steering.update(history, wanted), by=by, action="UpdateJob", etag=etag
        )

    def request_delete(
        self, job_id: str, retention: timedelta, by: Caller | None = None, etag: str = ""
    ) -> "Future[Change]":
        """See steering.delete."""
        return self._change(
            job_id, lambda history: steering.delete(history, retention), by=by, action="DeleteJob", etag=etag
        )

    def request_undelete(self, job_id: str, by: Caller | None = None) -> "Future[Change]":
        """See steering.undelete."""
        return self._change(job_id, steering.undelete, by=by, action="UndeleteJob")

    def begin_attempt(
        self, job_id: str, reason: str, workers: int, level: int | None = None
    ) -> "Future[Change]":
        """Gives a waiting or recovering job its next attempt, with at most `workers`; see History.begin_attempt."""
        return self._change(job_id, lambda history: history.begin_attempt(reason, workers, level))

    def begin_resize(self, job_id: str, attempt: int, workers: int) -> "Future[Change]":
        """Says that an attempt is being told to go on with `workers`."""
        return self._change(job_id, lambda history: history.begin_resize(workers), attempt)

    def give_way(self, job_id: str, attempt: int) -> "Future[Change]":
        """Says that an attempt is being told to give its workers back for another job."""
        return self._change(job_id, History.give_way, attempt)

    def end_attempt(self, job_id: str, attempt: int, cause: Cause, message: str) -> "Future[Change]":
        """Says that an attempt was ended before its job; see History.end_attempt."""

        def change(history: History) -> None:
            if history.job.state.holds_workers:
                history.end_attempt(cause, message)

        return self._change(job_id, change, attempt)

    def set_stored_bytes(self, job_id: str, count: int) -> "Future[Change]":
        """Keeps how much a job has stored."""
        return self._change(job_id, lambda history: history.set(stored_bytes=count))

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
        etag: str = "",
    ) -> "Future[Change]":
        def apply(connection: Connection) -> Change:
            before = _find(connection, job_id, by)
            check_etag(before.job, etag)
            if attempt is not None and before.job.attempt != attempt:
                raise StaleAttemptError(f"job {job_id}: attempt {attempt} is not {before.job.attempt}")
            now = self._now()
            history = History(before, now)
            change(history)
            check_path(job_id, before.job.state, history)
            after = history.stored
            added = add_events(connection, after.sequence, after.job.last_event, history.events, now)
            if added:
                after = replace(after, job=replace(after.job, last_event=added[-1].number))
            if after != before:
                self._update(connection, before, after)
            else:
                self._check_lease(connection)
            if after.job.spec is not before.job.spec:
                spec = messages.spec_to_message(after.job.spec).SerializeToString(deterministic=True)
                schema.UPDATE_SPEC(connection, {"which": after.sequence, "spec": spec})
                if after.job.spec.labels != before.job.spec.labels:
                    schema.DELETE_LABELS(connection, {"job_sequence": after.sequence})
                    add_labels(connection, after.sequence, after.job.spec.labels)
            if by is not None and after != before:
                audit.note(connection, now, by, action, job_id)
            return Change(after.job, added)

        return self._writer.submit(apply)

    def write(self, apply: Callable[[Connection], T]) -> "Future[T]":
        """Any other change, in the writer's transaction; listeners hear nothing of it."""
        return self._writer.submit(apply)

    def write_leading(self, apply: Callable[[Connection], T]) -> "Future[T]":
        """The same for the scheduler: the future raises StaleLeaseError once another has the lease."""

        def checked(connection: Connection) -> T:
            self._check_lease(connection)
            return apply(connection)

        return self._writer.submit(checked)

    def _update(self, connection: Connection, before: StoredJob, after: StoredJob) -> None:
        known = {"which": before.sequence, "fence": self.fence}
        known |= {"state_before": int(before.job.state), "last_event_before": before.job.last_event}
        if schema.UPDATE_JOB(connection, {**row_of(after), **known}).rowcount != 1:
            self._check_lease(connection)
            raise RuntimeError(
                f"job {before.job.id} was changed by something that does not wait for its turn"
            )

    def _check_lease(self, connection: Connection) -> None:
        if self.fence and schema.SELECT_HOLDS_LEASE(connection, {"fence": self.fence}).first() is None:
            raise StaleLeaseError(f"lease {self.fence} of the scheduler is another front end's now")

    def _committed(self, results: Sequence[Any]) -> None:
        if changes := [each for each in results if isinstance(each, Change)]:
            self._news.committed(changes)

    # Reads: any thread, never waiting for the writer.

    def get(self, job_id: str, by: Caller | None = None) -> r.Job:
        """One job, its code's files left out. Raises JobNotFoundError."""
        with self.engine.connect() as connection:
            return _find(connection, job_id, by).job

    def code(self, job_id: str, by: Caller | None = None) -> r.Code:
        """A job's code with its files, none where they are in an archive alone. Raises JobNotFoundError."""
        with self.engine.connect() as connection:
            stored = _find(connection, job_id, by)
            row = schema.SELECT_CODE(connection, {"sha256": stored.code_sha256}).one()
        if not row[0]:
            return r.Code(stored.job.spec.code.entrypoint)
        return messages.code_from_message(pb.Code.FromString(row[0]))

    def with_code_sha256(self, job_id: str, by: Caller) -> tuple[r.Job, str]:
        """One job and the sha256 of its code. Raises JobNotFoundError."""
        with self.engine.connect() as connection:
            stored = _find(connection, job_id, by)
        return stored.job, stored.code_sha256

    def newest_replay(self, job_id: str, by: Caller) -> str:
        """The newest job that repeats this one, has ended, and exists for this caller; '' where there is none."""
        with self.engine.connect() as connection:
            rows = schema.SELECT_REPLAYS(connection, {"job_id": job_id}).all()
        return next(
            (
                str(row.id)
                for row in rows
                if JobState(row.state).terminal and row.delete_time_us is None and by.sees(row.owner)
            ),
            "",
        )

    def page(self, query: Query, by: Caller | None = None) -> Page:
        """Some jobs, newest first; stable while jobs are added. Raises InvalidRequestError for a token of another query."""
        owner = None if by is None or by.scope == Scope.ADMIN else by.owner
        statement = pages.statement(query, owner)
        with self.engine.connect() as connection:
            rows = connection.execute(statement).all()
        found = tuple(stored_in(row) for row in rows[: query.size])
        more = len(rows) > query.size
        return Page(tuple(s.job for s in found), pages.token_after(found[-1].sequence, query) if more else "")

    def unfinished(self) -> list[r.Job]:
        """Jobs that wait or have workers, in order of submission."""
        states = [int(state) for state in (JobState.QUEUED, *ACTIVE)]
        with self.engine.connect() as connection:
            rows = connection.execute(schema.SELECT_UNFINISHED, {"states": states}).all()
        return [stored_in(row).job for row in rows]

    def check_visible(self, job_id: str, by: Caller) -> int:
        """The job's sequence, by which its events are found. Raises JobNotFoundError where it does not exist for this caller."""
        with self.engine.connect() as connection:
            row = schema.SELECT_SEQUENCE(connection, _key(job_id)).first()
        if row is None or row.expire_time_us == schema.PURGING or not by.sees(row.owner):
            raise JobNotFoundError.of(job_id)
        return int(row.sequence)

    def events(self, job_id: str, after: int, size: int = EVENTS_PAGE) -> tuple[list[StoredEvent], bool]:
        """Events after number `after`, and True where no event can follow these.

        Raises JobNotFoundError, or CursorAheadError where the job has no event `after`.
        """
        with self.engine.connect() as connection:
            # One row says where the job stands before its events are read: it may move on meanwhile, never back.
            row = schema.SELECT_SEQUENCE(connection, _key(job_id)).first()
            if row is None or row.expire_time_us == schema.PURGING:
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


def _earlier(connection: Connection, owner: str, request_id: str, request_sha256: str) -> r.Job | None:
    row = schema.SELECT_REQUEST(connection, {"owner": owner, "request_id": request_id}).first()
    if row is None:
        return None
    if row.sha256 != request_sha256:
        raise RequestReusedError(
            f"request_id {request_id} was used before, for job {row.id} with another spec: use a new one for a new job",
            {"request_id": request_id, "job": row.id},
        )
    return stored_in(row).job


def _key(job_id: str) -> dict[str, str]:
    """An id as a statement takes it: PostgreSQL refuses text with a NUL, which no job's id has."""
    if "\0" in job_id:
        raise JobNotFoundError.of(job_id)
    return {"job_id": job_id}


def _find(connection: Connection, job_id: str, by: Caller | None = None) -> StoredJob:
    row = schema.SELECT_JOB(connection, _key(job_id)).first()
    if row is None or row.expire_time_us == schema.PURGING or (by is not None and not by.sees(row.owner)):
        raise JobNotFoundError.of(job_id)
    return stored_in(row)
