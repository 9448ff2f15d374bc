"""Where an index leads to one place several times: the last value remains, sums go in order, gradients are the true ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire
from gradwire.autograd import gradcheck, gradgradcheck
from gradwire.backends import standin, use_cuda_module

_REPEATS = np.array([3, 0, 3, 3, 0])


def _leaf(values, device):
    return gradwire.tensor(values, dtype=gradwire.float64, device=device).requires_grad_()


def _index(device, values=_REPEATS):
    return gradwire.tensor(values, device=device)


WRITES = {
    "scatter": lambda x, i, v: x.scatter(0, i, v), "index_copy": lambda x, i, v: x.index_copy(0, i, v), "put": lambda x, i, v: x.put(i, v),
    "index_put": lambda x, i, v: x.index_put((i,), v),
    "scatter_": lambda x, i, v: (x * 1).scatter_(0, i, v), "index_copy_": lambda x, i, v: (x * 1).index_copy_(0, i, v),
    "put_": lambda x, i, v: (x * 1).put_(i, v), "index_put_": lambda x, i, v: (x * 1).index_put_((i,), v),
    "scatter_add": lambda x, i, v: x.scatter_add(0, i, v), "index_add": lambda x, i, v: x.index_add(0, i, v, alpha=2),
    "put-added": lambda x, i, v: x.put(i, v, True), "index_put-added": lambda x, i, v: x.index_put((i,), v, True),
    "scatter_add_": lambda x, i, v: (x * 1).scatter_add_(0, i, v),
    "amax": lambda x, i, v: x.scatter_reduce(0, i, v, "amax"), "amin_": lambda x, i, v: (x * 1).scatter_reduce_(0, i, v, "amin", include_self=False),
    "prod": lambda x, i, v: x.scatter_reduce(0, i, v, "prod"), "prod_": lambda x, i, v: (x * 1).index_reduce_(0, i, v, "prod", include_self=False),
    "mean_": lambda x, i, v: (x * 1).scatter_reduce_(0, i, v, "mean"),
}  # fmt: skip


def _assigned(x, i, v):
    y = x * 1
    y[i] = v
    return y


WRITES["[]"] = _assigned


@pytest.mark.parametrize("name", WRITES)
def test_derivatives_agree_with_differences(name, device):
    x = _leaf([0.5, -1.25, 2.0, 0.75], device)
    v = _leaf([1.5, -0.5, 0.0, 0.25, 2.5], device)  # a zero among the factors
    i = _index(device)
    assert gradcheck(lambda a, b: WRITES[name](a, i, b), (x, v))
    assert gradgradcheck(lambda a, b: WRITES[name](a, i, b), (x, v))


@pytest.mark.filterwarnings("ignore:index_reduce")  # PyTorch's, at its first call in a process
@pytest.mark.parametrize("name", WRITES)
def test_values_are_pytorchs_and_the_same_on_both_devices(name, device):
    draw = np.random.default_rng(5)
    x, v, i = draw.standard_normal(7), draw.standard_normal(64), draw.integers(0, 7, 64)
    for dtype in ("float64", "float32"):
        mine = WRITES[name](*(gradwire.tensor(a).to(device, getattr(gradwire, dtype)) if a.dtype.kind == "f" else gradwire.tensor(a, device=device) for a in (x, i, v)))  # fmt: skip
        theirs = WRITES[name](*(real.tensor(a).to(getattr(real, dtype)) if a.dtype.kind == "f" else real.tensor(a) for a in (x, i, v)))  # fmt: skip
        here = WRITES[name](*(gradwire.tensor(a).to(getattr(gradwire, dtype)) if a.dtype.kind == "f" else gradwire.tensor(a) for a in (x, i, v)))  # fmt: skip
        np.testing.assert_allclose(
            mine.cpu().numpy(), theirs.numpy(), rtol=1e-12 if dtype == "float64" else 2e-5
        )
        assert np.array_equal(mine.cpu().numpy(), here.numpy())


def test_a_gradient_added_from_many_places_has_the_same_bits_on_both_devices(device):
    draw = np.random.default_rng(6)
    x, i, w = (
        draw.standard_normal((5, 3)).astype(np.float32),
        draw.integers(0, 5, 200),
        draw.standard_normal((200, 3)).astype(np.float32),
    )

    def gradient(where):
        leaf = gradwire.tensor(x, device=where).requires_grad_()
        (leaf[gradwire.tensor(i, device=where)] * gradwire.tensor(w, device=where)).sum().backward()
        return leaf.grad.cpu().numpy()

    assert np.array_equal(gradient(device), gradient("cpu"))


def test_what_is_no_repetition_has_pytorchs_gradient(device):
    x, v = np.arange(6.0).reshape(2, 3), np.arange(2.0) + 10

    def run(lib, where):
        a, b = (lib.tensor(t, device=where).requires_grad_() for t in (x, v))
        y = a * 2
        y[lib.tensor([0, 1], device=where), lib.tensor([2, 0], device=where)] = b
        y[lib.tensor([[True, False, False], [False, False, True]], device=where)] *= 3
        (y * y).sum().backward()
        return a.grad.cpu().numpy(), b.grad.cpu().numpy()

    for mine, theirs in zip(run(gradwire, device), run(real, "cpu"), strict=True):
        np.testing.assert_allclose(mine, theirs)


APART = {
    "gather": lambda x, i, v: x.gather(0, i), "take": lambda x, i, v: x.take(i), "index_select": lambda x, i, v: x.index_select(0, i),
    "scatter": lambda x, i, v: x.scatter(0, i, v), "scatter_add": lambda x, i, v: x.scatter_add(0, i, v),
    "amax": lambda x, i, v: x.scatter_reduce(0, i, v, "amax"), "index_add": lambda x, i, v: x.index_add(0, i, v),
    "index_copy": lambda x, i, v: x.index_copy(0, i, v), "index_fill": lambda x, i, v: x.index_fill(0, i, 1),
    "index_reduce": lambda x, i, v: x.index_reduce(0, i, v, "prod"), "put": lambda x, i, v: x.put(i, v),
    "masked_select": lambda x, i, v: x.masked_select(i > 0), "masked_fill": lambda x, i, v: x.masked_fill(i > 0, 1.0),
    "masked_scatter": lambda x, i, v: x.masked_scatter(i > 0, v), "take_along_dim": lambda x, i, v: x.take_along_dim(i, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", APART)
def test_what_is_apart_is_refused(name):
    before = use_cuda_module(standin)
    try:
        here, there = (gradwire.ones(3, device=d) for d in ("cpu", "cuda"))
        index = gradwire.tensor([2, 0, 1])
        APART[name](here, index, here)
        with pytest.raises(RuntimeError, match="on the same device"):
            APART[name](there, index, there)
        with pytest.raises(RuntimeError, match="on the same device"):
            APART[name](here, index.to("cuda"), here)
        there[index] = 2.0  # an index of the host's is taken there, as PyTorch has it
        assert there[index].tolist() == [2, 2, 2]
    finally:
        use_cuda_module(before)
