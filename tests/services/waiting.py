"""Waiting for what other processes do, never longer than a deadline."""

import time
from collections.abc import Callable


def wait_until(met: Callable[[], bool], deadline_s: float = 60.0, what: str = "it") -> None:
    """Looks again until it is so."""
    end = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < end, f"{what} was not so within {deadline_s:g} s"
        time.sleep(0.02)
