"""How a command ends: exit codes, one clear message for everything that can go wrong, signals as interrupts."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from gradwire.services.address import AddressError
from gradwire.services.backup import BackupError
from gradwire.services.cli.output import say_error
from gradwire.services.client import DownloadError, UploadError
from gradwire.services.errors import (
    BlobNotFoundError,
    CursorAheadError,
    DrainingError,
    EtagError,
    ForbiddenError,
    InvalidRequestError,
    JobNotFoundError,
    JobStateError,
    MessageTooLargeError,
    RateLimitedError,
    ResizeLimitError,
    ServiceError,
    StorageError,
    TooManyError,
    UnauthenticatedError,
    UnreachableError,
)
from gradwire.services.home import HomeInUseError
from gradwire.services.migrations import VersionError
from gradwire.services.records import Job
from gradwire.services.runtimes import RuntimeUnavailableError
from gradwire.services.security.access import AccessError
from gradwire.services.security.contexts import ContextError
from gradwire.services.security.run_as import RunAsError
from gradwire.services.security.secret_files import SecretFileError
from gradwire.services.security.tokens import TokenError
from gradwire.services.sources import SourceError
from gradwire.services.states import JobState

WELL = 0
JOB_FAILED = 1
WRONG = 2
UNREACHABLE = 3
INTERRUPTED = 130

_WRONG = (
    MessageTooLargeError,
    InvalidRequestError,
    JobNotFoundError,
    BlobNotFoundError,
    UploadError,
    JobStateError,
    EtagError,
    ResizeLimitError,
    CursorAheadError,
    UnauthenticatedError,
    ForbiddenError,
    TokenError,
    AccessError,
    ContextError,
    SecretFileError,
    RunAsError,
    SourceError,
    AddressError,
    HomeInUseError,
    BackupError,
    VersionError,
)
_AWAY = (UnreachableError, DrainingError, StorageError, TooManyError, RateLimitedError)
# What the command line calls a field of the request.
_OPTIONS = {
    "spec.workers": "--workers",
    "spec.min_workers": "--min-workers",
    "spec.max_workers": "--max-workers",
    "workers": "--workers",
    "options['lr']": "--lr",
    "filter": "--filter",
    "rank": "--rank",
    "offset": "--offset",
    "first_step": "--first",
    "last_step": "--last",
    "labels": "--label",
    "remove_labels": "--remove-label",
    "spec.shards": "--shards",
    "spec.device": "--device",
    "spec.threads_per_worker": "--threads",
    "spec.overrides": "--set",
    "spec.labels": "--label",
    "spec.data": "--data",
    "spec.name": "--name",
    "spec.code_archive": "--archive",
    "spec.priority": "--priority",
    "spec.process_limits.memory_bytes": "--limit memory",
    "spec.process_limits.file_bytes": "--limit file-size",
    "spec.process_limits.open_files": "--limit open-files",
    "spec.process_limits.processes": "--limit processes",
}


@contextmanager
def endings() -> Iterator[None]:
    """Turns what a command raises into a message on standard error and an exit code."""
    try:
        yield
    except InvalidRequestError as error:
        for wrong in error.violations:
            say_error(f"{_OPTIONS.get(wrong.field, wrong.field)}: {wrong.description}")
        raise typer.Exit(WRONG) from None
    except _WRONG as error:
        say_error(str(error))
        raise typer.Exit(WRONG) from None
    except _AWAY as error:
        say_error(str(error))
        raise typer.Exit(UNREACHABLE) from None
    except (ServiceError, DownloadError, RuntimeUnavailableError) as error:
        say_error(str(error))
        raise typer.Exit(JOB_FAILED) from None
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        where = f"{error.filename}: " if error.filename else ""
        say_error(f"{where}{error.strerror or error}")
        raise typer.Exit(JOB_FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def exit_code(job: Job) -> int:
    """The exit code of a command that followed `job` to its end."""
    if job.state == JobState.SUCCEEDED:
        return WELL
    if job.error is not None and job.error.reason == "INVALID_JOB_FILE":
        return WRONG
    return JOB_FAILED


def interrupt_on_signals() -> None:
    """Makes SIGTERM and SIGHUP do what Ctrl-C does, so that a command that is ended from outside cleans up too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
