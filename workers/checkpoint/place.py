"""What a storage must do for checkpoints: one small interface, with `folder.py` and `objects.py` behind it.

A checkpoint is a folder of files whose manifest comes last. `CheckpointStorage` alone calls this.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Place", "Sink", "Source", "Unfinished", "base_name", "step_of"]

_NAME = re.compile(r"step-(\d{8,})(-[0-9a-f]{8})?")


def base_name(step: int) -> str:
    """The name of the checkpoint after `step` steps; storage that can't rename adds a mark of each writer's own."""
    return f"step-{step:08d}"


def step_of(name: str) -> int | None:
    """The step that a checkpoint's name tells, None where it is no checkpoint's name."""
    match = _NAME.fullmatch(name)
    return None if match is None else int(match[1])


class Source(Protocol):
    """A file that is read."""

    @property
    def size(self) -> int:
        """Its bytes."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer` from `offset` on. Raises OSError, also where the file ends before."""
        ...

    def close(self) -> None:
        """Gives it back."""
        ...


class Sink(Protocol):
    """A file that is written."""

    def write(self, piece: memoryview, /) -> object:
        """Appends all of `piece`."""
        ...


class Unfinished(Protocol):
    """A checkpoint that is being written, which nobody finds before `finish` has returned."""

    def file(self, name: str) -> AbstractContextManager[Sink]:
        """A new file of it; on storage when the context ends."""
        ...

    def finish(self, manifest: bytes, same: Callable[[str], bool]) -> str:
        """Writes the manifest and shows the checkpoint; returns its name.

        Where another writer has shown one of that name meanwhile, `same` says whether it stays instead of this one.
        """
        ...

    def discard(self) -> None:
        """Removes what there is of it, as far as it can be removed. Never raises."""
        ...


class Place(Protocol):
    """Where checkpoints lie. Methods raise OSError, or what the storage's driver raises."""

    location: str

    def names(self) -> list[str]:
        """All folders that have a checkpoint's name, whole or not; none where the place is not there yet."""
        ...

    def begin(self, name: str) -> Unfinished:
        """Begins a checkpoint."""
        ...

    def hold(self, name: str) -> AbstractContextManager[None]:
        """While it lasts, the checkpoint is not removed. Raises FileNotFoundError where it is gone."""
        ...

    def open(self, name: str, file: str) -> Source:
        """A file of a checkpoint."""
        ...

    def remove(self, name: str) -> bool:
        """Removes a checkpoint; False, and it stays, where somebody reads it."""
        ...

    def clear_unfinished(self) -> None:
        """Removes what writers left that died."""
        ...
