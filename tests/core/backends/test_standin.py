"""The stand-in for CuPy offers nothing that CuPy lacks, and refuses what CuPy refuses."""

from __future__ import annotations

import inspect
import operator

import numpy as np
import pytest

from gradwire.backends import standin


@pytest.fixture(scope="module")
def cupy():
    return pytest.importorskip(
        "cupy", reason="compares with CuPy, which is not installed (extras cuda12, cuda13)"
    )


FUNCTIONS = [n for n in standin.__all__ if inspect.isfunction(getattr(standin, n))]
UFUNCS = [n for n in standin.__all__ if hasattr(getattr(standin, n), "nin")]
METHODS = [n for n, f in vars(standin.ndarray).items() if inspect.isfunction(f) and not n.startswith("_")]
ATTRIBUTES = [n for n, f in vars(standin.ndarray).items() if isinstance(f, property)]


def _parameters(function):
    """Names of the parameters, or None where a compiled function does not tell."""
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


@pytest.mark.parametrize("name", standin.__all__)
def test_every_name_is_one_of_cupys(name, cupy):
    assert hasattr(cupy, name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_takes_only_parameters_that_cupy_takes_in_the_same_places(name, cupy):
    theirs = _parameters(getattr(cupy, name))
    if theirs is None or any(p.kind is p.VAR_POSITIONAL for p in theirs):
        pytest.skip(f"cupy.{name} does not tell its parameters")
    places = [p.name for p in theirs if p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD]
    ours = [p for p in _parameters(getattr(standin, name)) if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if any(p.kind is p.VAR_POSITIONAL for p in _parameters(getattr(standin, name))):
        return
    assert [p.name for p in ours] == places[: len(ours)]


@pytest.mark.parametrize("name", UFUNCS)
def test_a_ufunc_has_cupys_number_of_inputs(name, cupy):
    assert getattr(standin, name).nin == getattr(cupy, name).nin


@pytest.mark.parametrize("name", [*METHODS, *ATTRIBUTES])
def test_every_public_member_of_an_array_is_one_of_cupys(name, cupy):
    assert hasattr(cupy.ndarray, name)


def test_the_rest_of_the_module_is_where_cupy_has_it(cupy):
    assert cupy.cuda.Device and cupy.cuda.runtime.getDeviceCount and cupy.cuda.runtime.deviceSynchronize
    ours = list(inspect.signature(standin.lib.stride_tricks.as_strided).parameters)
    assert ours == list(inspect.signature(cupy.lib.stride_tricks.as_strided).parameters)


ON_DEVICE, ON_HOST = standin.asarray(np.ones(3)), np.ones(3)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "lt", "eq", "matmul"])
def test_an_operator_refuses_a_host_array_on_either_side(name):
    for pair in ((ON_DEVICE, ON_HOST), (ON_HOST, ON_DEVICE)):
        with pytest.raises(TypeError):
            getattr(operator, name)(*pair)


@pytest.mark.parametrize("function", [np.exp, np.sum, np.asarray, np.array, np.concatenate, memoryview])
def test_nothing_of_the_host_takes_a_device_array(function):
    with pytest.raises(TypeError):
        function([ON_DEVICE] if function is np.concatenate else ON_DEVICE)


@pytest.mark.parametrize("act", [
    lambda a: standin.maximum(a, ON_HOST), lambda a: standin.where(ON_HOST > 0, a, a), lambda a: standin.concatenate([a, ON_HOST]),
    lambda a: a[ON_HOST.astype(int)], lambda a: a.__setitem__(slice(None), ON_HOST), lambda a: operator.iadd(a, ON_HOST),
])  # fmt: skip
def test_functions_indices_and_writes_refuse_a_host_array(act):
    with pytest.raises(TypeError):
        act(standin.zeros(3))


def test_numbers_of_python_and_numpy_are_welcome():
    for number in (2, 2.0, True, np.float64(2), np.int64(2)):
        assert isinstance(ON_DEVICE * number, standin.ndarray)
        assert isinstance(number * ON_DEVICE, standin.ndarray)


def test_objects_are_refused():
    with pytest.raises(ValueError, match="Unsupported dtype object"):
        standin.asarray(np.array([object()]))


def test_arrays_of_two_devices_do_not_meet():
    with standin.cuda.Device(1):
        there = standin.ones(3)
    with pytest.raises(ValueError, match="device"):
        there + ON_DEVICE


def test_a_view_writes_through_to_its_base_and_a_copy_does_not():
    a = standin.zeros((2, 3))
    view, copy = a[0].reshape(3, 1), a.copy()
    view += 1
    assert view.base is a
    assert copy.base is None
    np.testing.assert_array_equal(standin.asnumpy(a), [[1, 1, 1], [0, 0, 0]])
    assert not standin.asnumpy(copy).any()
