"""Checkpoints for tests, and their files' bytes by the storage's own driver, to look at and to damage."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from fsspec import AbstractFileSystem

from gradwire.workers.checkpoint import Checkpoint

MODEL = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(3, np.int64)}


def some(step: int, **fields: Any) -> Checkpoint:
    """A small checkpoint; `fields` take the place of its own."""
    own: dict[str, Any] = {
        "model": MODEL,
        "optimizer": {"w/exp_avg": np.full((2, 3), step, np.float32)},
        "step_counts": {"w": step},
        "scheduler": {"last_epoch": 1, "base_lrs": [0.1]},
        "spec": {"shards": 8},
        "recent": [{"kind": "StepFinished", "step": step}],
    }
    return Checkpoint(step=step, epoch=1, total_steps=99, **{**own, **fields})


def resealed(raw: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """A manifest with a change, and the sum that belongs to it: what only somebody does on purpose."""
    fields = json.loads(raw)
    del fields["sha256_of_the_above"]
    change(fields)
    above = json.dumps(fields, indent=1).removesuffix("\n}").encode()
    return above + b',\n "sha256_of_the_above": "' + hashlib.sha256(above).hexdigest().encode() + b'"\n}\n'


class Files:
    """The files below `root`, by their paths there."""

    def __init__(self, driver: AbstractFileSystem, root: str) -> None:
        self.driver, self.root = driver, root

    def names(self, folder: str = "") -> list[str]:
        at = f"{self.root}/{folder}".rstrip("/")
        found = self.driver.find(at) if self.driver.exists(at) else []
        start = self.driver._strip_protocol(self.root).rstrip("/") + "/"
        return sorted(path.removeprefix(start) for path in found)

    def get(self, path: str) -> bytes:
        return bytes(self.driver.cat_file(f"{self.root}/{path}"))

    def put(self, path: str, body: bytes) -> None:
        self.driver.pipe_file(f"{self.root}/{path}", body)

    def remove(self, path: str) -> None:
        self.driver.rm_file(f"{self.root}/{path}")
