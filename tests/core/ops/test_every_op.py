"""Each operation of the index: its value by PyTorch, its first two derivatives by differences, on both devices."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import gradwire
from gradwire.autograd import gradcheck, gradgradcheck
from gradwire.backends import to_numpy
from gradwire.ops import index, tensors

from .cases import Case

FAMILIES = sorted(p.stem for p in Path(__file__).parent.glob("cases*.py"))
CASES = [c for name in FAMILIES for c in importlib.import_module(f"{__package__}.{name}").CASES]

CONSTANT = {
    "zeros_like",
    "ones_like",
    "fill",
    "eye_like",
}  # no gradient flows to the input, so there is nothing to differentiate again
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def _inputs(case: Case, device: str, requires_grad: bool):
    """The case's inputs with their strides; those of floats require grad where asked."""
    result = []
    for a in case.inputs:
        t = gradwire.from_numpy(a) if device == "cpu" else gradwire.from_numpy(a).to(device)
        t = t.detach()
        result.append(t.requires_grad_() if requires_grad and a.dtype.kind == "f" else t)
    return result


def _applied(case: Case, device: str):
    attrs = case.attributes(device)

    def run(*inputs):
        if case.symmetric:
            inputs = [(inputs[0] + tensors.swap_last(inputs[0])) / 2]
        out = getattr(tensors, case.op)(*inputs, *attrs)
        return out[: case.outputs] if isinstance(out, tuple) else out

    return run


def test_every_op_of_the_index_has_a_case():
    assert {c.op for c in CASES} == set(index)


@each_case
def test_the_value_is_pytorchs(case, device):
    outs = _applied(case, device)(*_inputs(case, device, False))
    expected = case.expected(
        *(torch.from_numpy(np.ascontiguousarray(a).reshape(a.shape)) for a in case.inputs)
    )
    several = isinstance(outs, tuple)
    for out, value in zip(outs, expected, strict=True) if several else [(outs, expected)]:
        assert str(out.dtype) == str(value.dtype)
        assert tuple(out.shape) == tuple(value.shape)
        if case.op != "to_device":
            assert out.device.type == device
        np.testing.assert_allclose(to_numpy(out._array), value.numpy(), rtol=1e-12, atol=1e-13)


@each_case
def test_the_gradient_agrees_with_differences(case, device):
    assert gradcheck(_applied(case, device), _inputs(case, device, True), atol=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c.op not in CONSTANT], ids=str)
def test_the_second_derivative_agrees_with_differences(case, device):
    assert gradgradcheck(_applied(case, device), _inputs(case, device, True), atol=1e-6)
