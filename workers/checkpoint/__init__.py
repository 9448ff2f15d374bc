"""Checkpoints: everything a step needs, in files that anyone can open, whole or not there at all.

    step-00000042/
      model.safetensors       the state dict: parameters and persistent buffers, by name
      optimizer.safetensors   "<parameter>/<state name>", whole arrays whatever the number of workers was
      buffers.safetensors     buffers that the state dict leaves out; only where there are any
      recent.json             what the last steps reported, to be told again where the newest reports were lost
      manifest.json           what it is, with sizes and sums of the other files and of itself

`content.py` says what one holds, `storage.py` writes and finds them (on file systems: `folder.py`, elsewhere: `objects.py`),
`reader.py` reads one, `writer.py` writes them beside the training, `retention.py` says which stay.
The functions here are for who has a path or URL and needs one answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

from gradwire.workers.checkpoint.content import Checkpoint, CheckpointDamagedError, Saved
from gradwire.workers.checkpoint.manifest import CHUNK_BYTES, FORMAT, MANIFEST, MODEL, OPTIMIZER
from gradwire.workers.checkpoint.manifest import parsed as parsed_manifest
from gradwire.workers.checkpoint.place import step_of
from gradwire.workers.checkpoint.reader import CheckpointReader
from gradwire.workers.checkpoint.retention import Retention
from gradwire.workers.checkpoint.storage import CheckpointStorage

__all__ = [
    "CHUNK_BYTES", "Checkpoint", "CheckpointDamagedError", "CheckpointReader", "CheckpointStorage", "FORMAT", "MANIFEST", "MODEL", "OPTIMIZER", "Retention", "Saved",
    "checkpoints", "clear_unfinished", "newest_valid", "parsed_manifest", "read", "step_of", "summary", "write",
]  # fmt: skip


def write(folder: Path | str, checkpoint: Checkpoint, keep: int = 3) -> Saved:
    """Writes a checkpoint and removes all but the `keep` newest. Raises OSError; then nothing is left."""
    storage = CheckpointStorage(folder)
    saved = storage.write(checkpoint)
    with contextlib.suppress(OSError):  # what can't be removed stays
        storage.retain(Retention(keep), saved)
    return saved


def checkpoints(folder: Path) -> list[Path]:
    """Everything in `folder` that has a checkpoint's name, newest step first."""
    return [folder / name for name in CheckpointStorage(folder).names()]


@overload
def newest_valid(folder: Path, passed_over: Callable[[str], None] = ...) -> Path | None: ...
@overload
def newest_valid(folder: str, passed_over: Callable[[str], None] = ...) -> str | None: ...
def newest_valid(
    folder: Path | str, passed_over: Callable[[str], None] = lambda message: None
) -> Path | str | None:
    """The newest checkpoint whose every sum is right; each damaged one that is newer is told to `passed_over`.

    A path for a path, a path or URL as text for text.
    """
    storage = CheckpointStorage(folder)
    name = storage.newest_valid(passed_over)
    if name is None:
        return None
    return folder / name if isinstance(folder, Path) else storage.location_of(name)


def read(location: Path | str) -> Checkpoint:
    """The contents of a checkpoint. Raises CheckpointDamagedError where a file is missing or not what was written."""
    folder, name = _split(location)
    return CheckpointStorage(folder).read(name)


def summary(location: Path | str) -> tuple[Saved, Sequence[Any]]:
    """What a whole checkpoint is and what its last steps reported, without its arrays. Raises CheckpointDamagedError."""
    folder, name = _split(location)
    return CheckpointStorage(folder).summary(name)


def clear_unfinished(folder: Path | str) -> None:
    """Removes what writers left that were killed. Only for who knows that none is at work on object storage."""
    CheckpointStorage(folder).clear_unfinished()


def _split(location: Path | str) -> tuple[Path | str, str]:
    if isinstance(location, Path):
        return location.parent, location.name
    folder, _, name = location.rstrip("/").rpartition("/")
    return folder or ("/" if location.startswith("/") else "."), name
