from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from gradwire.training import parameters_sha256
from gradwire.workers import checkpoint as c

MODEL = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.array(3, np.int64)}


def some(step: int, **fields: Any) -> c.Checkpoint:
    return c.Checkpoint(
        step=step,
        epoch=1,
        total_steps=9,
        model=MODEL,
        optimizer={"w/exp_avg": np.full((2, 3), 0.1, np.float32)},
        step_counts={"w": step},
        scheduler={"last_epoch": 1, "base_lrs": [0.1]},
        spec={"shards": 8},
        **fields,
    )


def test_what_was_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    written = some(4, buffers={"b": np.array([-0.0, 1e-45], np.float32)}, recent=[{"step": 4}])
    saved = c.write(tmp_path / "made" / "on demand", written)
    again = c.read(saved.path)
    assert saved.path.name == "step-00000004"
    assert saved.parameters_sha256 == parameters_sha256(MODEL)
    for ours, theirs in (
        (written.model, again.model),
        (written.optimizer, again.optimizer),
        (written.buffers, again.buffers),
    ):
        assert {n: (a.dtype, a.shape, a.tobytes()) for n, a in ours.items()} == {
            n: (a.dtype, a.shape, a.tobytes()) for n, a in theirs.items()
        }
    assert again.recent == written.recent
    assert (again.step, again.epoch, again.total_steps) == (4, 1, 9)
    assert (again.step_counts, again.scheduler, again.spec) == (
        written.step_counts,
        written.scheduler,
        written.spec,
    )


def test_the_files_are_plain_safetensors_and_a_manifest_with_their_sums(tmp_path: Path) -> None:
    saved = c.write(tmp_path, some(1))
    assert sorted(p.name for p in saved.path.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "optimizer.safetensors",
    ]
    assert load_file(saved.path / "model.safetensors")["w"].tolist() == MODEL["w"].tolist()
    manifest = json.loads((saved.path / "manifest.json").read_text())
    assert manifest["parameters_sha256"] == saved.parameters_sha256
    for entry in manifest["files"]:
        body = (saved.path / entry["name"]).read_bytes()
        done = subprocess.run(["sha256sum"], input=body, capture_output=True, check=True)
        assert (entry["size"], entry["sha256"]) == (len(body), done.stdout.split()[0].decode())


def test_the_newest_three_are_kept(tmp_path: Path) -> None:
    for step in (2, 9, 10, 11, 100):
        c.write(tmp_path, some(step))
    assert [p.name for p in c.checkpoints(tmp_path)] == ["step-00000100", "step-00000011", "step-00000010"]


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "manifest.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove", "empty"])
def test_a_damaged_checkpoint_is_passed_over_and_named(tmp_path: Path, name: str, harm: str) -> None:
    before = c.write(tmp_path, some(1)).path
    damaged = c.write(tmp_path, some(2)).path
    body = bytearray((damaged / name).read_bytes())
    body[len(body) // 2] ^= 0xFF
    if harm == "remove":
        (damaged / name).unlink()
    else:
        (damaged / name).write_bytes({"flip": body, "cut": body[: len(body) // 3], "empty": b""}[harm])
    told: list[str] = []
    assert c.newest_valid(tmp_path, told.append) == before
    assert len(told) == 1
    assert "step-00000002 is damaged" in told[0]
    assert name in told[0] or name == "manifest.json"
    with pytest.raises(c.CheckpointDamagedError, match="step-00000002"):
        c.read(damaged)


def test_no_checkpoint_is_no_error(tmp_path: Path) -> None:
    assert c.newest_valid(tmp_path) is None
    assert c.newest_valid(tmp_path / "not there") is None


def test_a_repeated_step_keeps_the_sound_one_and_replaces_a_damaged_one(tmp_path: Path) -> None:
    path = c.write(tmp_path, some(1)).path
    first = (path / "manifest.json").stat().st_mtime_ns
    c.write(tmp_path, some(1))
    assert (path / "manifest.json").stat().st_mtime_ns == first
    (path / "model.safetensors").write_bytes(b"broken")
    c.write(tmp_path, some(1))
    assert c.newest_valid(tmp_path) == path


def test_kill_9_while_writing_leaves_no_checkpoint_that_looks_whole(tmp_path: Path) -> None:
    program = f"""
        import os, signal
        from pathlib import Path
        import numpy as np
        from gradwire.workers import checkpoint as c
        whole, synced = os.fsync, []
        def fsync(descriptor):
            synced.append(descriptor)
            if len(synced) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            whole(descriptor)
        os.fsync = fsync
        c.write(Path({str(tmp_path)!r}), c.Checkpoint(1, 0, 2, {{"w": np.zeros(9)}}, {{}}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)])
    assert done.returncode == -9
    assert c.newest_valid(tmp_path) is None
    assert len(os.listdir(tmp_path)) == 1
    c.clear_unfinished(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not permit mounting a tmpfs")
    try:
        with pytest.raises(OSError, match="No space left"):
            c.write(small, c.Checkpoint(1, 0, 2, {"w": np.zeros(100_000)}, {}))
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
