"""The safetensors files that gradwire writes and reads, beside the safetensors package with PyTorch."""

from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors
import safetensors.torch as reference
import torch as real

import gradwire as torch
from gradwire.safetensors import load, load_file, safe_open, save, save_file

DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


def some(lib):
    """Tensors of every dtype, of several shapes, by name."""
    made = {}
    for i, name in enumerate(DTYPES):
        made[f"layer.{i}.{name}"] = (lib.arange(6).reshape(2, 3) % 3).to(getattr(lib, name))
    made["empty"], made["scalar"], made["ünïcode"] = lib.zeros(3, 0), lib.tensor(2.5), lib.ones(5)
    return made


def same(mine, theirs):
    assert sorted(mine) == sorted(theirs)
    for name, t in mine.items():
        assert (str(t.dtype), tuple(t.shape), t.tolist()) == (
            str(theirs[name].dtype), tuple(theirs[name].shape), theirs[name].tolist(),
        )  # fmt: skip


def test_the_package_reads_what_is_written_and_the_other_way_round(tmp_path):
    save_file(some(torch), tmp_path / "mine", {"format": "pt"})
    same(reference.load_file(tmp_path / "mine"), some(torch))
    with safetensors.safe_open(tmp_path / "mine", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    reference.save_file(some(real), tmp_path / "theirs", {"a": "b"})
    same(load_file(tmp_path / "theirs"), some(real))
    same(load(reference.save(some(real))), some(real))
    same(reference.load(save(some(torch))), some(torch))


def test_one_tensor_may_be_read_alone_on_any_device(tmp_path, device):
    save_file({"a": torch.arange(3), "b": torch.ones(2, device=device)}, tmp_path / "f", {"k": "v"})
    with safe_open(tmp_path / "f", framework="pt", device=device) as file:
        assert file.keys() == ["a", "b"] and file.metadata() == {"k": "v"}
        t = file.get_tensor("b")
        assert t.device.type == device and t.tolist() == [1.0, 1.0]
        with pytest.raises(KeyError, match="does not contain tensor c"):
            file.get_tensor("c")
    t.add_(1)  # what was read is the reader's own
    assert load_file(tmp_path / "f")["b"].tolist() == [1.0, 1.0]


def test_strided_tensors_are_written_in_plain_order():
    x = torch.arange(6).reshape(2, 3)
    assert load(save({"t": x.t()}))["t"].tolist() == x.t().tolist()


@pytest.mark.parametrize(
    ("tensors", "metadata", "error"),
    [
        ([1], None, "Expected a dict"),
        ({"a": 3}, None, "expected torch.Tensor"),
        ({3: torch.ones(1)}, None, "is invalid"),
        ({"__metadata__": torch.ones(1)}, None, "__metadata__"),
        ({"a": torch.ones(1)}, {"n": 3}, "strings alone"),
    ],
)
def test_what_can_not_be_written_is_refused_and_leaves_no_file(tmp_path, tensors, metadata, error):
    with pytest.raises(ValueError, match=error):
        save_file(tensors, tmp_path / "f", metadata)
    assert not (tmp_path / "f").exists()


def test_tensors_that_share_memory_are_refused_as_by_the_package():
    for lib, write in ((torch, save), (real, lambda t: reference.save_file(t, "/dev/null"))):
        x = lib.ones(4)
        with pytest.raises(RuntimeError, match="Some tensors share memory"):
            write({"a": x, "b": x[2:]})


def damaged(change):
    """The bytes of a file with one float32 tensor of shape [2], with its header changed."""
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = change(header)
    text = (json.dumps(header) if text is None else text).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        (2**40).to_bytes(8, "little") + b"{}",
        (1).to_bytes(8, "little") + b"{}",
        damaged(lambda h: "[]"),
        damaged(lambda h: "{"),
        damaged(lambda h: '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'),
        damaged(lambda h: h["a"].update(dtype="F8_E5M2")),
        damaged(lambda h: h["a"].update(shape=[3])),
        damaged(lambda h: h["a"].update(shape=[-2])),
        damaged(lambda h: h["a"].update(shape="2")),
        damaged(lambda h: h["a"].update(data_offsets=[0, 12], shape=[3])),
        damaged(lambda h: h["a"].update(data_offsets=[4, 8], shape=[1])),
        damaged(lambda h: h["a"].pop("dtype")and None),
        damaged(lambda h: h.update(b={"dtype": "F32", "shape": [1], "data_offsets": [4, 8]})),
        save({"a": torch.ones(2)}) + b"more",
    ],
)  # fmt: skip
def test_what_is_no_file_of_the_format_is_refused(data, tmp_path):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ValueError):
        load(data)
    with pytest.raises(ValueError):
        load_file(tmp_path / "f")


def test_other_frameworks_are_refused(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "f")
    with pytest.raises(ValueError, match="framework"):
        safe_open(tmp_path / "f", "np")


def test_the_values_are_aligned_to_their_size():
    data = save(
        {
            "flag": torch.tensor([True]),
            "half": torch.ones(3).half(),
            "wide": torch.ones(2, dtype=torch.float64),
        }
    )
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    for entry in header.values():
        size = {"BOOL": 1, "F16": 2, "F64": 8}[entry["dtype"]]
        assert (8 + length + entry["data_offsets"][0]) % size == 0
    assert np.frombuffer(data, "f8", 2, 8 + length).tolist() == [1.0, 1.0]
