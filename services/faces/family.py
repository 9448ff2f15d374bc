"""What the families of methods of gradwire.v1.Jobs stand on. Each is a class in a file of its own, joined in jobs.py."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.data_rules import DataRules
from gradwire.services.faces.calls import Readers
from gradwire.services.feed import EventFeed
from gradwire.services.home import Home
from gradwire.services.inputs import Inputs
from gradwire.services.leadership import Leadership
from gradwire.services.runner import Runner
from gradwire.services.security.callers import caller_of_this_call
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the service that its faces call. `new_id` names new jobs; `retention` is how long deleted ones stay;
    `most` is what a worker's process may use at most, `lookers` look into archives."""

    store: Store
    leadership: Leadership
    home: Home
    feed: EventFeed
    readers: Readers
    new_id: Callable[[r.JobSpec], str]
    retention: timedelta
    inputs: Inputs
    lookers: Readers
    data: DataRules = field(default_factory=DataRules)
    most: ProcessLimits = NO_LIMITS


class Family:
    """Some methods of a face."""

    def __init__(self, parts: Parts) -> None:
        self._store, self._leadership, self._home = parts.store, parts.leadership, parts.home
        self._feed, self._readers, self._new_id = parts.feed, parts.readers, parts.new_id
        self._retention, self._most = parts.retention, parts.most
        self._inputs, self._lookers = parts.inputs, parts.lookers
        self._data_rules = parts.data
        self._draining = False

    def drain(self) -> None:
        """Refuses new jobs from now on."""
        self._draining = True

    @property
    def _runner(self) -> Runner:
        """The runner at work, or one that was not started where another front end schedules."""
        return self._leadership.runner

    def _check_it_can_run(self, new: NewJob) -> None:
        """Raises the error for a job that could never run, or whose owner may store no more."""
        wanted = new.spec.first_wish
        job = r.Job(
            new.id, new.spec, JobState.QUEUED, datetime.now(UTC), owner=new.by.owner, wanted_workers=wanted
        )
        if (refused := self._runner.refused(job)) is not None:
            raise refused

    def _render(self, job: r.Job) -> pb.Job:
        if job.state in (JobState.QUEUED, JobState.RUNNING):
            job = replace(job, waiting_reason=self._runner.waiting_reason(job.id, caller_of_this_call.get()))
        return messages.job_to_message(job)
