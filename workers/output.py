"""Takes what a worker process prints, line by line, on its way to where it went before.

It works on the file descriptors themselves: prints of C libraries and of child processes are taken too, `fileno()` and
`isatty()` go on working, and everything is still written to the descriptors' old targets. No byte is lost on the way:
text that is no UTF-8 keeps its bytes as `surrogateescape` has it, and each line comes with the end that it had.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

from gradwire.workers.reports import LogLine

__all__ = ["LINE_LIMIT", "LineSplitter", "OutputCapture", "PipeReader", "RankedOutput", "written"]

LINE_LIMIT = 16_384
"""Bytes after which a line without an end is told in parts."""


TellLine = Callable[[str, str], None]
"""Takes a line's text and its end: "\\n", "\\r\\n", or "" where it goes on or the output ends."""
_EARLY_LIMIT = 10_000


def written(text: str, end: str) -> bytes:
    """The bytes that a line was made of."""
    return (text + end).encode("utf-8", "surrogateescape")


class LineSplitter:
    """Makes lines of bytes that come in parts."""

    def __init__(self, tell: TellLine) -> None:
        self._tell, self._rest = tell, b""

    def feed(self, chunk: bytes) -> None:
        """Tells the lines that are whole now."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            kept = self._parts(line)
            bare = kept.removesuffix(b"\r")
            self._tell_bytes(bare, "\n" if bare is kept else "\r\n")
        self._rest = self._parts(rest)

    def end(self) -> None:
        """Tells a last line without an end."""
        if self._rest:
            self._tell_bytes(self._rest, "")
            self._rest = b""

    def _parts(self, line: bytes) -> bytes:
        """Tells all but the last LINE_LIMIT bytes of a long line, and returns these. No character is cut in two."""
        while len(line) > LINE_LIMIT:
            cut = LINE_LIMIT
            while cut > LINE_LIMIT - 4 and line[cut] & 0xC0 == 0x80:
                cut -= 1
            self._tell_bytes(line[:cut], "")
            line = line[cut:]
        return line

    def _tell_bytes(self, line: bytes, end: str) -> None:
        self._tell(line.decode("utf-8", "surrogateescape"), end)


class PipeReader:
    """Reads a pipe to its end in a thread of its own, and tells its lines; everything is written to `copy` as well."""

    def __init__(self, read_end: int, copy: int, name: str, tell: TellLine) -> None:
        """Owns `read_end`, not `copy`."""
        self._read_end, self._copy, self._splitter = read_end, copy, LineSplitter(tell)
        self.thread = threading.Thread(target=self._run, daemon=True, name=name)
        self.thread.start()

    def _run(self) -> None:
        while chunk := os.read(self._read_end, 65_536):
            with contextlib.suppress(OSError):  # nobody reads the old target any more
                os.write(self._copy, chunk)
            self._splitter.feed(chunk)
        self._splitter.end()
        os.close(self._read_end)


class OutputCapture:
    """Between `start` and `stop`, tells every line printed to stdout or stderr to `tell(stream, text, end)`.

    `tell` is called from a thread for each stream. Lines come without their ends, bytes that are no UTF-8 escaped.
    """

    def __init__(self, tell: Callable[[str, str, str], None]) -> None:
        self._tell = tell
        self._taps: list[_Tap] = []

    def start(self) -> None:
        """Begins; stdout becomes line buffered, so that a print is told when it is made."""
        sys.stdout.flush()
        sys.stderr.flush()
        with contextlib.suppress(AttributeError):  # a stream that is no TextIOWrapper has its own ideas
            sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._taps = [_Tap(1, "stdout", self._tell), _Tap(2, "stderr", self._tell)]

    def stop(self, timeout_s: float = 1.0) -> None:
        """Gives the descriptors back; every line printed before was told when it returns."""
        sys.stdout.flush()
        sys.stderr.flush()
        for tap in self._taps:
            tap.close(timeout_s)
        self._taps = []


class _Tap:
    def __init__(self, descriptor: int, stream: str, tell: Callable[[str, str, str], None]) -> None:
        self._descriptor = descriptor
        self._old = os.dup(descriptor)
        read_end, write_end = os.pipe()
        os.dup2(write_end, descriptor)
        os.close(write_end)
        self._reader = PipeReader(
            read_end, self._old, f"gradwire-{stream}", lambda text, end: tell(stream, text, end)
        )

    def close(self, timeout_s: float) -> None:
        os.dup2(self._old, self._descriptor)
        # A child process of the user's that still runs keeps the pipe open; it is not waited for.
        self._reader.thread.join(timeout_s)
        if not self._reader.thread.is_alive():
            os.close(self._old)


class RankedOutput:
    """Tells members' lines as those of the ranks that the members have, or had last.

    What one prints before it has a rank, as it loads the job in a lost one's place, waits until it has.
    """

    def __init__(self, tell: Callable[[LogLine], None], first: int) -> None:
        """first: members that begin, with the ranks of their numbers."""
        self._tell = tell
        self._ranks = {member: member for member in range(first)}
        self._early: dict[int, list[LogLine]] = {}

    def take(self, member: int, line: LogLine) -> None:
        """Takes a line of a member."""
        rank = self._ranks.get(member)
        if rank is not None:
            self._tell(replace(line, rank=rank))
            return
        early = self._early.setdefault(member, [])
        early.append(line)
        if len(early) > _EARLY_LIMIT:
            self.place(member, member)

    def place(self, member: int, rank: int) -> None:
        """Says which rank a member has from now on."""
        self._ranks[member] = rank
        for line in self._early.pop(member, ()):
            self._tell(replace(line, rank=rank))

    def end(self) -> None:
        """Tells what members printed that never had a rank, by the members' numbers."""
        for member in list(self._early):
            self.place(member, member)
