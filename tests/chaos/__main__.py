"""`make chaos`: jobs under random failures until the time is up; each failure is printed with its seed and what was done.

    python -m tests.chaos [threads] [processes] [service] [--minutes 5] [--seed 7]

Without names: all of them, the time shared. With --seed: only that one, once.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos import processes, service, threads


def of_threads(seed: int, folder: Path) -> str:
    what = threads.sequence(seed)
    try:
        threads.suffer(what, folder)
    except AssertionError as error:
        raise AssertionError(f"{what}\n{error}") from error
    return ""


def of_processes(seed: int, folder: Path) -> str:
    return processes.Run(seed, folder, steps=600, every_s=3.0, harms=30).suffer(within_s=400)


def of_service(seed: int, folder: Path) -> str:
    return service.ServiceRun(seed, folder, steps=1200, every_s=6.0, harms=20).suffer(within_s=900)


VARIANTS: dict[str, Callable[[int, Path], str]] = {
    "threads": of_threads,
    "processes": of_processes,
    "service": of_service,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("variants", nargs="*", choices=[*VARIANTS, []], help="all where none is named")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int)
    asked = parser.parse_args()
    names = asked.variants or list(VARIANTS)
    failed = 0
    for name in names:
        failed += _rounds(name, asked.seed, asked.minutes * 60 / len(names))
    return 1 if failed else 0


def _rounds(name: str, seed: int | None, seconds: float) -> int:
    end = time.monotonic() + seconds
    run = failed = 0
    while run == 0 or (seed is None and time.monotonic() < end):
        chosen = random.SystemRandom().randrange(10**6) if seed is None else seed
        with tempfile.TemporaryDirectory() as folder:
            try:
                said = VARIANTS[name](chosen, Path(folder))
                if said:
                    print(f"{name}: {said}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"{name}, seed {chosen}, FAILED: {error}", flush=True)
        run += 1
    print(f"{name}: {run} histories, {failed} failed", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
