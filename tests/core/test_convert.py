"""Files of torch.save are read as they were written, and nothing that their pickles name is run."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from gradwire.convert import load_pt

DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


def saved(value, path, **options):
    theirs.save(value, path, **options)
    return path


def as_numbers(t):
    return np.asarray(t.detach().double().numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (0, 2), (4,)])
def test_tensors_of_every_dtype_and_shape(dtype, shape, tmp_path):
    t = (theirs.randn(shape) * 3).to(getattr(theirs, dtype))
    found = load_pt(saved({"t": t}, tmp_path / "x.pt"))["t"]
    assert str(found.dtype) == str(t.dtype) and tuple(found.shape) == shape
    assert np.array_equal(as_numbers(found), as_numbers(t))


def test_views_keep_their_places_and_what_they_share(tmp_path):
    base = theirs.arange(12.0).reshape(3, 4)
    found = load_pt(saved([base, base.t(), base[1:, ::2], base[0].expand(5, 4)], tmp_path / "x.pt"))
    assert [f.tolist() for f in found] == [
        base.tolist(),
        base.t().tolist(),
        base[1:, ::2].tolist(),
        [[0.0, 1, 2, 3]] * 5,
    ]
    found[0][1, 0] = 99
    assert found[1][0, 1].item() == 99 and found[2][0, 0].item() == 99


def test_a_training_states_dicts_lists_numbers_and_strings(tmp_path):
    model = theirs.nn.Sequential(theirs.nn.Linear(3, 2), theirs.nn.BatchNorm1d(2))
    optimizer = theirs.optim.Adam(model.parameters(), lr=0.1)
    model(theirs.ones(4, 3)).sum().backward()
    optimizer.step()
    state = {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.25, "name": "x", "none": None,
        "shape": theirs.Size([1, 2]), "dtype": theirs.float32, "flags": {True, False}, "pair": (1, [2.5]), "w": model[0].weight,
    }  # fmt: skip
    found = load_pt(str(saved(state, tmp_path / "x.pt")))
    assert (
        isinstance(found["model"], OrderedDict)
        and found["dtype"] is ours.float32
        and found["shape"] == (1, 2)
    )
    assert isinstance(found["w"], ours.nn.Parameter) and found["w"].requires_grad
    assert (found["epoch"], found["loss"], found["name"], found["none"], found["flags"], found["pair"]) == (
        3, 0.25, "x", None, {True, False}, (1, [2.5]),
    )  # fmt: skip
    mine = ours.nn.Sequential(ours.nn.Linear(3, 2), ours.nn.BatchNorm1d(2))
    assert repr(mine.load_state_dict(found["model"])) == "<All keys matched successfully>"
    model.eval(), mine.eval()
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    np.testing.assert_allclose(
        mine(ours.from_numpy(x)).detach().numpy(), model(theirs.from_numpy(x)).detach().numpy(), rtol=1e-6
    )
    mine_optimizer = ours.optim.Adam(mine.parameters(), lr=0.1)
    mine_optimizer.load_state_dict(found["optimizer"])
    assert (
        mine_optimizer.state_dict()["state"][0]["exp_avg"].tolist()
        == optimizer.state_dict()["state"][0]["exp_avg"].tolist()
    )


def test_a_file_object_will_do(tmp_path):
    with open(saved([theirs.ones(2)], tmp_path / "x.pt"), "rb") as f:
        assert load_pt(f)[0].tolist() == [1, 1]


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_nothing_that_a_file_names_is_run_and_its_place_is_told(tmp_path):
    mark = tmp_path / "was-run"
    path = saved({"layer1": {"weight": theirs.ones(1), "evil": [0, Evil(mark)]}}, tmp_path / "x.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"layer1\.evil\[1\] is a posix\.mkdir"):
        load_pt(path)
    assert not mark.exists()


def test_a_whole_model_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(pickle.UnpicklingError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict"):
        load_pt(saved(theirs.nn.Linear(2, 2), tmp_path / "x.pt"))


@pytest.mark.parametrize("dtype", [theirs.complex64, theirs.float8_e4m3fn])
def test_dtypes_that_are_not_carried_are_refused_by_name(dtype, tmp_path):
    path = saved({"a": {"b": theirs.zeros(2).to(dtype)}}, tmp_path / "x.pt")
    with pytest.raises(pickle.UnpicklingError, match=r"a\.b|ComplexFloatStorage"):
        load_pt(path)


def test_what_is_no_such_file_is_told(tmp_path):
    old, text, other = tmp_path / "old.pt", tmp_path / "text.pt", tmp_path / "other.zip"
    saved({"a": 1}, old, _use_new_zipfile_serialization=False)
    text.write_text("no weights")
    with zipfile.ZipFile(other, "w") as z:
        z.writestr("a", "b")
    for path, words in ((old, "before 1.6"), (text, "not a zip"), (other, "no data.pkl")):
        with pytest.raises(ValueError, match=words):
            load_pt(path)
    with pytest.raises(FileNotFoundError):
        load_pt(tmp_path / "nothing.pt")


def test_damaged_files_are_told(tmp_path):
    path = saved({"a": theirs.ones(100)}, tmp_path / "x.pt")
    with zipfile.ZipFile(path) as z:
        parts = {n: z.read(n) for n in z.namelist()}

    def rewritten(change):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as z:
            for n, data in parts.items():
                data = change(n, data)
                if data is not None:
                    z.writestr(n, data)
        out.seek(0)
        return out

    for change in (
        lambda n, d: d[:10] if n.endswith("data/0") else d,
        lambda n, d: None if n.endswith("data/0") else d,
        lambda n, d: d[:20] if n.endswith("data.pkl") else d,
    ):
        with pytest.raises((ValueError, pickle.UnpicklingError)):
            load_pt(rewritten(change))


def test_the_other_byte_order_is_turned(tmp_path):
    path = saved({"a": theirs.arange(5, dtype=theirs.int32)}, tmp_path / "x.pt")
    out = io.BytesIO()
    with zipfile.ZipFile(path) as z, zipfile.ZipFile(out, "w") as new:
        for n in z.namelist():
            data = z.read(n)
            if n.endswith("byteorder"):
                data = b"big"
            if n.endswith("data/0"):
                data = np.frombuffer(data, "<i4").astype(">i4").tobytes()
            new.writestr(n, data)
    out.seek(0)
    assert load_pt(out)["a"].tolist() == [0, 1, 2, 3, 4]
