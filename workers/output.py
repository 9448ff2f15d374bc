"""Takes what a worker process prints, line by line, on its way to where it went before.

It works on the file descriptors themselves: prints of C libraries and of child processes are taken too, `fileno()` and
`isatty()` go on working, and everything is still written to the descriptors' old targets.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

__all__ = ["LINE_LIMIT", "OutputCapture"]

LINE_LIMIT = 16_384
"""Bytes after which a line without an end is told in parts."""


class OutputCapture:
    """Between `start` and `stop`, tells every line printed to stdout or stderr to `tell(stream, text)`.

    `tell` is called from a thread for each stream. Lines come without their ends, undecodable bytes replaced.
    """

    def __init__(self, tell: Callable[[str, str], None]) -> None:
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
    def __init__(self, descriptor: int, stream: str, tell: Callable[[str, str], None]) -> None:
        self._descriptor, self._stream, self._tell = descriptor, stream, tell
        self._old = os.dup(descriptor)
        self._read_end, write_end = os.pipe()
        os.dup2(write_end, descriptor)
        os.close(write_end)
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"gradwire-{stream}")
        self._thread.start()

    def _run(self) -> None:
        rest = b""
        while chunk := os.read(self._read_end, 65_536):
            with contextlib.suppress(OSError):  # nobody reads the old target any more
                os.write(self._old, chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            while len(rest) > LINE_LIMIT:
                lines.append(rest[:LINE_LIMIT])
                rest = rest[LINE_LIMIT:]
            for line in lines:
                self._tell(self._stream, line.removesuffix(b"\r").decode(errors="replace"))
        if rest:
            self._tell(self._stream, rest.decode(errors="replace"))
        os.close(self._read_end)
        os.close(self._old)

    def close(self, timeout_s: float) -> None:
        os.dup2(self._old, self._descriptor)
        # A child process of the user's that still runs keeps the pipe open; it is not waited for.
        self._thread.join(timeout_s)
