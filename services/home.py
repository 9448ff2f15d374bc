"""The service's home folder: who holds it, and where things lie in it. Used by service.py, runner.py, faces/."""

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradwire.services.archives import ArchiveError, extract
from gradwire.services.blobs.naming import path_of
from gradwire.services.records import Code
from gradwire.services.security.secret_files import replace_file

SERVING = "serving.json"
PATIENCE_S = 1.0


class HomeInUseError(Exception):
    """Another service holds the home."""


class Home:
    """Holds `path` (made where there is none) alone, until closed or the process is gone.

    Front ends that share a store share the home: each holds its own name in it, which no other one of that home may have.
    Raises HomeInUseError where another service holds it, OSError where it can't be made or written.
    """

    def __init__(self, path: Path, front_end: str = "") -> None:
        """`front_end`: the name of one of several; '' for a service alone."""
        self.path = path.expanduser().absolute()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.front_end = front_end
        self._locks: list[int] = []
        self._holds = False
        try:
            if not front_end:
                self._lock = self._take("lock", fcntl.LOCK_EX, f"the home {self.path}")
            else:
                # No service alone beside several of one store.
                self._take("lock", fcntl.LOCK_SH, f"the home {self.path}")
                (self.path / "front-ends").mkdir(exist_ok=True, mode=0o700)
                name = f"the name {front_end} in the home {self.path}"
                self._lock = self._take(f"front-ends/{front_end}.lock", fcntl.LOCK_EX, name)
        except BaseException:
            self.close()
            raise
        self._holds = True
        found = re.search(
            r"^instance (\S+)$", os.pread(self._lock, 400, 0).decode(errors="replace"), re.MULTILINE
        )
        self.before = found[1] if found is not None else ""
        """Who held this before, and is gone: `instance` of that process; '' where it is not known."""
        self.instance = f"{front_end or 'service'}@{socket.gethostname()[:64]}/{secrets.token_hex(8)}"
        self.say(f"pid {os.getpid()}")

    def say(self, text: str) -> None:
        """Leaves a line for whoever finds the home held."""
        told = f"{text}\ninstance {self.instance}\n".encode()
        # Written over and then cut: a kill between the two leaves the line of the instance behind.
        os.pwrite(self._lock, told, 0)
        os.ftruncate(self._lock, len(told))

    def describe(self, fields: Mapping[str, Any]) -> None:
        """Leaves what there is to know of the service for `gradwire doctor`; it counts while the lock is held."""
        replace_file(self._description, json.dumps(dict(fields)) + "\n")

    @property
    def _description(self) -> Path:
        return self.path / (f"front-ends/{self.front_end}.{SERVING}" if self.front_end else SERVING)

    def close(self) -> None:
        """Lets the home go."""
        if self._holds:
            self._description.unlink(missing_ok=True)
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def _take(self, name: str, how: int, what: str) -> int:
        lock = os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._locks.append(lock)
        # A child that a killed service was just starting holds its lock until it has become another program.
        deadline = time.monotonic() + PATIENCE_S
        while not _locked(lock, how):
            if time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            holder = os.pread(lock, 400, 0).decode(errors="replace").partition("\n")[0].strip()
            raise HomeInUseError(
                f"another gradwire service{f' ({holder})' * bool(holder)} holds {what}: use that one, stop it, or name another "
                f"{'name with --front-end' if self.front_end and how == fcntl.LOCK_EX else 'folder with --home'}"
            )
        return lock

    @property
    def store(self) -> Path:
        """The job store's file."""
        return self.path / "jobs.db"

    @property
    def blobs(self) -> Path:
        """The folder of uploaded bytes; each lies at AB/ABCD… by its sha256."""
        return self.path / "blobs"

    def job(self, job_id: str) -> Path:
        """The folder of one job."""
        return self.path / "jobs" / job_id

    def checkpoints(self, job_id: str) -> Path:
        """The folder of one job's checkpoints."""
        return self.job(job_id) / "checkpoints"

    def write_code(self, job_id: str, code: Code, archive: str = "") -> None:
        """Writes a job's files into its folder, aside first and then renamed; done once a job.

        `archive`: the blob that they are in where `code` holds none. The paths were checked when the job was submitted. Store and
        blobs hold the code, so nothing is synced here. Raises ArchiveError where the archive was damaged since.
        """
        target = self.job(job_id) / "code"
        if target.is_dir():
            return
        if archive and not code.files:
            self.checkpoints(job_id).mkdir(parents=True, exist_ok=True, mode=0o700)
            packed = path_of(self.blobs, archive)
            if not packed.exists():
                raise ArchiveError("is not on the service's storage any more")
            extract(packed, target)
            return
        aside = self.job(job_id) / f".tmp-code-{self.instance.rpartition('/')[2]}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        for file in code.files:
            path = aside / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as out:
                out.write(file.content)
        self.checkpoints(job_id).mkdir(exist_ok=True)
        try:
            aside.rename(target)
        except OSError:
            # Another front end was faster.
            if not target.is_dir():
                raise
            shutil.rmtree(aside)


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
