"""The stand-in refuses what CuPy refuses and offers nothing that the installed CuPy lacks."""

from __future__ import annotations

import gc
import inspect
import weakref

import numpy as np
import pytest

import gradwire as torch
from gradwire.backends import device_of, module_of, standin, to_numpy, use_cuda_module


@pytest.fixture
def on_device():
    return standin.asarray(np.arange(6.0).reshape(2, 3))


@pytest.fixture
def in_cupys_place():
    before = use_cuda_module(standin)
    yield standin
    use_cuda_module(before)


@pytest.mark.parametrize(
    "use",
    [
        lambda a: np.asarray(a),
        lambda a: np.array([a, a]),
        lambda a: np.exp(a),
        lambda a: np.concatenate([a, a]),
        lambda a: np.add.at(np.zeros(3), [0], a),
        lambda a: memoryview(a),
        lambda a: np.zeros((2, 3)).__setitem__(0, a[0]),
    ],
    ids=["asarray", "array", "ufunc", "function", "ufunc.at", "buffer", "assignment"],
)
def test_nothing_becomes_a_numpy_array_by_itself(on_device, use):
    with pytest.raises(TypeError):
        use(on_device)


@pytest.mark.parametrize("host", [np.ones((2, 3)), np.array(1.0)], ids=["array", "0-d array"])
@pytest.mark.parametrize(
    "use",
    [
        lambda d, h: d + h,
        lambda d, h: h + d,
        lambda d, h: d @ h,
        lambda d, h: d == h,
        lambda d, h: standin.maximum(d, h),
        lambda d, h: standin.where(d > 0, d, h),
        lambda d, h: standin.concatenate([d, h]),
        lambda d, h: d.__iadd__(h),
        lambda d, h: d.__setitem__(Ellipsis, h),
        lambda d, h: d[h > 0] if h.ndim else d[h.astype(int)],
    ],
    ids=["+", "reflected +", "@", "==", "maximum", "where", "concatenate", "+=", "assignment", "index"],
)
def test_host_and_device_arrays_never_meet(on_device, host, use):
    with pytest.raises(TypeError):
        use(on_device, host)


def test_numbers_of_python_and_numpy_stand_beside_device_arrays(on_device):
    for number in (2, 2.0, True, np.float64(2.0), np.int32(2)):
        assert isinstance(number * on_device, standin.ndarray) and isinstance(
            on_device - number, standin.ndarray
        )


def test_arrays_of_two_devices_do_not_meet(on_device):
    with standin.cuda.Device(1):
        elsewhere = standin.ones((2, 3))
    assert (on_device.device.id, elsewhere.device.id) == (0, 1)
    with pytest.raises(ValueError, match="device"):
        on_device + elsewhere


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        standin.cuda.Device(standin.DEVICES)


@pytest.mark.parametrize(
    "values", [np.array([None]), np.array(["a"]), np.array([b"a"])], ids=["object", "text", "bytes"]
)
def test_only_numbers_go_to_the_device(values):
    with pytest.raises(ValueError, match="Unsupported dtype"):
        standin.asarray(values)


def test_every_result_is_an_array_even_of_one_number(on_device):
    for result in (
        on_device.sum(),
        on_device[0, 0],
        on_device.max(),
        on_device.argmax(),
        standin.sqrt(on_device.sum()),
    ):
        assert isinstance(result, standin.ndarray) and result.shape == ()
    assert float(on_device.sum()) == 15.0 and int(on_device.argmax()) == 5


def test_views_name_the_array_that_owns_their_memory(on_device):
    view = on_device[0].reshape(3, 1).T
    assert view.base is on_device and on_device.base is None
    view[...] = 7.0
    assert on_device.get()[0].tolist() == [7.0, 7.0, 7.0]
    assert (
        on_device.copy().base is None
        and (on_device + 1).base is None
        and on_device.T.reshape(-1).base is None
    )


def test_to_the_device_and_back_are_copies():
    host = np.zeros(3)
    there = standin.asarray(host)
    back = standin.asnumpy(there)
    host[0], back[1] = 1.0, 1.0
    assert there.get().tolist() == [0.0, 0.0, 0.0]


def test_integer_index_arrays_wrap_around_as_they_do_on_the_gpu():
    a = standin.arange(4)
    assert a[standin.asarray(np.array([5, -1]))].tolist() == [1, 3]


def test_trouble_with_floats_warns_nobody():
    a = standin.asarray(np.array([0.0, 1e308]))
    assert str((1 / a).tolist()) == "[inf, 1e-308]" and (a * 1e10).tolist()[1] == float("inf")


def test_uninitialised_memory_is_not_zero():
    assert np.isnan(standin.empty((2,), np.float32).get()).all()


def test_device_arrays_can_be_watched_for_their_end(on_device):
    gc.disable()
    try:
        view = on_device[0]
        watched = weakref.ref(view)
        del view
        assert watched() is None
    finally:
        gc.enable()


def test_the_core_finds_its_arrays_on_the_stand_in(in_cupys_place):
    t = torch.ones(2, 3, device="cuda:1")
    assert t.is_cuda and str(t.device) == "cuda:1" and t._array.device.id == 1
    assert module_of(t._array) is standin and device_of(t._array) == torch.device("cuda", 1)
    assert isinstance(to_numpy(t._array), np.ndarray)
    assert torch.cuda.is_available() and torch.cuda.device_count() == standin.DEVICES
    torch.cuda.synchronize()
    with pytest.raises(TypeError, match=r"Use Tensor\.cpu\(\)"):
        t.numpy()


def test_tensors_of_two_devices_say_so(in_cupys_place):
    with pytest.raises(RuntimeError, match=r"found at least two devices, (cuda:0 and cpu|cpu and cuda:0)"):
        torch.ones(2, device="cuda") * torch.ones(2)
    with pytest.raises(RuntimeError, match="two devices"):
        torch.cat([torch.ones(2, device="cuda:0"), torch.ones(2, device="cuda:1")])
    assert (torch.ones(2, device="cuda") * torch.tensor(3.0)).tolist() == [3.0, 3.0]  # 0-d goes anywhere


def test_an_index_out_of_bounds_is_refused_before_it_wraps_around(in_cupys_place):
    t = torch.arange(4, device="cuda")
    with pytest.raises(IndexError, match="index 4 is out of bounds for dimension 0 with size 4"):
        t[torch.tensor([0, 4], device="cuda")]
    assert t[torch.tensor([0, -1])].tolist() == [0, 3]  # an index may stay on the CPU


# Against the installed CuPy, which imports without a GPU

cupy = None
try:
    import cupy
except ImportError:
    pass
needs_cupy = pytest.mark.skipif(
    cupy is None, reason="CuPy is not installed: nothing to compare the stand-in with"
)


@needs_cupy
@pytest.mark.parametrize("name", [n for n in standin.__all__ if n not in ("ndarray", "cuda", "lib")])
def test_a_function_of_the_stand_in_is_one_of_cupy_with_the_same_arguments(name):
    ours, theirs = getattr(standin, name), getattr(cupy, name)
    if hasattr(ours, "nin"):
        assert isinstance(theirs, cupy.ufunc) and theirs.nin == ours.nin
        return
    assert callable(theirs)
    _compare(inspect.signature(ours), inspect.signature(theirs))


@needs_cupy
def test_the_inner_modules_of_the_stand_in_are_cupys():
    _compare(
        inspect.signature(standin.lib.stride_tricks.as_strided),
        inspect.signature(cupy.lib.stride_tricks.as_strided),
    )
    for name in vars(standin.cuda.runtime):
        assert callable(getattr(cupy.cuda.runtime, name))
    assert callable(cupy.cuda.Device)


@needs_cupy
def test_the_arrays_of_the_stand_in_have_only_what_cupys_have():
    own = {"__array_function__", "_view", "_index"} | set(dir(object()))
    offered = {n for n in vars(standin.ndarray) if not n.startswith("_") or n.startswith("__")} - own
    offered -= {"__module__", "__doc__", "__slots__", "__weakref__", "__annotations__"}
    lacking = {n for n in offered if not hasattr(cupy.ndarray, n)}
    # CuPy answers reflected operators in the operator itself, as extension types may
    assert {n for n in lacking if not n.startswith(("__r", "__i"))} == set()


def _compare(ours: inspect.Signature, theirs: inspect.Signature) -> None:
    """Every call that fits ours must fit theirs and mean the same."""
    free = {p.kind for p in theirs.parameters.values()} >= {inspect.Parameter.VAR_POSITIONAL}
    if free:
        return
    for place, (name, parameter) in enumerate(ours.parameters.items()):
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            assert any(p.kind is inspect.Parameter.VAR_KEYWORD for p in theirs.parameters.values())
            continue
        assert list(theirs.parameters)[place] == name, f"{name} is not argument {place} of CuPy's"
        their_default, default = theirs.parameters[name].default, parameter.default
        assert default == their_default or {default, their_default} <= {float, None}, name
