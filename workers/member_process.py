"""What a member's own process runs: calls come through one end of a socket pair, reports go back through it.

The other end is process_crew.py's, in the process that started this one; nothing else can reach it. The end of the pair is
the end of this process, and of what it started in its process group.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from gradwire.backends.allocator import keep_freed_memory
from gradwire.workers.member import Member, MemberSpec
from gradwire.workers.process_limits import apply, broken_by, use_temporary
from gradwire.workers.reports import Failed, Report
from gradwire.workers.step import OwnerFactory
from gradwire.workers.transport import Listener

__all__ = ["Hired", "main"]


@dataclass(frozen=True)
class Hired:
    """The first thing a member's process is told."""

    spec: MemberSpec
    member: int
    make_owner: OwnerFactory
    make_listener: Callable[[], Listener]


def main(descriptor: int) -> None:
    """Lives one member's life; the process ends with it, or when the other end is closed."""
    connection = Connection(socket.socket(fileno=descriptor).detach())
    keep_freed_memory()
    hired: Hired = connection.recv()
    lock = threading.Lock()
    limits = hired.spec.limits

    def end() -> None:
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    me = os.getpid()

    def say(kind: str, value: Any) -> None:
        if os.getpid() != me:
            os._exit(1)  # a copy that user code forked has nothing to say here
        try:
            with lock:
                connection.send((kind, value))
        except OSError:
            end()  # whoever started this process is gone

    def tell(report: Report) -> None:
        say("report", report)

    os.chdir(hired.spec.directory or ".")
    use_temporary(hired.spec.temporary)
    if not hired.spec.device.startswith("cuda"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    member = Member(hired.spec, hired.member, tell, hired.make_owner, hired.make_listener)
    calls = {name: getattr(member, name) for name in ("prepare", "form", "order", "stop", "progress")}

    def answer() -> None:
        try:
            while True:
                number, name, arguments = connection.recv()
                say("answer", (number, calls[name](*arguments)))
        except (EOFError, OSError):
            end()

    def thread_ended(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None and (told := broken_by(limits, what.exc_value)):
            say("report", Failed("PROCESS_LIMIT", told, ""))
        threading.__excepthook__(what)

    threading.excepthook = thread_ended
    say("limited", apply(limits))
    threading.Thread(target=answer, name="calls", daemon=True).start()
    # Both are pipes to whoever started this process: what was printed is there, however this process ends.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    ended = member.run()
    sys.stdout.flush()
    sys.stderr.flush()
    say("ended", ended)
    os._exit(0)  # threads of the user's code must not hold it up


if __name__ == "__main__":
    main(int(sys.argv[1]))
