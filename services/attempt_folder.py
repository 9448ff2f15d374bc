"""The files by which a job's own process and the service know of each other, across a kill of either.

    <job>/running.lock         held by the process of an attempt as long as it lives; holds its pid
    <job>/newest               number of the newest attempt; an older one that starts late gives way
    <job>/attempts/<n>/        launch.json, reports.jsonl, commands.jsonl, output.log

A held lock says "it lives" without a race and without trusting a pid. Used by local_launcher.py and local_program.py.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

from gradwire.services.launcher import Launch
from gradwire.workers.process_limits import ProcessLimits
from gradwire.workers.reports import OptionsChanged

POLL_S = 0.01
ELSEWHERE_S = 5.0


class LateAttemptError(Exception):
    """A newer attempt of the job was begun: this one must not run."""


class ElsewhereError(OSError):
    """The job's process is on another host, where this one can't end it."""


class AttemptFolder:
    """The files of one attempt."""

    def __init__(self, job: Path, attempt: int) -> None:
        self.job, self.attempt = job, attempt
        self.path = job / "attempts" / str(attempt)

    @property
    def reports(self) -> Path:
        """Where the attempt's reports are appended."""
        return self.path / "reports.jsonl"

    @property
    def commands(self) -> Path:
        """Where the service appends what the attempt is asked to do."""
        return self.path / "commands.jsonl"

    @property
    def output(self) -> Path:
        """What the process prints outside of Python's streams, and the interpreter's own last words."""
        return self.path / "output.log"

    def prepare(self, launch: Launch) -> None:
        """Makes the folder and says that this attempt is the newest. Raises LateAttemptError where a newer one was prepared."""
        # A front end that stood still may launch what another one has long followed by a newer attempt.
        with contextlib.suppress(FileNotFoundError, ValueError):
            if (newest := int((self.job / "newest").read_text())) > self.attempt:
                raise LateAttemptError(f"attempt {newest} was begun already, after attempt {self.attempt}")
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        fields = {**asdict(launch), "directory": str(launch.directory)}
        (self.path / "launch.json").write_text(json.dumps(fields))
        aside = self.job / ".tmp-newest"
        aside.write_text(str(self.attempt))
        aside.rename(self.job / "newest")

    def launch(self) -> Launch:
        """What was asked for."""
        fields = json.loads((self.path / "launch.json").read_text())
        fields["directory"] = Path(fields["directory"])
        history = fields.get("options_history", ())
        fields["options_history"] = tuple(OptionsChanged(**change) for change in history)
        fields["process_limits"] = ProcessLimits(**fields.get("process_limits", {}))
        return Launch(**fields)

    @property
    def newest(self) -> bool:
        """True where no later attempt was prepared."""
        return (self.job / "newest").read_text() == str(self.attempt)

    def hold(self) -> bool:
        """Takes the job's lock for the life of this process; False where this attempt is to give way."""
        descriptor = os.open(self.job / "running.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while self.newest:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(POLL_S)
                continue
            if not self.newest:
                break
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {self.attempt} {socket.gethostname()}".encode(), 0)
            return True
        os.close(descriptor)
        return False


def holder(job: Path) -> tuple[int, int] | None:
    """(pid, attempt) of the process that runs the job now, or None where none does."""
    try:
        descriptor = os.open(job / "running.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        words = os.pread(descriptor, 100, 0).split()
        # Between taking the lock and writing its pid there is an instant; the caller looks again.
        return (int(words[0]), int(words[1])) if len(words) >= 2 else (0, 0)
    finally:
        os.close(descriptor)


def end_holder(job: Path, grace_s: float) -> None:
    """Ends the process that runs the job, with its children: asked first, killed after `grace_s` seconds.

    Raises ElsewhereError where it runs on another host. What it wrote into its lock is believed only where the process it names is of the lock's own user.
    """
    deadline = time.monotonic() + grace_s
    asked = False
    while (found := holder(job)) is not None:
        pid = found[0]
        late = time.monotonic() > deadline
        host, uid = _host_of(job), (job / "running.lock").stat().st_uid
        here = host == socket.gethostname()
        # What another user's process says of its host is believed only when killing all of that user's did not end it.
        if not here and time.monotonic() > deadline + (0.0 if uid == os.geteuid() else ELSEWHERE_S):
            raise ElsewhereError(f"a process on {host} runs the job still: end it there")
        if late and uid != os.geteuid():
            kill_all_of(uid)
        elif pid and here and (late or not asked) and _same_user(pid, job / "running.lock"):
            if late:
                end_session(pid)
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            asked = True
        time.sleep(POLL_S)


def _host_of(job: Path) -> str:
    """The host of the process that runs the job, as far as it has said; this one where it has not."""
    words = (job / "running.lock").read_text(errors="replace").split()
    return words[2] if len(words) == 3 else socket.gethostname()


def end_session(session: int) -> None:
    """Kills the processes of a session, group by group: the attempt's own process, its workers and what they started."""
    groups = {session}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                groups.add(int(fields[2]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def kill_all_of(uid: int) -> None:
    """Kills every process of a user at once, so that none can start another one meanwhile. For root."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            ["/bin/sh", "-c", "kill -9 -1"],  # which spares the shell itself
            user=uid, group=uid, extra_groups=[], cwd="/", env={}, stderr=subprocess.DEVNULL, timeout=30,
        )  # fmt: skip


def _same_user(pid: int, lock: Path) -> bool:
    try:
        return os.stat(f"/proc/{pid}").st_uid == lock.stat().st_uid
    except OSError:
        return not os.path.isdir("/proc/self")
