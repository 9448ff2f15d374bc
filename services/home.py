"""The service's home folder: who holds it, and where things lie in it. Used by service.py, runner.py, faces/."""

import fcntl
import os
import shutil
from pathlib import Path

from gradwire.services.archives import ArchiveError, extract
from gradwire.services.blobs.naming import path_of
from gradwire.services.records import Code


class HomeInUseError(Exception):
    """Another service holds the home."""


class Home:
    """Holds `path` (made where there is none) alone, until closed or the process is gone.

    Raises HomeInUseError where another service holds it, OSError where it can't be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._lock, 200, 0).decode(errors="replace").strip()
            os.close(self._lock)
            raise HomeInUseError(
                f"another gradwire service{f' ({holder})' * bool(holder)} holds the home {self.path}: "
                "use that one, stop it, or name another folder with --home"
            ) from None
        self.say(f"pid {os.getpid()}")

    def say(self, text: str) -> None:
        """Leaves a line for whoever finds the home held."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def close(self) -> None:
        """Lets the home go."""
        os.close(self._lock)

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
        aside = self.job(job_id) / ".tmp-code"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        for file in code.files:
            path = aside / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as out:
                out.write(file.content)
        self.checkpoints(job_id).mkdir(exist_ok=True)
        aside.rename(target)
