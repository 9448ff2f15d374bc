"""gradwire.run: what `python job.py` does."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from ..data.sources import DataError
from .job import Job, JobFileError, made
from .plan import Plan
from .solo import SoloResult, train_solo

__all__ = ["run"]


def run(job: type[Job], argv: list[str] | None = None) -> SoloResult:
    """Trains a job class in this process, without any service, and prints what happens: for debugging.

    Takes --set NAME=VALUE, --data NAME=URL, --shards V, --device and --threads from the command line. The bits are those of
    `gradwire train` with the same values.
    """
    parser = argparse.ArgumentParser(description=(job.__doc__ or "").strip().split("\n")[0] or None)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting of the job"
    )
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=URL", help="data in the place of the job's own"
    )
    parser.add_argument(
        "--shards", type=int, default=8, help="fixed parts of each batch; part of the bits (default 8)"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads within an operation; part of the bits (default 1)"
    )
    options = parser.parse_args(argv)
    given: dict[str, dict[str, str]] = {"set": {}, "data": {}}
    for option, pairs in given.items():
        for item in getattr(options, option):
            name, equals, value = item.partition("=")
            if not equals or not name:
                parser.error(f"--{option}: expected NAME=VALUE, got {item!r}")
            pairs[name] = value
    if options.shards < 1 or options.threads < 1:
        parser.error("--shards and --threads: expected at least 1")
    started = time.perf_counter()

    def on_step(plan: Plan, step: int, metrics: dict[str, float]) -> None:
        if plan.ends_epoch(step):
            print(
                f"epoch {plan.epoch_of(step) + 1}/{plan.epochs}  step {step + 1}/{plan.total_steps}  {_text(metrics)}"
            )

    def on_evaluation(plan: Plan, step: int, metrics: dict[str, float]) -> None:
        print(f"  held out: {_text(metrics)}")

    try:
        result = train_solo(
            made(job, given["set"], job.__name__, given["data"]),
            options.shards,
            options.device,
            options.threads,
            on_step,
            on_evaluation,
        )
    except (JobFileError, DataError) as e:
        print(f"error: {e}", file=sys.stderr)
        raise SystemExit(2) from None
    print(
        f"{result.steps} steps in {time.perf_counter() - started:.1f} s, parameters sha256 {result.parameters_sha256}"
    )
    return result


def _text(metrics: dict[str, Any]) -> str:
    return "  ".join(f"{k} {v:.4f}" for k, v in metrics.items())
