"""Named places on the way of a change where a test can kill the service: between each two of them something is handed over.

Reached by faces/submitting.py, writer.py and purging.py, in the order of `POINTS`. Without a test that arms one, a place costs one call.
"""

import os
import signal
import threading

__all__ = ["POINTS", "PURGE_POINTS", "arm", "reach"]

POINTS = (
    "received",
    "checked",
    "queued",
    "taken",
    "begun",
    "applied",
    "committed",
    "told",
    "answered",
    "resumed",
    "rendered",
)
"""Every place of SubmitJob: front end, writer (one transaction for many changes), front end again."""

PURGE_POINTS = ("purge_begun", "purge_folder_gone", "purge_some_events_gone")
"""Every place of a deleted job's going for good (purging.py)."""

_lock = threading.Lock()
_left: dict[str, int] = {}


def arm(point: str, count: int = 1) -> None:
    """Kills this process (SIGKILL) when it reaches `point` for the `count`-th time from now."""
    if point not in (*POINTS, *PURGE_POINTS) or count < 1:
        raise ValueError(f"no such place: {point!r}, {count}; places are {', '.join(POINTS)}, counted from 1")
    with _lock:
        _left[point] = count


def reach(point: str) -> None:
    """Says that this place is reached."""
    if _left:
        _look(point)


def _look(point: str) -> None:
    with _lock:
        if point not in _left:
            return
        _left[point] -= 1
        due = _left[point] == 0
    if due:
        os.kill(os.getpid(), signal.SIGKILL)
        # Nothing more may happen, and the signal takes an instant.
        threading.Event().wait()
