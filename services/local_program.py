"""The process in which local_launcher.py runs one attempt of a job.

It holds the job's lock, takes the user's output line by line as reports, and runs a `train` function that is
given a Launch, a function to report with, and the commands that come from the service. SIGTERM ends it at once unless `train` takes it.
"""

import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from gradwire.services.attempt_folder import AttemptFolder
from gradwire.services.commands import Commands
from gradwire.services.launcher import ENDINGS, Launch
from gradwire.services.report_lines import ReportWriter
from gradwire.workers.output import LineSplitter
from gradwire.workers.process_limits import adopt_orphans, end_family, no_new_privileges
from gradwire.workers.reports import LogLine, Report

Tell = Callable[[Report], None]


class Lines(io.TextIOBase):
    """A text stream whose lines become reports."""

    def __init__(self, stream: str, tell: Tell) -> None:
        self._splitter = LineSplitter(lambda text, end: tell(LogLine(0, stream, text, end)))
        self._lock = threading.RLock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            self._splitter.feed(text.encode("utf-8", "surrogatepass"))
        return len(text)

    def end(self) -> None:
        """Reports a last line without an end."""
        with self._lock:
            self._splitter.end()


def _end_with_the_service() -> None:
    """Ends this process when the service's end of the pipe is closed."""

    def wait() -> None:
        os.read(0, 1)
        os.killpg(0, signal.SIGKILL)

    if not os.path.samestat(os.fstat(0), os.stat(os.devnull)):
        threading.Thread(target=wait, daemon=True).start()


def run(train: Callable[[Launch, Tell, Commands], None], job: Path, attempt: int) -> int:
    """Runs `train` as the attempt's process; returns its exit status."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _end_with_the_service()
    no_new_privileges()
    adopt_orphans()
    folder = AttemptFolder(job, attempt)
    if not folder.hold():
        return 0
    writer = ReportWriter(folder.reports)
    out, err = Lines("stdout", writer.write), Lines("stderr", writer.write)

    def tell(report: Report) -> None:
        if isinstance(report, ENDINGS):
            # Nothing is taken after the end, so the last line goes before it.
            out.end()
            err.end()
        writer.write(report)

    sys.stdout, sys.stderr = out, err
    try:
        train(folder.launch(), tell, Commands(folder.commands))
    finally:
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
        end_family()
    return 0
