"""Pages of jobs: the statement for one, and the token of the next. Used by store.py and faces/reading.py.

A token holds the place where the page ended and a hash of what was asked for, so that it opens no other list.
"""

import base64
import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import Select, select

from gradwire.services import schema
from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.listing.expressions import expression
from gradwire.services.listing.language import parse
from gradwire.services.records import Job
from gradwire.services.states import JobState


@dataclass(frozen=True, slots=True)
class Query:
    """Which jobs: at most `size`, after the page that gave `token`; in one of `states` (none means all), and as `filter` says."""

    size: int
    token: str = ""
    states: tuple[JobState, ...] = ()
    filter: str = ""
    show_deleted: bool = False

    @property
    def digest(self) -> str:
        """Of everything but the size and the token."""
        asked = [sorted({int(state) for state in self.states}), self.filter, self.show_deleted]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the token of the next page ('' on the last)."""

    jobs: tuple[Job, ...]
    next_token: str


def statement(query: Query, owner: str | None) -> Select[tuple[object, ...]]:
    """Selects the rows of a page and one more; None for those of all owners. Raises InvalidRequestError."""
    jobs = schema.jobs.c
    found = select(schema.jobs).order_by(jobs.sequence.desc()).limit(query.size + 1)
    if query.token:
        found = found.where(jobs.sequence < _sequence(query))
    if owner is not None:
        found = found.where(jobs.owner == owner)
    if query.states:
        found = found.where(jobs.state.in_(sorted({int(state) for state in query.states})))
    if query.show_deleted:
        found = found.where(jobs.expire_time_us.is_(None) | (jobs.expire_time_us != schema.PURGING))
    else:
        found = found.where(jobs.delete_time_us.is_(None))
    node = parse(query.filter)
    return found if node is None else found.where(expression(node))


def token_after(sequence: int, query: Query) -> str:
    """The token of the page after the job with that sequence."""
    return base64.urlsafe_b64encode(json.dumps([sequence, query.digest]).encode()).decode().rstrip("=")


def _sequence(query: Query) -> int:
    token = query.token
    try:
        sequence, digest = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        if type(sequence) is int and 0 <= sequence < 2**63 and digest == query.digest:
            return sequence
    except (ValueError, TypeError):
        pass
    raise InvalidRequestError(
        [
            Violation(
                "page_token",
                "not a token of this list: repeat the request with the same states, filter and show_deleted, or leave "
                "page_token out to begin anew",
            )
        ]
    )
