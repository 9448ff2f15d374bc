"""Random chains of functions that rearrange, under both libraries: values, layouts, gradients, and what shares storage."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import gradwire
from gradwire.versions import owner_of

quick = settings(
    max_examples=70,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _dim(draw, x):
    return draw(st.integers(-x.ndim, x.ndim - 1))


def _permuted(draw, x):
    order = draw(st.permutations(range(x.ndim)))
    return lambda t, lib: t.permute(*order)


def _transposed(draw, x):
    a, b = _dim(draw, x), _dim(draw, x)
    return lambda t, lib: t.transpose(a, b)


def _unsqueezed(draw, x):
    d = draw(st.integers(-x.ndim - 1, x.ndim))
    return lambda t, lib: t.unsqueeze(d)


def _squeezed(draw, x):
    dims = draw(st.sampled_from([None, _dim(draw, x)]))
    return lambda t, lib: t.squeeze() if dims is None else t.squeeze(dims)


def _flat(draw, x):
    a, b = sorted((draw(st.integers(0, x.ndim - 1)), draw(st.integers(0, x.ndim - 1))))
    return lambda t, lib: t.flatten(a, b)


def _divided(draw, x):
    d = _dim(draw, x)
    n = x.shape[d]
    k = draw(st.sampled_from([k for k in (1, 2, 3, n) if k and n % k == 0]))
    return lambda t, lib: t.unflatten(d, (k, n // k))


def _viewed(draw, x):
    shape = draw(st.sampled_from([(-1,), (x.numel(),), (1, x.numel()), (x.numel() // 2, 2)]))
    return lambda t, lib: t.view(shape)


def _reshaped(draw, x):
    shape = draw(st.sampled_from([(x.numel(),), (1, x.numel())]))
    return lambda t, lib: t.reshape(shape)


def _narrowed(draw, x):
    d = _dim(draw, x)
    start = draw(st.integers(0, x.shape[d]))
    length = draw(st.integers(0, x.shape[d] - start))
    return lambda t, lib: t.narrow(d, start, length)


def _stepped(draw, x):
    d, step = draw(st.integers(0, x.ndim - 1)), draw(st.integers(1, 3))
    return lambda t, lib: t[(slice(None),) * d + (slice(None, None, step),)]


def _selected(draw, x):
    d = _dim(draw, x)
    if not x.shape[d]:
        return lambda t, lib: t
    i = draw(st.integers(-x.shape[d], x.shape[d] - 1))
    return lambda t, lib: t.select(d, i)


def _flipped(draw, x):
    dims = draw(st.lists(st.integers(0, x.ndim - 1), unique=True, min_size=1))
    return lambda t, lib: lib.flip(t, dims)


def _rolled(draw, x):
    by, d = draw(st.integers(-4, 4)), _dim(draw, x)
    return lambda t, lib: lib.roll(t, by, d)


def _diagonal(draw, x):
    if x.ndim < 2:
        return lambda t, lib: lib.diag_embed(t, 1)
    k = draw(st.integers(-2, 2))
    return lambda t, lib: t.diagonal(k, 0, 1)


def _windows(draw, x):
    d = _dim(draw, x)
    size, step = draw(st.integers(0, x.shape[d])), draw(st.integers(1, 3))
    return lambda t, lib: t.unfold(d, size, step)


def _expanded(draw, x):
    shape = [draw(st.integers(0, 3)) if n == 1 else n for n in x.shape]
    lead = draw(st.sampled_from([(), (2,), (1,)]))
    return lambda t, lib: t.expand(*lead, *shape)


def _repeated(draw, x):
    counts = [draw(st.integers(0, 2)) for _ in x.shape]
    return lambda t, lib: t.repeat(counts)


def _interleaved(draw, x):
    k, d = draw(st.integers(0, 3)), _dim(draw, x)
    return lambda t, lib: t.repeat_interleave(k, d)


def _joined(draw, x):
    d = _dim(draw, x)
    return lambda t, lib: lib.cat((t, t * 2), d)


def _stacked(draw, x):
    d = draw(st.integers(-x.ndim - 1, x.ndim))
    return lambda t, lib: lib.stack((t, t), d)


def _split(draw, x):
    k, d = draw(st.integers(1, 3)), _dim(draw, x)
    if not x.shape[d]:
        return lambda t, lib: t
    return lambda t, lib: lib.cat(t.split(k, d)[::-1], d)


def _triangle(draw, x):
    if x.ndim < 2:
        return lambda t, lib: t
    k = draw(st.integers(-2, 2))
    return lambda t, lib: t.tril(k) + t.triu(k + 1)


def _contiguous(draw, x):
    return lambda t, lib: t.contiguous()


def _cloned(draw, x):
    return lambda t, lib: t.clone()


STEPS = [
    _permuted, _transposed, _unsqueezed, _squeezed, _flat, _divided, _viewed, _reshaped, _narrowed, _stepped, _selected, _flipped, _rolled,
    _diagonal, _windows, _expanded, _repeated, _interleaved, _joined, _stacked, _split, _triangle, _contiguous, _cloned,
]  # fmt: skip


def _is_view(a, before):
    """Whether `a` shows the storage of `before` and knows it."""
    if a is before:
        return True
    shared = owner_of(a._array) is owner_of(before._array)
    assert not shared or a._base is (before if before._base is None else before._base)
    return shared


@quick
@given(st.data())
def test_a_chain_of_shape_functions(device, data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    values = np.arange(math.prod(shape), dtype=np.float64).reshape(shape) + 1
    theirs = torch.tensor(values, requires_grad=True)
    mine = gradwire.tensor(values, device=device).requires_grad_()
    a, b, told = mine, theirs, []
    for _ in range(data.draw(st.integers(1, 5))):
        if not b.ndim or b.numel() > 600:
            break
        make = data.draw(st.sampled_from(STEPS))
        step = make(data.draw, b)
        told.append(make.__name__)
        refused = False
        try:
            c = step(b, torch)
        except RuntimeError:
            refused = True  # a view that would need a copy
        if refused:
            if a.is_contiguous() and not b.is_contiguous():
                continue
            try:
                step(a, gradwire)
            except RuntimeError:
                continue
            raise AssertionError(f"PyTorch refuses {told} of {shape}")
        before, was = (a, b)
        a, b = step(a, gradwire), c
        what = str((shape, told))
        assert tuple(a.shape) == tuple(b.shape), what
        np.testing.assert_array_equal(a.detach().cpu().numpy(), b.detach().numpy(), err_msg=what)
        assert a.is_contiguous() or not b.is_contiguous(), (
            what
        )  # copies may be laid out in order where PyTorch's aren't
        if b.numel():
            assert _is_view(a, before) == (
                b.untyped_storage().data_ptr() == was.untyped_storage().data_ptr()
            ), what
    w = np.cos(np.arange(b.numel())).reshape(tuple(b.shape))
    (g,) = gradwire.autograd.grad((a * a * gradwire.tensor(w, device=device)).sum(), mine)
    (h,) = torch.autograd.grad((b * b * torch.tensor(w)).sum(), theirs)
    np.testing.assert_allclose(g.cpu().numpy(), h.numpy(), rtol=1e-12, atol=1e-12, err_msg=str((shape, told)))


@quick
@given(shapes=mutually_broadcastable_shapes(num_shapes=3, max_dims=3, min_side=0, max_side=3))
def test_shapes_that_broadcast(shapes, device):
    each = [np.arange(math.prod(s), dtype=np.float64).reshape(s) + 1 for s in shapes.input_shapes]
    assert tuple(gradwire.broadcast_shapes(*shapes.input_shapes)) == shapes.result_shape

    def run(lib, where):
        leaves = [lib.tensor(a, device=where).requires_grad_() for a in each]
        wide = lib.broadcast_tensors(*leaves)
        total = wide[0] * wide[1] + wide[2].broadcast_to(shapes.result_shape)
        return [total.detach(), *lib.autograd.grad((total * total).sum(), leaves)]

    for a, b in zip(run(gradwire, device), run(torch, "cpu"), strict=True):
        assert tuple(a.shape) == tuple(b.shape)
        np.testing.assert_allclose(a.cpu().numpy(), b.numpy())


@quick
@given(data=st.data())
def test_shapes_that_do_not_broadcast_are_refused(data):
    shapes = [tuple(data.draw(st.lists(st.integers(1, 3), max_size=3))) for _ in range(3)]
    outcomes = []
    for lib in (gradwire, torch):
        try:
            outcomes.append(tuple(lib.broadcast_shapes(*shapes)))
        except RuntimeError:
            outcomes.append("refused")
    assert outcomes[0] == outcomes[1]
