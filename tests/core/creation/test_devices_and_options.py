"""What every factory takes: device=, the default device, dtype=, out=, requires_grad=, memory formats; and what it refuses."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch as real

import gradwire as torch

FACTORIES = {
    "zeros": ((2, 3),), "ones": ((2, 3),), "empty": ((2, 3),), "full": ((2, 3), 1.5), "eye": (3,), "arange": (3.0,), "linspace": (0, 1, 4),
    "logspace": (0, 1, 4), "rand": (2,), "randn": (2,), "randint": (0, 9, (2,)), "randperm": (4,), "scalar_tensor": (2.5,),
    "empty_strided": ((2, 3), (1, 2)), "empty_permuted": ((2, 3), (1, 0)), "tensor": ([1.0, 2.0],),
    "bartlett_window": (5,), "blackman_window": (5,), "hamming_window": (5,), "hann_window": (5,), "kaiser_window": (5,),
}  # fmt: skip
WITH_OUT = (
    set(FACTORIES)
    - {"empty_strided", "empty_permuted", "tensor", "scalar_tensor"}
    - {n for n in FACTORIES if "window" in n}
)
LIKE = {
    "zeros_like": (),
    "ones_like": (),
    "empty_like": (),
    "full_like": (2.0,),
    "rand_like": (),
    "randn_like": (),
    "randint_like": (9,),
}
NEW = {"new_zeros": ((2,),), "new_ones": ((2,),), "new_empty": ((2,),), "new_full": ((2,), 3.0), "new_tensor": ([1.0],), "new_empty_strided": ((2,), (1,))}  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
def test_a_factory_makes_its_tensor_where_it_is_told(name, device):
    make, args = getattr(torch, name), FACTORIES[name]
    assert make(*args, device=device).device.type == device
    assert make(*args).device.type == "cpu"
    with torch.device(device):
        assert make(*args).device.type == device
        assert make(*args, device="cpu").device.type == "cpu"
    torch.set_default_device(device)
    try:
        assert make(*args).device.type == torch.get_default_device().type == device
    finally:
        torch.set_default_device(None)
    assert torch.get_default_device() == torch.device("cpu")


@pytest.mark.parametrize("name", FACTORIES)
def test_a_factory_takes_the_dtypes_that_pytorchs_takes(name):
    for dtype in ("float64", "float16", "bfloat16", "int32", "uint8", "bool"):
        made = []
        for lib in (torch, real):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    t = getattr(lib, name)(*FACTORIES[name], dtype=getattr(lib, dtype))
                made.append((str(t.dtype), tuple(t.shape)))
            except (RuntimeError, NotImplementedError):
                made.append("refused")
        assert made[0] == made[1], dtype
    assert getattr(torch, name)(*FACTORIES[name], dtype=float).dtype is torch.float64


@pytest.mark.parametrize("name", FACTORIES)
def test_requires_grad_makes_a_leaf_and_is_refused_for_integers(name):
    make, args = getattr(torch, name), FACTORIES[name]
    if name not in ("randint", "randperm"):
        t = make(*args, requires_grad=True)
        assert t.requires_grad and t.is_leaf
    if name not in ("rand", "randn") and "window" not in name:
        with pytest.raises(RuntimeError, match="Only Tensors of floating point"):
            make(*args, dtype=torch.int64, requires_grad=True)


@pytest.mark.parametrize("name", FACTORIES)
def test_what_no_factory_takes_is_refused(name):
    make, args = getattr(torch, name), FACTORIES[name]
    for wrong in (
        {"dtype": "float32"},
        {"dtype": complex},
        {"pin_memory": True},
        {"device": "tpu"},
        {"no_such": 1},
    ):
        with pytest.raises((TypeError, RuntimeError)):
            make(*args, **wrong)
    if name != "tensor":
        assert make(*args, layout=torch.strided).dtype is not None
        with pytest.raises(TypeError):
            make(*args, layout="strided")


@pytest.mark.parametrize("name", sorted(WITH_OUT))
def test_out_takes_the_result_and_names_its_dtype(name, device):
    make, args = getattr(torch, name), FACTORIES[name]
    expected = make(
        *args, dtype=torch.float64, **({"generator": torch.Generator()} if name[:4] == "rand" else {})
    )
    target = torch.empty(0, dtype=torch.float64, device=device)
    options = {"generator": torch.Generator()} if name[:4] == "rand" else {}
    assert make(*args, out=target, **options) is target
    assert (target.dtype, target.device.type, target.shape) == (torch.float64, device, expected.shape)
    if name != "empty":
        assert target.tolist() == expected.tolist()
    for lib in (torch, real):
        with pytest.raises(RuntimeError, match="does not match dtype of out parameter"):
            getattr(lib, name)(*args, out=lib.empty(0, dtype=lib.float64), dtype=lib.float32)
    with pytest.raises(TypeError, match="'out' must be Tensor"):
        make(*args, out=[1])


@pytest.mark.parametrize("name", LIKE)
def test_like_follows_its_input_but_where_told_otherwise(name, device):
    make, args = getattr(torch, name), LIKE[name]
    x = torch.ones(2, 3, dtype=torch.float64, device=device).t()
    t = make(x, *args)
    assert (t.shape, t.dtype, t.device.type, t.stride(), t.requires_grad) == (
        (3, 2),
        torch.float64,
        device,
        (1, 3),
        False,
    )
    t = make(x, *args, dtype=torch.float16, device="cpu", memory_format=torch.contiguous_format)
    assert (t.dtype, t.device.type, t.stride()) == (torch.float16, "cpu", (2, 1))
    assert make(x, *args, requires_grad=True).requires_grad
    with pytest.raises(TypeError, match="must be Tensor"):
        make(np.ones(2), *args)
    with pytest.raises(TypeError, match="unexpected keyword"):
        make(x, *args, no_such=1)


@pytest.mark.parametrize("name", NEW)
def test_new_follows_its_tensor_but_where_told_otherwise(name, device):
    x = torch.ones(2, 3, dtype=torch.float64, device=device)
    t = getattr(x, name)(*NEW[name])
    assert (t.dtype, t.device.type) == (torch.float64, device)
    t = getattr(x, name)(*NEW[name], dtype=torch.float32, device="cpu", requires_grad=True)
    assert (t.dtype, t.device.type, t.requires_grad) == (torch.float32, "cpu", True)


def test_help_shows_pytorchs_arguments():
    assert str(inspect.signature(torch.linspace)).startswith(
        "(start: 'Any', end: 'Any', steps: 'int', *, out"
    )
    for name in FACTORIES:
        named = inspect.signature(getattr(torch, name)).parameters
        assert {"dtype", "device", "requires_grad"} <= set(named) and not {"xp"} & set(named)


def test_complex_numbers_are_refused_with_a_word_of_why():
    for make in (
        lambda: torch.tensor(1j), lambda: torch.tensor([1, 2j]), lambda: torch.tensor(np.array([1j])), lambda: torch.from_numpy(np.array([1j])),
        lambda: torch.full((2,), 1j), lambda: torch.as_tensor([1j]), lambda: torch.asarray(1j), lambda: torch.zeros(2).new_full((1,), 1j),
        lambda: torch.full_like(torch.ones(1), 1j), lambda: torch.scalar_tensor(1j), lambda: torch.tensor([np.complex64(1)]),
        lambda: torch.arange(3j), lambda: torch.linspace(0, 1j, 3),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="complex numbers are not supported"):
            make()


def test_the_default_device_belongs_to_its_thread():
    import threading

    seen = []
    with torch.device("cuda"):
        t = threading.Thread(target=lambda: seen.append(str(torch.zeros(1).device)))
        t.start()
        t.join()
    assert seen == ["cpu"]


FORMATS = [
    lambda t: t.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=t.channels_last),
    lambda t: t.arange(24.0).reshape(1, 2, 3, 4).to(memory_format=t.channels_last),
    lambda t: t.arange(24.0).reshape(1, 2, 3, 4).clone(memory_format=t.channels_last),
    lambda t: t.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=t.channels_last).clone(),
    lambda t: t.arange(6.0).reshape(2, 3).t().clone(),
    lambda t: t.arange(6.0).reshape(2, 3).t().clone(memory_format=t.contiguous_format),
    lambda t: t.ones(1, 3).expand(2, 3).clone(),
    lambda t: t.arange(24.0).reshape(1, 2, 3, 4).to(t.float64, memory_format=t.channels_last),
    lambda t: t.arange(6.0).reshape(2, 3).t().double(),
    lambda t: t.arange(6.0).reshape(2, 3).t().contiguous(),
    lambda t: t.empty(1, 2, 3, 4, memory_format=t.channels_last).zero_(),
    lambda t: t.zeros_like(t.ones(1, 2, 3, 4), memory_format=t.channels_last),
    lambda t: t.zeros_like(t.ones(1, 2, 3, 4, 5), memory_format=t.channels_last_3d),
]  # fmt: skip


@pytest.mark.parametrize("make", FORMATS)
def test_memory_formats_are_pytorchs(make):
    mine, theirs = make(torch), make(real)
    assert (mine.stride(), mine.tolist(), str(mine.dtype)) == (
        theirs.stride(),
        theirs.tolist(),
        str(theirs.dtype),
    )
    for form in ("contiguous_format", "channels_last"):
        assert mine.is_contiguous(memory_format=getattr(torch, form)) == theirs.is_contiguous(
            memory_format=getattr(real, form)
        )


def test_a_change_of_format_passes_gradients():
    x = torch.arange(24.0).reshape(1, 2, 3, 4).requires_grad_()
    y = x.to(memory_format=torch.channels_last)
    (y * y).sum().backward()
    assert x.grad.tolist() == (2 * x).tolist() and y.grad_fn.name() == "CloneBackward0"
    for call in (
        lambda: torch.ones(2).to(memory_format=torch.channels_last),
        lambda: torch.ones(2).to(memory_format="channels_last"),
    ):
        with pytest.raises((RuntimeError, TypeError)):
            call()


@pytest.mark.parametrize("name", [n for n in FACTORIES if "window" in n])
@pytest.mark.parametrize("length", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("periodic", [True, False])
def test_windows_are_pytorchs(name, length, periodic):
    for dtype, close in (("float32", 2e-6), ("float64", 1e-12), ("bfloat16", 1e-2)):
        mine, theirs = (
            getattr(t, name)(length, periodic, dtype=getattr(t, dtype)).double().tolist()
            for t in (torch, real)
        )
        assert mine == pytest.approx(theirs, abs=close)
    for lib in (torch, real):
        with pytest.raises(RuntimeError, match="requires non-negative window_length"):
            getattr(lib, name)(-1)
