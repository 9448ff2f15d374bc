"""Members as threads of this process: for tests, for debugging, and for simulating failures. See crew.Crew."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gradwire.workers.crew import News
from gradwire.workers.faults import InjectedDeath
from gradwire.workers.formation import Formation
from gradwire.workers.in_process import InProcessListener
from gradwire.workers.member import Member, MemberSpec, Progress
from gradwire.workers.step import OwnerFactory
from gradwire.workers.transport import Listener

__all__ = ["ThreadCrew"]


class ThreadCrew:
    """Hires threads. `hosts`: where member k is said to live, in turn."""

    def __init__(
        self,
        spec: MemberSpec,
        make_owner: OwnerFactory,
        make_listener: Callable[[], Listener] = InProcessListener,
        hosts: Sequence[str] = ("here",),
    ) -> None:
        self._spec, self._make_owner, self._make_listener, self._hosts = (
            spec,
            make_owner,
            make_listener,
            hosts,
        )
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self.members: dict[int, Member] = {}

    def hire(self, members: Sequence[int]) -> None:
        """See crew.Crew."""
        for number in members:
            self._start(number)

    def _start(self, number: int) -> None:
        member = Member(
            self._spec,
            number,
            lambda report: self._news.put(News(number, [report])),
            self._make_owner,
            self._make_listener,
            in_thread=True,
        )

        def body() -> None:
            try:
                self._news.put(News(number, ended=member.run()))
            except InjectedDeath:
                self._news.put(News(number, lost="its thread ended"))

        self.members[number] = member
        threading.Thread(target=body, name=f"member-{number}", daemon=True).start()

    def host(self, member: int) -> str:
        """See crew.Crew."""
        return self._hosts[member % len(self._hosts)]

    def prepare(self, members: Sequence[int], generation: int) -> list[Any]:
        """See crew.Crew."""
        return [self.members[member].prepare(generation) for member in members]

    def form(self, formations: Mapping[int, Formation]) -> None:
        """See crew.Crew."""
        for member, formation in formations.items():
            self.members[member].form(formation)

    def order(self, member: int, number: int, what: Mapping[str, Any]) -> None:
        """See crew.Crew."""
        self.members[member].order(number, what)

    def follow(self, wait_s: float) -> Iterator[News]:
        """See crew.Crew."""
        try:
            news = self._news.get(timeout=wait_s)
            while True:
                if news.member in self.members:
                    yield news
                news = self._news.get_nowait()
        except queue.Empty:
            return

    def progress(self, member: int, within_s: float) -> Progress | None:
        """See crew.Crew. A thread that a test lets hang does not answer."""
        found = self.members.get(member)
        return None if found is None or found.hangs else found.progress()

    def stop(self, member: int, reason: str) -> None:
        """See crew.Crew."""
        self.members[member].stop(reason)

    def dismiss(self, member: int) -> None:
        """See crew.Crew."""
        found = self.members.pop(member, None)
        if found is not None:
            found.stop("dismissed")

    def close(self) -> None:
        """See crew.Crew."""
        for member in list(self.members):
            self.dismiss(member)
