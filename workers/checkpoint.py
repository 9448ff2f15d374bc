"""Checkpoints: everything a step needs, in files that anyone can open, whole or not there at all.

    step-00000042/
      model.safetensors       the state dict: parameters and persistent buffers, by name
      optimizer.safetensors   "<parameter>/<state name>", whole arrays whatever the number of workers was
      buffers.safetensors     buffers that the state dict leaves out; only where there are any
      recent.json             what the last steps reported, to be told again where the newest reports were lost
      manifest.json           what it is, and size and sha256 of the other files

It is written under a temporary name, synced, and renamed. Whoever reads one checks every sum first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from gradwire.training import parameters_sha256

__all__ = [
    "Checkpoint",
    "CheckpointDamagedError",
    "Saved",
    "checkpoints",
    "clear_unfinished",
    "newest_valid",
    "read",
    "summary",
    "write",
]

Arrays = Mapping[str, np.ndarray[Any, Any]]
FORMAT = 1
_PREFIX, _UNFINISHED = "step-", ".tmp-"
_MODEL, _OPTIMIZER, _BUFFERS = "model.safetensors", "optimizer.safetensors", "buffers.safetensors"
_RECENT, _MANIFEST = "recent.json", "manifest.json"


class CheckpointDamagedError(Exception):
    """A checkpoint can't be used; the message names it and says why."""


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint. `step`: steps finished; `epoch`: epochs finished."""

    step: int
    epoch: int
    total_steps: int
    model: Arrays
    optimizer: Arrays
    buffers: Arrays = field(default_factory=dict)
    step_counts: Mapping[str, int] = field(default_factory=dict)
    """Updates made so far, by parameter."""
    scheduler: Mapping[str, Any] | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What was trained, as JSON values."""
    recent: Sequence[Any] = ()
    """What the last steps reported, as JSON values."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint on storage."""

    path: Path
    step: int
    parameters_sha256: str


def write(folder: Path, checkpoint: Checkpoint, keep: int = 3) -> Saved:
    """Writes a checkpoint into `folder` and removes all but the `keep` newest. Raises OSError; then nothing is left.

    Where one of the same step is already there it stays as it is: the same job makes the same bits.
    """
    sha256 = parameters_sha256(checkpoint.model)
    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    saved = Saved(target, checkpoint.step, sha256)
    folder.mkdir(parents=True, exist_ok=True)
    if target.exists():
        if _manifest(target).get("parameters_sha256") == sha256 and _problem(target) is None:
            return saved
        shutil.rmtree(target)
    aside = folder / f"{_UNFINISHED}{target.name}-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir(mode=0o700)
        bodies = {
            _MODEL: save(_contiguous(checkpoint.model)),
            _OPTIMIZER: save(_contiguous(checkpoint.optimizer)),
        }
        if checkpoint.buffers:
            bodies[_BUFFERS] = save(_contiguous(checkpoint.buffers))
        if checkpoint.recent:
            bodies[_RECENT] = json.dumps(checkpoint.recent).encode()
        manifest = {
            "format": FORMAT,
            "step": checkpoint.step,
            "epoch": checkpoint.epoch,
            "total_steps": checkpoint.total_steps,
            "parameters_sha256": sha256,
            "spec": checkpoint.spec,
            "scheduler": checkpoint.scheduler,
            "step_counts": checkpoint.step_counts,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "versions": _versions(),
            "files": [
                {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
                for name, body in bodies.items()
            ],
        }
        for name, body in bodies.items():
            _write_synced(aside / name, body)
        _write_synced(aside / _MANIFEST, json.dumps(manifest, indent=1).encode())
        _sync_folder(aside)
        try:
            aside.rename(target)
        except OSError:
            if not target.exists():
                raise
            # Another attempt of the same job was faster, with the same bits.
            shutil.rmtree(aside, ignore_errors=True)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    for old in checkpoints(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return saved


def checkpoints(folder: Path) -> list[Path]:
    """Everything in `folder` that has a checkpoint's name, newest step first."""
    found = [path for path in folder.glob(_PREFIX + "*") if path.name.removeprefix(_PREFIX).isdecimal()]
    return sorted(found, key=lambda path: -int(path.name.removeprefix(_PREFIX)))


def newest_valid(folder: Path, passed_over: Callable[[str], None] = lambda message: None) -> Path | None:
    """The newest checkpoint whose every sum is right; each damaged one that is newer is told to `passed_over`."""
    for path in checkpoints(folder):
        problem = _problem(path)
        if problem is None:
            return path
        passed_over(f"checkpoint {path.name} is damaged ({problem}); using the one before it")
    return None


def read(path: Path) -> Checkpoint:
    """The contents of a checkpoint. Raises CheckpointDamagedError where a file is missing or not what was written."""
    problem = _problem(path)
    if problem is not None:
        raise CheckpointDamagedError(f"checkpoint {path} is damaged: {problem}")
    manifest = _manifest(path)
    buffers, recent = path / _BUFFERS, path / _RECENT
    return Checkpoint(
        step=manifest["step"],
        epoch=manifest["epoch"],
        total_steps=manifest["total_steps"],
        model=load((path / _MODEL).read_bytes()),
        optimizer=load((path / _OPTIMIZER).read_bytes()),
        buffers=load(buffers.read_bytes()) if buffers.exists() else {},
        step_counts=manifest["step_counts"],
        scheduler=manifest["scheduler"],
        spec=manifest["spec"],
        recent=json.loads(recent.read_bytes()) if recent.exists() else (),
    )


def summary(path: Path) -> tuple[Saved, Sequence[Any]]:
    """What a whole checkpoint is and what its last steps reported, without its arrays. Raises CheckpointDamagedError."""
    try:
        manifest = _manifest(path)
        recent = path / _RECENT
        told = json.loads(recent.read_bytes()) if recent.exists() else ()
        return Saved(path, int(manifest["step"]), str(manifest["parameters_sha256"])), told
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointDamagedError(f"checkpoint {path} is damaged: {error}") from error


def clear_unfinished(folder: Path) -> None:
    """Removes what writers left that were killed. Only for who knows that none is at work."""
    for path in folder.glob(_UNFINISHED + _PREFIX + "*"):
        shutil.rmtree(path, ignore_errors=True)


def _problem(path: Path) -> str | None:
    """What is wrong with a checkpoint on storage, or None."""
    try:
        manifest = _manifest(path)
        if manifest["format"] != FORMAT:
            return f"its format is {manifest['format']}, expected {FORMAT}"
        names = [entry["name"] for entry in manifest["files"]]
        if not {_MODEL, _OPTIMIZER} <= set(names):
            return "its manifest lacks files"
        for entry in manifest["files"]:
            body = (path / str(Path(entry["name"]).name)).read_bytes()
            if len(body) != entry["size"] or hashlib.sha256(body).hexdigest() != entry["sha256"]:
                return f"{entry['name']} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
    except ValueError as error:
        raise ValueError(f"{_MANIFEST} is not readable ({error})") from None
    if not isinstance(manifest, dict):
        raise ValueError(f"{_MANIFEST} is not readable (expected an object)")
    return manifest


def _contiguous(arrays: Arrays) -> dict[str, np.ndarray[Any, Any]]:
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}  # 0-d stays 0-d


def _write_synced(path: Path, body: bytes) -> None:
    with open(path, "xb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems can't sync folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("gradwire", "numpy", "safetensors", "cupy"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
