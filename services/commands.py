"""Commands as lines of JSON in a file that only grows: what the service asks a job's own process to do.

Written by local_launcher.py, polled by the process (local_program.py gives it a Commands). A line counts when its
end is there. Commands lie there also before the process has started, and those of a service that was killed stay.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Resize:
    """Go on with so many workers."""

    workers: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Write a checkpoint at the next step boundary, report Paused and end."""


@dataclass(frozen=True, slots=True)
class Update:
    """Set these options of all parameter groups at the next step boundary. `number` counts requests for options."""

    options: Mapping[str, float]
    number: int


Command = Resize | Pause | Update
_KINDS: dict[str, type[Resize | Pause | Update]] = {kind.__name__: kind for kind in (Resize, Pause, Update)}


class CommandWriter:
    """Appends commands to `path`; any thread may write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, command: Command) -> None:
        """Appends one command in one write. It is on the disk's way, not on the disk: the service's store holds the wish."""
        line = json.dumps({"kind": type(command).__name__, **asdict(command)}).encode() + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


class Commands:
    """The commands at `path`, each once, in order. Iterating waits for those to come and never ends by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._number = 0

    def poll(self) -> list[Command]:
        """Those that came since the last call, without waiting. An update that a restarted service repeats comes once."""
        try:
            # Nothing new is the ordinary case and costs one look at the file's size.
            if os.stat(self._path).st_size <= self._offset:
                return []
        except FileNotFoundError:
            return []
        with open(self._path, "rb") as source:
            source.seek(self._offset)
            lines = source.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [command for line in whole.splitlines() if (command := self._decode(line)) is not None]

    def __iter__(self) -> Iterator[Command]:
        while True:
            yield from self.poll()
            time.sleep(POLL_S)

    def _decode(self, line: bytes) -> Command | None:
        fields = json.loads(line)
        command = _KINDS[fields.pop("kind")](**fields)
        if isinstance(command, Update):
            if command.number <= self._number:
                return None
            self._number = command.number
        return command
