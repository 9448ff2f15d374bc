"""The store against a small model of it: whatever is asked for in whatever order, and after every opening anew.

The model knows the table of moves, who may do what, and how many events a change may add; it keeps no history of its own.
"""

import itertools
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from postgresql_server import Server
from serving_harness import spec

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.connections import Where
from gradwire.services.errors import JobNotFoundError, JobStateError, RequestReusedError, ResizeLimitError
from gradwire.services.launcher import Capacity
from gradwire.services.lease import Lease
from gradwire.services.listing.pages import Query
from gradwire.services.states import MOVES, JobState
from gradwire.services.store import NewJob, StaleAttemptError, StaleLeaseError, Store
from gradwire.workers import reports as w

STEPS = 4
CAPACITY = Capacity(8, 0)


@dataclass
class Known:
    """What the model keeps of a job: the last answer, what was told of its reports, and the states that it went through."""

    job: r.Job
    steps: int = 0
    reports: int = 0
    lines: int = 0
    path: list[JobState] = field(default_factory=lambda: [JobState.QUEUED])


def active(machine: "Machine") -> bool:
    """Whether any job has workers."""
    return any(known.job.state.holds_workers for known in machine.jobs.values())


class Machine(RuleBasedStateMachine):
    """One store, written by two schedulers of which one holds the lease."""

    server: ClassVar[Server | None] = None

    def __init__(self) -> None:
        super().__init__()
        # Thousands of commits, of which none need survive the machine.
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="gradwire-model-", dir=memory))
        self.where: Where = self.folder / "jobs.db" if self.server is None else self.server.new()
        self.jobs: dict[str, Known] = {}
        self.requests: dict[str, str] = {}
        self.numbers = itertools.count()
        self.open()

    def open(self) -> None:
        self.store = Store(self.where)
        token = Lease(self.store.engine, "me", "", 1000).take(alone=True)
        assert token is not None
        self.mine, self.stale = self.store.under(token), self.store.under(token - 1)

    def teardown(self) -> None:
        self.store.close()
        if self.server is not None and not isinstance(self.where, Path):
            self.server.drop(self.where)
        shutil.rmtree(self.folder)

    def pick(self, data: st.DataObject) -> tuple[str, Known]:
        # Of those with workers first, as the scheduler does; the others seldom.
        active = sorted(name for name, known in self.jobs.items() if known.job.state.holds_workers)
        others = sorted(self.jobs.keys() - active)
        name = data.draw(st.sampled_from(3 * active + others))
        return name, self.jobs[name]

    def took(self, name: str, job: r.Job) -> None:
        """Takes an answer: what it says is what is stored."""
        assert self.store.get(name) == job
        self.jobs[name].job = job

    # Owners.

    @initialize(data=st.data(), workers=st.integers(0, 8))
    def begin(self, data: st.DataObject, workers: int) -> None:
        self.submit(1, 1)
        if workers:
            self.begin_attempt(data, workers)
            self.take_reports(data, 2, 0, True)

    # Few jobs, so that much happens to each.
    @precondition(lambda self: len(self.jobs) < 3)
    @rule(request=st.integers(0, 5), lr=st.integers(1, 2))
    def submit(self, request: int, lr: int) -> None:
        name, request_id = f"job-{next(self.numbers)}", f"request-{request}"
        asked = NewJob(name, spec(lr=str(lr)), request_id if request else "")
        earlier = self.requests.get(request_id) if request else None
        if earlier is not None and self.jobs[earlier].job.spec.overrides != {"lr": str(lr)}:
            with pytest.raises(RequestReusedError):
                self.store.submit(asked).result()
            return
        change = self.store.submit(asked).result()
        if earlier is not None:
            assert (change.job, change.events) == (self.jobs[earlier].job, ())
            return
        self.jobs[name] = Known(change.job)
        if request:
            self.requests[request_id] = name
        assert (change.job.id, change.job.state, len(change.events)) == (name, JobState.QUEUED, 1)

    @precondition(lambda self: any(self.requests))
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        request_id = data.draw(st.sampled_from(sorted(self.requests)))
        job = self.jobs[self.requests[request_id]].job
        change = self.store.submit(NewJob("other", spec(**job.spec.overrides), request_id)).result()
        assert (change.job, change.events) == (job, ())

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name, known = self.pick(data)
        before = known.job
        after = self.store.request_cancel(name).result().job
        if before.state.terminal or before.cancel_requested:
            assert after == before
        elif before.state.holds_workers:
            assert (after.state, after.cancel_requested) == (before.state, True)
        else:
            assert after.state == JobState.CANCELLED
        self.took(name, after)

    @rule(data=st.data(), resume=st.booleans())
    def pause_or_resume(self, data: st.DataObject, resume: bool) -> None:
        name, known = self.pick(data)
        before = known.job
        ask = self.store.request_resume if resume else self.store.request_pause
        if before.state.terminal or before.cancel_requested:
            with pytest.raises(JobStateError):
                ask(name).result()
            return
        after = ask(name).result().job
        if before.state.holds_workers:
            assert (after.state, after.pause_requested) == (before.state, not resume)
        else:
            assert after.state == (JobState.QUEUED if resume else JobState.PAUSED)
        self.took(name, after)

    @rule(data=st.data(), workers=st.integers(1, 10))
    def resize(self, data: st.DataObject, workers: int) -> None:
        name, known = self.pick(data)
        before = known.job
        if before.state.terminal or before.cancel_requested or workers > 8:
            with pytest.raises((JobStateError, ResizeLimitError)):
                self.store.request_resize(name, workers, CAPACITY).result()
            return
        after = self.store.request_resize(name, workers, CAPACITY).result().job
        assert after.wanted_workers == workers
        self.took(name, after)

    @rule(data=st.data(), lr=st.sampled_from([0.5, 0.25]), priority=st.integers(0, 3), label=st.booleans())
    def update(self, data: st.DataObject, lr: float, priority: int, label: bool) -> None:
        name, known = self.pick(data)
        if label:
            after = self.store.request_update(name, r.Update(labels={"k": str(priority)})).result().job
            assert after.spec.labels["k"] == str(priority)
        elif known.job.state.terminal or known.job.cancel_requested:
            with pytest.raises(JobStateError):
                self.store.request_update(name, r.Update({"lr": lr}, priority=priority)).result()
            return
        else:
            after = self.store.request_update(name, r.Update({"lr": lr}, priority=priority)).result().job
            assert (after.wanted_options["lr"], after.spec.priority) == (lr, priority)
        self.took(name, after)

    # The scheduler.

    @rule(data=st.data(), workers=st.integers(1, 8))
    def begin_attempt(self, data: st.DataObject, workers: int) -> None:
        name, known = self.pick(data)
        before = known.job
        after = self.mine.begin_attempt(name, "room", workers).result().job
        begins = before.state == JobState.QUEUED or before.state.holds_workers
        if begins and before.cancel_requested:
            assert after.state == JobState.CANCELLED
        elif begins and before.pause_requested:
            assert after.state == JobState.PAUSED
        elif begins:
            assert after.attempt == before.attempt + 1
            assert after.state in (JobState.STARTING, JobState.RECOVERING)
            assert after.workers == min(workers, before.wanted_workers)
            # It begins at its newest checkpoint: here at the first step.
            known.reports, known.steps = 0, 0
        else:
            assert after == before
        self.took(name, after)

    @precondition(active)
    @rule(data=st.data(), count=st.integers(1, 4), again=st.integers(0, 3), line=st.booleans())
    def take_reports(self, data: st.DataObject, count: int, again: int, line: bool) -> None:
        name, known = self.pick(data)
        before, numbered = known.job, []
        # Some that were taken before come once more.
        for number in range(max(1, known.reports - again + 1), known.reports + count + 1):
            fresh = number > known.reports
            if number == 1:
                report: w.Report = w.Started(STEPS, 1)
            elif line:
                report = w.LogLine(0, "stdout", f"line {number}")
            else:
                step = min(known.steps + 1, STEPS)
                known.steps = step if fresh and before.state.holds_workers else known.steps
                report = w.StepFinished(step, 1, {"loss": 1 / step}, 8, 0.1, 1, f"chain {step}")
            numbered.append((number, report))
        change = self.mine.take_reports(name, before.attempt, 1, numbered).result()
        if before.state.holds_workers:
            known.reports += count
            assert change.job.step == max(before.step, known.steps)
            known.lines += sum(
                isinstance(report, w.LogLine) for _, report in numbered[len(numbered) - count :]
            )
        else:
            assert (change.job, change.events) == (before, ())
        self.took(name, change.job)

    @precondition(active)
    @rule(data=st.data(), count=st.integers(1, 4))
    def make_steps(self, data: st.DataObject, count: int) -> None:
        self.take_reports(data, count, 0, False)

    @precondition(active)
    @rule(data=st.data(), count=st.integers(0, 2), again=st.integers(1, 3))
    def tell_again(self, data: st.DataObject, count: int, again: int) -> None:
        self.take_reports(data, count, again, True)

    @rule(data=st.data(), how=st.sampled_from(["finished", "failed", "paused", "lost", "ended"]))
    def end(self, data: st.DataObject, how: str) -> None:
        name, known = self.pick(data)
        before, attempt = known.job, known.job.attempt
        if not before.state.holds_workers:
            return
        number = known.reports + 1
        if how == "lost":
            after = self.mine.lose_attempt(name, attempt, "killed").result().job
        elif how == "ended":
            after = (
                self.mine.end(name, attempt, JobState.FAILED, "why", r.JobError("WHY", "why")).result().job
            )
            assert after.state == JobState.FAILED
        else:
            last: dict[str, w.Report] = {
                "finished": w.Finished("sha", "/c"),
                "failed": w.Failed("USER_CODE", "no", ""),
                "paused": w.Paused(before.step, "/c"),
            }
            after = self.mine.take_reports(name, attempt, 1, [(number, last[how])]).result().job
            known.reports = number
            assert not after.state.holds_workers
        self.took(name, after)

    @rule(data=st.data(), workers=st.integers(1, 8))
    def tell_to_resize(self, data: st.DataObject, workers: int) -> None:
        name, known = self.pick(data)
        after = self.mine.begin_resize(name, known.job.attempt, workers).result().job
        if known.job.state == JobState.RUNNING and known.job.workers != workers:
            assert after.state == JobState.RESIZING
        self.took(name, after)

    # What must be refused, and the end of a process.

    @precondition(lambda self: any(known.job.attempt for known in self.jobs.values()))
    @rule(data=st.data())
    def write_of_an_older_attempt(self, data: st.DataObject) -> None:
        name, known = self.pick(data)
        for attempt in {known.job.attempt - 1, known.job.attempt + 1} - {-1}:
            with pytest.raises(StaleAttemptError):
                self.mine.take_reports(name, attempt, 1, [(99, w.Finished("x", "y"))]).result()

    @rule(data=st.data())
    def write_of_an_older_scheduler(self, data: st.DataObject) -> None:
        name, known = self.pick(data)
        if not self.stale.fence:
            return
        for write in (
            lambda: self.stale.begin_attempt(name, "late", 8),
            lambda: self.stale.end(name, known.job.attempt, JobState.FAILED, "late"),
            lambda: self.stale.take_reports(
                name, known.job.attempt, 1, [(99, w.LogLine(0, "stdout", "late"))]
            ),
        ):
            with pytest.raises(StaleLeaseError):
                write().result()

    @rule()
    def ask_for_a_job_that_is_not_there(self) -> None:
        with pytest.raises(JobNotFoundError):
            self.store.request_cancel("nobody").result()

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.open()

    # What holds after every step.

    @invariant()
    def nothing_else_has_changed(self) -> None:
        listed = self.store.page(Query(1000)).jobs
        assert {job.id: job for job in listed} == {name: known.job for name, known in self.jobs.items()}
        assert len(listed) == len(self.jobs)
        waiting = [job.id for job in self.store.unfinished()]
        assert waiting == [
            name
            for name, known in self.jobs.items()
            if known.job.state == JobState.QUEUED or known.job.state.holds_workers
        ]

    @invariant()
    def events_tell_each_history_by_the_table_of_moves(self) -> None:
        for name, known in self.jobs.items():
            stored, over = self.store.events(name, 0, 100_000)
            assert [event.number for event in stored] == list(range(1, known.job.last_event + 1))
            kinds = [messages.event_from_message(pb.Event.FromString(event.body)) for event in stored]
            states = [e.kind.state for e in kinds if e is not None and isinstance(e.kind, r.StateChanged)]
            assert states[0] == JobState.QUEUED
            assert all(after in MOVES[before] for before, after in itertools.pairwise(states))
            assert states[-1] == known.job.state
            assert states[: len(known.path)] == known.path
            if known.path[-1].terminal:
                assert states == known.path
            known.path = states
            assert over == known.job.state.terminal
            steps = [e.kind.step for e in kinds if e is not None and isinstance(e.kind, r.StepFinished)]
            assert steps == list(range(1, known.job.step + 1))
            lines = [e for e in kinds if e is not None and isinstance(e.kind, r.LogLine)]
            assert len(lines) == known.lines


QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)


def test_the_store_does_what_its_model_says() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=100, stateful_step_count=20, deadline=None, derandomize=True, database=None,
            suppress_health_check=QUIET,
        ),
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_store_does_what_its_model_says_for_long(kind: str, request: pytest.FixtureRequest) -> None:
    class Long(Machine):
        server = request.getfixturevalue("postgresql") if kind == "postgresql" else None

    run_state_machine_as_test(
        Long,
        settings=settings(
            max_examples=1000,
            stateful_step_count=50,
            deadline=None,
            database=None,
            suppress_health_check=QUIET,
        ),
    )
