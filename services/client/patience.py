"""When a client tries again, and how long it waits before. Pure but for the clock; the clients do the waiting.

After AIP-194: a call that nobody answered (UNAVAILABLE) is sent again where repeating it is harmless, and what the
service itself refused for now, having done nothing, always. A call that ran out of its time is never sent again.
"""

import random
import time

from gradwire.services.errors import (
    DrainingError,
    NoAnswerError,
    RateLimitedError,
    ServiceError,
    StorageError,
    TooManyError,
    UnreachableError,
    UploadStalledError,
)

FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0
_NOTHING_DONE = (DrainingError, StorageError, TooManyError, RateLimitedError, UploadStalledError)


def worth_repeating(error: ServiceError, repeatable: bool = True) -> bool:
    """Whether a call that ended so may be sent again."""
    if isinstance(error, NoAnswerError):
        return False
    return isinstance(error, _NOTHING_DONE) or (repeatable and isinstance(error, UnreachableError))


class Patience:
    """How long to go on trying: `first_s` seconds for the first success, `then_s` from each one; pausing longer each time."""

    def __init__(self, first_s: float, then_s: float) -> None:
        self._then_s = then_s
        self._start(first_s)

    def renew(self) -> None:
        """Says that something succeeded."""
        self._start(self._then_s)

    def _start(self, limit_s: float) -> None:
        self._deadline = time.monotonic() + limit_s
        self._pause_s = FIRST_PAUSE_S

    def pause_s(self, error: ServiceError, repeatable: bool = True) -> float | None:
        """Seconds to wait before the next try, at least as many as the error asks for; None where the error stands."""
        if not worth_repeating(error, repeatable):
            return None
        pause_s = self._pause_s * random.uniform(0.5, 1.0)
        if isinstance(error, RateLimitedError):
            pause_s = max(pause_s, error.retry_s)
        if time.monotonic() + pause_s > self._deadline:
            return None
        self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)
        return pause_s
