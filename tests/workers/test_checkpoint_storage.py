"""What every place of checkpoints keeps to: a folder, and storage behind fsspec."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.numpy import load_file

from gradwire.workers import checkpoint as c
from gradwire.workers.checkpoint.folder import FolderPlace
from gradwire.workers.checkpoint.objects import ObjectPlace
from tests.workers.checkpoints import MODEL, Files, some

PLACES = ["folder", "memory", "objects in a folder"]


@pytest.fixture(params=PLACES)
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "memory":
        return Files(MemoryFileSystem(), f"memory://{uuid.uuid4().hex}")
    return Files(LocalFileSystem(), str(tmp_path / "made on demand"))


@pytest.fixture
def storage(request: pytest.FixtureRequest, files: Files) -> c.CheckpointStorage:
    if request.node.callspec.params["files"] == "objects in a folder":
        return c.CheckpointStorage(ObjectPlace(files.driver, files.root, files.root), chunk_bytes=64)
    return c.CheckpointStorage(files.root, chunk_bytes=64)


def bits(arrays: c.Checkpoint | Any) -> dict[str, Any]:
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in arrays.items()}


def test_what_was_written_is_read_again_bit_for_bit_in_order(storage: c.CheckpointStorage) -> None:
    rng = np.random.default_rng(0)
    model = {
        f"{name} é": rng.integers(0, 2, (3, 5)).astype(dtype)
        for name, dtype in [
            *((n, n) for n in ("uint8", "bool", "float64", "int8", "float16", "int16", "uint64", "float32")),
            *((n, n) for n in ("int64", "uint16", "int32", "uint32")),
            ("bfloat16", ml_dtypes.bfloat16),
        ]
    }
    model |= {"none": np.zeros((0, 4), np.float32), "0-d": np.array(-0.0), "nan": np.array([np.nan, np.inf])}
    model["turned"] = np.arange(12.0).reshape(3, 4).T
    written = some(
        4, model=model, buffers={"b": np.array([1e-45], np.float32)}, extra={"chain": "ab"}, metrics={"a": 1}
    )
    saved = storage.write(written)
    (name,) = storage.names()
    assert saved == c.Saved(storage.location_of(name), 4, saved.parameters_sha256)
    for again in (storage.read(name), c.read(saved.location)):
        assert list(again.model) == list(model)
        assert bits(again.model) == bits(model)
        assert bits(again.optimizer) == bits(written.optimizer)
        assert bits(again.buffers) == bits(written.buffers)
        for field in (
            "step", "epoch", "total_steps", "step_counts", "scheduler", "spec", "recent", "metrics", "extra"
        ):  # fmt: skip
            assert getattr(again, field) == getattr(written, field), field
    assert storage.summary(name) == (saved, written.recent)
    assert storage.newest_valid() == name


def test_any_reader_of_safetensors_opens_the_files(
    storage: c.CheckpointStorage, files: Files, tmp_path: Path
) -> None:
    model = {**MODEL, "half": np.arange(7).astype(ml_dtypes.bfloat16), "flag": np.array([True, False, True])}
    storage.write(some(1, model=model))
    (name,) = storage.names()
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(files.get(f"{name}/model.safetensors"))
    assert bits(load_file(copy)) == bits(model)


def test_an_array_of_a_dtype_that_files_do_not_have_is_refused_and_nothing_is_left(
    storage: c.CheckpointStorage, files: Files
) -> None:
    with pytest.raises(TypeError, match="can't hold 'z' of complex128"):
        storage.write(some(1, model={"z": np.zeros(2, complex)}))
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.write(some(1, spec={"a": object()}))
    assert (storage.names(), files.names()) == ([], [])


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 0), (0, 1), (0, 100), (7, 9), (15, 17), (31, 93), (99, 100), (50, None)]
)
def test_a_part_of_an_array_is_read_from_the_chunks_that_hold_it(
    storage: c.CheckpointStorage, files: Files, start: int, stop: int | None
) -> None:
    whole = np.arange(100, dtype=np.float32).reshape(4, 25)
    storage.write(some(1, optimizer={"a/first": np.ones(33), "a/second": whole, "a/third": np.zeros(5)}))
    (name,) = storage.names()
    with storage.open(name) as reader:
        entry = reader.entries(c.OPTIMIZER)["a/second"]
        assert (entry.dtype, entry.shape) == (np.dtype(np.float32), (4, 25))
    # What lies in other chunks may be damaged: it is not looked at.
    body = bytearray(files.get(f"{name}/{c.OPTIMIZER}"))
    stopped = 100 if stop is None else stop
    first, last = entry.begin + 4 * start, entry.begin + 4 * stopped
    near = range(first // 64 * 64, -(-last // 64) * 64) if start != stopped else range(0)
    for at in range(-(-(8 + int.from_bytes(body[:8], "little")) // 64) * 64, len(body)):
        if at not in near:
            body[at] ^= 1
    files.put(f"{name}/{c.OPTIMIZER}", bytes(body))
    with storage.open(name) as reader:
        got = reader.elements(c.OPTIMIZER, "a/second", start, stop)
        assert got.dtype == np.float32
        assert got.tolist() == whole.reshape(-1)[start:stop].tolist()
        with pytest.raises(c.CheckpointDamagedError, match="not what was written"):
            reader.arrays(c.OPTIMIZER)
        with pytest.raises(IndexError, match="which has 100"):
            reader.elements(c.OPTIMIZER, "a/second", 3, 101)
        with pytest.raises(KeyError):
            reader.elements(c.OPTIMIZER, "a/fourth")


def test_a_repeated_step_stays_as_it_is_and_another_state_takes_its_place(
    storage: c.CheckpointStorage, files: Files
) -> None:
    storage.write(some(1))
    (name,) = storage.names()
    before = files.get(f"{name}/manifest.json")
    assert storage.write(some(1)).location == storage.location_of(name)
    assert files.get(f"{name}/manifest.json") == before
    other = storage.write(some(1, extra={"options": {"lr": 0.5}}))
    assert c.read(other.location).extra == {"options": {"lr": 0.5}}


def test_names_sort_by_step_and_foreign_things_are_left_alone(
    storage: c.CheckpointStorage, files: Files
) -> None:
    for step in (9, 10, 123456789, 2):
        storage.write(some(step))
    foreign = ["step-x/a", "step-0000000a/a", "notes.txt", "step-00000003.old/a", "step-3/a"]
    for path in foreign:
        files.driver.makedirs(f"{files.root}/{path}".rpartition("/")[0], exist_ok=True)
        files.put(path, b"mine")
    assert [int(name.split("-")[1]) for name in storage.names()] == [123456789, 10, 9, 2]
    saved = storage.write(some(123456790))
    storage.retain(c.Retention(last=1), saved)
    storage.clear_unfinished()
    assert [int(name.split("-")[1]) for name in storage.names()] == [123456790]
    assert set(foreign) <= set(files.names())


def test_an_unused_place_has_no_checkpoint_and_is_not_made(
    storage: c.CheckpointStorage, files: Files
) -> None:
    assert (storage.names(), storage.newest_valid()) == ([], None)
    storage.clear_unfinished()
    assert not files.driver.exists(files.root)


def test_retention_goes_by_what_lies_on_storage(storage: c.CheckpointStorage) -> None:
    losses = {5: 0.5, 10: 0.1, 15: 0.3, 20: None, 25: float("nan"), 30: 0.1, 35: 0.2}
    retention = c.Retention(last=2, every=15, best="min loss")
    for step, loss in losses.items():
        report = {"kind": "EvaluationFinished", "step": step, "metrics": {"loss": loss}}
        told = [] if loss is None else [report, {**report, "kind": "StepFinished"}]
        saved = storage.write(some(step, recent=told))
        # A new object knows no more than what lies there.
        c.CheckpointStorage(storage._place).retain(retention, saved)
    assert [int(name.split("-")[1]) for name in storage.names()] == [35, 30, 15, 10]


def test_what_is_damaged_counts_for_nothing_and_goes_when_it_is_old(
    storage: c.CheckpointStorage, files: Files
) -> None:
    names = {}
    for step in (1, 2, 3, 4):
        saved = storage.write(some(step))
        names[step] = storage.names()[0]
    files.remove(f"{names[3]}/model.safetensors")
    assert storage.retain(c.Retention(last=2), saved) == [names[1]]  # 4 and 2 stay, 3 lies between
    files.put(f"{names[4]}/manifest.json", b"{}")
    for step, gone in ((5, []), (6, [4, 3, 2])):
        saved = storage.write(some(step))
        again = c.CheckpointStorage(storage._place)
        assert again.retain(c.Retention(last=2), saved) == [names[each] for each in gone]


def test_an_old_attempt_leaves_the_newer_ones_of_another_alone(storage: c.CheckpointStorage) -> None:
    for step in (50, 60, 70):
        storage.write(some(step))
    late = storage.write(some(40))
    storage.retain(c.Retention(last=1), late)
    assert [int(name.split("-")[1]) for name in storage.names()] == [70, 60, 50, 40]


def test_what_is_read_is_not_removed(storage: c.CheckpointStorage) -> None:
    storage.write(some(1))
    (name,) = storage.names()
    newer = storage.write(some(2))
    with storage.open(name) as reader:
        assert storage.retain(c.Retention(last=1), newer) == []
        assert bits(reader.read().model) == bits(MODEL)
    assert storage.retain(c.Retention(last=1), newer) == [name]
    with pytest.raises(c.CheckpointDamagedError, match="is missing"):
        storage.read(name)


def test_many_writers_of_the_same_steps_end_with_whole_checkpoints(
    storage: c.CheckpointStorage, files: Files
) -> None:
    told: list[str] = []
    failed: list[BaseException] = []
    together = threading.Barrier(4, timeout=30)

    def write(who: int) -> None:
        try:
            own = c.CheckpointStorage(storage._place, 64)
            for step in range(1, 9):
                together.wait()
                # Reports of when things happened differ between attempts, the state does not.
                saved = own.write(some(step, recent=[{"seconds": who}] * who))
                c.read(saved.location) if step == 8 else own.retain(c.Retention(last=2), saved)
                own.newest_valid(told.append)
        except BaseException as error:
            failed.append(error)
            together.abort()

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    for name in storage.names():
        storage.read(name)
    assert {int(name.split("-")[1]) for name in storage.names()} >= {7, 8}
    assert not [name for name in files.names() if name.startswith(".tmp")]


def test_writing_needs_no_second_copy_in_memory_and_reading_none(tmp_path: Path) -> None:
    size = 32 * 2**20
    content = some(1, model={"w": np.ones(size, np.uint8)}, optimizer={"w/m": np.ones(size // 8)})
    tracemalloc.start()
    try:
        saved = c.write(tmp_path, content)
        writing = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        storage = c.CheckpointStorage(tmp_path)
        with storage.open(saved.path.name) as reader:
            kept = reader.arrays(c.MODEL)
            reading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept["w"].nbytes == size
    assert writing < 2 * 2**20
    assert reading < size + 2 * 2**20


def test_a_writer_that_lives_keeps_its_unfinished_files_and_a_dead_ones_go(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    alive, dead = place.begin("step-00000001"), place.begin("step-00000001")
    for each in (alive, dead):
        with each.file("model.safetensors") as out:
            out.write(memoryview(b"values"))
    os.close(dead._descriptor)  # as its process's end does
    place.clear_unfinished()
    assert alive.finish(b"{}", lambda name: False) == "step-00000001"
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000001"]


class Failing(MemoryFileSystem):  # type: ignore[misc]
    """Storage that takes so many more bytes and then fails, or that can't be reached."""

    store: dict[str, Any] = {}
    pseudo_dirs = [""]
    cachable = False

    def __init__(self, left: int = 2**60, error: OSError | None = None) -> None:
        super().__init__()
        self.left, self.error = left, error or OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def take(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise self.error

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        opened = super()._open(path, mode, **options)
        if mode == "rb":
            self.take(0)
            return opened
        write = opened.write

        def limited(piece: Any) -> int:
            self.take(len(piece))
            return int(write(piece))

        opened.write = limited
        return opened

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self.take(len(value))
        super().pipe_file(path, value, **options)

    def cat_file(self, path: str, **options: Any) -> Any:
        self.take(0)
        return super().cat_file(path, **options)


def test_storage_that_fails_after_any_number_of_bytes_keeps_nothing_half() -> None:
    total = 0
    for left in [*range(0, 3000, 61), 2**40]:
        driver = Failing(left)
        files = Files(driver, f"memory://{uuid.uuid4().hex}")
        storage = c.CheckpointStorage(ObjectPlace(driver, files.root, files.root), 64)
        try:
            storage.write(some(1))
        except OSError as error:
            assert error.errno == errno.ENOSPC
            assert files.names() == []
            assert storage.newest_valid() is None
            total += 1
        else:
            assert left == 2**40 or left > 1000
            assert bits(storage.read(storage.names()[0]).model) == bits(MODEL)
    assert total > 10


def test_storage_that_can_not_be_reached_is_no_damage() -> None:
    driver = Failing()
    storage = c.CheckpointStorage(ObjectPlace(driver, "/unreachable", "memory://unreachable"))
    storage.write(some(1))
    driver.left, driver.error = -1, ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError):
        storage.newest_valid()
    driver.left = 0
    assert storage.newest_valid() == storage.names()[0]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    at = tmp_path / "small"
    at.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(at)]).returncode != 0:
        pytest.skip("this machine does not permit mounting a tmpfs")
    yield at
    subprocess.run(["umount", "-l", str(at)], check=True)


def test_a_disk_that_is_full_or_read_only_keeps_what_it_has(small: Path) -> None:
    first = c.write(small, some(1))
    for size in range(
        2_000, 12_000, 1_000
    ):  # at each the disk is full in another file, or at another place of one
        content = some(2, model={"w": np.zeros(size // 2)}, optimizer={"w/m": np.zeros(size)})
        if size > 6_000:
            with pytest.raises(OSError, match="No space left"):
                c.write(small, content)
        assert c.newest_valid(small) is not None
        assert not list(small.glob(".tmp-*"))
        for path in c.checkpoints(small)[:-1]:
            c.CheckpointStorage(small)._place.remove(path.name)
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(OSError, match="Read-only"):
        c.write(small, some(3))
    assert c.newest_valid(small) == first.path
    assert bits(c.read(first.path).model) == bits(MODEL)


def test_a_folder_that_is_a_file_or_vanished_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        c.write(tmp_path / "file", some(1))
    assert c.newest_valid(tmp_path / "file") is None
    place = FolderPlace(tmp_path / "gone")
    unfinished = place.begin("step-00000001")
    (unfinished._aside).rmdir()
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError), unfinished.file("model.safetensors"):
        pass
    unfinished.discard()


def test_urls_name_places(tmp_path: Path) -> None:
    saved = c.CheckpointStorage(f"file://{tmp_path}/a").write(some(1))
    assert saved.path == tmp_path / "a" / "step-00000001"
    assert c.newest_valid(f"{tmp_path}/a") == str(saved.path)
    where = f"memory://{uuid.uuid4().hex}/"
    stored = c.CheckpointStorage(where).write(some(1))
    assert stored.location.startswith(where + "step-00000001-")
    assert c.newest_valid(where) == stored.location
    assert c.summary(stored.location)[0] == stored
    with pytest.raises(ValueError, match="no folder of a file system"):
        _ = stored.path
    with pytest.raises(ValueError, match="not in the URL"):
        c.CheckpointStorage("sftp://me:secret@host/x")
    with pytest.raises(ValueError, match="Protocol not known"):
        c.CheckpointStorage("nosuch://x")


def test_the_manifest_is_plain_json(storage: c.CheckpointStorage, files: Files) -> None:
    storage.write(some(7, recent=[]))
    (name,) = storage.names()
    told = json.loads(files.get(f"{name}/manifest.json"))
    assert (told["format"], told["step"], told["chunk_bytes"]) == (2, 7, 64)
    assert files.names(name) == [
        f"{name}/{n}" for n in ("manifest.json", "model.safetensors", "optimizer.safetensors")
    ]
    for file in told["files"]:
        body = files.get(f"{name}/{file['name']}")
        sums = [
            subprocess.run(["sha256sum"], input=part, capture_output=True, check=True).stdout[:64].decode()
            for part in (body, *(body[at : at + 64] for at in range(0, len(body), 64)))
        ]
        assert [file["sha256"], *file["chunks"]] == sums
        assert file["size"] == len(body)


@pytest.mark.parametrize(
    ("retention", "kept"),
    [
        (c.Retention(1), {40}),
        (c.Retention(9), {10, 20, 25, 30, 40}),
        (c.Retention(1, every=20), {20, 40}),
        (c.Retention(1, best="min loss"), {10, 40}),
        (c.Retention(1, best="max top 5"), {25, 40}),
        (c.Retention(1, best="max nothing"), {40}),
    ],
)
def test_retention_is_a_rule_of_steps_and_metrics(retention: c.Retention, kept: set[int]) -> None:
    found = {
        10: {"loss": 1.0, "top 5": 0.1},
        20: {"loss": 1.0},
        25: {"loss": 2.0, "top 5": 0.7},
        30: {"loss": 3.0, "top 5": 0.7},
        40: {},
    }
    assert retention.kept(found) == kept


@pytest.mark.parametrize(
    "wrong", [{"last": 0}, {"every": -1}, {"best": "loss"}, {"best": "least loss"}, {"best": "min "}]
)
def test_a_wrong_retention_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"Retention.{next(iter(wrong))}"):
        c.Retention(**wrong)
