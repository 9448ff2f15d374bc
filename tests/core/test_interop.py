"""NumPy, DLPack, the CUDA array interface, pickling and copying: memory is shared where the other side can share it."""

from __future__ import annotations

import copy
import pickle
import warnings

import ml_dtypes
import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire.versions import owner_of

DTYPES = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()


def numbers(lib, name):
    return (lib.arange(6).reshape(2, 3) % 2).to(getattr(lib, name))


def of_pytorch(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about how PyTorch declares what it calls
        return call(real)


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("strided", [False, True])
def test_dlpack_carries_memory_to_pytorch_and_back(name, strided):
    mine, theirs = numbers(torch, name), numbers(real, name)
    if strided:
        mine, theirs = mine.t()[1:], theirs.t()[1:]
    there, here = real.from_dlpack(mine), torch.from_dlpack(theirs)
    for a, b in ((there, mine), (here, theirs)):
        assert (str(a.dtype), tuple(a.shape), a.stride(), a.tolist()) == (
            str(b.dtype),
            tuple(b.shape),
            b.stride(),
            b.tolist(),
        )
        a.fill_(0)
        assert b.tolist() == a.tolist() and not any(b.flatten().tolist())


@pytest.mark.parametrize("version", [None, (0, 8), (1, 0), (1, 1)])
@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_capsules_of_every_version_are_written_and_read(version, name):
    options = {} if version is None else {"max_version": version}
    mine = numbers(torch, name)
    there = real.utils.dlpack.from_dlpack(mine.__dlpack__(**options))
    there.add_(1)
    assert mine.tolist() == there.tolist()
    theirs = numbers(real, name)
    here = torch.from_dlpack(theirs.__dlpack__(**options))
    here.add_(1)
    assert theirs.tolist() == here.tolist()


def test_to_dlpack_and_numpys_own_arrays():
    x = torch.arange(3)
    assert real.from_dlpack(torch.to_dlpack(x)).tolist() == [0, 1, 2]
    array = np.arange(4.0)
    t = torch.from_dlpack(array)
    t[0] = 7
    assert array[0] == 7 and np.from_dlpack(t)[0] == 7
    assert torch.from_dlpack(array, copy=True).add_(1)[0].item() == 8 and array[0] == 7


def test_dlpack_memory_outlives_its_tensor():
    there = real.from_dlpack(torch.arange(1000) * 2)
    here = torch.from_dlpack(real.arange(1000) * 2)
    assert there.sum().item() == here.sum().item() == 999000


def test_what_dlpack_can_not_carry_is_refused():
    x = torch.ones(1, requires_grad=True)
    with pytest.raises(BufferError, match="require gradient"):
        x.__dlpack__()
    with pytest.raises(AssertionError, match="stream should be None on cpu"):
        torch.ones(1).__dlpack__(stream=1)
    with pytest.raises(RuntimeError, match="from_dlpack"):
        torch.from_dlpack(3)
    capsule = torch.ones(1).__dlpack__()
    torch.from_dlpack(capsule)
    with pytest.raises(RuntimeError, match="only once"):
        torch.from_dlpack(capsule)
    with pytest.raises((RuntimeError, TypeError)):
        torch.from_dlpack(real.ones(1, dtype=real.complex64))


def test_as_tensor_and_asarray_share_where_they_can():
    array = np.zeros(2, np.float32)
    theirs = real.zeros(2)
    for t in (torch.as_tensor(array), torch.asarray(array), torch.asarray(theirs)):
        t[0] = 5
    assert array.tolist() == [5, 0] and theirs.tolist() == [5, 0]
    assert torch.asarray(array, copy=True)[0].item() == 5
    raw = bytearray(8)
    torch.frombuffer(raw, dtype=torch.int32)[1] = 1
    assert raw == b"\0\0\0\0\1\0\0\0"


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.sin(t.ones(2)),
        lambda t: np.add(t.ones(2), 1),
        lambda t: np.add(t.ones(2), np.ones(2)),
        lambda t: np.multiply(np.ones((2, 1)), t.ones(2)),
        lambda t: np.isnan(t.ones(2)),
        lambda t: np.square(t.tensor(3.0)),
        lambda t: np.argmax(t.tensor([1.0, 3.0])),
        lambda t: np.float32(2) * t.ones(2),
        lambda t: np.float64(2) * t.ones(2),
        lambda t: t.ones(2) * np.float64(2),
        lambda t: np.int64(2) + t.ones(2, dtype=t.int8),
        lambda t: t.ones(2, dtype=t.int64) * np.float64(2),
        lambda t: np.bool_(True) + t.ones(2),
    ],
)
def test_numpys_functions_and_scalars_give_pytorchs_tensors(call):
    mine, theirs = call(torch), of_pytorch(call)
    assert isinstance(mine, torch.Tensor)
    assert (str(mine.dtype), tuple(mine.shape), mine.tolist()) == (
        str(theirs.dtype),
        tuple(theirs.shape),
        theirs.tolist(),
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda t: np.asarray(t.arange(3)),
        lambda t: np.array(t.ones(2), dtype=np.int8),
        lambda t: np.array([t.ones(2), t.zeros(2)]),
        lambda t: np.concatenate([t.ones(2), t.ones(1)]),
        lambda t: np.arange(3)[t.tensor([True, False, True])],
        lambda t: np.arange(3)[t.tensor([2, 0])],
        lambda t: np.arange(3)[t.tensor(1)],
        lambda t: np.ones(2).dot(t.ones(2)),
        lambda t: np.allclose(t.ones(2), t.ones(2)),
        lambda t: np.multiply(np.ones(2), t.ones(2), out=np.zeros(2)),
    ],
)
def test_numpy_reads_tensors_as_arrays(call):
    mine, theirs = call(torch), of_pytorch(call)
    assert type(mine) is type(theirs)
    assert np.asarray(mine).dtype == np.asarray(theirs).dtype and np.array_equal(mine, theirs)


def test_an_array_on_the_left_does_not_take_a_tensor_apart():
    for lib in (torch, real):
        for f in (lambda t: np.ones(2) - t, lambda t: np.ones(2) > t, lambda t: np.ones((2, 2)) @ t):
            with pytest.raises(TypeError):
                f(lib.ones(2, 2))


def test_numpy_does_not_see_what_requires_grad_or_is_elsewhere(device):
    x = torch.ones(2, device=device, requires_grad=True)
    for f in (np.sin, np.asarray, lambda t: t.numpy()):
        with pytest.raises(RuntimeError, match="requires grad"):
            f(x)
    assert np.array_equal(x.numpy(force=True), [1.0, 1.0])
    if device == "cuda":
        with pytest.raises(TypeError, match="to copy the tensor to host memory first"):
            np.asarray(x.detach())


def test_asarray_with_copy_false_refuses_what_would_need_one():
    x = torch.ones(2)
    assert np.shares_memory(np.asarray(x, copy=False), x.numpy())
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    assert not np.shares_memory(np.array(x), x.numpy())


def test_the_cuda_array_interface_is_there_on_cuda_alone(device):
    x = torch.arange(6, device=device).reshape(2, 3)
    if device == "cpu":
        with pytest.raises(AttributeError, match="non-CUDA tensor type"):
            _ = x.__cuda_array_interface__
        assert not hasattr(x, "__cuda_array_interface__")
        return
    told = x.__cuda_array_interface__
    assert (told["shape"], told["typestr"], told["data"][0]) == ((2, 3), "<i8", x.data_ptr())
    with pytest.raises(RuntimeError, match="requires grad"):
        _ = torch.ones(1, device=device, requires_grad=True).__cuda_array_interface__


def test_tensors_claim_no_array_api_namespace_and_no_array_interface():
    assert not hasattr(torch.ones(1), "__array_namespace__") and not hasattr(
        torch.ones(1), "__array_interface__"
    )


@pytest.mark.parametrize("name", DTYPES)
def test_pickles_and_copies_keep_dtype_values_and_requires_grad(name):
    t = numbers(torch, name)
    if t.is_floating_point():
        t.requires_grad_()
    for copied in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t)):
        assert (copied.dtype, copied.shape, copied.tolist(), copied.requires_grad) == (
            t.dtype,
            t.shape,
            t.tolist(),
            t.requires_grad,
        )
        assert copied.data_ptr() != t.data_ptr()


def test_a_deep_copy_has_its_own_gradient_and_one_of_each_tensor():
    x = torch.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    a, b = copy.deepcopy([x, x])
    assert a is b and a.grad.tolist() == [2.0, 2.0] and a.grad is not x.grad
    with pytest.raises(RuntimeError, match="graph leaves"):
        copy.deepcopy(x * 2)


def test_arrays_of_ml_dtypes_come_and_go():
    array = np.arange(3).astype(ml_dtypes.bfloat16)
    t = torch.from_numpy(array)
    assert t.dtype is torch.bfloat16 and torch.tensor(array).tolist() == [0.0, 1.0, 2.0]


def shared(t, device):
    a = t.arange(12.0).reshape(3, 4).to(device)
    apart = t.arange(12.0).to(device)[2:6]
    return [a.t(), a, a.detach(), a[1:, ::2], a.reshape(-1)[5:], apart, t.ones(2, 3).to(device).t()]


def test_tensors_copied_together_share_memory_as_before(device):
    def copied(t, device):
        before = shared(t, device)
        after = copy.deepcopy(before)
        after[3].mul_(10)
        after[0][0].fill_(-1)
        after[5].zero_()
        twice = copy.deepcopy(after)
        twice[1].add_(1)
        return [x.cpu().numpy().tolist() for x in (*before, *after, *twice)], [x.stride() for x in after[:5]]

    assert copied(torch, device) == copied(real, "cpu")


def test_a_part_copied_alone_takes_no_more_along(device):
    part = torch.ones(1000, device=device)[:2]
    assert owner_of(copy.deepcopy(part)._array).size == 2
