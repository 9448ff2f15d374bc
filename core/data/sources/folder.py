"""A folder that keeps whole files of other machines, for all processes of this one and for later runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
from pathlib import Path, PurePosixPath

from .files import File, LocalFile, RemoteFile
from .naming import DataError

__all__ = ["in_folder"]


def in_folder(folder: Path, file: File) -> File:
    """The file's copy in `folder`, made where there is none of this version.

    Files of this machine stay where they are, and so do those of which storage tells no version: a copy could be an old one.
    """
    if not isinstance(file, RemoteFile) or not file.versioned:
        return file
    version = file.version()
    key = hashlib.sha256(f"{file.address}\n{version}".encode()).hexdigest()[:32]
    target = folder / (key + "".join(PurePosixPath(file.told.partition("?")[0]).suffixes[-2:]))
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(folder / f"{key}.lock", "w") as lock:
            fcntl.flock(
                lock, fcntl.LOCK_EX
            )  # one process of this machine fetches it, the others wait for that one
            if not target.exists():
                aside = target.with_name(f".tmp-{key}")
                with open(aside, "wb") as out:
                    for chunk in file.chunks():
                        out.write(chunk)
                os.replace(aside, target)
        copy = LocalFile(str(target), file.told)
    except OSError as error:
        problem = str(error)
    else:
        if copy.size == file.size:
            copy.fetched, copy.origin, copy._version = file.fetched, version, version
            return copy
        problem = f"{target} has {copy.size} bytes, expected {file.size}: remove it"
    raise DataError(f"{file.told}: can't be kept in {folder}: {problem}")
