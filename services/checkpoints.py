"""The checkpoints of a job that are whole on storage, as the service shows and hands them out. Used by front_end.py.

They are written by gradwire.workers.checkpoint; here only manifests are read: `manifest.json` names each file
with its size and sha256.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gradwire.services.records import Checkpoint, CheckpointFile

MANIFEST = "manifest.json"


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


def _read(path: Path) -> Checkpoint | None:
    try:
        body = (path / MANIFEST).read_bytes()
        manifest = json.loads(body)
        listed = [_file(entry) for entry in _entries(manifest["files"])]
        if any((path / file.name).stat().st_size != file.size for file in listed):
            return None
        own = CheckpointFile(MANIFEST, len(body), hashlib.sha256(body).hexdigest())
        return Checkpoint(
            step=int(manifest["step"]),
            path=str(path),
            parameters_sha256=str(manifest.get("parameters_sha256", "")),
            files=(own, *listed),
            create_time=datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, UTC),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _entries(files: Any) -> list[dict[str, Any]]:
    """The manifest's files, as a list of {"name", "size", "sha256"} or a mapping of names to the rest."""
    if isinstance(files, dict):
        return [{"name": name, **rest} for name, rest in files.items()]
    return list(files)


def _file(entry: dict[str, Any]) -> CheckpointFile:
    name = str(entry["name"])
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"a checkpoint names a file outside itself: {name!r}")
    return CheckpointFile(name, int(entry["size"]), str(entry["sha256"]))
