"""Python numbers that stand beside tensors keep their digits, or are refused."""

from __future__ import annotations

import pytest
import torch as theirs

import gradwire as ours

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])


@BOTH
def test_a_number_is_written_into_a_float64_tensor_with_all_its_digits(t):
    x = t.zeros(3, dtype=t.float64, requires_grad=True) * 1
    x[1] = 0.1
    y = t.zeros(3, dtype=t.float64)
    y[1] = 0.1
    filled = y.masked_fill(y == 0, 0.3)
    assert x[1].item() == 0.1 and y[1].item() == 0.1 and filled[0].item() == 0.3
    assert t.where(y > 0, 0.7, y)[1].item() == 0.7


@BOTH
def test_a_number_beyond_the_dtype_is_refused_and_an_infinity_is_not(t):
    x, some = t.ones(2), t.tensor([True, False])
    with pytest.raises(RuntimeError, match=r"value cannot be converted to type .* without overflow"):
        t.where(some, 1e300, x)
    with pytest.raises(RuntimeError, match=r"value cannot be converted to type .* without overflow"):
        x.masked_fill(some, 1e300)
    assert t.where(some, float("inf"), x).tolist() == [float("inf"), 1]


@BOTH
@pytest.mark.parametrize("name", ["exp", "sqrt", "relu", "floor", "tan"])
def test_functions_of_a_tensor_take_no_numbers(t, name):
    with pytest.raises(TypeError):
        getattr(t, name)(2.0)
