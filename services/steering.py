"""What an owner's request makes of a job: cancel, pause, resume, resize, update, delete. Pure; no store, no clock.

The store runs these inside its transactions. What a job with workers is asked for is kept in its row until the
runner has carried it out, so that nothing that was answered is forgotten by a service that is killed.
"""

from dataclasses import replace
from datetime import timedelta

from gradwire.services import records as r
from gradwire.services.errors import JobNotFoundError, JobStateError, ResizeLimitError
from gradwire.services.history import History
from gradwire.services.launcher import Capacity
from gradwire.services.states import JobState


def cancel(history: History) -> None:
    """Ends a job that has no workers at once, and marks one that has. Idempotent; one that has ended stays as it is."""
    job = history.job
    if job.state.terminal or job.cancel_requested:
        return
    history.set(cancel_requested=True)
    if not job.state.holds_workers:
        where = "while it was paused" if job.state == JobState.PAUSED else "before it was started"
        history.move(JobState.CANCELLED, f"cancelled {where}")


def pause(history: History) -> None:
    """Takes a waiting job out of the queue, and marks one with workers. Idempotent. Raises JobStateError."""
    _check_alive(history.job, "paused")
    if history.job.state == JobState.QUEUED:
        history.move(JobState.PAUSED, "paused while it waited")
    elif history.job.state.holds_workers:
        history.set(pause_requested=True)


def resume(history: History) -> None:
    """Queues a paused job, and takes back a pause that has not come about. Idempotent. Raises JobStateError."""
    _check_alive(history.job, "resumed")
    if history.job.state == JobState.PAUSED:
        history.resume()
    else:
        # Where the attempt is pausing already, it goes through PAUSED into the queue.
        history.set(pause_requested=False)


def resize(history: History, workers: int, capacity: Capacity) -> None:
    """Says how many workers a job is to have. Idempotent. Raises JobStateError, ResizeLimitError."""
    job = history.job
    _check_alive(job, "resized")
    spec = job.spec
    metadata = {"job": job.id, "workers": str(workers)}
    if workers > spec.shards:
        raise ResizeLimitError(
            f"job {job.id} has {spec.shards} shards, and each worker needs at least one: ask for {spec.shards} or fewer",
            {**metadata, "shards": str(spec.shards)},
        )
    if not spec.fewest_workers <= workers <= spec.most_workers:
        raise ResizeLimitError(
            f"job {job.id} was submitted for {spec.fewest_workers} to {spec.most_workers} workers, not {workers}",
            {**metadata, "min_workers": str(spec.min_workers), "max_workers": str(spec.max_workers)},
        )
    if workers > (most := capacity.of(spec.device)):
        raise ResizeLimitError(
            f"this service can give at most {most} {spec.device} workers, not {workers}",
            {**metadata, "capacity": str(most)},
        )
    if workers == job.wanted_workers:
        return
    history.set(wanted_workers=workers)
    history.events.append(r.JobUpdated(workers=workers))


def update(history: History, wanted: r.Update) -> None:
    """Changes options, priority and labels, the last after the end too. What is so already adds nothing. Raises JobStateError."""
    if wanted.options or wanted.priority is not None:
        _check_alive(history.job, "updated")
    if history.job.delete_time is not None:
        raise JobStateError(
            f"job {history.job.id} is deleted and can't be updated: undelete it first",
            {"job": history.job.id, "state": history.job.state.name, "deleted": "true"},
        )
    job = history.job
    priority = None if wanted.priority == job.spec.priority else wanted.priority
    labels = {key: value for key, value in wanted.labels.items() if job.spec.labels.get(key) != value}
    removed = tuple(sorted(job.spec.labels.keys() & set(wanted.remove_labels)))
    if priority is not None or labels or removed:
        kept = {key: value for key, value in job.spec.labels.items() if key not in removed}
        number = job.spec.priority if priority is None else priority
        history.set(spec=replace(job.spec, priority=number, labels={**kept, **labels}))
    options = {name: value for name, value in wanted.options.items() if job.wanted_options.get(name) != value}
    if options:
        history.set(wanted_options={**job.wanted_options, **options}, options_number=job.options_number + 1)
    if priority is not None or labels or removed or options:
        history.events.append(r.JobUpdated(None, priority, labels, removed, options))


def delete(history: History, retention: timedelta) -> None:
    """Marks a job that has ended as deleted, until `retention` is over. Idempotent. Raises JobStateError."""
    job = history.job
    if not job.state.terminal:
        text = f"job {job.id} is {job.state.name.lower()} and can't be deleted: cancel it, and delete it when it has ended"
        raise JobStateError(text, {"job": job.id, "state": job.state.name})
    if job.delete_time is None:
        history.set(delete_time=history.now, expire_time=history.now + retention)


def undelete(history: History) -> None:
    """Takes a deletion back. Idempotent. Raises JobNotFoundError where its time is over."""
    job = history.job
    if job.expire_time is not None and job.expire_time <= history.now:
        raise JobNotFoundError.of(job.id)
    history.set(delete_time=None, expire_time=None)


def _check_alive(job: r.Job, what: str) -> None:
    if job.state.terminal:
        text = f"job {job.id} is {job.state.name.lower()} and can't be {what}"
        raise JobStateError(text, {"job": job.id, "state": job.state.name})
    if job.cancel_requested:
        text = f"job {job.id} is being cancelled and can't be {what}"
        raise JobStateError(text, {"job": job.id, "state": job.state.name, "cancel_requested": "true"})
