"""Runs a job on processes of this host under a supervisor, and keeps what it tells in a file, as the service keeps events.

Arguments: folder, and a JSON object with "workers", "overrides", "spares". Lines on stdin: `resize N`, `pause`. Killed
and started again, it goes on: a step that is made again must say the same again, and is not written twice.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.reports import OptionsChanged, Report
from gradwire.workers.supervisor import Supervisor

OF_STEPS = ("StepFinished", "EvaluationFinished", "CheckpointWritten")


class History:
    """A file of reports, each a line of JSON."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text().splitlines() if path.exists() else []
        self.events: list[dict[str, Any]] = [json.loads(line) for line in lines]
        self._told = {(e["kind"], e["step"]): e for e in self.events if e["kind"] in OF_STEPS}
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def take(self, report: Report) -> None:
        """Writes a report, unless its like was written."""
        event = {"kind": type(report).__name__, **asdict(report)}
        if event["kind"] in OF_STEPS:
            before = self._told.setdefault((event["kind"], event["step"]), event)
            if before is not event:
                if any(before.get(name) != event.get(name) for name in ("metrics", "parameters_sha256")):
                    self._write({"kind": "Contradiction", "before": before, "now": event})
                return
        self._write(event)

    def _write(self, event: dict[str, Any]) -> None:
        os.write(self._file, (json.dumps(event) + "\n").encode())  # at once or not at all, whoever is killed


def main() -> None:
    folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    history = History(folder / "events.jsonl")
    spec = MemberSpec(
        job_file=str(Path(__file__).parent / "job.py"),
        overrides=options["overrides"],
        shards=8,
        device="cpu",
        threads_per_worker=1,
        checkpoints=str(folder / "checkpoints"),
        deadline_s=options["deadline_s"],
    )
    changes = [
        OptionsChanged(event["step"], event["options"], event["order"])
        for event in history.events
        if event["kind"] == "OptionsChanged"
    ]
    supervisor = Supervisor(
        spec,
        options["workers"],
        ProcessCrew(spec, SliceOptimizer),
        history.take,
        changes,
        options["spares"],
        losses_limit=30,
        heartbeat_s=options["deadline_s"],
    )

    def obey() -> None:
        for line in sys.stdin:
            match line.split():
                case ["resize", workers]:
                    supervisor.resize(int(workers))
                case ["pause"]:
                    supervisor.pause()

    threading.Thread(target=obey, daemon=True).start()
    supervisor.run()
    os._exit(0)  # the thread that reads stdin would be waited for


if __name__ == "__main__":
    main()
