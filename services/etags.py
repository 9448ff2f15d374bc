"""The etag of a job: changes with whatever its owner can change, and not with its progress. Pure."""

import hashlib
import json

from gradwire.services.errors import EtagError
from gradwire.services.records import Job
from gradwire.services.states import JobState


def etag_of(job: Job) -> str:
    """The etag, quoted as HTTP has it."""
    changeable = [
        job.id,
        job.wanted_workers,
        job.spec.priority,
        sorted(job.spec.labels.items()),
        # Counts the requests for options: what they asked for moves from wished to held by itself.
        job.options_number,
        job.cancel_requested,
        job.pause_requested or job.state == JobState.PAUSED,
        job.delete_time is not None,
    ]
    return f'"{hashlib.sha256(json.dumps(changeable).encode()).hexdigest()[:20]}"'


def check_etag(job: Job, etag: str) -> None:
    """Raises EtagError where the job is not as the caller saw it; '' is as any."""
    now = etag_of(job)
    if etag and etag != now:
        raise EtagError(
            f"job {job.id} was changed since it was read: its etag is {now}, not {etag[:80]}. Get it again, and decide anew",
            {"job": job.id, "etag": now, "given": etag[:80]},
        )
