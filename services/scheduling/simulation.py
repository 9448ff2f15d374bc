"""Runs the scheduler on jobs that only exist as numbers, with the very code that decides about real ones. For benchmarks and tests.

Time jumps from tick to tick. A job's work is worker-seconds, done at the speed of the workers that it has; every start
and change of workers costs it `restart_s`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from gradwire.services.scheduling.decisions import Decision, Grow, Pause, Shrink, Start, Stop, Wait
from gradwire.services.scheduling.model import Account, Inventory, Policy, Running, Waiting
from gradwire.services.scheduling.passes import decide
from gradwire.services.scheduling.shares import charged, dominant_share


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that comes at `job.since` with so many worker-seconds of work."""

    job: Waiting
    work: float


@dataclass(slots=True)
class Fate:
    """What became of a job."""

    job: Waiting
    started: float | None = None
    ended: float | None = None
    pauses: int = 0
    changes: int = 0
    stopped: bool = False


@dataclass(slots=True)
class Outcome:
    """A whole run: fates by job id, GPU-seconds by owner, passes made, and the seconds and GPU-seconds while jobs waited for room."""

    fates: dict[str, Fate]
    gpu_s: dict[str, float] = field(default_factory=dict)
    passes: int = 0
    ended: float = 0.0
    pressed_s: float = 0.0
    pressed_gpu_s: float = 0.0


@dataclass(slots=True)
class _Work:
    job: Running
    left: float
    since: float


Watch = Callable[[float, Sequence[Waiting], Sequence[Running], Sequence[Decision]], None]


def simulate(
    submissions: Sequence[Submission],
    inventory: Inventory,
    policy: Policy,
    tick_s: float = 60.0,
    restart_s: float = 10.0,
    until: float | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Runs until all jobs have ended or will never start, or until a time; `watch` sees every pass."""
    coming = sorted(submissions, key=lambda each: (each.job.since, each.job.order), reverse=True)
    outcome = Outcome({each.job.job_id: Fate(each.job) for each in submissions})
    queue: dict[str, tuple[Waiting, float]] = {}
    works: dict[str, _Work] = {}
    accounts = dict(inventory.accounts)
    for each in submissions:
        accounts.setdefault(each.job.owner, Account())
    all_gpus = sum(node.gpus for node in inventory.nodes)
    all_cpus = sum(node.cpus for node in inventory.nodes)
    now = 0.0
    pressed = False
    while coming or queue or works:
        while coming and coming[-1].job.since <= now:
            each = coming.pop()
            queue[each.job.job_id] = (each.job, each.work)
        decisions = decide(
            [job for job, _ in queue.values()],
            [work.job for work in works.values()],
            Inventory(inventory.nodes, accounts),
            policy,
            now,
        )
        outcome.passes += 1
        if watch is not None:
            watch(now, [job for job, _ in queue.values()], [work.job for work in works.values()], decisions)
        _apply(decisions, queue, works, outcome, now, restart_s)
        pressed = any(isinstance(each, Wait) and each.place for each in decisions)

        moments = [now + tick_s] if pressed or any(not isinstance(each, Wait) for each in decisions) else []
        moments += [_end(work) for work in works.values()]
        moments += [coming[-1].job.since] if coming else []
        moments += [
            work.job.resized_at + policy.grow_after_s for work in works.values() if _grows(work, now, policy)
        ]
        later = [moment for moment in moments if moment > now]
        if not later or (until is not None and now >= until):
            break
        then = max(ceil(min(later) / tick_s) * tick_s, now + tick_s)
        _pass_time(works, accounts, outcome, now, then, policy, (all_gpus, all_cpus), pressed)
        for job_id in [job_id for job_id, work in works.items() if _done(work) <= then]:
            fate = outcome.fates[job_id]
            fate.ended = _done(works.pop(job_id))
            outcome.ended = max(outcome.ended, fate.ended)
        now = then
    return outcome


def _done(work: _Work) -> float:
    return work.since + work.left / len(work.job.nodes)


def _end(work: _Work) -> float:
    return _done(work) if work.job.ends_by is None else min(_done(work), work.job.ends_by)


def _grows(work: _Work, now: float, policy: Policy) -> bool:
    return len(work.job.nodes) < work.job.maximum and work.job.resized_at + policy.grow_after_s > now


def _pass_time(
    works: dict[str, _Work],
    accounts: dict[str, Account],
    outcome: Outcome,
    now: float,
    then: float,
    policy: Policy,
    everything: tuple[int, int],
    pressed: bool,
) -> None:
    gpus: dict[str, int] = {}
    cpus: dict[str, int] = {}
    for work in works.values():
        job = work.job
        count = len(job.nodes)
        gpus[job.owner] = gpus.get(job.owner, 0) + count * job.shape.gpus
        cpus[job.owner] = cpus.get(job.owner, 0) + count * job.shape.cpus
        busy = count * job.shape.gpus * (max(min(_done(work), then), now) - now)
        outcome.gpu_s[job.owner] = outcome.gpu_s.get(job.owner, 0.0) + busy
        if pressed:
            outcome.pressed_gpu_s += busy
    if pressed:
        outcome.pressed_s += then - now
    for owner, account in accounts.items():
        share = dominant_share(gpus.get(owner, 0), cpus.get(owner, 0), *everything)
        usage = charged(account.usage, share, then - account.usage_at, policy.half_life_s)
        accounts[owner] = replace(account, usage=usage, usage_at=then)


def _apply(
    decisions: Sequence[Decision],
    queue: dict[str, tuple[Waiting, float]],
    works: dict[str, _Work],
    outcome: Outcome,
    now: float,
    restart_s: float,
) -> None:
    for each in decisions:
        fate = outcome.fates[each.job_id]
        if isinstance(each, Start):
            job, left = queue.pop(each.job_id)
            if fate.started is None:
                fate.started = now
            running = Running(
                job_id=job.job_id,
                owner=job.owner,
                order=job.order,
                shape=job.shape,
                nodes=each.nodes,
                minimum=job.minimum,
                maximum=job.maximum,
                priority=job.priority,
                level=each.level,
                started_at=now,
                resized_at=now,
                ends_by=None if job.longest_s is None else now + job.longest_s,
                storage_bytes=job.storage_bytes,
                one_host=job.one_host,
            )
            works[each.job_id] = _Work(running, left, now + restart_s)
        elif isinstance(each, Grow | Shrink):
            work = works[each.job_id]
            _work_until(work, now)
            fate.changes += 1
            works[each.job_id] = _Work(
                replace(work.job, nodes=each.nodes, resized_at=now),
                work.left,
                max(work.since, now) + restart_s,
            )
        elif isinstance(each, Pause):
            work = works.pop(each.job_id)
            _work_until(work, now)
            fate.pauses += 1
            longest = None if work.job.ends_by is None else max(work.job.ends_by - now, 0.0)
            queue[each.job_id] = (replace(fate.job, longest_s=longest), work.left)
        elif isinstance(each, Stop):
            works.pop(each.job_id)
            fate.ended, fate.stopped = now, True


def _work_until(work: _Work, now: float) -> None:
    done = max(now - work.since, 0.0)
    work.left = max(work.left - done * len(work.job.nodes), 0.0)
    work.since = max(work.since, now)
