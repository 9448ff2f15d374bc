"""What is wrong with data is said in one sentence that names it, without secrets; nothing wrong is taken for data."""

from __future__ import annotations

import io
import json
import os
import traceback
import zipfile

import numpy as np
import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("aiohttp")

import pyarrow
import pyarrow.parquet

from gradwire.data import DataError, from_url
from gradwire.data.sources import files, masked, named

from .web import web
from .written import write


class Harmful:
    def __reduce__(self):
        return os._exit, (9,)


def refused(*args, **kwargs):
    with pytest.raises(DataError) as caught:
        data = from_url(*args, **kwargs)
        data.batch(range(len(data)))
    message = str(caught.value)
    assert "\n" not in message
    return message


def saved(array, allow_pickle=True):
    out = io.BytesIO()
    np.save(out, array, allow_pickle)
    return out.getvalue()


def archived(**arrays):
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def zipped(names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, saved(np.zeros(2)))
    return out.getvalue()


def parquet(**columns):
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


NPY = saved(np.zeros((4, 3)))
BAD = [
    ("a.npy", b"", "damaged, or no .npy file"),
    ("a.npy", b"hello, I am text of some length", "damaged, or no .npy file"),
    ("a.npy", NPY[:-1], "damaged: an array of shape (4, 3) and float64 ends at byte 224, the file at 223"),
    ("a.npy", NPY[:20], "damaged: a header of 118 bytes"),
    ("a.npy", NPY.replace(b"'descr'", b"'de\x00cr'"), "damaged"),
    ("a.npy", saved(np.array([Harmful(), None])), "Python objects, which are kept as a pickle that could run code"),
    ("a.npy", saved(np.zeros(3, "U5")), "tensors do not carry dtype <U5"),
    ("a.npy", saved(np.zeros(3, complex)), "tensors do not carry dtype complex128"),
    ("a.npy", saved(np.float32(1)), "a single number, which has no rows"),
    ("a.npz", archived(x=np.array([Harmful()]), y=np.zeros(1)), "x: holds Python objects"),
    ("a.npz", archived(x=np.zeros(3), y=np.zeros(4)), "expected one first size of all, got x 3, y 4"),
    ("a.npz", archived(), "there is nothing in it"),
    ("a.npz", archived(x=np.zeros(100))[:-30], "damaged, or no .npz file"),
    ("a.npz", zipped(["x.npy", "notes.txt"]), "notes.txt: damaged, or no .npz file"),
    ("a.safetensors", b"\xff" * 40, "no safetensors file"),
    ("a.safetensors", (2).to_bytes(8, "little") + b"{}", "there is nothing in it"),
    ("a.parquet", b"PAR1 and then nothing PAR1", "damaged, or no .parquet file"),
    ("a.parquet", parquet(x=[1, None, 3]), "column x: 1 empty values (null) in row group 0"),
    ("a.parquet", parquet(t=["a", None]), "column t: 1 empty values (null) in row group 0"),
    ("a.parquet", parquet(x=[[1], [2, 3]]), "column x: list<element: int64>: its lists may differ in length"),
    ("a.parquet", parquet(x=pyarrow.array([1], pyarrow.date32())), "column x: date32[day]: expected numbers"),
    ("a.parquet", parquet(x=pyarrow.array([1], pyarrow.uint32())), "column x: tensors do not carry dtype uint32"),
    ("a.jsonl", b"", "there is no line in it"),
    ("a.jsonl", b'{"x": 1}\n{"x": ', "line 2: damaged: no JSON"),
    ("a.jsonl", b'{"x": "\xff"}', "line 1: damaged: no JSON"),
    ("a.jsonl", b"[" * 100_000, "line 1: damaged: nested too deep"),
    ("a.jsonl", b'{"x": 1}\n\n{"y": 1}', "line 3: lacks 'x'"),
    ("a.jsonl", b'{"x": 1}\n{"x": 1, "y": 2}', "line 2: has 'y', unlike the lines before"),
    ("a.jsonl", b'{"x": 1}\n[1]', "line 2: no object, unlike the lines before"),
    ("a.jsonl", b'{"x": 1}\n{"x": "one"}', "line 2: 'x' is text, and a whole number on a line before"),
    ("a.jsonl", b'{"x": null}', "line 1: 'x' is null"),
    ("a.jsonl", b'{"x": {"y": 1}}', "line 1: 'x' is dict: expected numbers, lists or text"),
    ("a.jsonl", b'{"x": [[1], [2, 3]]}', "'x' holds lists of different lengths within one value"),
    ("a.jsonl", b'{"x": [1]}\n{"x": 2}', "line 2: 'x' is a list of another depth than on a line before"),
    ("a.jsonl", b'{"x": [true, 2]}', "'x' holds both numbers and true or false"),
    ("a.jsonl", b'{"x": ["a"]}', "'x' is a list of text"),
    ("a.jsonl", b'{"x": 9223372036854775808}', "int64 does not hold"),
    ("a.jsonl.gz", b"\x1f\x8bbroken", "damaged"),
    ("a.csv", b"1,2", "no suffix of a format is known; .npy, .npz, .safetensors, .parquet and .jsonl are"),
]  # fmt: skip


@pytest.mark.parametrize("name, body, message", BAD, ids=[f"{name} {m[:40]}" for name, _, m in BAD])
def test_damaged_and_unusable_files_are_refused(tmp_path, name, body, message):
    path = tmp_path / name
    path.write_bytes(body)
    said = refused(path)
    assert message in said and said.startswith(str(path))
    with web(tmp_path) as server:
        said = refused(f"{server.url}/{name}")
        assert message in said and said.startswith(f"{server.url}/{name}")


def test_columns_that_are_not_asked_for_may_be_unusable(tmp_path):
    (tmp_path / "a.parquet").write_bytes(parquet(x=[1, 2], bad=[[1], [2, 3]]))
    (tmp_path / "a.npz").write_bytes(archived(x=np.arange(2), longer=np.zeros(9)))
    for name in ("a.parquet", "a.npz"):
        (x,) = from_url(tmp_path / name, columns=["x"]).batch([1])
        assert x.tolist() == [2 if "parquet" in name else 1]


def test_wrong_urls_are_refused(tmp_path):
    write(tmp_path)
    cases = [
        (f"{tmp_path}/none.npy", "No such file"),
        (f"{tmp_path}/none-*.npy", "no file matches"),
        (f"{tmp_path}", "a folder; name its files"),
        ("memory://nothing.npy", "there is no such file"),
        ("memory://nothing-*.npy", "no file matches"),
        ("zork://x/y.npy", "zork"),
        ("http://127.0.0.1:9/x.npy", "can't be read"),
        ("", "expected the URL or the path of data"),
        (f"{tmp_path}/d.npz#columns=x,,y", "expected different names, separated by commas"),
        (f"{tmp_path}/d.npz#columns=x,x", "expected different names, separated by commas"),
        (f"{tmp_path}/d.npz#columns=x,z", "there is no 'z' in it; there is x, y"),
        (f"{tmp_path}/d.npz#csv", "#csv is no format; expected one of npy, npz"),
        (f"{tmp_path}/d.jsonl#parquet", "damaged, or no .parquet file"),
        (f"blob:{'a' * 64}#npz", "uploaded data is read by a service's jobs alone"),
        ("blob:123#npz", "64 digits of a sha256"),
    ]  # fmt: skip
    for url, message in cases:
        assert message in refused(url), url
    assert "expected at least one URL" in refused([])
    with web(tmp_path) as server:
        assert "there is no such file" in refused(f"{server.url}/none.npy")
    with pytest.raises(ValueError, match="block_bytes of at least 1"):
        from_url(tmp_path / "d.npy", block_bytes=0)


def test_a_package_that_lacks_is_named():
    for scheme, package in (("s3", "s3fs"), ("gs", "gcsfs")):
        try:
            __import__(package)
        except ImportError:
            assert f"needs the package {package}: pip install {package}" in refused(
                f"{scheme}://bucket/x.npy"
            )


def test_files_that_do_not_go_together_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3)))
    for other, message in ((np.zeros((2, 4)), "shape (4,)"), (np.zeros((2, 3), "f4"), "float32")):
        np.save(tmp_path / "b.npy", other)
        assert message in refused(f"{tmp_path}/?.npy")
    np.savez(tmp_path / "c.npz", x=np.zeros(2))
    np.savez(tmp_path / "d.npz", y=np.zeros(2))
    assert "has other columns than" in refused(f"{tmp_path}/?.npz")
    assert "names other columns" in refused([f"{tmp_path}/c.npz#columns=x", f"{tmp_path}/d.npz#columns=y"])


def test_what_cannot_be_read_in_parts_is_held_up_to_a_limit(tmp_path, monkeypatch):
    write(tmp_path)
    for module in ("files", "arrays", "dataset"):
        monkeypatch.setattr(f"gradwire.data.sources.{module}.LOAD_LIMIT", 500)
    assert "compressed, so it has to be held in memory" in refused(tmp_path / "d-packed.npz")
    assert "compressed, so it has to be held in memory" in refused(tmp_path / "d.jsonl.gz")
    (tmp_path / "small.npy.gz").write_bytes(__import__("gzip").compress(saved(np.zeros(1000))))
    assert "it unpacks to more than the 500 bytes" in refused(tmp_path / "small.npy.gz")
    with web(tmp_path, ranges=False) as server:
        assert "the server gives no ranges of bytes" in refused(f"{server.url}/d.npy")


def test_files_that_change_while_they_are_read_are_refused(tmp_path):
    write(tmp_path)
    data = from_url(tmp_path / "d.npy")
    data[0]
    (tmp_path / "d.npy").write_bytes(b"short")
    with pytest.raises(DataError, match="became shorter while it was read"):
        data[52]
    lines = from_url(tmp_path / "d.jsonl")
    (tmp_path / "d.jsonl").write_bytes(b"{" * (tmp_path / "d.jsonl").stat().st_size)
    with pytest.raises(DataError, match="row 3: it was changed while it was read"):
        lines[3]
    with web(tmp_path) as server:
        write(tmp_path)
        far = from_url(f"{server.url}/d.npz")
        assert len(far.told()["sha256"]) == 64
        write(tmp_path)
        assert far.told() == {
            "url": f"{server.url}/d.npz",
            "files": 1,
            "sha256": "",
            "content": "changed while it was read",
        }


@pytest.mark.parametrize(
    "url, shown",
    [
        ("https://ann:pass@host/x.npy", "https://***@host/x.npy"),
        ("https://host/x.npy?X-Amz-Signature=abc&e=1#npy", "https://host/x.npy?***#npy"),
        ("https://ann:p@ss@host:1/x.npy?a", "https://***@host:1/x.npy?***"),
        ("s3://bucket/train-?.npy#columns=x,y", "s3://bucket/train-?.npy#columns=x,y"),
        ("simplecache::https://a:b@host/x.npy", "simplecache::https://***@host/x.npy"),
        ("/data/x@y.npy", "/data/x@y.npy"),
    ],
)
def test_urls_are_told_without_secrets(url, shown):
    assert masked(url) == shown
    assert masked(shown) == shown


def test_no_error_tells_secrets(tmp_path):
    write(tmp_path)
    with web(tmp_path) as server:
        host = server.url.removeprefix("http://")
        for rest in ("none.npy", "d.csv", "d.npz#columns=x,z", "d.jsonl#npy", "none-*.npy"):
            name, _, fragment = rest.partition("#")
            url = f"http://ann:pa55w0rd@{host}/{name}?signature=s3cr3t" + f"#{fragment}" * bool(fragment)
            with pytest.raises(DataError) as caught:
                from_url(url)
            everything = "".join(traceback.format_exception(caught.value)) + str(caught.value.__context__)
            assert "***@127.0.0.1" in str(caught.value)
            for secret in ("pa55w0rd", "s3cr3t"):
                assert secret not in everything.replace("pa55w0rd@{host}", "").replace(
                    'signature=s3cr3t"', ""
                )
        data = from_url(f"{server.url}/d.npz?signature=s3cr3t")
        told = json.dumps(data.told()) + repr(data) + data.url
        assert "s3cr3t" not in told and f"{server.url}/d.npz?***" in told


def test_the_content_of_large_data_is_told_by_its_storage(tmp_path, monkeypatch):
    write(tmp_path)
    small = from_url(tmp_path / "d.npy").told()
    assert len(small["sha256"]) == 64
    monkeypatch.setattr(files, "LOCAL_HASH_LIMIT", 10)
    large = from_url(tmp_path / "d.npy").told()
    assert large["sha256"] == "" and large["content"]
    os.utime(tmp_path / "d.npy", ns=(1, 1))
    assert from_url(tmp_path / "d.npy").told()["content"] != large["content"]


def test_a_fragment_is_taken_off_only_where_it_says_something():
    assert named("a#1.npy").location == "a#1.npy"
    assert named("a#npz&columns=x, y") == named("a#columns=x,y&npz")
    assert named("x.npz").columns is None


@pytest.mark.parametrize(
    "name", ["d.npy", "d.npz", "d-packed.npz", "d.safetensors", "d.parquet", "d.jsonl", "d.jsonl.gz"]
)
def test_bytes_that_were_changed_or_lost_end_in_one_sentence_or_in_data(tmp_path, name):
    write(tmp_path)
    whole = (tmp_path / name).read_bytes()
    random = np.random.default_rng(11)
    told = 0
    for i in range(150):
        body = bytearray(whole)
        # Formats keep what is to be understood at their ends.
        near = int(min(random.exponential(60), len(body) - 1))
        at = near if i % 2 else len(body) - 1 - near
        if i % 3 == 0:
            del body[at:]
        else:
            body[at : at + int(random.integers(1, 4))] = random.bytes(int(random.integers(0, 4)))
        path = tmp_path / f"changed-{i}{name[1:]}"
        path.write_bytes(body)
        try:
            data = from_url(path)
            data.batch(range(len(data)))
        except DataError as error:
            told += 1
            assert str(error).startswith(str(path)) and "\n" not in str(error)
    assert told > 20
