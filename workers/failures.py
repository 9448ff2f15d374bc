"""What a worker makes of an exception: whose it is, and how it is told to the job's owner.

Whatever is raised while the user's code runs is the user's; it is marked on its way out of `user_code`.
Everything else that goes wrong is ours.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradwire
from gradwire.data import DataError
from gradwire.training import JobFileError, LossError, NonFiniteGradient, NonFiniteLoss
from gradwire.workers.reports import Failed

__all__ = ["UserCodeError", "failure_report", "user_code", "user_traceback"]

_OWN_FOLDERS = tuple({str(Path(gradwire.__file__).parent) + "/", str(Path(__file__).parent) + "/"})
_MACHINERY = ("<frozen importlib", "importlib/__init__.py")


class UserCodeError(Exception):
    """The user's code raised `error`, which is also the cause, in loading the job file or later."""

    def __init__(self, error: BaseException, loading: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.loading = loading


@contextmanager
def user_code(loading: bool = False) -> Iterator[None]:
    """Marks what is raised within as the user's. `loading`: while the job file is imported and its parts are made."""
    try:
        yield
    except BaseException as error:
        raise UserCodeError(error, loading) from error


def failure_report(error: BaseException) -> Failed:
    """How a worker's end is told to the job's owner."""
    if isinstance(error, UserCodeError):
        return _user_failure(error.error, error.loading)
    if isinstance(error, LossError):  # seen by all ranks alike, in what the shards returned together
        return _user_failure(error, loading=False)
    if isinstance(error, NonFiniteGradient):
        return Failed("NON_FINITE_GRADIENT", str(error), "")
    if isinstance(error, NonFiniteLoss):
        return Failed("NON_FINITE_LOSS", str(error), "")
    whole = "".join(traceback.format_exception(error))
    return Failed("INTERNAL", f"gradwire itself failed, please report it: {_last_line(error)}\n{whole}", "")


def _user_failure(error: BaseException, loading: bool) -> Failed:
    if isinstance(error, JobFileError | LossError):
        return Failed("INVALID_JOB_FILE", str(error), "")
    if isinstance(error, DataError):
        return Failed("DATA_UNAVAILABLE", str(error), "")
    if isinstance(error, SystemExit):
        message = f"the job called sys.exit({error.code!r}); a job ends by making all its steps"
        return Failed("USER_CODE", message, user_traceback(error))
    if loading and isinstance(error, SyntaxError | ImportError):
        return Failed(
            "INVALID_JOB_FILE", f"the job file does not import: {_last_line(error)}", user_traceback(error)
        )
    return Failed("USER_CODE", _last_line(error), user_traceback(error))


def _last_line(error: BaseException) -> str:
    """Kind and message, in one line."""
    lines = traceback.format_exception_only(error)
    return lines[-1].strip() if isinstance(error, SyntaxError) else "".join(lines).strip()


def user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without frames of gradwire and of the import machinery."""
    told = traceback.TracebackException.from_exception(error)
    waiting: list[traceback.TracebackException | None] = [told]
    while waiting:
        current = waiting.pop()
        if current is not None:
            kept = [frame for frame in current.stack if not _ours(frame.filename)]
            current.stack = traceback.StackSummary.from_list(kept)
            waiting += [current.__cause__, current.__context__, *(current.exceptions or ())]
    return "".join(told.format())


def _ours(filename: str) -> bool:
    return filename.startswith(_OWN_FOLDERS) or any(part in filename for part in _MACHINERY)
