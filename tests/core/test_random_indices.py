"""Random index expressions, read and assigned under both libraries: values, shapes, gradients and errors are PyTorch's."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradwire

quick = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REFUSED = (IndexError, RuntimeError, TypeError, ValueError)


@st.composite
def shapes(draw, most=3):
    return tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 3, 2, 0]), min_size=0, max_size=most)))


@st.composite
def _array(draw, n, together, distinct):
    """The values of an index array for a dimension of size n, of a shape that broadcasts with `together`."""
    shape = [draw(st.sampled_from([k, k, 1])) for k in together]
    shape = shape[draw(st.integers(0, len(shape))) if draw(st.booleans()) else 0 :]
    size = math.prod(shape)
    low, high = -n, n - 1 if n else 0
    if draw(st.integers(0, 19)) == 0:
        high += 1  # out of bounds, by chance
    if distinct and n:
        size = min(size, n)
        values = [v - n * draw(st.booleans()) for v in draw(st.permutations(range(n)))[:size]]
        shape = [size]
    else:
        values = [draw(st.integers(min(low, high), high)) for _ in range(size)]
    return np.array(values, np.int64).reshape(shape)


@st.composite
def _item(draw, n, together, distinct):
    kind = draw(st.sampled_from(["int", "slice", "slice", "all", "array", "array", "mask", "scalar"]))
    if kind == "int":
        return kind, draw(st.integers(-n - (draw(st.integers(0, 9)) == 0), n - 1 if n else 0))
    if kind == "slice":
        bound = st.one_of(st.none(), st.integers(-6, 6))
        return kind, slice(draw(bound), draw(bound), draw(st.one_of(st.none(), st.integers(1, 3))))
    if kind == "all":
        return "slice", slice(None)
    if kind == "scalar":
        return kind, draw(st.integers(-n, n - 1 if n else 0))
    if kind == "mask":
        return kind, np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    return draw(st.sampled_from(["array", "array", "list", "numpy", "int32"])), draw(
        _array(n, together, distinct)
    )


@st.composite
def indices(draw, shape, distinct=False):
    """An index for a tensor of `shape`, as a list of (kind, value)."""
    together = draw(st.sampled_from([(2,), (3,), (2, 2), (1,), (2,), (0,)]))
    front = draw(st.integers(0, len(shape)))
    back = draw(st.integers(0, len(shape) - front))
    items = [draw(_item(n, together, distinct)) for n in shape[:front]]
    if back or draw(st.integers(0, 3)) == 0:
        items.append(("plain", ...))
        items += [draw(_item(n, together, distinct)) for n in shape[len(shape) - back :]]
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        extra = draw(st.sampled_from([None, None, True, False]))
        items.insert(draw(st.integers(0, len(items))), ("plain", extra))
    if len(shape) >= 2 and draw(st.integers(0, 9)) == 0:
        bits = draw(st.lists(st.booleans(), min_size=math.prod(shape[:2]), max_size=math.prod(shape[:2])))
        items = [("mask", np.array(bits, bool).reshape(shape[:2]))]
    return items


def _built(lib, items, device):
    def item(kind, value):
        if kind in ("array", "mask"):
            return lib.tensor(value, device=device)
        if kind == "int32":
            return lib.tensor(value, dtype=lib.int32, device=device)
        if kind == "scalar":
            return lib.tensor(value, device=device)
        return value.tolist() if kind == "list" else value

    built = tuple(item(kind, value) for kind, value in items)
    alone = len(built) == 1 and not isinstance(built[0], list)
    return built[0] if alone else built


def _outcome(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return call()
        except REFUSED as e:
            return e


def _alike(mine, theirs, what, nothing=False):
    """nothing: nothing is read or written, so that PyTorch leaves indices and values unchecked."""
    if nothing and isinstance(mine, Exception):
        return
    if isinstance(theirs, Exception) or isinstance(mine, Exception):
        kinds = type(theirs)
        assert isinstance(theirs, Exception) and isinstance(mine, kinds), (what, mine, theirs)
        return
    for a, b in zip(mine, theirs, strict=True):
        a, b = (t.detach().cpu().numpy() for t in (a, b))
        assert a.dtype == b.dtype and a.shape == b.shape, (what, a, b)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=str(what))


def _weights(lib, t, device):
    w = np.cos(np.arange(t.numel()) * 1.3 + 0.4).reshape(tuple(t.shape))
    return lib.tensor(w, dtype=t.dtype, device=device)


@quick
@given(st.data())
def test_what_an_index_reads_and_its_gradients(device, data):
    shape = data.draw(shapes())
    items = data.draw(indices(shape))
    values = np.arange(math.prod(shape), dtype=np.float64).reshape(shape) + 1

    def run(lib, where):
        x = lib.tensor(values, device=where).requires_grad_()
        y = x[_built(lib, items, where)]
        (g,) = lib.autograd.grad((y * y * _weights(lib, y, where)).sum(), x, create_graph=True)
        (h,) = lib.autograd.grad((g * g).sum(), x)
        return y, g, h

    mine, theirs = _outcome(lambda: run(gradwire, device)), _outcome(lambda: run(torch, "cpu"))
    nothing = not isinstance(theirs, Exception) and not theirs[0].numel()
    _alike(mine, theirs, (shape, items), nothing)


@quick
@given(st.data())
def test_what_an_assignment_writes_and_its_gradients(device, data):
    shape = data.draw(shapes())
    items = data.draw(indices(shape, distinct=True))
    values = np.arange(math.prod(shape), dtype=np.float64).reshape(shape) + 1
    read = _outcome(lambda: torch.tensor(values)[_built(torch, items, "cpu")])
    target = (2,) if isinstance(read, Exception) else tuple(read.shape)
    given_shape = [data.draw(st.sampled_from([n, n, 1])) for n in target]
    if data.draw(st.booleans()):
        given_shape = given_shape[data.draw(st.integers(0, len(given_shape))) :]
    if data.draw(st.integers(0, 4)) == 0:
        given_shape = [1] * (len(target) - len(given_shape) + 1) + given_shape
    if data.draw(st.integers(0, 14)) == 0:
        given_shape = [*given_shape, 5]  # does not fit
    new = np.arange(math.prod(given_shape), dtype=np.float64).reshape(given_shape) * 10 - 7
    through_a_view, number = data.draw(st.booleans()), data.draw(st.integers(0, 5)) == 0

    def plain(lib, where):
        x = lib.tensor(values, device=where)
        x[_built(lib, items, where)] = -3 if number else lib.tensor(new, device=where)
        return (x,)

    def recorded(lib, where):
        leaf, v = (lib.tensor(a, device=where).requires_grad_() for a in (values, new))
        x = leaf * 2
        part = x[...] if through_a_view else x
        part[_built(lib, items, where)] = -3 if number else v
        grads = lib.autograd.grad((x * x * _weights(lib, x, where)).sum(), (leaf, v), allow_unused=True)
        return x, *[lib.zeros_like(t) if g is None else g for t, g in zip((leaf, v), grads, strict=True)]

    for run in (plain, recorded):
        _alike(
            _outcome(lambda run=run: run(gradwire, device)),
            _outcome(lambda run=run: run(torch, "cpu")),
            (run.__name__, shape, items, given_shape),
            nothing=0 in target,
        )


@quick
@given(st.data())
def test_what_is_added_by_index_and_its_gradients(device, data):
    shape = data.draw(shapes().filter(lambda s: s and 0 not in s))
    together = data.draw(st.sampled_from([(4,), (2, 3), (1,)]))
    arrays = [
        np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=math.prod(together), max_size=math.prod(together)))).reshape(together)
        for n in shape[: data.draw(st.integers(1, len(shape)))]
    ]  # fmt: skip
    values = np.arange(math.prod(shape), dtype=np.float64).reshape(shape)
    full = (*together, *shape[len(arrays) :])
    new = np.sin(np.arange(math.prod(full))).reshape(full)[data.draw(st.sampled_from([0, slice(None)]))]

    def run(lib, where):
        x, v = (lib.tensor(a, device=where).requires_grad_() for a in (values, new))
        y = x.index_put(tuple(lib.tensor(a, device=where) for a in arrays), v, accumulate=True)
        grads = lib.autograd.grad((y * y * _weights(lib, y, where)).sum(), (x, v))
        return y, *grads

    _alike(_outcome(lambda: run(gradwire, device)), _outcome(lambda: run(torch, "cpu")), (shape, arrays))


@quick
@given(st.data())
def test_what_is_scattered_and_gathered_and_its_gradients(device, data):
    shape = data.draw(shapes().filter(lambda s: s and 0 not in s))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    index_shape = tuple(
        data.draw(st.integers(1, 4 if i == dim % len(shape) else n)) for i, n in enumerate(shape)
    )
    size = math.prod(index_shape)
    index = np.array(data.draw(st.lists(st.integers(0, shape[dim] - 1), min_size=size, max_size=size)))
    index = index.reshape(index_shape)
    values = np.arange(math.prod(shape), dtype=np.float64).reshape(shape) / 4 - 1
    new = (np.arange(size) % 5 - 1.75).reshape(index_shape)
    how, own = data.draw(st.sampled_from(["sum", "prod", "mean", "amax", "amin"])), data.draw(st.booleans())

    def run(lib, where):
        x, v = (lib.tensor(a, device=where).requires_grad_() for a in (values + 0.1, new))
        i = lib.tensor(index, device=where)
        y = x.scatter_reduce(dim, i, v, how, include_self=own)
        z = x.gather(dim, i) * x.scatter_add(dim, i, v).gather(dim, i)
        loss = (y * y * _weights(lib, y, where)).sum() + (z * _weights(lib, z, where)).sum()
        return y, z, *lib.autograd.grad(loss, (x, v))

    _alike(
        _outcome(lambda: run(gradwire, device)),
        _outcome(lambda: run(torch, "cpu")),
        (shape, dim, index, how, own),
    )
