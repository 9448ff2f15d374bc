"""Every format gives the arrays that were written, from a disk, from memory and from a web server."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("aiohttp")

import fsspec

import gradwire as torch
from gradwire.data import DataError, from_url
from gradwire.utils.data import DataLoader, Subset, TensorDataset, default_collate, random_split

from .web import web
from .written import DTYPES, TEXT, N, X, Y, write

NAMED = ("d.npz", "d-packed.npz", "d.safetensors", "d.parquet", "d.jsonl", "d.jsonl.gz")
PLACES = ("disk", "file", "memory", "web", "web without ranges", "failing web", "kept in a folder")


@pytest.fixture
def at(request, tmp_path):
    """The URL of a folder with the files, at a place; and the options for it."""
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder)
    place = request.param
    if place == "memory":
        memory = fsspec.filesystem("memory")
        for path in folder.iterdir():
            memory.pipe_file(f"/gw/{path.name}", path.read_bytes())
        yield "memory://gw", {}
        memory.rm("/gw", recursive=True)
    elif place in ("disk", "file"):
        yield f"{'file://' * (place == 'file')}{folder}", {}
    else:
        options = {"cache_folder": tmp_path / "kept"} if "kept" in place else {}
        with web(folder, ranges="without" not in place, failing="failing" in place) as server:
            yield server.url, options


def same(found, expected):
    if isinstance(expected, list):
        assert list(found) == expected
        return
    found = found.numpy()
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("at", PLACES, indirect=True)
@pytest.mark.parametrize("name", NAMED)
def test_named_columns_come_as_dicts_and_chosen_ones_as_tuples(at, name):
    url, options = at
    data = from_url(f"{url}/{name}", **options)
    assert len(data) == N
    assert data.columns == (("x", "y", "text") if "parquet" in name or "jsonl" in name else ("x", "y"))
    for i in (0, 17, N - 1, -1, -N):
        sample = data[i]
        same(sample["x"], X[i])
        same(sample["y"], Y[i])
        assert sample.get("text", TEXT[i]) == TEXT[i]
    rows = [5, 52, 5, 0, 31]
    batch = data.batch(rows)
    same(batch["x"], X[rows])
    same(batch["y"], Y[rows])
    chosen = from_url(f"{url}/{name}", columns=("y", "x"), block_bytes=1, cache_bytes=0, **options)
    y, x = chosen[7]
    same(x, X[7])
    same(y, Y[7])
    y, x = chosen.batch(rows)
    same(x, X[rows])
    same(y, Y[rows])


@pytest.mark.parametrize("at", PLACES, indirect=True)
def test_an_array_gives_its_rows(at):
    url, options = at
    data = from_url(f"{url}/d.npy", **options)
    same(data[4], X[4])
    same(data[[1, 3]], X[[1, 3]])
    same(data[10:20:3], X[10:20:3])
    with pytest.raises(IndexError, match="index 53 is out of range for 53 samples"):
        data[N]
    with pytest.raises(IndexError):
        data.batch([0, -1])


@pytest.mark.parametrize("name", [*NAMED, "d.npy"])
@pytest.mark.parametrize("columns", [None, ("y", "x"), ("x",)])
def test_a_batch_is_what_default_collate_makes_of_samples(tmp_path, name, columns):
    if name == "d.npy" and columns:
        return
    write(tmp_path)
    data, rows = from_url(tmp_path / name, columns=columns), [3, 1, 52]
    batch, collated = data.batch(rows), default_collate([data[i] for i in rows])
    assert type(batch) is type(collated)
    pairs = zip(batch.values(), collated.values(), strict=True) if isinstance(batch, dict) else None
    for a, b in pairs or (
        [(batch, collated)] if isinstance(batch, torch.Tensor) else zip(batch, collated, strict=True)
    ):
        assert type(a) is type(b)
        assert a == b if isinstance(a, (list, tuple)) else torch.equal(a, b)


@pytest.mark.parametrize("workers, context", [(0, None), (2, "thread"), (2, "fork"), (2, "spawn")])
def test_loaders_give_the_same_batches_as_tensors_in_memory(tmp_path, workers, context):
    write(tmp_path)
    held = TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    with web(tmp_path) as server:
        urls = (f"{server.url}/d.npz", f"{server.url}/d.parquet", tmp_path / "d.npz")
        for url in urls[: 1 if context == "spawn" else 3]:  # which takes seconds for each process
            data = from_url(url, columns=("x", "y"))
            data[0]  # a file system that is in use before a fork
            context_of = multiprocessing.get_context(context) if context in ("fork", "spawn") else context
            options = {"num_workers": workers, "multiprocessing_context": context_of} if workers else {}
            made = []
            for source in (held, data):
                order = torch.Generator().manual_seed(3)
                made.append(list(DataLoader(source, 8, shuffle=True, generator=order, **options)))
            for (x, y), (a, b) in zip(*made, strict=True):
                assert torch.equal(x, a) and torch.equal(y, b)


def test_parts_of_a_data_set_are_fetched_together(tmp_path):
    write(tmp_path)
    with web(tmp_path) as server:
        data = from_url(f"{server.url}/d.npz#columns=x,y", block_bytes=1)
        part, _ = random_split(data, [10, N - 10], torch.Generator().manual_seed(1))
        before = server.requests.total()
        (x, y), *_ = DataLoader(part, 10)
        rows = part.indices
        same(x, X[rows])
        same(y, Y[rows])
        assert server.requests.total() - before <= 2 * 10
        assert [s[1].item() for s in Subset(data, [4, 2]).__getitems__([1, 0])] == [Y[2], Y[4]]


def test_a_subclass_that_changes_samples_is_asked_for_them(tmp_path):
    write(tmp_path)

    class Doubled(torch.data.UrlDataset):
        def __getitem__(self, i):
            return 2 * super().__getitem__(i)

    (batch,) = DataLoader(Doubled(tmp_path / "d.npy"), N)
    same(batch, 2 * X)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_tensors_is_kept(tmp_path, dtype):
    values = np.arange(12).reshape(4, 3).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    np.save(tmp_path / "b.npy", np.asfortranarray(values).astype(values.dtype.newbyteorder(">")))
    with web(tmp_path) as server:
        for name in ("a.npy", "b.npy"):
            for url in (tmp_path, server.url):
                same(from_url(f"{url}/{name}").batch([3, 0]), values[[3, 0]])


def test_bfloat16_comes_from_safetensors(tmp_path):
    values = torch.arange(12.0).reshape(4, 3).to(torch.bfloat16)
    torch.safetensors.save_file({"x": values}, tmp_path / "x.safetensors")
    found = from_url(tmp_path / "x.safetensors", columns=["x"]).batch([2, 1])[0]
    assert found.dtype == torch.bfloat16 and torch.equal(found, values[[2, 1]])


@pytest.mark.parametrize("name", ["npy", "npz", "safetensors", "parquet", "jsonl"])
def test_files_of_a_pattern_stand_in_the_order_of_their_names(tmp_path, name):
    ends = [0, 20, 21, N]
    for i, (a, b) in enumerate(itertools.pairwise(ends)):
        write(tmp_path, f"train-{2 - i}", X[a:b], Y[a:b], TEXT[a:b])
    expected = np.concatenate([X[21:], X[20:21], X[:20]])
    for url in (f"{tmp_path}/train-?.{name}", f"file://{tmp_path}/train-*[0-9].{name}"):
        data = from_url(url, columns=None if name == "npy" else ("x",))
        rows = list(range(N))[::-1]
        batch = data.batch(rows)
        same(batch if name == "npy" else batch[0], expected[rows])
        assert len(data) == N and data.told()["files"] == 3
    both = from_url([f"{tmp_path}/train-1.{name}", f"{tmp_path}/train-2.{name}"])
    assert len(both) == 21


def test_a_fragment_names_format_and_columns(tmp_path):
    write(tmp_path)
    (tmp_path / "d.npz").rename(tmp_path / "odd#1.bin")
    y, x = from_url(f"{tmp_path}/odd#1.bin#npz&columns=y,x")[3]
    same(x, X[3])
    same(y, Y[3])
    assert sorted(from_url(f"{tmp_path}/odd#1.bin", "npz")[0]) == ["x", "y"]
    with pytest.raises(DataError, match="two formats are named, parquet and npz"):
        from_url(f"{tmp_path}/odd#1.bin#npz", "parquet")


def test_json_lines_hold_numbers_lists_and_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"n": 1, "f": 2, "b": true, "l": [1, 2], "r": [[1, 2.5]], "t": "x"}\n\n' '{"t": "y", "n": 3, "f": 0.5, "b": false, "l": [3], "r": [[4, 5]]}\r\n')  # fmt: skip
    data = from_url(path)
    first, second = data[0], data[1]
    expected = {"n": [1, 3], "f": [2.0, 0.5], "b": [True, False], "r": [[[1, 2.5]], [[4, 5]]]}
    dtypes = {"n": torch.int64, "f": torch.float32, "b": torch.bool, "r": torch.float32}
    for name, values in expected.items():
        for sample, value in zip((first, second), values, strict=True):
            assert sample[name].tolist() == value and sample[name].dtype == dtypes[name]
    assert first["l"].tolist() == [1, 2] and second["l"].tolist() == [3] and second["l"].dtype == torch.int64
    assert (first["t"], second["t"]) == ("x", "y")
    path.write_text("[1, 2]\n[3, 4.5]")
    assert from_url(path)[1].tolist() == [3, 4.5]
    assert from_url(path).batch([1, 0]).tolist() == [[3, 4.5], [1, 2]]


def test_a_data_set_is_pickled_without_what_it_keeps(tmp_path):
    write(tmp_path)
    with web(tmp_path) as server:
        for name in (*NAMED, "d.npy"):
            data = from_url(f"{server.url}/{name}", columns=None if name == "d.npy" else ("x",))
            data.batch(range(N))
            body = pickle.dumps(data)
            assert len(body) < 6000 + 50 * N or "packed" in name or name.endswith("gz")
            again = pickle.loads(body).batch([9])
            same(again if name == "d.npy" else again[0], X[[9]])


def test_no_random_number_is_drawn(tmp_path):
    import random

    write(tmp_path)
    with web(tmp_path, failing=True) as server:
        random.seed(5)
        from_url(f"{server.url}/d.npy").batch(range(N))
        drawn = random.random()
    random.seed(5)
    assert random.random() == drawn


@pytest.mark.parametrize("name", ["d.npz", "d.safetensors", "d.jsonl"])
def test_rows_that_are_fetched_ahead_are_not_asked_for_again(tmp_path, name):
    write(tmp_path)
    with web(tmp_path) as server:
        rows = [3, 50, 17, 3]
        for limit, again in ((64 << 20, False), (0, True)):
            data = from_url(f"{server.url}/{name}#columns=x,y", block_bytes=1, cache_bytes=limit)
            data.fetch(rows)
            before = server.requests.total()
            for row in rows:
                x, y = data[row]
                same(x, X[row])
                same(y, Y[row])
            assert (server.requests.total() > before) is again


def test_what_is_kept_stays_below_its_limit(tmp_path):
    write(tmp_path)
    with web(tmp_path) as server:
        data = from_url(f"{server.url}/d.npy", block_bytes=1, cache_bytes=10 * 24)
        before = server.sent.total()
        for row in [*range(N), *range(N - 10, N)]:
            same(data[row], X[row])
            assert data._settings.kept.size <= 240
        assert server.sent.total() - before == N * 24  # the ten that were used last are still there
        data[0]
        assert server.sent.total() - before == (N + 1) * 24


def test_many_files_take_few_descriptors(tmp_path):
    import os

    for i in range(300):
        np.save(tmp_path / f"{i:03}.npy", np.full((2, 3), i))
    before = len(os.listdir("/proc/self/fd"))
    data = from_url(f"{tmp_path}/*.npy")
    assert data.batch(range(600)).tolist() == np.repeat(np.arange(300), 6).reshape(600, 3).tolist()
    assert len(os.listdir("/proc/self/fd")) - before < 270


def test_a_folder_keeps_whole_files_until_they_change(tmp_path):
    (tmp_path / "files").mkdir()
    write(tmp_path / "files")
    kept = tmp_path / "kept"
    with web(tmp_path / "files") as server:
        size = (tmp_path / "files" / "d.npz").stat().st_size
        for _ in range(3):
            data = from_url(f"{server.url}/d.npz?key=1#columns=x,y", cache_folder=kept)
            same(data.batch([5, 3])[0], X[[5, 3]])
            assert (
                size <= server.sent.total() <= size + 8
            )  # each time it is tried whether the server gives ranges
            assert data.told()["url"] == f"{server.url}/d.npz?***#columns=x,y"
        from_url(f"{server.url}/d.npz?key=2", cache_folder=kept)
        assert server.sent.total() >= 2 * size  # another query may be another file
        write(tmp_path / "files", x=-X)
        same(from_url(f"{server.url}/d.npz?key=1#columns=x", cache_folder=kept).batch([4])[0], -X[[4]])
        assert len([path for path in kept.iterdir() if path.suffix == ".npz"]) == 3
    with web(tmp_path / "files", etags=False) as server:
        same(from_url(f"{server.url}/d.npz#columns=x", cache_folder=kept).batch([4])[0], -X[[4]])
        assert len([path for path in kept.iterdir() if path.suffix == ".npz"]) == 3
