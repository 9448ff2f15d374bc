"""Members as processes of this host, without Ray. See crew.Crew; the other end is member_process.py."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from multiprocessing.connection import Connection
from typing import IO, Any

from gradwire.workers.crew import CALL_S, MemberLostError, News
from gradwire.workers.formation import Formation
from gradwire.workers.member import MemberEnded, MemberSpec, Progress
from gradwire.workers.member_process import Hired
from gradwire.workers.output import PipeReader
from gradwire.workers.process_limits import WATCH_S, Watch, family, wanted_memory
from gradwire.workers.reports import Failed, LogLine
from gradwire.workers.shared_memory import HostListener
from gradwire.workers.step import OwnerFactory
from gradwire.workers.transport import Listener

__all__ = ["ProcessCrew"]

OUTPUT_S = 1.0
"""How long the rest of a dead member's output is waited for."""
STRAYS_S = 0.5
"""How long what a member started is looked for before it is killed: a bomb of forks has no end of it, and is its group."""


class _Process:
    """One member's process, as seen from here. It leads a process group: what it starts ends with it."""

    def __init__(
        self,
        hired: Hired,
        news: queue.SimpleQueue[News],
        environment: Mapping[str, str],
        before: Sequence[str] = (),
    ) -> None:
        """before: what its command begins with."""
        self.member, self._limits = hired.member, hired.spec.limits
        self._news = news
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "gradwire.workers.member_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                process_group=0,
            )
        self._output = [self._read_output(1, self.process.stdout), self._read_output(2, self.process.stderr)]
        self.watch: Watch | None = None
        self._connection = Connection(ours.detach())
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._answers: dict[int, Future[Any]] = {}
        self._closed = self._reaped = False
        self._connection.send(hired)
        threading.Thread(target=self._read, name=f"from-member-{self.member}", daemon=True).start()

    def _read_output(self, copy: int, pipe: IO[bytes] | None) -> threading.Thread:
        assert pipe is not None
        stream = {1: "stdout", 2: "stderr"}[copy]

        def tell(text: str, end: str) -> None:
            self._news.put(News(self.member, [LogLine(self.member, stream, text, end)]))

        read_end = os.dup(pipe.fileno())
        pipe.close()
        return PipeReader(read_end, copy, f"{stream}-of-member-{self.member}", tell).thread

    def _read(self) -> None:
        ended: MemberEnded | None = None
        try:
            while True:
                kind, value = self._connection.recv()
                if kind == "answer":
                    number, result = value
                    with self._lock:
                        waiting = self._answers.pop(number, None)
                    if waiting is not None:
                        waiting.set_result(result)
                elif kind == "report":
                    self._news.put(News(self.member, [value]))
                elif kind == "limited":
                    self.watch = Watch(self.process.pid, self._limits, value)
                else:
                    ended = value
        except (EOFError, OSError):
            pass
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.kill()
        with self._lock:
            self._reaped = True
            code = self.process.wait()
        for thread in self._output:
            # A child process of the user's that still runs keeps the pipe open; it is not waited for.
            thread.join(OUTPUT_S)
        crashed = ended is None and code not in (0, -signal.SIGKILL)
        if crashed and self.watch is not None and self.watch.near_memory():
            # C and C++ code that is given no memory aborts, exits or runs into address 0.
            text = f"{wanted_memory(self._limits)} and ended by signal {-code}"
            if code > 0:
                text = f"{wanted_memory(self._limits)} and ended with exit code {code}"
            self._news.put(News(self.member, [Failed("PROCESS_LIMIT", text, "")]))
        if ended is None:
            how = (
                f"its process was killed by signal {-code}"
                if code < 0
                else f"its process ended with exit code {code}"
            )
            self._news.put(News(self.member, lost=how))
        else:
            self._news.put(News(self.member, ended=ended))
        with self._lock:
            self._closed = True
            waiting_for = list(self._answers.values())
        for future in waiting_for:
            future.set_exception(MemberLostError(self.member, "its process is gone"))

    def call(self, name: str, *arguments: Any) -> Future[Any]:
        """Calls a method of the member."""
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                future.set_exception(MemberLostError(self.member, "its process is gone"))
                return future
            number = next(self._numbers)
            self._answers[number] = future
            try:
                self._connection.send((number, name, arguments))
            except OSError:
                del self._answers[number]
                future.set_exception(MemberLostError(self.member, "its process is gone"))
        return future

    def kill(self) -> None:
        """Ends it at once, its group, and what it started that left the group."""
        with self._lock:
            # Until it is reaped its number is nobody else's.
            if self._reaped:
                return
            until = time.monotonic() + STRAYS_S
            started = list(itertools.takewhile(lambda _: time.monotonic() < until, family(self.process.pid)))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            for pid in started:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def look(self) -> None:
        """Ends it where it uses more than it may, and tells so."""
        if self.watch is not None and self.watch.needed and (told := self.watch.look()):
            self.watch = None
            self._news.put(News(self.member, [Failed("PROCESS_LIMIT", told, "")]))
            self.kill()


class ProcessCrew:
    """Hires processes. They end with this one, however it ends."""

    def __init__(
        self,
        spec: MemberSpec,
        make_owner: OwnerFactory,
        make_listener: Callable[[], Listener] = HostListener,
        environment: Mapping[str, str] | None = None,
        hosts: Sequence[tuple[str, Sequence[str]]] = (("here", ()),),
    ) -> None:
        """make_listener: can be pickled. environment: of the processes, beside this one's.

        hosts: where member k lives, in turn, and what a command begins with that runs there (`ip netns exec NAME`).
        """
        self._hosts = hosts
        self._spec, self._make_owner, self._make_listener = spec, make_owner, make_listener
        threads = str(spec.threads_per_worker)
        self._environment = {
            **os.environ,
            "PYTHONHASHSEED": "0",
            **{f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
            **(environment or {}),
        }
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._processes: dict[int, _Process] = {}
        self._over = threading.Event()
        if spec.limits.memory_bytes or spec.limits.processes:
            threading.Thread(target=self._watch, name="limits", daemon=True).start()

    def _watch(self) -> None:
        while not self._over.wait(WATCH_S):
            for process in list(self._processes.values()):
                process.look()

    def pid(self, member: int) -> int:
        """The process of a member."""
        return self._processes[member].process.pid

    def hire(self, members: Sequence[int]) -> None:
        """See crew.Crew."""
        for number in members:
            hired = Hired(self._spec, number, self._make_owner, self._make_listener)
            self._processes[number] = _Process(
                hired, self._news, self._environment, self._hosts[number % len(self._hosts)][1]
            )

    def host(self, member: int) -> str:
        """See crew.Crew."""
        return self._hosts[member % len(self._hosts)][0]

    def prepare(self, members: Sequence[int], generation: int) -> list[Any]:
        """See crew.Crew."""
        calls = [(m, self._processes[m].call("prepare", generation)) for m in members]
        answers = []
        for member, call in calls:
            try:
                answers.append(call.result(CALL_S))
            except FutureTimeoutError:
                raise MemberLostError(member, "it does not answer") from None
        return answers

    def form(self, formations: Mapping[int, Formation]) -> None:
        """See crew.Crew."""
        for member, formation in formations.items():
            self._processes[member].call("form", formation)

    def order(self, member: int, number: int, what: Mapping[str, Any]) -> None:
        """See crew.Crew."""
        found = self._processes.get(member)
        if found is not None:
            found.call("order", number, dict(what))

    def follow(self, wait_s: float) -> Iterator[News]:
        """See crew.Crew."""
        try:
            news = self._news.get(timeout=wait_s)
            while True:
                # What one printed that was dismissed is still to be told.
                lines = news.reports and all(isinstance(each, LogLine) for each in news.reports)
                if news.member in self._processes or lines:
                    yield news
                news = self._news.get_nowait()
        except queue.Empty:
            return

    def progress(self, member: int, within_s: float) -> Progress | None:
        """See crew.Crew."""
        found = self._processes.get(member)
        try:
            result: Progress | None = None if found is None else found.call("progress").result(within_s)
            return result
        except (FutureTimeoutError, MemberLostError):
            return None

    def stop(self, member: int, reason: str) -> None:
        """See crew.Crew."""
        found = self._processes.get(member)
        if found is not None:
            found.call("stop", reason)

    def dismiss(self, member: int) -> None:
        """See crew.Crew."""
        found = self._processes.pop(member, None)
        if found is not None:
            found.kill()

    def close(self) -> None:
        """See crew.Crew."""
        self._over.set()
        for member in list(self._processes):
            self.dismiss(member)
