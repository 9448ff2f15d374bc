"""The seam between the supervisor and whatever members are: how they are made, called and heard of.

Three implementations stand beside this file: threads (`thread_crew`), processes of this host (`process_crew`) and Ray actors
(`ray_crew`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gradwire.workers.formation import Formation
from gradwire.workers.member import MemberEnded, Progress
from gradwire.workers.reports import Report

__all__ = ["CALL_S", "Crew", "MemberLostError", "News", "NoRoomError"]

CALL_S = 15.0
"""A member that does not answer a call for so long is taken for lost."""


class NoRoomError(Exception):
    """There are no places for the workers that were asked for."""


class MemberLostError(Exception):
    """A member's process is gone or does not answer; the message says how that was seen."""


@dataclass(frozen=True)
class News:
    """What came from a member: its next reports, how it ended, or how it was lost."""

    member: int
    reports: Sequence[Report] = ()
    ended: MemberEnded | None = None
    lost: str | None = None


class Crew(Protocol):
    """Makes members and carries calls to them. Members are numbered; a number is never used twice."""

    def hire(self, members: Sequence[int]) -> None:
        """Starts members, all or none. Raises NoRoomError, MemberLostError."""

    def host(self, member: int) -> str:
        """Where a member lives."""

    def prepare(self, members: Sequence[int], generation: int) -> list[Any]:
        """Their addresses for a group to be. Raises MemberLostError, whose `member` is the first that did not answer."""

    def form(self, formations: Mapping[int, Formation]) -> None:
        """Tells each member its formation, and does not wait for more than that."""

    def order(self, member: int, number: int, what: Mapping[str, Any]) -> None:
        """See Member.order; what does not arrive is sent again after the next formation."""

    def follow(self, wait_s: float) -> Iterator[News]:
        """What came from any member within `wait_s` seconds. Who is dismissed is heard of no more."""

    def progress(self, member: int, within_s: float) -> Progress | None:
        """Where a member is; None where it does not answer."""

    def stop(self, member: int, reason: str) -> None:
        """Asks a member to stop."""

    def dismiss(self, member: int) -> None:
        """Ends a member's process at once, and keeps its place for who replaces it."""

    def close(self) -> None:
        """Ends all processes and gives the places back."""
