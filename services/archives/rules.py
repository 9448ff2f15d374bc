"""What an archive may hold: the limits, the names, and the one error for everything else. Used by the two readers and extraction.py."""

import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from gradwire.services.validation import path_problem

CHUNK_BYTES = 256 * 1024
_FREE_BYTES = 1024 * 1024
"""Below this much a high ratio harms nobody: a page of zeros is no bomb."""


class ArchiveError(Exception):
    """The archive is damaged, or holds what it must not; the message says which member and why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much an archive may hold. `entries` counts files and folders, also those that only paths name."""

    archive_bytes: int = 256 * 1024 * 1024
    entries: int = 10_000
    file_bytes: int = 64 * 1024 * 1024
    total_bytes: int = 256 * 1024 * 1024
    depth: int = 32
    ratio: int = 200
    seconds: float = 30.0


LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Entry:
    """One member, as its archive tells it: `chunks` are a file's bytes, `size` of them, to be read before the next entry."""

    name: str
    folder: bool
    size: int
    chunks: Iterator[bytes]


class Budget:
    """What is left of the limits while one archive is read."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._deadline = time.monotonic() + limits.seconds
        self._total = 0

    def check_time(self) -> None:
        """Raises ArchiveError where it takes too long."""
        if time.monotonic() > self._deadline:
            raise ArchiveError(f"takes longer than {self.limits.seconds:g} s to read")

    def take(self, name: str, size: int) -> None:
        """Counts a file before it is read. Raises ArchiveError."""
        if size > self.limits.file_bytes:
            raise ArchiveError(f"{shown(name)} has {size} bytes; a file may have {self.limits.file_bytes}")
        self._total += size
        if self._total > self.limits.total_bytes:
            raise ArchiveError(
                f"holds more than {self.limits.total_bytes} bytes (up to {shown(name)}): send data as blobs of their own"
            )

    def check_ratio(self, unpacked: int, packed: int) -> None:
        """Raises ArchiveError where so many bytes come out of so few."""
        if unpacked > _FREE_BYTES + self.limits.ratio * packed:
            raise ArchiveError(f"unpacks to more than {self.limits.ratio} times its size")


class Names:
    """The paths of one archive: plain, relative, each there once, also where file names ignore case or Unicode's forms."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # The folded path: how it was written, whether it is a folder, whether it has a member of its own.
        self._known: dict[str, tuple[str, bool, bool]] = {}

    def take(self, name: str, folder: bool) -> str:
        """The path that a member's name stands for, '' for the archive's own root. Raises ArchiveError."""
        path = name
        while path.startswith("./"):
            path = path[2:]
        if folder:
            path = path.removesuffix("/")
            if path in ("", "."):
                return ""
        if (problem := path_problem(path)) is not None:
            raise ArchiveError(f"{shown(name)} {problem}")
        parts = path.split("/")
        if len(parts) > self._limits.depth:
            raise ArchiveError(f"{shown(name)} lies more than {self._limits.depth} folders deep")
        for end in range(1, len(parts)):
            self._note("/".join(parts[:end]), True, False)
        self._note(path, folder, True)
        return path

    def _note(self, path: str, folder: bool, own: bool) -> None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        known = self._known.get(folded)
        if known is None:
            if len(self._known) >= self._limits.entries:
                raise ArchiveError(f"holds more than {self._limits.entries} files and folders")
            self._known[folded] = (path, folder, own)
            return
        spelling, was_folder, had_own = known
        if spelling != path:
            raise ArchiveError(f"{shown(path)} clashes with {shown(spelling)} where file names ignore case")
        if was_folder != folder:
            raise ArchiveError(f"{shown(path)} is both a file and a folder")
        if own and had_own:
            raise ArchiveError(f"{shown(path)} is there twice")
        self._known[folded] = (path, folder, own or had_own)


def shown(name: str) -> str:
    """A member's name in a message: quoted, escaped, not too long."""
    return ascii(name[:80]) if not name.isprintable() else repr(name[:80])


def decoded(raw: bytes) -> str:
    """A member's name. Raises ArchiveError where it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ArchiveError(f"the name {raw[:80]!r} is not UTF-8") from None
