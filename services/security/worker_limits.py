"""The limits of worker processes as people write them, and what the service accepts of them."""

import re
from dataclasses import fields

from gradwire.services.errors import Violation
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits

LEAST = ProcessLimits(64 * 2**20, 2**20, 64, 32)
"""Below these a worker could not do its own work: thread stacks and BLAS buffers, shared memory, sockets, threads."""
MOST = 2**62
NAMES = {
    "memory": "memory_bytes",
    "file-size": "file_bytes",
    "open-files": "open_files",
    "processes": "processes",
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B?)", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def parse_size(text: str) -> int:
    """Bytes of "512MiB", "2G" or "1000000"; the units are powers of 1024. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"expected a size like 512MiB or 2G, not {text!r}")
    return int(float(found[1]) * 1024 ** _POWERS[found[2].upper()])


def parse_limits(items: list[str]) -> ProcessLimits:
    """Limits of KIND=AMOUNT items. Raises ValueError, which says which is wrong."""
    values: dict[str, int] = {}
    for item in items:
        name, _, text = item.partition("=")
        if name not in NAMES or not text:
            raise ValueError(
                f"expected KIND=AMOUNT, like memory=2GiB (kinds: {', '.join(NAMES)}), not {item!r}"
            )
        field = NAMES[name]
        if field.endswith("_bytes"):
            values[field] = parse_size(text)
        elif text.isdigit():
            values[field] = int(text)
        else:
            raise ValueError(f"expected a number for {name}, not {text!r}")
    return ProcessLimits(**values)


def limit_violations(limits: ProcessLimits, most: ProcessLimits = NO_LIMITS) -> list[Violation]:
    """What is wrong with the limits of a job on a service that gives at most `most`."""
    wrong = []
    for each in fields(ProcessLimits):
        value, least, top = (getattr(which, each.name) for which in (limits, LEAST, most))
        path = f"spec.process_limits.{each.name}"
        if value != 0 and value < least:
            wrong.append(
                Violation(path, f"expected 0 (the service's default) or at least {least}, not {value}")
            )
        elif top and value > top:
            wrong.append(Violation(path, f"this service gives at most {top}, not {value}"))
        elif value > MOST:
            wrong.append(Violation(path, f"expected at most {MOST}, not {value}"))
    return wrong


def in_words(limits: ProcessLimits) -> str:
    """What each worker may use, in a line."""
    told = [
        f"{name} {value:,}{' bytes' if field.endswith('_bytes') else ''}"
        for name, field in NAMES.items()
        if (value := getattr(limits, field))
    ]
    return "; ".join(told) or "none"
