"""Reports as lines of JSON in a file that only grows: how a job's own process tells the service what it did.

Written by local_program.py, read by local_launcher.py. A line counts when its end is there, so a writer that is
killed leaves nothing half; line k is report number k.
"""

import json
import os
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradwire.workers import reports

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        reports.Started,
        reports.Formed,
        reports.StepFinished,
        reports.EvaluationFinished,
        reports.OptionsChanged,
        reports.CheckpointWritten,
        reports.LogLine,
        reports.Warned,
        reports.Paused,
        reports.Finished,
        reports.Failed,
    )
}


class ReportWriter:
    """Appends reports to `path`; any thread may write."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()

    def write(self, report: reports.Report) -> None:
        """Appends one report in one write, so that a reader never sees two mixed."""
        line = json.dumps({"kind": type(report).__name__, **asdict(report)}).encode() + b"\n"
        with self._lock:
            os.write(self._file, line)


class ReportReader:
    """Reads the reports at `path` as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._number = 0

    def seek(self, after: int) -> None:
        """Goes to the line after number `after`."""
        if after != self._number:
            self._offset = self._number = 0
            while self._number < after and self._lines(after - self._number):
                pass

    def read(self, most: int) -> list[tuple[int, reports.Report]]:
        """At most `most` reports that were not read yet, with their numbers."""
        first = self._number + 1
        return [(first + k, _decode(line)) for k, line in enumerate(self._lines(most))]

    def _lines(self, most: int) -> list[bytes]:
        try:
            with open(self._path, "rb") as source:
                source.seek(self._offset)
                found: list[bytes] = []
                while len(found) < most and (line := source.readline()).endswith(b"\n"):
                    found.append(line)
        except FileNotFoundError:
            return []
        self._offset += sum(map(len, found))
        self._number += len(found)
        return found


def _decode(line: bytes) -> reports.Report:
    fields = json.loads(line)
    report: reports.Report = _KINDS[fields.pop("kind")](**fields)
    return report
