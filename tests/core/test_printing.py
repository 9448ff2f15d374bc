"""Tensors print to the character as torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import gradwire as torch

RNG = np.random.default_rng(0)
VALUES = [
    np.float32(3.5), np.float64(1e-9), np.int64(-7), np.bool_(True), np.float16(0.1),
    np.zeros(0, np.float32), np.zeros((2, 0), np.float32), np.zeros(0, np.int64), np.zeros((0, 3), np.float64),
    np.arange(3.0), np.arange(3), np.array([1.0, 2.5, -3.25]), np.array([1e-5, 1.0]), np.array([1e9, 1.0]), np.array([1e8, 1.0]),
    np.array([1.0, np.inf, -np.inf, np.nan]), np.array([0.5, np.nan]), np.array([np.nan]), np.array([np.inf, 1e10]),
    np.array([0.0, -0.0]), np.array([1234567.0, 0.001]), np.array([1e-40], np.float32), np.array([99999.0, 100000.0]),
    np.array([True, False]), np.array([-5, 100], np.int8), np.array([255], np.uint8), np.array([1, 2], np.int32),
    RNG.standard_normal((4, 5)), RNG.standard_normal((2, 3, 4)).astype(np.float32), RNG.standard_normal((2, 1, 2, 2)),
    RNG.standard_normal((1, 30)), RNG.integers(-1000, 1000, (3, 40)), RNG.standard_normal(1000), RNG.standard_normal(1001),
    RNG.standard_normal((40, 40)), RNG.standard_normal((3, 400)), RNG.standard_normal((400, 3)), np.arange(2000).reshape(2, 10, 100),
    np.arange(4000).reshape(10, 20, 20), np.where(np.arange(1100) == 500, 1e9, 1.0), np.full((2, 2), 1e-8), np.eye(3, dtype=np.float16),
]  # fmt: skip


@pytest.mark.parametrize("array", VALUES, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_a_tensor_prints_as_torchs(array):
    assert repr(torch.tensor(array)) == repr(real.tensor(array))
    assert str(torch.tensor(array)) == str(real.tensor(array))


DTYPES = st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_])


@settings(max_examples=150, deadline=None)
@given(arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)))
def test_any_tensor_prints_as_torchs(array):
    assert repr(torch.tensor(array)) == repr(real.tensor(array))


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.ones(2, requires_grad=True),
        lambda t: t.ones(2, requires_grad=True) * 2,
        lambda t: t.ones(2, 2, requires_grad=True).exp(),
        lambda t: t.ones(2, requires_grad=True).sum(),
        lambda t: t.ones(2, dtype=t.float64, requires_grad=True) + 1,
        lambda t: t.arange(14, dtype=t.float64).requires_grad_() - 1.5,
        lambda t: t.nn.Parameter(t.ones(2)),
        lambda t: t.ones(2).shape,
        lambda t: t.Size([]),
        lambda t: t.float32,
        lambda t: t.ones(1).device,
        lambda t: t.ones(2, 3).max(1),
        lambda t: f"{t.tensor(1.23456):.2f} {t.tensor(3)} {t.tensor(2):>4d}",
        lambda t: f"{t.ones(2)}",
    ],
)
def test_what_surrounds_a_tensor_prints_as_torchs(make):
    assert repr(make(torch)) == repr(make(real))


def test_another_default_dtype_changes_which_dtype_is_named():
    try:
        for t in (torch, real):
            t.set_default_dtype(t.float64)
        for dtype in ("float32", "float64"):
            assert repr(torch.ones(1, dtype=getattr(torch, dtype))) == repr(
                real.ones(1, dtype=getattr(real, dtype))
            )
    finally:
        for t in (torch, real):
            t.set_default_dtype(t.float32)


SPECIAL = np.array(
    [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 1e-5, 1e9, 123456.0, 0.1, 1e38, -1e-30, 1e-45, 99999999.0, 100000001.0, 1000.0, 1001.0]
)  # fmt: skip
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.sampled_from([0, 1, 2, 6, 10]),
        "threshold": st.sampled_from([0, 5, 20, 1000, np.inf]),
        "edgeitems": st.sampled_from([0, 1, 2, 3, 5]),
        "linewidth": st.sampled_from([10, 30, 80, 120]),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.sampled_from([True, False, None]),
    },
)


@pytest.fixture
def usual_options():
    yield
    for t in (torch, real):
        t.set_printoptions(profile="default")


@st.composite
def printed_arrays(draw):
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7))
    if draw(st.booleans()):
        return SPECIAL[draw(arrays.arrays(np.int64, shape, elements=st.integers(0, len(SPECIAL) - 1)))]
    if draw(st.booleans()):
        return draw(arrays.arrays(np.int64, shape, elements=st.integers(-2000, 2000)))
    numbers = np.random.default_rng(draw(st.integers(0, 99))).standard_normal(shape)
    return np.asarray(numbers * 10.0 ** draw(st.integers(-6, 9)))


@settings(max_examples=250, deadline=None)
@given(printed_arrays(), OPTIONS, st.sampled_from(["float64", "float32", "float16", "bfloat16"]))
def test_any_tensor_prints_as_torchs_under_any_options(array, options, dtype):
    try:
        shown = []
        for t in (torch, real):
            t.set_printoptions(profile="default")
            t.set_printoptions(**options)
            x = t.tensor(array)
            shown.append(repr(x.to(getattr(t, dtype)) if x.is_floating_point() else x))
        assert shown[0] == shown[1]
    finally:
        for t in (torch, real):
            t.set_printoptions(profile="default")


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.arange(2000),
        lambda t: t.zeros(40, 50),
        lambda t: t.ones(2, 1001).requires_grad_(),
        lambda t: (t.arange(11, 1200.0).requires_grad_() / 7).exp(),
        lambda t: t.zeros(3, 0, 2),
        lambda t: t.zeros(0, dtype=t.int64),
        lambda t: t.zeros(2, 0, dtype=t.bool, requires_grad=False),
        lambda t: t.tensor([True, False]),
        lambda t: t.tensor(3, dtype=t.uint8),
        lambda t: t.tensor(2.5, requires_grad=True),
        lambda t: t.tensor([0.1] * 9, dtype=t.float64, requires_grad=True),
        lambda t: t.tensor([0.1] * 10, dtype=t.bfloat16, requires_grad=True) * 2,
        lambda t: t.ones(2, requires_grad=True).view(1, 2)[0],
        lambda t: t.ones(2, 3, requires_grad=True).sort(1),
        lambda t: [t.ones(1), t.zeros(2)],
        lambda t: {"a": t.ones(2, 2)},
    ],
)
def test_summaries_and_suffixes_are_torchs(make):
    assert repr(make(torch)) == repr(make(real))


def test_a_tensor_on_another_device_says_so(device):
    t = torch.ones(2, device=device)
    assert repr(t) == ("tensor([1., 1.])" if device == "cpu" else "tensor([1., 1.], device='cuda:0')")


def test_a_subclass_prints_its_own_name():
    class Mine(torch.Tensor):
        pass

    assert repr(Mine([1.0])) == "Mine([1.])"


def test_options_that_make_no_sense_are_refused(usual_options):
    for options in ({"profile": "wide"}, {"precision": "4"}, {"linewidth": [80]}):
        with pytest.raises((TypeError, ValueError)):
            torch.set_printoptions(**options)
