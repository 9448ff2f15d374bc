"""Reading and writing by index beside torch: values, gradients, views, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real
from hypothesis import given, settings
from hypothesis import strategies as st

import gradwire as torch

BOTH = pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
SHAPE = (4, 3, 5)


def _item(size):
    return st.one_of(
        st.integers(-size, size - 1),
        st.builds(
            slice,
            st.one_of(st.none(), st.integers(-7, 7)),
            st.one_of(st.none(), st.integers(-7, 7)),
            st.one_of(st.none(), st.integers(1, 3)),
        ),
        st.none(),
    )


@st.composite
def basic(draw):
    """Integers, slices, None and an ellipsis, in any order that fits."""
    items = [draw(_item(n)) for n in SHAPE[: draw(st.integers(0, 3))]]
    sizes = [i for i in items if i is not None]
    out, axis = [], 0
    for i in items:
        if i is None:
            out.append(None)
            continue
        if isinstance(i, int):
            i %= SHAPE[axis]
        out.append(i)
        axis += 1
    if len(sizes) == 0 and draw(st.booleans()):
        out.append(Ellipsis)
    return tuple(out)


@settings(max_examples=200, deadline=None)
@given(basic(), st.booleans())
def test_basic_indices_read_and_carry_gradients_as_torchs(index, bare):
    index = index[0] if bare and len(index) == 1 else index

    def run(t):
        x = t.arange(60, dtype=t.float64).reshape(SHAPE).requires_grad_()
        y = x[index]
        (y * y).sum().backward()
        return tuple(y.shape), y.tolist(), x.grad.tolist()

    assert run(torch) == run(real)


@settings(max_examples=100, deadline=None)
@given(basic())
def test_basic_indices_write_as_torchs_recorded_and_not(index):
    def run(t):
        plain = t.arange(60, dtype=t.float64).reshape(SHAPE).clone()
        plain[index] = -1.0
        x = t.arange(60, dtype=t.float64).reshape(SHAPE).requires_grad_()
        v = t.tensor(2.0, dtype=t.float64, requires_grad=True)
        y = x * 3
        y[index] = v
        (y * y).sum().backward()
        return plain.tolist(), y.tolist(), x.grad.tolist(), v.grad.item()

    assert run(torch) == run(real)


ADVANCED = [
    lambda t: t.tensor([0, 2, 2, -1]), lambda t: [3, 1], lambda t: (t.tensor([[0, 1], [2, 3]]),), lambda t: (slice(None), t.tensor([2, 0])),
    lambda t: (t.tensor([0, 1, 1]), t.tensor([2, 2, 2])), lambda t: (t.tensor([0, 1]), slice(1, None), t.tensor([4, 4])),
    lambda t: (Ellipsis, t.tensor([1, 1])), lambda t: (t.tensor([[0], [3]]), t.tensor([[0, 2]])), lambda t: t.tensor([True, False, True, False]),
    lambda t: (t.arange(60).reshape(SHAPE) % 7 == 0), lambda t: (slice(None), t.tensor([True, False, True])),
    lambda t: (None, t.tensor([1])), lambda t: t.tensor(2), lambda t: (1, t.tensor([0, 2])), lambda t: t.tensor([], dtype=t.int64),
    lambda t: t.tensor([0, 1], dtype=t.int32), lambda t: t.zeros(4, dtype=t.bool), lambda t: np.array([1, 2]), lambda t: (0, Ellipsis, 1),
]  # fmt: skip


@pytest.mark.parametrize("make", ADVANCED)
def test_index_tensors_read_and_carry_gradients_as_torchs(make):
    def run(t):
        x = t.arange(60, dtype=t.float64).reshape(SHAPE).requires_grad_()
        y = x[make(t)]
        (y * y).sum().backward()
        return tuple(y.shape), y.tolist(), x.grad.tolist()

    assert run(torch) == run(real)


@pytest.mark.parametrize("make", [m for i, m in enumerate(ADVANCED) if i not in (0, 4, 5, 6)])
def test_index_tensors_without_repeats_write_as_torchs(make):
    def run(t):
        x, v = (
            t.ones(SHAPE, dtype=t.float64, requires_grad=True),
            t.tensor(2.0, dtype=t.float64, requires_grad=True),
        )
        y = x * 3
        y[make(t)] = v
        (y * y).sum().backward()
        return y.tolist(), x.grad.tolist(), v.grad.item()

    assert run(torch) == run(real)


@BOTH
def test_a_slice_is_a_view_and_an_index_tensor_makes_a_copy(t):
    x = t.zeros(4)
    x[1:3].fill_(5)
    x[t.tensor([0])].fill_(9)
    assert x.tolist() == [0, 5, 5, 0]


@BOTH
def test_a_written_value_is_broadcast_and_cast(t):
    x = t.zeros(2, 3, dtype=t.int64)
    x[0] = t.tensor([1.9, 2.9, 3.9])
    x[:, 1] = 7
    x[1:] = t.tensor([[5, 5, 5]])
    assert x.tolist() == [[1, 7, 3], [5, 5, 5]]


@BOTH
@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda t, x: x[4], IndexError),
        (lambda t, x: x[0, 0, 0, 0], IndexError),
        (lambda t, x: x[t.tensor([4])], IndexError),
        (lambda t, x: x[t.tensor([0.5])], IndexError),
        (lambda t, x: x[1.5], (IndexError, TypeError)),
        (lambda t, x: x[t.tensor([True, False])], IndexError),
        (lambda t, x: x[::-1], ValueError),
        (lambda t, x: x.__setitem__(0, t.ones(2)), RuntimeError),
        (lambda t, x: x.__setitem__(9, 1.0), IndexError),
        (lambda t, x: len(t.tensor(1)), TypeError),
        (lambda t, x: iter(t.tensor(1)), TypeError),
        (lambda t, x: bool(x), RuntimeError),
        (lambda t, x: x.item(), RuntimeError),
    ],
)
def test_wrong_indices_and_conversions_raise_torchs_kind_of_error(t, use, error):
    with pytest.raises(error):
        use(t, t.zeros(SHAPE))


@BOTH
def test_tensors_of_one_integer_serve_as_indices_in_python(t):
    assert (
        [10, 20, 30][t.tensor(1)] == 20
        and list(range(t.tensor(2))) == [0, 1]
        and "abc"[t.tensor(0) : t.tensor(2)] == "ab"
    )


@BOTH
def test_a_single_number_is_cast_where_a_mask_leads_and_nowhere_else(t):
    x = t.zeros(2, 3)
    x[:, t.tensor([True, False, True])] = t.tensor(1.5, dtype=t.float64)
    assert x.tolist() == [[1.5, 0, 1.5]] * 2
    with pytest.raises(RuntimeError, match="Index put requires the source and destination dtypes match"):
        x[t.tensor([0])] = t.tensor(1.5, dtype=t.float64)


@BOTH
@pytest.mark.parametrize(
    ("kind", "number", "stored"),
    [
        ("uint8", -1, 255), ("uint8", 300, None), ("uint8", -1.5, None), ("int8", 200, None), ("int64", 1.7, 1), ("int64", float("nan"), None),
        ("int64", 1e30, None), ("bool", 5, True), ("float16", 1e6, float("inf")), ("float32", 1e300, None), ("float32", float("inf"), float("inf")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("index", [0, slice(0, 1), [0], [True, False]], ids=str)
def test_numbers_are_stored_or_refused_by_dtype(t, kind, number, stored, index):
    x = t.zeros(2, dtype=getattr(t, kind))
    if stored is None:
        with pytest.raises(RuntimeError, match="without overflow"):
            x[index] = number
    else:
        x[index] = number
        assert x.tolist() == [stored, 0]
