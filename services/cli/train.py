"""`gradwire train`: a service for one job, in this process, from start to end."""

from collections.abc import Callable
from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import INTERRUPTED, endings, exit_code, interrupt_on_signals
from gradwire.services.cli.follow import follow
from gradwire.services.cli.progress import Display
from gradwire.services.cli.reference import reference
from gradwire.services.cli.summary import print_end
from gradwire.services.client import Client, RemoteJob
from gradwire.services.data_rules import DataRules
from gradwire.services.records import Job, JobSpec
from gradwire.services.runtimes import launcher
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, LOCAL_OWNER, Scope
from gradwire.services.security.exposure import Protection
from gradwire.services.service import Address, Service, new_job_id
from gradwire.services.sources import collect


def train(
    file: o.JobFile,
    workers: o.Workers = 1,
    min_workers: o.MinWorkers = 0,
    max_workers: o.MaxWorkers = 0,
    shards: o.Shards = 8,
    device: o.Device = o.DeviceKind.cpu,
    threads: o.Threads = 1,
    set_: o.Overrides = None,
    data: o.Data = None,
    limit: o.WorkerLimits = None,
    home: o.HomeFolder = o.DEFAULT_HOME,
    runtime: o.Runtime = o.DEFAULT_RUNTIME,
    by_reference: Annotated[
        bool,
        typer.Option(
            "--reference",
            help="By the contract's own words, in this process: no workers, no checkpoints, the same bits.",
        ),
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Train FILE on this machine and show the result; everything that is started is stopped."""
    overrides = o.parse_overrides(set_)
    urls = {name: o.of_this_machine(url) for name, url in o.parse_data(data).items()}
    limits = o.parse_worker_limits(limit)
    if by_reference and (workers != 1 or min_workers or max_workers or limit):
        raise typer.BadParameter(
            "it has no workers: leave their number out, and their limits", param_hint="--reference"
        )
    with endings():
        interrupt_on_signals()
        code = collect(file)
        if by_reference:
            spec = JobSpec(
                file.stem,
                code,
                overrides=overrides,
                shards=shards,
                device=device.value,
                threads_per_worker=threads,
                data=urls,
            )
            with Display() as display:
                ended, interrupted = reference(file, spec, display)
            print_end(ended, file, as_json, by_reference=True)
            raise typer.Exit(INTERRUPTED if interrupted else exit_code(ended))
        # The run's folder has the job's id, so the id is made here and given to the service.
        job_id = new_job_id(JobSpec(file.stem, code))
        service = Service(
            home.expanduser() / "runs" / job_id,
            launcher(runtime.value, embedded=True, ray_address=None),
            Address("127.0.0.1", 0),
            new_id=lambda spec: job_id,
            # Others on this machine reach its port, and would run their code as this user.
            protection=Protection(require_token=True),
            data=DataRules(None),
        )
        with Display() as display:
            display.line(f"starting job {job_id}")
            address = service.start()
            # A launcher may have put its own signal handlers in place.
            interrupt_on_signals()
            try:
                secret = service.tokens.create(LOCAL_OWNER, Scope.SUBMIT, None, LOCAL)[1]

                def connected() -> Client:
                    return Client(str(address), access=Access(secret))

                with connected() as client:
                    job = client.submit(
                        code,
                        overrides=overrides,
                        workers=workers,
                        min_workers=min_workers,
                        max_workers=max_workers,
                        shards=shards,
                        device=device.value,
                        threads_per_worker=threads,
                        process_limits=limits,
                        data=urls,
                    )
                    ended, interrupted = _followed(job, display, connected)
            finally:
                service.stop()
        print_end(ended, file, as_json)
    raise typer.Exit(INTERRUPTED if interrupted else exit_code(ended))


def _followed(job: RemoteJob, display: Display, connected: Callable[[], Client]) -> tuple[Job, bool]:
    """The job at its end, and True where that end was Ctrl-C."""
    try:
        return follow(job, display), False
    except KeyboardInterrupt:
        display.line("stopping (Ctrl-C) …")
        # An interrupt may leave a lock of gRPC taken, for which the old connection would wait for ever.
        with connected() as client:
            again = client.job(job.id)
            again.cancel()
            return again.wait(), True
