"""The checkpoints of a job that are whole on storage, as the service shows and hands them out. Used by faces/.

They are written by gradwire.workers.checkpoint; here only manifests and sizes are looked at, and whoever fetches a file
checks its sum.
"""

import contextlib
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from gradwire.services.plain_files import open_plain
from gradwire.services.records import Checkpoint, CheckpointFile
from gradwire.workers.checkpoint import MANIFEST, parsed_manifest, step_of


@dataclass(frozen=True, slots=True)
class FoundFile:
    """Where a checkpoint file lies, and its size in bytes."""

    path: Path
    size: int


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """The whole checkpoints in `folder`, newest first; damaged and half-written ones are passed over."""
    found = []
    for path in folder.glob("step-*"):
        checkpoint = _read(path)
        if checkpoint is not None:
            found.append(checkpoint)
    return sorted(found, key=lambda checkpoint: -checkpoint.step)


def find_file(folder: Path, sha256: str) -> FoundFile | None:
    """The file with that sha256 among the checkpoints in `folder`, or None."""
    for checkpoint in list_checkpoints(folder):
        for file in checkpoint.files:
            if file.sha256 == sha256:
                return FoundFile(Path(checkpoint.path) / file.name, file.size)
    return None


def bytes_in(folder: Path) -> int:
    """Bytes of all files under a folder; 0 where there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # A checkpoint that is removed meanwhile counts no more.
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _read(path: Path) -> Checkpoint | None:
    try:
        with open_plain(path / MANIFEST) as source:
            body = source.read()
        manifest = parsed_manifest(body)
        if manifest.step != step_of(path.name):
            return None
        listed = [CheckpointFile(f.name, f.size, f.sha256) for f in manifest.files.values()]
        for file in listed:
            found = path / file.name
            if found.is_symlink() or found.stat().st_size != file.size:
                return None
    except (OSError, ValueError):
        return None
    return Checkpoint(
        step=manifest.step,
        path=str(path),
        parameters_sha256=manifest.parameters_sha256,
        files=(CheckpointFile(MANIFEST, len(body), hashlib.sha256(body).hexdigest()), *listed),
        create_time=manifest.created,
    )
