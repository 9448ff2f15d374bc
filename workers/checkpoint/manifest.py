"""manifest.json: what a checkpoint is, and the sums of its files and of itself. Made and read here alone.

Its last line is the sha256 of everything before that line, so that a changed byte in it is found like one in any file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gradwire.workers.checkpoint.content import Checkpoint, evaluated

__all__ = [
    "BUFFERS", "CHUNK_BYTES", "FORMAT", "MANIFEST", "MODEL", "Manifest", "OPTIMIZER", "RECENT", "StoredFile", "composed", "parsed",
]  # fmt: skip

FORMAT = 2
CHUNK_BYTES = 16 * 2**20
"""Bytes between two sums of a file: what is read before any of it is believed."""
MANIFEST = "manifest.json"
MODEL, OPTIMIZER, BUFFERS = "model.safetensors", "optimizer.safetensors", "buffers.safetensors"
RECENT = "recent.json"

_SEAL = b',\n "sha256_of_the_above": "'
_END = b'"\n}\n'
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file: `sha256` of the whole and of each chunk, in hex."""

    name: str
    size: int
    sha256: str
    chunks: Sequence[str]


@dataclass(frozen=True)
class Manifest:
    """What a manifest says, checked as far as it can be without the files."""

    step: int
    epoch: int
    total_steps: int
    parameters_sha256: str
    metrics: Mapping[str, float]
    step_counts: Mapping[str, int]
    scheduler: Mapping[str, Any] | None
    spec: Mapping[str, Any]
    extra: Mapping[str, Any]
    created: datetime
    chunk_bytes: int
    files: Mapping[str, StoredFile]


def composed(
    checkpoint: Checkpoint, parameters_sha256: str, files: Sequence[StoredFile], chunk_bytes: int
) -> bytes:
    """The manifest's bytes. Raises TypeError where a field is not made of JSON values."""
    body = json.dumps(
        {
            "format": FORMAT,
            "step": checkpoint.step,
            "epoch": checkpoint.epoch,
            "total_steps": checkpoint.total_steps,
            "parameters_sha256": parameters_sha256,
            "metrics": {name: v for name, v in evaluated(checkpoint).items() if math.isfinite(v)},
            "spec": checkpoint.spec,
            "scheduler": checkpoint.scheduler,
            "step_counts": checkpoint.step_counts,
            "extra": checkpoint.extra,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "versions": _versions(),
            "chunk_bytes": chunk_bytes,
            "files": [
                {"name": f.name, "size": f.size, "sha256": f.sha256, "chunks": list(f.chunks)} for f in files
            ],
        },
        indent=1,
    )
    above = body.removesuffix("\n}").encode()
    return above + _SEAL + hashlib.sha256(above).hexdigest().encode() + _END


def parsed(raw: bytes) -> Manifest:
    """What the bytes of a manifest say. Raises ValueError with the reason where they are not what was written."""
    above, seal, rest = raw.rpartition(_SEAL)
    try:
        fields = json.loads(raw)
    except ValueError as error:
        raise ValueError(f"{MANIFEST} is not readable ({error})") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{MANIFEST} is not readable (expected an object)")
    if fields.get("format") != FORMAT:
        raise ValueError(f"its format is {fields.get('format')}, expected {FORMAT}")
    if not seal or rest != hashlib.sha256(above).hexdigest().encode() + _END:
        raise ValueError(f"{MANIFEST} is not what was written")
    try:
        manifest = Manifest(
            step=_count(fields["step"]),
            epoch=_count(fields["epoch"]),
            total_steps=_count(fields["total_steps"]),
            parameters_sha256=_sha256(fields["parameters_sha256"]),
            metrics={str(name): float(value) for name, value in fields["metrics"].items()},
            step_counts={str(name): _count(count) for name, count in fields["step_counts"].items()},
            scheduler=fields["scheduler"],
            spec=fields["spec"],
            extra=fields["extra"],
            created=datetime.fromisoformat(fields["created"]),
            chunk_bytes=_count(fields["chunk_bytes"]),
            files={f.name: f for f in (_file(told, fields["chunk_bytes"]) for told in fields["files"])},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{MANIFEST} lacks a field or has a wrong one ({error})") from None
    if len(manifest.files) != len(fields["files"]) or not {MODEL, OPTIMIZER} <= manifest.files.keys():
        raise ValueError(f"{MANIFEST} lacks files, or names one twice")
    return manifest


def _file(told: Mapping[str, Any], chunk_bytes: int) -> StoredFile:
    name, size = told["name"], _count(told["size"])
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == MANIFEST:
        raise ValueError(f"{MANIFEST} names a file that is none of a checkpoint's: {name!r}")
    chunks = tuple(_sha256(each) for each in told["chunks"])
    if chunk_bytes < 1 or len(chunks) != -(-size // chunk_bytes):
        raise ValueError(f"{MANIFEST} has {len(chunks)} sums for {name} of {size} bytes")
    return StoredFile(name, size, _sha256(told["sha256"]), chunks)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"expected a count, got {value!r}")
    return value


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise TypeError(f"expected a sha256 in hex, got {value!r}")
    return value


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("gradwire", "numpy", "safetensors", "cupy"):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
