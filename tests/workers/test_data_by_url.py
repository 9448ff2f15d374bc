"""Data that is named by URL: the bits of the same data in memory, at every size; each worker reads what it computes on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("aiohttp")

import pyarrow
import pyarrow.parquet

from gradwire.data import Subset, from_url
from gradwire.training import JobFileError, SoloResult, load_job, train_solo
from gradwire.workers.receipt import _data_hash, differences, read_receipt
from gradwire.workers.reports import Failed, Formed
from tests.core.data.sources.web import web
from tests.workers.crews import Ran, run_job
from tests.workers.named_job import ROWS, WIDTH, arrays

JOB = Path(__file__).parent / "named_job.py"
FORMATS = ("npz", "safetensors", "parquet", "jsonl")


@cache
def in_memory() -> SoloResult:
    return train_solo(load_job(JOB))


def is_the_oracle_s(run: Ran) -> None:
    expected = in_memory()
    assert (run.sha256, run.history) == (expected.parameters_sha256, expected.history)
    assert run.chains == [value.hex() for value in expected.chains]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    x, y = arrays()
    np.savez(made / "d.npz", x=x, y=y)
    import safetensors.numpy

    safetensors.numpy.save_file({"x": x, "y": y}, made / "d.safetensors")
    rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(x.reshape(-1)), WIDTH)
    table = pyarrow.table({"x": rows, "y": y})
    pyarrow.parquet.write_table(table, made / "d.parquet", row_group_size=5)
    for i, (a, b) in enumerate(((0, 50), (50, ROWS))):
        (made / f"part-{i}.jsonl").write_text(
            "".join(json.dumps({"x": x[j].tolist(), "y": int(y[j])}) + "\n" for j in range(a, b))
        )
    return made


@pytest.mark.parametrize("format", FORMATS)
def test_the_reference_ends_with_the_bits_of_data_in_memory(folder: Path, format: str) -> None:
    expected = in_memory()
    name = "part-*.jsonl" if format == "jsonl" else f"d.{format}"
    with web(folder) as server:
        places = [f"file://{folder}"] if "*" in name else [f"{folder}", server.url]
        for place in places:
            url = f"{place}/{name}#columns=x,y"
            found = train_solo(load_job(JOB, data={"train_data": url}))
            assert found.parameters_sha256 == expected.parameters_sha256 and found.chains == expected.chains


@pytest.mark.parametrize("workers, format", list(zip((1, 2, 3, 4), FORMATS, strict=True)))
def test_every_number_of_workers_ends_with_the_same_bits(
    folder: Path, tmp_path: Path, workers: int, format: str
) -> None:
    name = "part-*.jsonl" if format == "jsonl" else f"d.{format}"
    is_the_oracle_s(run_job(JOB, tmp_path, workers, data={"train_data": f"{folder}/{name}#columns=x,y"}))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_each_worker_reads_its_part_of_the_rows(folder: Path, tmp_path: Path, workers: int) -> None:
    with web(folder) as server:
        run = run_job(JOB, tmp_path, workers, "processes", overrides={"url": f"{server.url}/d.npz"})
        assert run.sha256 == in_memory().parameters_sha256
    whole = ROWS * WIDTH * 4
    # Neighbouring rows come in one request. Much more than rows is asked for by the first worker in the end, for the receipt.
    rows = [each for each in server.asked if each[0] and each[2] - each[1] < whole]
    read = Counter({reader: 0 for reader, _, _ in rows})
    seen = np.zeros((folder / "d.npz").stat().st_size, np.int64)
    for reader, start, stop in rows:
        read[reader] += stop - start
        seen[start:stop] += 1
    first = bytes(arrays()[0][0].tobytes())
    begin = (folder / "d.npz").read_bytes().index(first)
    x = seen[begin + 4096 : begin + whole]  # the file's header is read with the first row
    assert (x == 1).all()  # every row once, by one worker
    # A worker that is slow to start may join later, and leaves move from slow workers to fast ones, on a busy machine. Beside
    # its rows a worker reads headers, and y, whose rows are less than a block of 4 KiB.
    there = [formed.workers for formed in run.of(Formed)]
    assert len(read) == max(there) >= 2
    assert max(read.values()) <= whole * 1.5 / min(there) + 16_000
    assert read.total() <= whole + max(there) * 16_000


def test_a_receipt_tells_url_and_content(folder: Path, tmp_path: Path) -> None:
    with web(folder) as server:
        url = f"{server.url}/d.npz?signature=s3cr3t#columns=x,y"
        for n in (1, 2):
            run_job(JOB, tmp_path / str(n), n, data={"train_data": url})
        one, two = (read_receipt(tmp_path / str(n) / "checkpoints" / "receipt.json") for n in (1, 2))
        assert differences(one, two) == []
        told = one.data["train_data"]
        assert told["url"] == f"{server.url}/d.npz?***#columns=x,y"
        assert (told["samples"], told["kind"], len(told["sha256"])) == (ROWS, "UrlDataset", 64)
        assert "s3cr3t" not in (tmp_path / "1" / "checkpoints" / "receipt.json").read_text()
        run_job(JOB, tmp_path / "3", 1, data={"train_data": f"{server.url}/d.safetensors#columns=x,y"})
        assert "data, train_data" in str(
            differences(one, read_receipt(tmp_path / "3" / "checkpoints" / "receipt.json"))
        )


def test_a_part_of_data_at_a_url_is_told_with_its_rows(folder: Path) -> None:
    whole = from_url(folder / "d.npz")
    told = _data_hash(Subset(whole, [4, 2]))
    assert (told["kind"], told["samples"], told["of"]) == ("Subset", 2, whole.told())
    assert told["rows_sha256"] == hashlib.sha256(np.array([4, 2]).tobytes()).hexdigest()


@pytest.mark.parametrize(
    "data, reason, message",
    [
        ({"train_data": "/none/x.npz"}, "DATA_UNAVAILABLE", "/none/x.npz: No such file or directory"),
        (
            {"train": "/none/x.npz"},
            "INVALID_JOB_FILE",
            "named_job.py: data 'train': expected the name of a method",
        ),
        ({"model": "/none/x.npz"}, "INVALID_JOB_FILE", "data 'model': expected the name of a method"),
        ({"train_data": f"blob:{'0' * 64}#npz"}, "DATA_UNAVAILABLE", "No such file or directory"),
    ],
)
def test_wrong_names_and_missing_data_fail_the_job(
    tmp_path: Path, data: dict[str, str], reason: str, message: str
) -> None:
    (failed,) = run_job(JOB, tmp_path, 1, data=data, blobs=str(tmp_path)).of(Failed)
    assert failed.reason == reason and message in failed.message and not failed.traceback


def test_blobs_are_found_by_their_sha256(folder: Path, tmp_path: Path) -> None:
    sha256 = "ab" * 32
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    (tmp_path / "blobs" / "ab" / sha256).write_bytes((folder / "d.npz").read_bytes())
    data = {"train_data": f"blob:{sha256}#npz&columns=x,y"}
    is_the_oracle_s(run_job(JOB, tmp_path, 2, data=data, blobs=str(tmp_path / "blobs")))
    told = read_receipt(tmp_path / "checkpoints" / "receipt.json").data["train_data"]
    assert told["url"] == f"blob:{sha256}#npz&columns=x,y"


def test_a_job_may_leave_its_data_to_a_url(folder: Path, tmp_path: Path) -> None:
    text = JOB.read_text()
    start, stop = text.index("    def train_data"), text.index("    def optimizer")
    (tmp_path / "bare.py").write_text(text[:start] + text[stop:])
    with pytest.raises(JobFileError, match="lacks train_data"):
        load_job(tmp_path / "bare.py")
    job = load_job(tmp_path / "bare.py", data={"train_data": f"{folder}/d.npz#columns=x,y"})
    assert train_solo(job).parameters_sha256 == in_memory().parameters_sha256
