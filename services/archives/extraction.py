"""Unpacks an archive into a new folder, aside first and then renamed: whole, or not at all. Runs in a thread of its caller.

Nothing is opened by a path that the archive names: each part of it is opened under the folder before it, links are not followed, no
file is opened that was there. Files are 0600, folders 0700, times are now, whatever the archive says.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gradwire.services.archives.rules import LIMITS, ArchiveError, Budget, Entry, Limits, Names
from gradwire.services.archives.tar_reader import Gunzip, read_tar
from gradwire.services.archives.zip_reader import read_zip

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS = {
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "RAR",
}


@dataclass(frozen=True, slots=True)
class UnpackedFile:
    """A file that was unpacked: its path in the folder and its bytes."""

    path: str
    size: int


def extract(archive: Path, target: Path, limits: Limits = LIMITS) -> tuple[UnpackedFile, ...]:
    """Unpacks `archive` (.tar, .tar.gz or .zip, told by its bytes) as the new folder `target`; its files in path order.

    Raises ArchiveError where it is not plain files and folders within the limits, OSError where the disk does not do it; then
    there is no target.
    """
    aside = target.parent / f".tmp-{target.name}-{uuid.uuid4().hex[:12]}"
    with open(os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        os.mkdir(aside, 0o700)
        try:
            files = _unpack(file, aside, Budget(limits))
            os.rename(aside, target)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return files


def _unpack(file: BinaryIO, folder: Path, budget: Budget) -> tuple[UnpackedFile, ...]:
    names = Names(budget.limits)
    files = []
    root = os.open(folder, _FOLDER)
    try:
        for entry in _entries(file, budget):
            budget.take(entry.name, entry.size)
            path = names.take(entry.name, entry.folder)
            if entry.folder:
                if path:
                    os.close(_open_folder(root, path.split("/")))
                continue
            _write(root, path, entry, budget)
            files.append(UnpackedFile(path, entry.size))
    finally:
        os.close(root)
    if not files:
        raise ArchiveError("holds no files")
    return tuple(sorted(files, key=lambda each: each.path))


def _entries(file: BinaryIO, budget: Budget) -> Iterator[Entry]:
    size = os.fstat(file.fileno()).st_size
    if size > budget.limits.archive_bytes:
        raise ArchiveError(f"has {size} bytes; an archive may have {budget.limits.archive_bytes}")
    begin = file.read(8)
    file.seek(0)
    if begin.startswith(b"\x1f\x8b"):
        return read_tar(Gunzip(file, budget), budget)
    if begin.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return read_zip(file, budget)
    for mark, name in _OTHERS.items():
        if begin.startswith(mark):
            raise ArchiveError(f"is packed with {name}: send a .tar, .tar.gz or .zip")
    return read_tar(file, budget)


def _open_folder(root: int, parts: list[str]) -> int:
    """A descriptor of that folder under `root`, made where it is not there."""
    at = os.dup(root)
    for part in parts:
        try:
            try:
                os.mkdir(part, 0o700, dir_fd=at)
            except FileExistsError:
                pass
            below = os.open(part, _FOLDER, dir_fd=at)
        finally:
            os.close(at)
        at = below
    return at


def _write(root: int, path: str, entry: Entry, budget: Budget) -> None:
    *folders, name = path.split("/")
    folder = _open_folder(root, folders)
    try:
        descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    came = 0
    with open(descriptor, "wb") as out:
        for chunk in entry.chunks:
            budget.check_time()
            came += len(chunk)
            out.write(chunk)
    if came != entry.size:
        raise ArchiveError(f"{entry.name[:80]!r} has {came} bytes, not the {entry.size} it names")
