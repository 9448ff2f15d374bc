"""Damage of every kind, all over the files: it is found, told, and the checkpoint before is used."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from gradwire.services.checkpoints import list_checkpoints
from gradwire.workers import checkpoint as c
from tests.workers.checkpoints import Files, resealed, some

FILES = ["model.safetensors", "optimizer.safetensors", "buffers.safetensors", "recent.json", "manifest.json"]


class Two:
    """Two checkpoints: `newer` is to be damaged."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.storage = c.CheckpointStorage(files.root, chunk_bytes=128)
        for step in (1, 2):
            self.storage.write(some(step, buffers={"b": np.ones(3, np.int8)}))
        self.newer, self.older = self.storage.names()

    def damaged(self) -> str:
        """What is told of the newer one, after it was passed over."""
        told: list[str] = []
        assert self.storage.newest_valid(told.append) == self.older
        (message,) = told
        assert message.startswith(f"checkpoint {self.newer} is damaged (")
        assert message.endswith("using the one before it")
        with pytest.raises(c.CheckpointDamagedError):
            self.storage.read(self.newer)
        return message

    def change(self, file: str, change: Callable[[bytes], bytes]) -> None:
        path = f"{self.newer}/{file}"
        self.files.put(path, change(self.files.get(path)))


@pytest.fixture(params=["folder", "memory"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Two:
    if request.param == "memory":
        return Two(Files(MemoryFileSystem(), f"memory://{uuid.uuid4().hex}"))
    return Two(Files(LocalFileSystem(), str(tmp_path)))


@pytest.mark.parametrize("file", FILES)
def test_one_flipped_bit_is_found_wherever_it_is(two: Two, file: str) -> None:
    whole = two.files.get(f"{two.newer}/{file}")
    for at in range(0, len(whole), 1 + len(whole) // 500):
        body = bytearray(whole)
        body[at] ^= 1 << at % 8
        two.files.put(f"{two.newer}/{file}", bytes(body))
        assert two.storage.newest_valid() == two.older, at
    assert file in two.damaged()
    two.files.put(f"{two.newer}/{file}", whole)
    assert two.storage.newest_valid() == two.newer


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_ends_anywhere_before_its_end_or_goes_on_is_found(two: Two, file: str) -> None:
    whole = two.files.get(f"{two.newer}/{file}")
    for length in [*range(0, len(whole), 1 if len(whole) < 500 else 7), len(whole) - 1]:
        two.files.put(f"{two.newer}/{file}", whole[:length])
        assert two.storage.newest_valid() == two.older, length
    assert file in two.damaged()
    two.files.put(f"{two.newer}/{file}", whole + b"\n")
    assert file in two.damaged()


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(two: Two, file: str) -> None:
    two.files.remove(f"{two.newer}/{file}")
    assert f"{file} is missing" in two.damaged()


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_another_checkpoint_is_found(two: Two, file: str) -> None:
    other = two.files.get(f"{two.older}/{file}")
    same = other == two.files.get(f"{two.newer}/{file}")
    two.files.put(f"{two.newer}/{file}", other)
    if same:  # buffers and model are those of the other step: nothing is wrong
        assert two.storage.newest_valid() == two.newer
    else:
        assert file in two.damaged()


def test_swapped_files_and_a_renamed_folder_are_found(two: Two) -> None:
    model, optimizer = (two.files.get(f"{two.newer}/{file}") for file in FILES[:2])
    two.files.put(f"{two.newer}/{FILES[0]}", optimizer)
    two.files.put(f"{two.newer}/{FILES[1]}", model)
    two.damaged()
    for file in FILES:
        two.files.put(f"{two.newer}/{file}", two.files.get(f"{two.older}/{file}"))
    assert "that of step 1" in two.damaged()


def entry(fields: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = fields["files"][0]
    return first


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("its format is 1, expected 2", lambda m: m.update(format=1)),
        ("its format is 3, expected 2", lambda m: m.update(format=3)),
        ("its format is None", lambda m: m.pop("format")),
        ("lacks files", lambda m: m["files"].pop(0)),
        ("lacks files", lambda m: m.update(files=[])),
        ("names one twice", lambda m: m["files"].append(m["files"][0])),
        ("lacks a field", lambda m: m.pop("epoch")),
        ("wrong one", lambda m: m.update(step="2")),
        ("wrong one", lambda m: m.update(step=-2)),
        ("wrong one", lambda m: m.update(total_steps=True)),
        ("wrong one", lambda m: m.update(files=7)),
        ("wrong one", lambda m: m.update(parameters_sha256="AB")),
        ("sums for", lambda m: m.update(chunk_bytes=1)),
        ("sums for", lambda m: m.update(chunk_bytes=0)),
        ("has", lambda m: entry(m).update(size=entry(m)["size"] - 1)),
        ("not what was written", lambda m: entry(m)["chunks"].reverse()),
        *(
            ("none of a checkpoint's", lambda m, name=name: entry(m).update(name=name))
            for name in (
                "../step-00000001/model.safetensors", "/etc/passwd", "a/b", "..", ".", "", "manifest.json",
                "a\0b", ".hidden", "a\\..\\b", "file://x",
            )
        ),
    ],
)  # fmt: skip
def test_a_manifest_that_was_made_up_is_refused(
    two: Two, reason: str, change: Callable[[dict[str, Any]], None]
) -> None:
    two.change("manifest.json", lambda raw: resealed(raw, change))
    assert reason in two.damaged()
    if not two.files.root.startswith("memory"):
        whole = [each.step for each in list_checkpoints(Path(two.files.root))]
        assert whole == ([2, 1] if reason == "not what was written" else [1])


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"{" * 5000, b'{"format": 2}'])
def test_a_manifest_that_is_none_is_refused(two: Two, body: bytes) -> None:
    two.change("manifest.json", lambda raw: body)
    two.damaged()


def test_links_and_pipes_in_the_place_of_files_are_refused(tmp_path: Path) -> None:
    two = Two(Files(LocalFileSystem(), str(tmp_path)))
    path = tmp_path / two.newer / "model.safetensors"
    path.unlink()
    path.symlink_to(tmp_path / two.older / "model.safetensors")
    two.damaged()
    assert [each.step for each in list_checkpoints(tmp_path)] == [1]
    path.unlink()
    os.mkfifo(path)
    assert "no regular file" in two.damaged()


def test_all_damaged_is_none_and_each_is_told(two: Two) -> None:
    for name in (two.newer, two.older):
        two.files.remove(f"{name}/manifest.json")
    told: list[str] = []
    assert two.storage.newest_valid(told.append) is None
    assert len(told) == 2


@pytest.mark.parametrize("header", ["null", "[]", '{"w":{}}', '{"w":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}',
    '{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,-4]}}', '{"w":{"dtype":"F9","shape":[],"data_offsets":[0,4]}}',
    '{"w":{"dtype":"F32","shape":["a"],"data_offsets":[0,4]}}', "not json"])  # fmt: skip
def test_a_header_that_does_not_fit_its_file_is_damage_whatever_its_sum(tmp_path: Path, header: str) -> None:
    saved = c.write(tmp_path, some(1))
    body = len(header).to_bytes(8, "little") + header.encode() + bytes(4)
    (saved.path / "model.safetensors").write_bytes(body)
    sha256 = hashlib.sha256(body).hexdigest()
    manifest = saved.path / "manifest.json"
    change = {"size": len(body), "sha256": sha256, "chunks": [sha256]}
    manifest.write_bytes(resealed(manifest.read_bytes(), lambda m: entry(m).update(change)))
    with pytest.raises(c.CheckpointDamagedError, match="step-00000001 is damaged"):
        c.read(saved.path)
