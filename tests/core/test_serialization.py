"""torch.save and torch.load: what comes back is what was saved, and nothing in a file runs."""

from __future__ import annotations

import io
import json
from collections import OrderedDict

import pytest
import torch as real

import gradwire as torch
from gradwire import nn, safetensors


def there_and_back(x, **options):
    file = io.BytesIO()
    torch.save(x, file)
    file.seek(0)
    return torch.load(file, **options)


VALUES = [
    None, True, 3, -(2**80), 2.5, 0.1, float("inf"), "text \u00fc\n", b"\x00\xff", [], [1, [2, (3,)]], (), {"a": 1, 2: "b", (1, 2): None},
    {1, 2}, frozenset("ab"), OrderedDict(b=1, a=2), torch.Size([2, 3]), torch.float16, torch.device("cuda:1"),
    {"nested": [{"deep": ({"er": [1.5, None]},)}]},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_plain_values_come_back_with_their_types(value):
    found = there_and_back(value)
    assert found == value and type(found) is type(value)
    if isinstance(value, OrderedDict):
        assert list(found) == list(value)


def test_nan_comes_back():
    found = there_and_back([float("nan"), -float("inf")])
    assert found[0] != found[0] and found[1] == -float("inf")


@pytest.mark.parametrize("name", "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split())
@pytest.mark.parametrize(
    "made",
    [
        lambda t: t.arange(6).reshape(2, 3),
        lambda t: t.arange(6).reshape(2, 3).t(),
        lambda t: t.arange(12)[2::3],
        lambda t: t.tensor(1),
        lambda t: t.zeros(2, 0),
        lambda t: t.ones(1, 3).expand(2, 3),
    ],
)
def test_tensors_come_back_with_dtype_shape_strides_and_values(name, made):
    t = made(torch).to(getattr(torch, name))
    found = there_and_back({"t": t})["t"]
    assert (found.dtype, found.shape, found.stride(), found.tolist()) == (
        t.dtype,
        t.shape,
        t.stride(),
        t.tolist(),
    )
    assert not found.requires_grad


def test_sharing_and_identity_are_kept_as_in_pytorch():
    for lib, load in ((torch, there_and_back), (real, None)):
        x = lib.zeros(6)
        saved = {"whole": x, "part": x[2:4], "turned": x.reshape(2, 3).t(), "again": x, "apart": x.clone()}
        if load is None:
            file = io.BytesIO()
            real.save(saved, file)
            file.seek(0)
            found = real.load(file)
        else:
            found = load(saved)
        assert found["again"] is found["whole"]
        found["part"].add_(1)
        assert found["whole"].tolist() == [0, 0, 1, 1, 0, 0]
        assert found["turned"].tolist() == [[0, 1], [0, 0], [1, 0]]
        assert found["apart"].tolist() == [0] * 6
        assert x.tolist() == [0] * 6


def test_leaves_keep_requires_grad_and_parameters_stay_parameters():
    saved = [
        torch.ones(2, requires_grad=True),
        nn.Parameter(torch.ones(1)),
        nn.Parameter(torch.ones(1), requires_grad=False),
    ]
    a, b, c = there_and_back(saved)
    assert (a.requires_grad, b.requires_grad, c.requires_grad) == (True, True, False)
    assert type(a) is torch.Tensor and type(b) is type(c) is nn.Parameter


def test_a_training_state_goes_on_where_it_was(tmp_path):
    def step(model, optimizer):
        optimizer.zero_grad()
        loss = (model(torch.arange(6.0).reshape(2, 3)) - 1).pow(2).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    step(model, optimizer)
    torch.save(
        {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 1}, tmp_path / "c.pt"
    )
    expected = [step(model, optimizer) for _ in range(3)]
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert [step(model, optimizer) for _ in range(3)] == expected and state["epoch"] == 1


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (nn.Linear(1, 1), "the object is a Linear; save its state_dict"),
        ({"a": [1, object()]}, r"the object\['a'\]\[1\] is a object"),
        ([lambda: 1], r"the object\[0\] is a function"),
        (1 + 2j, "complex"),
    ],
)
def test_what_a_file_does_not_hold_is_refused_with_its_place(value, where, tmp_path):
    with pytest.raises(TypeError, match=where):
        torch.save(value, tmp_path / "f")
    assert not (tmp_path / "f").exists()


def test_devices_are_kept_or_mapped(device):
    saved = {"t": torch.arange(3, device=device)}
    assert there_and_back(saved)["t"].device.type == device
    assert there_and_back(saved, map_location="cpu")["t"].device.type == "cpu"
    assert there_and_back(saved, map_location={"cuda:0": "cpu"})["t"].device.type == "cpu"
    assert there_and_back(saved, map_location=lambda storage, was: storage)["t"].tolist() == [0, 1, 2]
    assert there_and_back(saved, map_location=torch.device(device))["t"].device.type == device


def test_a_device_that_is_not_there_asks_for_map_location():
    with pytest.raises(RuntimeError, match="map_location='cpu'"):
        there_and_back(torch.ones(1), map_location="cuda")


def test_files_of_pytorch_and_of_safetensors_are_read(tmp_path):
    real.save({"w": real.arange(3), "n": 1}, tmp_path / "theirs.pt")
    found = torch.load(tmp_path / "theirs.pt", map_location="cpu")
    assert found["w"].tolist() == [0, 1, 2] and found["n"] == 1
    safetensors.save_file({"w": torch.ones(2)}, tmp_path / "w.safetensors")
    assert torch.load(tmp_path / "w.safetensors")["w"].tolist() == [1.0, 1.0]


def test_a_pickle_is_refused(tmp_path):
    real.save({"w": real.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match="a pickle"):
        torch.load(tmp_path / "old.pt")
    for call in (
        lambda: torch.save(1, tmp_path / "f", pickle_protocol=2),
        lambda: torch.load(tmp_path / "f", pickle_module=json),
    ):
        with pytest.raises(ValueError, match="no pickles"):
            call()


def written(structure, **storages):
    return safetensors.save(storages or {"0": torch.ones(4)}, {"gradwire.save": json.dumps(structure)})


TENSOR = {"storage": "0", "shape": [2], "stride": [1]}


@pytest.mark.parametrize(
    "structure",
    [
        {"version": 2, "object": None},
        {"version": 1},
        {"version": 1, "object": {"run": "os.system"}},
        {"version": 1, "object": {"tensor": {**TENSOR, "stride": [4]}}},
        {"version": 1, "object": {"tensor": {**TENSOR, "offset": 3}}},
        {"version": 1, "object": {"tensor": {**TENSOR, "offset": -1}}},
        {"version": 1, "object": {"tensor": {**TENSOR, "storage": "7"}}},
        {"version": 1, "object": {"tensor": {**TENSOR, "stride": []}}},
        {"version": 1, "object": {"tensor": {**TENSOR, "kind": "Module"}}},
        {"version": 1, "object": {"again": 0}},
        {"version": 1, "object": {"dtype": "object"}},
        {"version": 1, "object": {"list": 3}},
    ],
)
def test_a_damaged_file_is_refused(structure):
    with pytest.raises(ValueError, match="load: "):
        torch.load(io.BytesIO(written(structure)))
    assert torch.load(io.BytesIO(written({"version": 1, "object": {"tensor": TENSOR}}))).tolist() == [
        1.0,
        1.0,
    ]
