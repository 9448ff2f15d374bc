"""One call under gradwire and under PyTorch, and what the two gave in a form that can be compared."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch as theirs

import gradwire as ours
from gradwire.backends import to_numpy

Refused = (RuntimeError, TypeError, ValueError, IndexError, AssertionError, NotImplementedError)


def plain(x: Any) -> Any:
    """Trees of tensors as trees of (dtype, requires_grad, array)."""
    if isinstance(x, ours.Tensor):
        return SimpleNamespace(dtype=str(x.dtype), needs=x.requires_grad, array=to_numpy(x.detach()._array))
    if isinstance(x, theirs.Tensor):
        return SimpleNamespace(dtype=str(x.dtype), needs=x.requires_grad, array=x.detach().numpy())
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (tuple, list)):
        return type(x)(plain(v) for v in x)
    return x


def assert_same(mine: Any, other: Any, where: str = "result") -> None:
    """That two trees of `plain` agree: structure, dtype, shape, requires_grad, and values to 1e-10 (1e-5 in float32)."""
    assert type(mine) is type(other), f"{where}: {mine!r} and {other!r}"
    if isinstance(mine, SimpleNamespace):
        assert (mine.dtype, mine.needs, mine.array.shape) == (other.dtype, other.needs, other.array.shape), (
            where
        )
        tolerance = 1e-10 if mine.dtype == "torch.float64" else 1e-5
        np.testing.assert_allclose(mine.array, other.array, rtol=tolerance, atol=tolerance, err_msg=where)
    elif isinstance(mine, dict):
        assert list(mine) == list(other), where
        for k in mine:
            assert_same(mine[k], other[k], f"{where}[{k!r}]")
    elif isinstance(mine, (tuple, list)):
        assert len(mine) == len(other), where
        for i, (a, b) in enumerate(zip(mine, other, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    else:
        assert mine == other, where


def assert_alike(call: Any, *args: Any) -> None:
    """That `call(library, *args)` gives the same under both libraries."""
    mine = plain(call(ours, *args))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, about its own plans
        other = plain(call(theirs, *args))
    assert_same(mine, other)


def error_of(call: Any, t: Any) -> Exception:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = call(t)
    except Refused as e:
        return e
    raise AssertionError(f"{t.__name__} took the call and returned {found!r}")


def assert_refused_alike(call: Any, chars: int = 60) -> None:
    """That both libraries refuse `call`, with the same type of error and the same beginning of the message."""
    mine, other = error_of(call, ours), error_of(call, theirs)
    assert type(mine) is type(other), f"{mine!r} and {other!r}"
    assert str(mine)[:chars] == str(other)[:chars]
