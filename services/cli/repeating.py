"""Commands that repeat a job on its service, and compare two of its jobs: `repeat`, `compare`.

`verify` and `replay` do it here, without a service, on what a run has left (verify.py).
"""

import sys
from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.completion import complete_job
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import INTERRUPTED, JOB_FAILED, endings, exit_code, interrupt_on_signals
from gradwire.services.cli.follow import follow
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.cli.progress import Display
from gradwire.services.cli.summary import print_end
from gradwire.services.records import Comparison


def repeat(
    job: o.JobId,
    workers: o.Workers = 1,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Print the new job's id and don't follow it.")
    ] = False,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Run a job again as a new one and compare their bits; exit code 1 where they differ."""
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        again = client.job(job).replay(workers)
        if detach:
            if as_json:
                print_json({"job": again.id, "replay_of": job})
            else:
                sys.stdout.write(f"{again.id}\n")
                say(f"when it has ended: gradwire compare {job} {again.id} --address {client.address}")
            return
        try:
            with Display() as display:
                display.line(f"job {again.id} repeats {job}")
                ended = follow(again, display)
        except KeyboardInterrupt:
            say(f"the job goes on. When it has ended: gradwire compare {job} {again.id}")
            raise typer.Exit(INTERRUPTED) from None
        if code := exit_code(ended):
            print_end(ended, None, as_json)
            raise typer.Exit(code)
        found = client.job(job).verify(again.id)
    _tell(job, found, as_json)


def compare(
    job: o.JobId,
    other: Annotated[
        str,
        typer.Argument(
            metavar="[OTHER]",
            help="The job to compare it with.  [default: its newest replay that has ended]",
            show_default=False,
            autocompletion=complete_job,
        ),
    ] = "",
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Compare the bits of two jobs, step by step, by what they have told; exit code 1 where they differ."""
    with endings(), connect(address, context, tls_ca) as client:
        found = client.job(job).verify(other)
    _tell(job, found, as_json)


def _tell(job: str, found: Comparison, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "job": job,
                "against": found.against,
                "same": found.same,
                "compared_steps": found.compared_steps,
                "first_different_step": found.first_different_step,
                "differences": found.differences,
            }
        )
    else:
        steps = "1 step" if found.compared_steps == 1 else f"{found.compared_steps} steps"
        lines = [f"{job} and {found.against}: the same bits, {steps} compared"]
        if not found.same:
            lines = [f"{job} and {found.against}: other bits from step {found.first_different_step} on"]
        lines += [f"  {line}" for line in found.differences]
        for line in lines:
            stdout.print(line, soft_wrap=True, markup=False)
    raise typer.Exit(0 if found.same else JOB_FAILED)
