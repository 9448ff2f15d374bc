"""Which limits a job may have: wall time, retries, bytes that it says it stores. Used by validation.py."""

import math

from gradwire.services.errors import Violation
from gradwire.services.records import JobSpec
from gradwire.services.scheduling.limits import Cause

RETRIES_LIMIT = 1000
SECONDS_LIMIT = 10 * 365 * 86_400.0


def limit_violations(spec: JobSpec) -> list[Violation]:
    """Every wrong limit of a spec."""
    limits, wrong = spec.limits, []
    for name in ("attempt_seconds", "job_seconds"):
        value = getattr(limits, name)
        if not (math.isfinite(value) and 0 <= value <= SECONDS_LIMIT):
            wrong.append(
                Violation(f"spec.limits.{name}", f"expected seconds, or 0 for no limit, not {value:g}")
            )
    causes = [cause.value for cause in Cause]
    for name, times in sorted(limits.retries.items()):
        field = f"spec.limits.retries[{name[:40]!r}]"
        if name not in causes:
            wrong.append(Violation(field, f"expected one of {', '.join(causes)}"))
        elif not 0 <= times <= RETRIES_LIMIT:
            wrong.append(Violation(field, f"expected 0 to {RETRIES_LIMIT} retries, not {times}"))
    if spec.storage_bytes < 0:
        wrong.append(Violation("spec.storage_bytes", f"expected 0 or more, not {spec.storage_bytes}"))
    return wrong
