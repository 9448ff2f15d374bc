"""How fast each owner may call: a token bucket for each owner and kind of call. Used by the gate; one loop, no locks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from gradwire.services.errors import RateLimitedError


class Kind(StrEnum):
    """Kinds of calls that are counted apart."""

    submit = "submit"
    """SubmitJob."""
    change = "change"
    """Everything else that changes a job."""
    read = "read"
    """Everything that is answered at once."""
    stream = "stream"
    """Watches and downloads, counted when they are opened."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`per_second` calls in the long run, `burst` at once."""

    per_second: float
    burst: float


LIMITS: Mapping[Kind, Limit] = {
    Kind.submit: Limit(50, 500),
    Kind.change: Limit(200, 2000),
    Kind.read: Limit(500, 2000),
    Kind.stream: Limit(50, 500),
}
"""For each owner that has tokens. Far above what a person does, below what would take the service from the others:
it answers some 2000 durable submits/s in all."""


@dataclass(slots=True)
class _Bucket:
    left: float
    time_s: float


class RateLimits:
    """Takes one call after another; `limits` may leave kinds out, which are not limited then."""

    def __init__(self, limits: Mapping[Kind, Limit], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = dict(limits), clock
        # Owners are those of tokens, so there are few.
        self._buckets: dict[tuple[str, Kind], _Bucket] = {}

    def take(self, owner: str, kind: Kind) -> None:
        """Counts one call. Raises RateLimitedError, which says when to come back; a refused call counts for nothing."""
        limit = self._limits.get(kind)
        if limit is None:
            return
        now = self._clock()
        bucket = self._buckets.setdefault((owner, kind), _Bucket(limit.burst, now))
        bucket.left = min(limit.burst, bucket.left + (now - bucket.time_s) * limit.per_second)
        bucket.time_s = now
        if bucket.left < 1:
            retry_s = (1 - bucket.left) / limit.per_second
            raise RateLimitedError(
                f"{owner} makes more than {limit.per_second:g} {kind.value} calls a second: try again in {retry_s:.3f} s",
                {
                    "owner": owner,
                    "kind": kind.value,
                    "limit": f"{limit.per_second:g}",
                    "retry_s": f"{retry_s:.6f}",
                },
            )
        bucket.left -= 1


def parse_limits(items: list[str]) -> dict[Kind, Limit]:
    """The limits with KIND=PER_SECOND[/BURST] in the place of some; 'none' lifts one. Raises ValueError, which says which."""
    limits = dict(LIMITS)
    for item in items:
        name, _, text = item.partition("=")
        try:
            kind = Kind(name)
            if text == "none":
                limits.pop(kind, None)
                continue
            rate, _, burst = text.partition("/")
            limit = Limit(float(rate), float(burst or max(1.0, float(rate))))
            if not (0 < limit.per_second < float("inf") and 1 <= limit.burst < float("inf")):
                raise ValueError
        except ValueError:
            kinds = ", ".join(kind.value for kind in Kind)
            raise ValueError(
                f"expected KIND=PER_SECOND[/BURST], like submit=50/500 (kinds: {kinds}), not {item!r}"
            ) from None
        limits[kind] = limit
    return limits
