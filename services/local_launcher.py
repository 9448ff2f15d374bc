"""Runs each attempt of a job in one child process on this machine, without Ray: for tests and for debugging.

The process speaks through files (attempt_folder.py), so it outlives a service that is killed and is adopted by
the next one; with `outlive=False` it ends with the service, however that ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradwire.services.attempt_folder import AttemptFolder, end_holder, end_session, holder
from gradwire.services.commands import CommandWriter, Pause, Resize, Update
from gradwire.services.launcher import ENDINGS, AttemptGoneError, AttemptLostError, Capacity, Launch
from gradwire.services.report_lines import ReportReader
from gradwire.services.scheduling import Node
from gradwire.services.security.run_as import Identity, RunAs, grant, holder_of, link_blobs
from gradwire.services.security.user_environment import without_secrets
from gradwire.workers.checkpoint import clear_unfinished
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits
from gradwire.workers.reports import Report

POLL_S = 0.02
BATCH = 1000
STOP_GRACE_S = 3.0
NODE = "local"
OUTPUT_SHOWN = 400
PROGRAM = (sys.executable, "-m", "gradwire.services.local_training")


class LocalHandle:
    """An attempt in a process of its own."""

    def __init__(
        self,
        folder: AttemptFolder,
        process: "subprocess.Popen[bytes] | None",
        gone: bool = False,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """`process` is None for an attempt that an earlier service started; `gone`: it has ended since.

        `ended` is called when its processes were ended.
        """
        self._gone, self._ended = gone, ended
        self._folder, self._process = folder, process
        self._reader = ReportReader(folder.reports)
        self._commands = CommandWriter(folder.commands)
        self._lock, self._ending = threading.Lock(), threading.Lock()
        self._last: Report | None = None

    def reports(self, after: int, wait_s: float) -> tuple[int, Sequence[tuple[int, Report]]]:
        """See launcher.Handle."""
        deadline = time.monotonic() + wait_s
        with self._lock:
            self._reader.seek(after)
            while True:
                # Alive before the last look: whatever it wrote before its end is read.
                alive = self._alive()
                found = self._reader.read(BATCH)
                if found:
                    self._last = found[-1][1]
                    return 1, found
                if self._gone and not isinstance(self._last, ENDINGS):
                    raise AttemptGoneError("the job's process ended while no service ran")
                if not alive and not isinstance(self._last, ENDINGS):
                    raise AttemptLostError(f"the job's process ended without a result{self._last_words()}")
                if time.monotonic() >= deadline:
                    return 1, ()
                time.sleep(POLL_S)

    def resize(self, workers: int) -> None:
        """See launcher.Handle."""
        self._commands.write(Resize(workers))

    def pause(self) -> None:
        """See launcher.Handle."""
        self._commands.write(Pause())

    def update(self, options: Mapping[str, float], number: int) -> None:
        """See launcher.Handle."""
        self._commands.write(Update(dict(options), number))

    def stop(self, reason: str) -> None:
        """See launcher.Handle."""
        with self._ending:
            self._end()
        self._ended()
        # A process that was killed may have been writing a checkpoint.
        clear_unfinished(self._folder.job / "checkpoints")

    def _end(self) -> None:
        if self._process is None:
            found = holder(self._folder.job)
            if found is not None and found[1] == self._folder.attempt:
                end_holder(self._folder.job, STOP_GRACE_S)
            return
        # It may not hold the lock yet: the process itself is known here.
        if self._process.returncode is None:
            deadline = time.monotonic() + STOP_GRACE_S
            if self._status() is None:
                os.kill(self._process.pid, signal.SIGTERM)
            while self._status() is None and time.monotonic() < deadline:
                time.sleep(POLL_S)
            # Until it is reaped its number is nobody else's: what user code left in its session ends too.
            end_session(self._process.pid)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _alive(self) -> bool:
        if self._process is not None:
            return self._status() is None
        found = None if self._gone else holder(self._folder.job)
        return found is not None and found[1] in (0, self._folder.attempt)

    def _status(self) -> int | None:
        """How its process ended, as Popen says it, without reaping it; None while it runs."""
        if self._process is None or self._process.returncode is not None:
            return None if self._process is None else self._process.returncode
        try:
            found = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return self._process.wait()  # reaped by another thread just now
        if found is None:
            return None
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def _last_words(self) -> str:
        how = ""
        if self._process is not None and (code := self._status()) is not None:
            how = f" (killed by signal {-code})" if code < 0 else f" (exit status {code})"
        try:
            text = self._folder.output.read_text(errors="replace").strip()
        except OSError:
            text = ""
        return how + (f": {text[-OUTPUT_SHOWN:]}" if text else "")


class LocalLauncher:
    """Starts child processes; `program` is the command that gets the job's folder and attempt as arguments."""

    whole_gangs = False

    def __init__(
        self,
        capacity: Capacity | None = None,
        program: Sequence[str] = PROGRAM,
        outlive: bool = True,
        environment: Mapping[str, str] | None = None,
        inherited: Mapping[str, str] | None = None,
        most: ProcessLimits = NO_LIMITS,
        run_as: RunAs | None = None,
    ) -> None:
        """`inherited`: what of this process's environment a job gets, None for all but secrets; `environment` comes on top.

        `most`: what a worker's process may use at most, and does where its job says nothing.
        `run_as`: other users that attempts run as.
        """
        self._most, self._run_as = most, run_as
        capacity = capacity or Capacity(cpu=max(8, os.cpu_count() or 1), cuda=0)
        self._node = Node(NODE, capacity.cuda, capacity.cpu)
        self._program = tuple(program)
        self._outlive = outlive
        self._environment = dict(environment or {})
        self._inherited = without_secrets(os.environ) if inherited is None else dict(inherited)
        self._lock = threading.Lock()
        self._handles: dict[str, LocalHandle] = {}
        self._users: dict[str, Identity] = {}

    def nodes(self) -> Sequence[Node]:
        """See launcher.Launcher."""
        return (self._node,)

    def placed(self, running: Mapping[str, int]) -> Mapping[str, Sequence[str]]:
        """See launcher.Launcher. All are here."""
        return {}

    def launch(self, launch: Launch) -> LocalHandle:
        """See launcher.Launcher."""
        folder = AttemptFolder(launch.directory, launch.attempt)
        folder.prepare(
            replace(
                launch,
                process_limits=launch.process_limits.within(self._most),
                own_blobs=self._run_as is not None,
            )
        )
        end_holder(launch.directory, STOP_GRACE_S)
        shutil.rmtree(launch.temporary, ignore_errors=True)
        identity = self._new_user(launch.job_id)
        if identity is not None:
            grant(folder, identity)
            link_blobs(launch.blobs, launch.directory / "blobs", launch.data, identity.gid)
        threads = str(launch.threads_per_worker)
        environment = {
            **self._inherited,
            **self._environment,
            "PYTHONHASHSEED": "0",
            **{f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
        }
        if launch.device == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        user: dict[str, Any] = {}
        if identity is not None:
            user = {"user": identity.uid, "group": identity.gid, "extra_groups": [], "umask": 0o077}
            environment |= {
                "HOME": str(launch.temporary),
                "USER": str(identity.uid),
                "LOGNAME": str(identity.uid),
            }
            environment.pop("XDG_RUNTIME_DIR", None)
            environment.pop("XDG_CACHE_HOME", None)
        with open(folder.output, "ab") as output:
            process = subprocess.Popen(
                [*self._program, str(launch.directory), str(launch.attempt)],
                # The end of this pipe is the end of the service, however it ended.
                stdin=subprocess.DEVNULL if self._outlive else subprocess.PIPE,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=launch.code,
                start_new_session=True,
                **user,
            )
        handle = LocalHandle(folder, process, ended=lambda: self._free_user(launch.job_id, identity))
        with self._lock:
            self._handles[launch.job_id] = handle
        return handle

    def _new_user(self, job_id: str) -> Identity | None:
        """The user that an attempt is to run as."""
        if self._run_as is None:
            return None
        with self._lock:
            self._users.pop(job_id, None)
            identity = self._users[job_id] = self._run_as.free({each.uid for each in self._users.values()})
        # Nothing may be left of who had it before, also before an earlier service was killed.
        self._run_as.end(identity)
        return identity

    def _free_user(self, job_id: str, identity: Identity | None) -> None:
        """Ends all that runs as it, where that is one attempt's alone."""
        if self._run_as is None or identity is None:
            return
        self._run_as.end(identity)
        with self._lock:
            if self._users.get(job_id) == identity:
                del self._users[job_id]

    def adopt(self, launch: Launch) -> LocalHandle | None:
        """See launcher.Launcher."""
        folder = AttemptFolder(launch.directory, launch.attempt)
        found = holder(launch.directory)
        deadline = time.monotonic() + 1.0
        while found == (0, 0) and time.monotonic() < deadline:
            time.sleep(POLL_S)
            found = holder(launch.directory)
        lives = found is not None and found[1] == launch.attempt
        if not lives and not folder.reports.exists():
            return None
        identity = None
        if lives and self._run_as is not None and (uid := holder_of(launch.directory)) is not None:
            identity = self._run_as.identity(uid)
        handle = LocalHandle(
            folder, None, gone=not lives, ended=lambda: self._free_user(launch.job_id, identity)
        )
        with self._lock:
            self._handles[launch.job_id] = handle
            if identity is not None:
                self._users[launch.job_id] = identity
        return handle

    def sweep(self, running: Mapping[str, int]) -> None:
        """See launcher.Launcher. A process of this host holds no place that outlives it."""

    def let_go(self) -> None:
        """See launcher.Launcher."""
        if self._outlive:
            with self._lock:
                self._handles.clear()

    def close(self) -> None:
        """See launcher.Launcher."""
        with self._lock:
            handles = list(self._handles.values())
            self._handles.clear()
        for handle in handles:
            handle.stop("the service stops")
