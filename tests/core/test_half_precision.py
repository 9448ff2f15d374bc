"""float16 and bfloat16 beside PyTorch: what they give, how exactly, and where they are refused."""

from __future__ import annotations

import copy
import itertools
import pickle

import ml_dtypes
import numpy as np
import pytest
import torch

import gradwire

NAMES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split()
HALVES = ("float16", "bfloat16")
rng = np.random.default_rng(4)


def both(values, name, requires_grad=False):
    """The same values as tensors of either library."""
    values = np.asarray(values, np.float32)
    mine, theirs = (lib.tensor(values).to(getattr(lib, name)) for lib in (gradwire, torch))
    return mine.requires_grad_(requires_grad), theirs.requires_grad_(requires_grad)


def as_float64(t):
    return np.array(t.detach().double().tolist())


def assert_same(mine, theirs):
    """Of one dtype and equal to the last bit."""
    assert str(mine.dtype) == str(theirs.dtype)
    assert tuple(mine.shape) == tuple(theirs.shape)
    np.testing.assert_array_equal(as_float64(mine), as_float64(theirs))


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NAMES, NAMES)))
def test_promotion_is_pytorchs(a, b):
    mine = gradwire.promote_types(getattr(gradwire, a), getattr(gradwire, b))
    assert str(mine) == str(torch.promote_types(getattr(torch, a), getattr(torch, b)))
    x, y = (
        lib.ones(2, dtype=getattr(lib, a)) * lib.ones(1, dtype=getattr(lib, b)) for lib in (gradwire, torch)
    )
    assert_same(x, y)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(NAMES, HALVES)))
def test_casts_to_and_fro_give_the_same_bits(a, b):
    values = np.array([0.0, 1.0, 3.14159, 70.03, 100.51, 1.00390625, 1.01171875])
    for source, target in ((a, b), (b, a)):
        x, y = (
            lib.tensor(values).to(getattr(lib, source)).to(getattr(lib, target)) for lib in (gradwire, torch)
        )
        assert_same(x, y)


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("number", [0.1, 2.5, 3, True])
def test_numbers_beside_them_keep_the_dtype(name, number):
    x, y = both(rng.standard_normal(64), name)
    for f in (
        lambda t: t * number, lambda t: t / number, lambda t: t // number, lambda t: t % (number + 1), lambda t: number + t, lambda t: t > number,
        lambda t: t.clamp(-0.1, 0.3), lambda t: t.sigmoid() * number,
    ):  # fmt: skip
        mine, theirs = f(x), f(y)
        assert str(mine.dtype) == str(theirs.dtype)
        np.testing.assert_allclose(as_float64(mine), as_float64(theirs), rtol=8e-3, atol=1e-6)
    for f in (lambda t: number + t, lambda t: t - (number + 0), lambda t: (number + 0) - t):
        assert_same(f(x), f(y))


@pytest.mark.parametrize("name", HALVES)
def test_a_number_is_compared_as_the_dtype_has_it(name):
    x, y = both([0.1, 0.3, 1 / 3], name)
    for f in (lambda t: t == 0.1, lambda t: t <= 0.3, lambda t: t < 1 / 3, lambda t: t != 0.1):
        assert_same(f(x), f(y))


@pytest.mark.parametrize("name", HALVES)
def test_sums_have_the_digits_of_float32(name):
    x, y = both(np.ones((2, 3000)), name)
    for f in (
        lambda t: t.sum(),
        lambda t: t.sum(1),
        lambda t: t.mean(),
        lambda t: t.cumsum(1)[:, 2999],
        lambda t: t @ t.T,
    ):
        assert_same(f(x), f(y))


@pytest.mark.parametrize("name", HALVES)
def test_gradients_that_broadcasting_sums_have_the_digits_of_float32(name):
    results = []
    for lib, w in zip((gradwire, torch), both(np.ones((1, 2)), name, True), strict=True):
        x = lib.ones(3000, 2, dtype=getattr(lib, name))
        (x * w).sum().backward()
        again = lib.autograd.grad((x * w * w).sum(), w, create_graph=True)[0]
        results.append((w.grad, again))
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs)


@pytest.mark.parametrize("name", HALVES)
def test_a_function_of_the_users_may_return_a_gradient_of_more_elements(name):
    class Wide(gradwire.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.expand(3000, 2) * 1

        @staticmethod
        def backward(ctx, g):
            return g

    x = gradwire.ones(1, 2, dtype=getattr(gradwire, name), requires_grad=True)
    Wide.apply(x).sum().backward()
    assert x.grad.dtype is x.dtype
    assert x.grad.tolist() == [[3008.0, 3008.0]] if name == "bfloat16" else [[3000.0, 3000.0]]


@pytest.mark.parametrize("name", HALVES)
def test_a_training_step_goes_as_in_pytorch(name):
    weights, data = rng.standard_normal((4, 8)), rng.standard_normal((16, 8))
    losses = []
    for lib in (gradwire, torch):
        dtype = getattr(lib, name)
        w = lib.tensor(weights).to(dtype).requires_grad_()
        x = lib.tensor(data).to(dtype)
        path = []
        for _ in range(5):
            loss = ((x @ w.T).tanh() - 0.5).pow(2).mean()
            loss.backward()
            assert str(w.grad.dtype) == f"torch.{name}"
            with lib.no_grad():
                w -= 0.5 * w.grad
            w.grad = None
            path.append(loss.item())
        losses.append(path)
    np.testing.assert_allclose(*losses, rtol=2e-2)


def test_hooks_and_retained_gradients_see_the_dtype():
    x = gradwire.ones(3, dtype=gradwire.bfloat16, requires_grad=True)
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.dtype))
    y.retain_grad()
    y.sum().backward()
    assert seen == [gradwire.bfloat16] and y.grad.dtype is x.grad.dtype is gradwire.bfloat16
    assert y.grad_fn.name() == "MulBackward0"
    assert repr(y.detach()) == repr(torch.full((3,), 2.0, dtype=torch.bfloat16))


def test_bfloat16_has_pytorchs_attributes():
    d = gradwire.bfloat16
    assert (d.is_floating_point, d.itemsize, repr(d)) == (True, 2, "torch.bfloat16")
    assert pickle.loads(pickle.dumps(d)) is d
    t = gradwire.zeros(2, dtype=d)
    assert (t.is_floating_point(), t.element_size(), t.tolist(), t.sum().item()) == (True, 2, [0.0, 0.0], 0.0)
    for copied in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        assert copied.dtype is d and copied.tolist() == [0.0, 0.0]


def test_bfloat16_arrays_come_in_and_pytorchs_refusal_of_numpy_stays():
    array = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    t = gradwire.from_numpy(array)
    array[0] = 3
    assert t.dtype is gradwire.bfloat16 and t.tolist() == [3.0, -2.0]
    for lib in (gradwire, torch):
        with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
            lib.ones(2, dtype=lib.bfloat16).numpy()


def test_views_of_them_share_memory_and_take_writes():
    x = gradwire.zeros(4, dtype=gradwire.bfloat16, requires_grad=True)
    y = x * 1
    y[1:3].mul_(2).add_(1)
    y.sum().backward()
    assert y.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert x.grad.tolist() == [1.0, 2.0, 2.0, 1.0] and x.grad.dtype is gradwire.bfloat16
    z = x.detach()
    z.reshape(2, 2)[0, 1] = 5
    assert x.tolist()[1] == 5.0


def test_cuda_says_that_it_has_no_bfloat16(device):
    t = gradwire.ones(2)
    if device == "cpu":
        assert t.to("cpu", gradwire.bfloat16).dtype is gradwire.bfloat16
        return
    for make in (
        lambda: t.to(device).to(gradwire.bfloat16),
        lambda: t.bfloat16().to(device),
        lambda: gradwire.zeros(2, dtype=gradwire.bfloat16, device=device),
        lambda: gradwire.tensor([1.0], dtype=gradwire.bfloat16, device=device),
    ):
        with pytest.raises(RuntimeError, match="does not carry bfloat16"):
            make()
