"""The metrics of one service: what is counted as it happens, and what is looked up when someone asks.

Labels are states, methods, codes and kinds of devices, whose values are few; no job, owner or token is named.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.schema import jobs
from gradwire.services.states import JobState
from gradwire.services.store import Change

_COUNTS = select(jobs.c.state, func.count()).group_by(jobs.c.state)
_FAST = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEPS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_WAITS = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 3600.0, 6 * 3600.0, 24 * 3600.0)
_ENDED = {state.name: state.name.lower() for state in JobState if state.terminal}


class Figures:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.queue_wait = Histogram(
            "gradwire_queue_wait_seconds", "From a job's submission to its first start.", buckets=_WAITS, registry=registry
        )  # fmt: skip
        self.step_seconds = Histogram(
            "gradwire_step_seconds", "Wall time of a step.", ["device"], buckets=_STEPS, registry=registry
        )
        self.exchange = Counter(
            "gradwire_exchange_seconds",
            "Of the steps' time, how long rank 0 exchanged and waited for others; over gradwire_step_seconds_sum it is the share.",
            ["device"],
            registry=registry,
        )
        self.recoveries = Counter(
            "gradwire_recoveries", "Times that a job lost workers and went on.", registry=registry
        )
        self.ended = Counter("gradwire_jobs_ended", "Jobs that ended, by how.", ["state"], registry=registry)
        self.rpc_seconds = Histogram(
            "gradwire_rpc_seconds",
            "Time to answer a call that has one answer.",
            ["method"],
            buckets=_FAST,
            registry=registry,
        )
        self.rpcs = Counter(
            "gradwire_rpcs", "Calls that have ended, by gRPC code.", ["method", "code"], registry=registry
        )
        self.loop_lag = Histogram(
            "gradwire_loop_lag_seconds",
            "How late the front end's loop comes to what is due.",
            buckets=_FAST,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "gradwire_commit_seconds",
            "Time of a commit of the job store.",
            buckets=_FAST,
            registry=registry,
        )
        self.changes = Counter(
            "gradwire_changes", "Changes of the job store that were committed.", registry=registry
        )
        self.scrapes_refused = Counter(
            "gradwire_scrapes_refused",
            "Requests for metrics without a token that holds.",
            registry=registry,
        )
        self.started = Gauge(
            "gradwire_start_time_seconds",
            "When the service started, in seconds since 1970.",
            registry=registry,
        )
        self.started.set(time.time())
        for state in _ENDED.values():
            self.ended.labels(state)

    def take(self, changes: Sequence[Change]) -> None:
        """Counts what the store has committed. A listener of the store."""
        for change in changes:
            device = change.job.spec.device
            for event in change.events:
                message = pb.Event.FromString(event.body)
                match message.WhichOneof("kind"):
                    case "step_finished":
                        self.step_seconds.labels(device).observe(message.step_finished.seconds)
                        self.exchange.labels(device).inc(max(0.0, message.step_finished.exchange_seconds))
                    case "state_changed":
                        self._take_state(change, JobState(message.state_changed.state))
                    case _:
                        pass

    def _take_state(self, change: Change, state: JobState) -> None:
        job = change.job
        if state == JobState.RECOVERING:
            self.recoveries.inc()
        elif state == JobState.STARTING and job.attempt == 1 and job.start_time is not None:
            self.queue_wait.observe(max(0.0, (job.start_time - job.create_time).total_seconds()))
        elif state.terminal:
            self.ended.labels(_ENDED[state.name]).inc()

    def committed(self, seconds: float, changes: int) -> None:
        """Counts a commit. Called by the store's writer."""
        self.commit_seconds.observe(seconds)
        self.changes.inc(changes)

    def look(self, source: "Present") -> None:
        """Has what stands now looked up whenever the metrics are asked for."""
        self.registry.register(source)


def jobs_by_state(engine: Engine) -> dict[JobState, int]:
    """Jobs of a store, by state."""
    with engine.connect() as connection:
        return {JobState(state): int(count) for state, count in connection.execute(_COUNTS)}


class Present(Collector):
    """What stands now: jobs by state, watchers, changes that wait to be stored."""

    def __init__(
        self,
        jobs: Callable[[], Mapping[JobState, int]],
        watchers: Callable[[], int],
        waiting: Callable[[], int],
    ) -> None:
        self._jobs, self._watchers, self._waiting = jobs, watchers, waiting

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Their names, so that registering looks nothing up."""
        yield GaugeMetricFamily("gradwire_jobs", "Jobs of the store, by state.", labels=["state"])
        yield GaugeMetricFamily("gradwire_watchers", "Open watches.")
        yield GaugeMetricFamily("gradwire_writer_queue", "Changes that wait to be stored.")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Their values."""
        by_state, watchers, waiting = self.describe()
        counts = self._jobs()
        for state in JobState:
            by_state.add_metric([state.name.lower()], counts.get(state, 0))
        watchers.add_metric([], self._watchers())
        waiting.add_metric([], self._waiting())
        yield from (by_state, watchers, waiting)
