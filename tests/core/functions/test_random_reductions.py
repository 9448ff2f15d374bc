"""Reductions, running functions and order statistics of random tensors, dimensions, dtypes and layouts, beside PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gradwire

from .driver import difference, outcome

FLOATS = ["float64", "float32", "float16", "bfloat16"]
DTYPES = [*FLOATS, "int64", "int32", "int16", "int8", "uint8", "bool"]
SEVERAL = [
    "sum",
    "nansum",
    "mean",
    "nanmean",
    "amax",
    "amin",
    "all",
    "any",
    "count_nonzero",
    "var",
    "std",
    "logsumexp",
]
ONE = [
    "prod",
    "argmax",
    "argmin",
    "max",
    "min",
    "aminmax",
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "diff",
    "sort",
    "softmax",
]
NO_KEEPDIM = {"count_nonzero", "cumsum", "cumprod", "cummax", "cummin", "diff", "sort", "softmax"}
LAYOUTS = {
    "plain": lambda t: t,
    "transposed": lambda t: t.transpose(0, -1) if t.ndim else t,
    "reversed": lambda t: t.flip(0) if t.ndim else t,
    "every-other": lambda t: t[..., ::2] if t.ndim else t,
    "expanded": lambda t: t.unsqueeze(0).expand(2, *t.shape),
}
VALUES = [0.0, 0.0, 1.0, -1.0, 2.0, 3.0, -2.0, 0.5, -1.5, 7.0]


@st.composite
def calls(draw):
    """(name, arguments, array, dtype, layout): a call that may be right or wrong."""
    name = draw(st.sampled_from(SEVERAL + ONE))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    n = int(np.prod(shape))
    array = np.array(draw(st.lists(st.sampled_from(VALUES), min_size=n, max_size=n))).reshape(shape)
    dtype, layout = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(sorted(LAYOUTS)))
    ndim = len(shape) + (layout == "expanded")
    dim = st.integers(-ndim - 1, ndim)
    arguments = {
        "dim": draw(st.one_of(dim, st.lists(dim, max_size=3).map(tuple)) if name in SEVERAL else dim)
    }
    if name not in NO_KEEPDIM:
        arguments["keepdim"] = draw(st.booleans())
    if name in ("sum", "nansum", "prod") and draw(st.booleans()):
        arguments["dtype"] = draw(st.sampled_from(["float64", "float32", "int64"]))
    if name == "sort":
        arguments |= {"stable": True, "descending": draw(st.booleans())}
    return name, arguments, array, dtype, layout


def _called(library, name, arguments, array, dtype, layout):
    t = library.from_numpy(array.copy()).to(getattr(library, dtype))
    given = {k: getattr(library, v) if k == "dtype" else v for k, v in arguments.items()}
    return outcome(lambda: getattr(library, name)(LAYOUTS[layout](t), **given))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(calls())
def test_a_random_call_does_what_pytorchs_does(call):
    name, _, array, dtype, _ = call
    if dtype == "uint8":
        call = (*call[:2], np.asarray(np.abs(array)), *call[3:])
    mine, theirs = _called(gradwire, *call), _called(torch, *call)
    wrong = difference(mine, theirs)
    if not array.size and isinstance(
        mine, IndexError
    ):  # of no numbers PyTorch's kernels do not always look at dim
        return
    if name in ("softmax", "logsumexp") and dtype not in FLOATS:  # of no numbers PyTorch takes them
        assert isinstance(mine, (RuntimeError, IndexError)) or wrong is None
    elif (
        name == "logsumexp" and call[1]["dim"] == () and not call[1]["keepdim"]
    ):  # PyTorch fails, but not of no numbers
        assert isinstance(mine, RuntimeError) or wrong is None
    elif name in ("var", "std") and dtype not in FLOATS:  # which of two errors comes first
        assert isinstance(mine, Exception) and isinstance(theirs, Exception)
    else:
        assert wrong is None, f"{call}\n{wrong}"


@st.composite
def differentiable(draw):
    names = [n for n in SEVERAL + ONE if n not in ("all", "any", "count_nonzero", "argmax", "argmin")]
    name, arguments, array, _, layout = draw(
        calls().filter(lambda c: c[0] in names and c[1]["dim"] != () and c[2].size)
    )
    arguments.pop("dtype", None)
    return name, arguments, array, layout


@settings(max_examples=300, deadline=None, derandomize=True)
@given(differentiable())
def test_the_gradient_of_a_random_call_is_pytorchs(call):
    name, arguments, array, layout = call
    found = []
    for library in (gradwire, torch):
        leaf = library.from_numpy(array.copy()).requires_grad_()
        result = outcome(lambda lib=library, x=leaf: getattr(lib, name)(LAYOUTS[layout](x), **arguments))
        outputs = (
            []
            if isinstance(result, Exception)
            else [result]
            if isinstance(result, library.Tensor)
            else list(result)
        )
        total = sum(
            (o * library.arange(o.numel(), dtype=library.float64).cos().reshape(o.shape)).sum()
            for o in outputs
            if o.requires_grad
        )
        found.append(library.autograd.grad(total, leaf)[0] if outputs else None)
    mine, theirs = found
    if name in ("var", "std") and theirs is not None and not torch.isfinite(theirs).all():
        return  # without degrees of freedom nothing is defined
    assert (mine is None) is (theirs is None)
    if mine is not None:
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(force=True), rtol=1e-9, atol=1e-9)
