"""Commands that run again what was run: `verify`, which compares, and `replay`, which looks closely at one step."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import JOB_FAILED, WRONG, endings
from gradwire.services.cli.output import print_json, say, say_error, stdout
from gradwire.services.cli.progress import metrics_text
from gradwire.services.verification import Replayed, RunNotFoundError, Verdict, find_run, replay, verify
from gradwire.workers.failures import UserCodeError, failure_report

Run = Annotated[
    str,
    typer.Argument(
        metavar="FOLDER|JOB", help="A run's folder, or the id of a job in the home.", show_default=False
    ),
]


def _range(text: str) -> tuple[int, int | None]:
    first, colon, last = text.partition(":")
    try:
        return int(first or 1), int(last) if last else (None if colon else int(first))
    except ValueError:
        raise typer.BadParameter(f"expected A:B, like 10:20, got {text!r}", param_hint="--steps") from None


@contextmanager
def _told() -> Iterator[None]:
    """Turns what running a job again raises into a message and an exit code; what the job prints is no result."""
    with endings():
        try:
            with redirect_stdout(sys.stderr):
                yield
        except RunNotFoundError as error:
            say_error(str(error))
            raise typer.Exit(WRONG) from None
        except (OSError, KeyboardInterrupt, typer.Exit):
            raise
        except Exception as error:
            failed = failure_report(UserCodeError(error, loading=False))
            if failed.traceback:
                say(failed.traceback.rstrip())
            say_error(f"the job's code can't be run again: {failed.message}")
            raise typer.Exit(JOB_FAILED) from None


def verify_run(
    run: Run,
    steps: Annotated[
        str, typer.Option("--steps", metavar="A:B", help="Only these steps.  [default: all]")
    ] = "1:",
    home: o.HomeFolder = o.DEFAULT_HOME,
    as_json: o.AsJson = False,
) -> None:
    """Run a job again by the reference and compare its bits, step by step; exit code 1 where they differ."""
    first, last = _range(steps)
    with _told():
        kept = find_run(run, home)
        say(f"job {kept.job.id}: {len(kept.chains)} steps were told of")
        (verdict,) = [each for each in verify(kept, first, last) if isinstance(each, Verdict)]
    if as_json:
        print_json({"job": kept.job.id, "same": verdict.differs is None, **asdict(verdict)})
    else:
        _print_verdict(verdict)
    raise typer.Exit(0 if verdict.differs is None else JOB_FAILED)


def _print_verdict(verdict: Verdict) -> None:
    begun = f"from the checkpoint of step {verdict.began}" if verdict.began else "from the beginning"
    if verdict.differs is None:
        stdout.print(
            f"steps {verdict.first} to {verdict.last}, made again {begun}: the same bits", soft_wrap=True
        )
        if verdict.parameters_sha256:
            stdout.print(f"parameters sha256 {verdict.parameters_sha256}", soft_wrap=True)
    else:
        stdout.print(f"step {verdict.differs} has other bits, made again {begun}", soft_wrap=True)
    for line in verdict.because:
        stdout.print(f"differs between then and now: {line}", soft_wrap=True, markup=False)
    if verdict.differs is not None and not verdict.because:
        stdout.print("nothing that the receipt tells of differs between then and now", soft_wrap=True)


def replay_step(
    run: Run,
    step: Annotated[int, typer.Option("--step", metavar="N", help="Which step, from 1.", show_default=False)],
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Where the graph goes, as .svg, .dot or .mmd.  [default: beside the run]",
        ),
    ] = None,
    home: o.HomeFolder = o.DEFAULT_HOME,
    as_json: o.AsJson = False,
) -> None:
    """Make one step of a job again under anomaly detection: loss, gradients, and a picture of the graph."""
    if picture is not None and picture.suffix not in (".svg", ".dot", ".mmd"):
        raise typer.BadParameter("expected a name that ends in .svg, .dot or .mmd", param_hint="--picture")
    with _told():
        kept = find_run(run, home)
        target = (picture or kept.folder / f"step-{step:08d}.svg").absolute()
        found = replay(kept, step, target)
    if as_json:
        print_json({"job": kept.job.id, **asdict(found), "picture": str(found.picture)})
    else:
        _print_replayed(found)
    raise typer.Exit(JOB_FAILED if found.error or found.same is False else 0)


def _print_replayed(found: Replayed) -> None:
    lines = [f"step {found.step}: {metrics_text(found.metrics)}" if found.metrics else f"step {found.step}"]
    width = max(map(len, found.gradient_norms), default=0)
    lines += [f"  gradient of {name:<{width}}  {norm:.6g}" for name, norm in found.gradient_norms.items()]
    lines += ["anomaly: " + found.anomaly] if found.anomaly else []
    lines += ["error: " + found.error] if found.error else []
    if found.same is not None:
        lines.append("the same bits as the run's" if found.same else "other bits than the run's")
    lines.append(f"graph of the loss of shard 0: {found.picture}")
    for line in lines:
        stdout.print(line, soft_wrap=True, markup=False)
