"""Who calls: an owner and what its token allows. The gate says it, the front end and the store ask it.

It comes from the token alone, never from a request.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum

LOCAL_OWNER = "local"
"""Owner of the jobs of a service that asks for no token."""


class Scope(IntEnum):
    """What a token allows; each includes those before it."""

    READ = 1
    """See one's own jobs."""
    SUBMIT = 2
    """Submit jobs and steer one's own."""
    ADMIN = 3
    """See and steer everyone's jobs."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One caller. `token` is the id of its token ('' without one), `peer` where it calls from."""

    owner: str
    scope: Scope
    token: str = ""
    peer: str = ""

    def sees(self, owner: str) -> bool:
        """Whether jobs of `owner` exist for this caller."""
        return self.scope == Scope.ADMIN or owner == self.owner


LOCAL = Caller(LOCAL_OWNER, Scope.SUBMIT)
"""Whoever calls a service that asks for no token."""

caller_of_this_call: ContextVar[Caller] = ContextVar("caller_of_this_call")
