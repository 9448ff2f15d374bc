"""Attempts as other Unix users than the service: who each runs as, which files it may reach, and that none of it stays.

    <home>               0711 root   no name in it can be listed; every file of the service's own is 0600, every folder 0700
    <home>/jobs          0711 root
    <home>/jobs/<id>     0750 root, group of the attempt: another user can't enter it
        code, checkpoints, tmp        the attempt's own
        attempts, newest              root's, to be read by the attempt: it can put nothing else in their places
        running.lock, reports.jsonl   the attempt's, in folders of root's

Used by local_launcher.py; `serve --run-as` makes it. With a range of ids each attempt has one of its own.
"""

import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from gradwire.data.sources import blob_path
from gradwire.services.attempt_folder import AttemptFolder, kill_all_of
from gradwire.services.security.user_environment import clean_environment

_RANGE = re.compile(r"(\d{1,9})-(\d{1,9})")
TRIAL_S = 60.0
_TRIAL = "import os, sys, gradwire.services.local_training; os.chdir(sys.argv[1])"
BELONGS = ("code", "checkpoints", "tmp")


class RunAsError(Exception):
    """Attempts can't run as that user; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A Unix user; `alone`: nothing else runs as it."""

    uid: int
    gid: int
    alone: bool


@dataclass(frozen=True, slots=True)
class RunAs:
    """One user for all attempts, or ids from `first` to `last` of which each attempt has its own."""

    first: int
    last: int
    gid: int | None = None

    @classmethod
    def parse(cls, text: str) -> "RunAs":
        """Of a user's name or "FIRST-LAST". Raises RunAsError."""
        if os.geteuid() != 0:
            raise RunAsError(
                "only root can run jobs as another user: start the service as root, or leave --run-as out"
            )
        if found := _RANGE.fullmatch(text):
            first, last = int(found[1]), int(found[2])
            if not 0 < first <= last:
                raise RunAsError(f"expected FIRST-LAST, like 70000-70063, not {text!r}")
            named = [each.pw_name for each in pwd.getpwall() if first <= each.pw_uid <= last]
            if named:
                raise RunAsError(f"the ids {text} are those of users ({', '.join(named[:5])}): name others")
            return cls(first, last)
        try:
            user = pwd.getpwnam(text)
        except KeyError:
            raise RunAsError(f"there is no user {text!r}: name one, or ids like 70000-70063") from None
        if user.pw_uid == 0:
            raise RunAsError(f"{text!r} is root: name a user that may do little")
        return cls(user.pw_uid, user.pw_uid, user.pw_gid)

    @property
    def alone(self) -> bool:
        """Whether each attempt has a user of its own."""
        return self.gid is None

    def identity(self, uid: int) -> Identity:
        """The user of that id."""
        return Identity(uid, uid if self.gid is None else self.gid, self.alone)

    def free(self, held: Collection[int]) -> Identity:
        """A user that no attempt has. Raises RunAsError where all are taken."""
        for uid in range(self.first, self.last + 1):
            if not self.alone or uid not in held:
                return self.identity(uid)
        raise RunAsError(
            f"all ids from {self.first} to {self.last} are taken: name more of them with --run-as"
        )

    def prepare_home(self, home: Path, jobs: int) -> None:
        """Closes what is the service's own to all others, and tries whether a job could run at all. Raises RunAsError.

        jobs: how many may run at a time.
        """
        if self.alone and self.last - self.first + 1 < jobs:
            raise RunAsError(
                f"--run-as {self.first}-{self.last} has too few ids: up to {jobs} jobs run at a time here"
            )
        os.umask(0o077)
        (home / "jobs").mkdir(exist_ok=True)
        for path in home.iterdir():
            if path.name != "jobs" and not path.is_symlink():
                path.chmod(0o700 if path.is_dir() else 0o600)
        for path in (home / "jobs").iterdir():
            if path.is_dir() and not path.is_symlink() and path.stat().st_mode & 0o007:
                path.chmod(0o700)
        home.chmod(0o711)
        (home / "jobs").chmod(0o711)
        identity = self.identity(self.first)
        trial = subprocess.run(
            [sys.executable, "-c", _TRIAL, str(home / "jobs")],
            cwd="/",
            env=clean_environment({**os.environ, "HOME": "/"}),
            capture_output=True,
            text=True,
            timeout=TRIAL_S,
            user=identity.uid,
            group=identity.gid,
            extra_groups=[],
        ) if _executable(identity) else None  # fmt: skip
        if trial is None or trial.returncode != 0:
            what = (
                "" if trial is None else f" ({(trial.stderr.strip().splitlines() or ['it was killed'])[-1]})"
            )
            raise RunAsError(
                f"uid {identity.uid} can't run {sys.executable} with gradwire in {home}{what}: every folder on the way to both "
                "must let others through (chmod o+x), and gradwire must be readable"
            )

    def end(self, identity: Identity) -> None:
        """Kills all that runs as it, where nothing else does."""
        if identity.alone and self.first <= identity.uid <= self.last:
            kill_all_of(identity.uid)


def grant(folder: AttemptFolder, identity: Identity) -> None:
    """Gives an attempt's files to its user, before it starts. None of the job's earlier attempts runs any more."""
    job, gid = folder.job, identity.gid
    for path, mode in ((job, 0o750), (job / "attempts", 0o750), (folder.path, 0o750)):
        os.chown(path, 0, gid)
        path.chmod(mode)
    for path in (folder.path / "launch.json", job / "newest", folder.commands):
        _own(path, 0, gid, 0o640)
    for path in (job / "running.lock", folder.reports):
        _own(path, identity.uid, gid, 0o600)
    for name in BELONGS:
        (job / name).mkdir(exist_ok=True)
        _own_tree(job / name, identity)


def link_blobs(blobs: Path, target: Path, data: Mapping[str, str], gid: int) -> None:
    """Links the blobs that a job's data names into its folder, to be read there; their own folder stays closed."""
    shutil.rmtree(target, ignore_errors=True)
    for url in data.values():
        location = url.partition("#")[0]
        if location.startswith("blob:"):
            source, link = Path(blob_path(blobs, location)), Path(blob_path(target, location))
            for folder in (target, link.parent):
                folder.mkdir(exist_ok=True)
                os.chown(folder, 0, gid)
                folder.chmod(0o750)
            source.chmod(0o644)
            if not link.exists():
                os.link(source, link)


def holder_of(job: Path) -> int | None:
    """The id of the user that a job's files were given to last, None for that of the service itself."""
    try:
        uid = (job / "running.lock").stat().st_uid
    except OSError:
        return None
    return None if uid == os.geteuid() else uid


def _executable(identity: Identity) -> bool:
    """Whether the interpreter can be reached; Popen's own error would not say of whom."""
    probe = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', sys.executable],
        user=identity.uid, group=identity.gid, extra_groups=[], cwd="/",
    )  # fmt: skip
    return probe.returncode == 0


def _own(path: Path, uid: int, gid: int, mode: int) -> None:
    """Makes the file where there is none; its folder is root's, so nobody has put something else there."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, mode)
        os.fchown(descriptor, uid, gid)
    finally:
        os.close(descriptor)


def _own_tree(root: Path, identity: Identity) -> None:
    """Gives a folder and all in it. What an earlier attempt left may be hostile: no link is followed, and no hard link given."""
    for _, folders, files, descriptor in os.fwalk(root, follow_symlinks=False):
        os.fchown(descriptor, identity.uid, identity.gid)
        os.fchmod(descriptor, 0o700)
        for name in (*folders, *files):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                os.unlink(name, dir_fd=descriptor)
            elif not stat.S_ISDIR(found.st_mode):
                os.chown(name, identity.uid, identity.gid, dir_fd=descriptor, follow_symlinks=False)
