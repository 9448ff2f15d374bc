"""What commands print: JSON on standard output, everything that is no result on standard error."""

import base64
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from rich.console import Console
from rich.text import Text

from gradwire.data.sources import masked
from gradwire.services.records import Event, Job

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
stdout = Console(highlight=False)


def say(text: str, style: str = "") -> None:
    """A line for people on standard error; `text` is shown as it is, whatever brackets it has."""
    stderr.print(Text(text, style=style))


def say_error(text: str) -> None:
    """An error on standard error."""
    stderr.print(Text.assemble(("error: ", "bold red"), text))


def print_json(value: Any) -> None:
    """One line of JSON on standard output, at once."""
    sys.stdout.write(json.dumps(plain(value), allow_nan=False) + "\n")
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """A time for people: 4.2 s, 3 min 20 s, 2 h 5 min, 6 d 3 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour} h"
    return f"{hours} h {minute} min" if hours else f"{minutes} min {second} s"


def plain(value: Any) -> Any:
    """A record as values that JSON has. NaN, infinities and bytes become the strings that protobuf's JSON has for them."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def job_fields(job: Job) -> dict[str, Any]:
    """A job for programs. `metrics` are those of the held-out data where there are any, else the last step's."""
    return {
        "job": job.id,
        "name": job.spec.name,
        "owner": job.owner,
        "state": job.state.name,
        "steps": job.step,
        "total_steps": job.total_steps,
        "seconds": round(job.seconds, 6),
        "first_step_seconds": job.first_step_seconds,
        "metrics": dict(job.evaluation_metrics or job.metrics),
        "train_metrics": dict(job.metrics),
        "parameters_sha256": job.parameters_sha256,
        "checkpoint": job.checkpoint,
        "workers": job.wanted_workers,
        "present_workers": job.workers,
        "min_workers": job.spec.min_workers,
        "max_workers": job.spec.max_workers,
        "shards": job.spec.shards,
        "device": job.spec.device,
        "threads_per_worker": job.spec.threads_per_worker,
        "overrides": dict(job.spec.overrides),
        "data": {name: masked(url) for name, url in job.spec.data.items()},
        "priority": job.spec.priority,
        "labels": dict(job.spec.labels),
        "options_history": list(job.options_history),
        "wanted_options": dict(job.wanted_options),
        "chain": job.chain,
        "attempt": job.attempt,
        "waiting_reason": job.waiting_reason,
        "cancel_requested": job.cancel_requested,
        "pause_requested": job.pause_requested,
        "created": job.create_time,
        "etag": job.etag,
        "deleted": job.delete_time,
        "expires": job.expire_time,
        "replay_of": job.replay_of,
        "error": job.error,
    }


def event_fields(event: Event) -> dict[str, Any]:
    """An event for programs: its number, time, kind, and that kind's own fields."""
    kind = type(event.kind).__name__
    return {"number": event.number, "time": event.time, "kind": kind, **plain(event.kind)}
