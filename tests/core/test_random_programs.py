"""Random programs of views, writes in place and arithmetic, run by gradwire and by PyTorch: values and gradients agree.

A program is a list of steps, each a kind and four numbers; the numbers choose among the tensors and dimensions that there
are, so that any list of numbers is a program. A step that one library refuses, the other must refuse as well.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pytest
import torch as theirs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradwire as ours
from gradwire.versions import owner_of

_SHAPES = [(2, 3), (3,), (2, 2, 2), (1, 3), (4, 1), (6,), (), (2, 3, 1)]


class Machine:
    """A program's run under one library. pool: the tensors that there are; the first ones are leaves."""

    def __init__(
        self, t: Any, shapes: list[int], device: str = "cpu", moved: tuple[int, int, float] = (-1, 0, 0.0)
    ) -> None:
        self.t = t
        self.leaves = []
        self.has_functions = False
        self.pool: list[Any] = []
        for i, k in enumerate(shapes):
            shape = _SHAPES[k % len(_SHAPES)]
            values = np.cos(np.arange(1, 1 + int(np.prod(shape))) * (i + 1.3)).reshape(shape)
            if i == moved[0]:  # one element, for a difference
                values.reshape(-1)[moved[1]] += moved[2]
            leaf = (
                t.tensor(values.tolist(), dtype=t.float64).reshape(shape).to(device).detach().requires_grad_()
            )
            self.leaves.append(leaf)
            self.pool += [leaf, leaf * 1.0]
        self.pool.append(t.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=t.float64).to(device))

    def step(self, kind: int, a: int, b: int, p: int, q: int) -> Any:
        """Runs one step; what it made or wrote to, None where the tensors do not fit it."""
        x, y = self.pool[a % len(self.pool)], self.pool[b % len(self.pool)]
        name, function = STEPS[kind % len(STEPS)]
        if ("_" in name[-1] or "write" in name or name == "+=") and _repeats(x):
            return None
        made = function(self, x, y, p, q)
        if made is not None and made is not x and len(self.pool) < 14:
            self.pool.append(made)
        return made


def _repeats(x: Any) -> bool:
    """Whether elements share memory; PyTorch lets some operations write to such a tensor."""
    places = np.zeros((), int)
    for s, n in zip(x.stride(), x.shape, strict=True):
        places = np.add.outer(places, s * np.arange(n))
    return np.unique(places).size < x.numel()


def _dim(x: Any, p: int) -> int:
    return p % x.ndim


def _broadcasts(x: Any, y: Any, to_x: bool = False) -> bool:
    try:
        shape = np.broadcast_shapes(tuple(x.shape), tuple(y.shape))
    except ValueError:
        return False
    return (shape == tuple(x.shape) if to_x else int(np.prod(shape)) <= 24) and len(shape) < 5


def _number(p: int) -> float:
    return (p % 7) * 0.5 - 1.25


def _select(m, x, y, p, q):
    return None if not x.ndim or not x.shape[_dim(x, p)] else x.select(_dim(x, p), q % x.shape[_dim(x, p)])


def _slice(m, x, y, p, q):
    if not x.ndim:
        return None
    size = x.shape[0]
    return x[p % (size + 1) : size - (q % 2) : 1 + q % 3]


def _slice_last(m, x, y, p, q):
    return x[..., p % x.shape[-1] :] if x.ndim and x.shape[-1] else None


def _narrow(m, x, y, p, q):
    if not x.ndim or not x.shape[_dim(x, p)]:
        return None
    size = x.shape[_dim(x, p)]
    return x.narrow(_dim(x, p), q % size, 1 + (p + q) % (size - q % size))


def _transpose(m, x, y, p, q):
    return x.transpose(_dim(x, p), _dim(x, q)) if x.ndim else None


def _permute(m, x, y, p, q):
    return x.permute(*np.roll(range(x.ndim), p).tolist()) if x.ndim else None


def _flat(m, x, y, p, q):
    return x.reshape(-1)


def _reshape(m, x, y, p, q):
    n = x.numel()
    options = [(n,), (n, 1), (1, n)] + ([(2, n // 2), (n // 2, 2)] if n and n % 2 == 0 else [])
    return x.reshape(options[p % len(options)])


def _view(m, x, y, p, q):
    return x.view(*x.shape, 1) if p % 2 else x.view(x.numel())


def _unsqueeze(m, x, y, p, q):
    return x.unsqueeze(p % (x.ndim + 1)) if x.ndim < 4 else None


def _squeeze(m, x, y, p, q):
    return x.squeeze() if p % 2 else (x.squeeze(_dim(x, q)) if x.ndim else None)


def _expand(m, x, y, p, q):
    return x.expand(2, *x.shape) if x.ndim < 4 else None


def _diagonal(m, x, y, p, q):
    return x.diagonal() if x.ndim == 2 else None


def _split(m, x, y, p, q):
    """PyTorch lets nobody write to one of several views that came from one operation; gradwire does."""
    if not x.ndim or x.shape[0] < 3:
        return None
    size = 1 + p % 2
    return (
        x.split(size, 0)[q % 2]
        if m.t is ours
        else x.narrow(0, size * (q % 2), min(size, x.shape[0] - size * (q % 2)))
    )


def _chunk(m, x, y, p, q):
    if not x.ndim or not x.shape[-1]:
        return None
    return x.chunk(2, -1)[0] if m.t is ours else x.narrow(-1, 0, (x.shape[-1] + 1) // 2)


def _index(m, x, y, p, q):
    if not x.ndim or not x.shape[0]:
        return None
    return x[[p % x.shape[0], q % x.shape[0]]]


def _none_index(m, x, y, p, q):
    return x[None, ...] if x.ndim < 4 else None


def _masked_write(m, x, y, p, q):
    x[x.detach() > _number(p)] = _number(q)
    return x


def _slice_write(m, x, y, p, q):
    if not x.ndim:
        return None
    part = x[p % (x.shape[0] + 1) :]
    if not _broadcasts(part, y, True) or y is x or _overlap(m, x, y):
        return None
    x[p % (x.shape[0] + 1) :] = y
    return x


def _item_write(m, x, y, p, q):
    if not x.ndim or not x.shape[0]:
        return None
    x[p % x.shape[0]] = _number(q)
    return x


def _index_write(m, x, y, p, q):
    if not x.ndim or x.shape[0] < 2:
        return None
    x[[0, x.shape[0] - 1]] = _number(q)
    return x


def _overlap(m, x, y):
    """PyTorch refuses to write to a tensor from another that shares memory with it; gradwire computes before it writes."""
    if x is y or not x.numel() or not y.numel():
        return False
    if m.t is theirs:
        return x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    return owner_of(x._array) is owner_of(y._array)


def _in_place(name):
    def run(m, x, y, p, q):
        return getattr(x, name)(y) if _broadcasts(x, y, True) and not _overlap(m, x, y) else None

    return name, run


def _in_place_number(name):
    return name, lambda m, x, y, p, q: getattr(x, name)(_number(p))


def _unary(name):
    return name, lambda m, x, y, p, q: getattr(x, name)()


def _binary(name, function):
    return name, lambda m, x, y, p, q: function(m.t, x, y) if _broadcasts(x, y) else None


def _clone(m, x, y, p, q):
    """In the ordinary order of elements; PyTorch would keep that of a dense tensor."""
    return x.clone() if m.t is ours else x.clone(memory_format=theirs.contiguous_format)


def _quiet_write(m, x, y, p, q):
    x.detach().mul_(_number(p))
    return x


def _no_grad_view(m, x, y, p, q):
    if x.requires_grad:
        return None  # PyTorch calls such a view a leaf that requires grad
    with m.t.no_grad():
        return x.view(-1) if p % 2 and x.is_contiguous() else x[...]


def _no_grad_write(m, x, y, p, q):
    with m.t.no_grad():
        return x.mul_(_number(p))


def _augmented(m, x, y, p, q):
    if not _broadcasts(x, y, True) or _overlap(m, x, y):
        return None
    before = x
    x += y
    assert x is before
    return x


def _sum(m, x, y, p, q):
    return x.sum(_dim(x, p), keepdim=bool(q % 2)) if x.ndim else x.sum()


def _stack(m, x, y, p, q):
    return (
        m.t.stack([x, y], p % (x.ndim + 1)) if x.shape == y.shape and x.ndim < 4 and x.numel() < 20 else None
    )


def _cat(m, x, y, p, q):
    return m.t.cat([x, y], _dim(x, p)) if x.shape == y.shape and x.ndim and x.numel() < 20 else None


def _matmul(m, x, y, p, q):
    return x @ y if x.ndim == 2 and y.ndim == 2 and x.shape[1] == y.shape[0] else None


def _as_strided(m, x, y, p, q):
    if x.numel() < 4 or not x.is_contiguous():
        return None
    return x.as_strided(
        ((2, 2), (3,), (2, 1, 2))[p % 3], ((2, 1), (1,), (1, 1, 2))[p % 3], x.storage_offset()
    )


def _unfold(m, x, y, p, q):
    return (
        x.unfold(_dim(x, p), 1 + q % x.shape[_dim(x, p)], 1 + p % 2)
        if x.ndim and x.ndim < 4 and x.numel()
        else None
    )


def _movedim(m, x, y, p, q):
    return x.movedim(_dim(x, p), _dim(x, q)) if x.ndim else None


def _flatten(m, x, y, p, q):
    return x.flatten(min(_dim(x, p), _dim(x, q)), max(_dim(x, p), _dim(x, q))) if x.ndim else None


def _unflatten(m, x, y, p, q):
    return x.unflatten(-1, (-1, 2)) if x.ndim and x.ndim < 4 and x.shape[-1] % 2 == 0 and x.numel() else None


def _where_index(m, x, y, p, q):
    return x[x.detach() > _number(p)]


def _rows(m, x, p, q):
    size = x.shape[0]
    return m.t.tensor([p % size, (p + 1 + q % 2) % size] if size > 2 else [p % size]).to(x.device)


def _index_fill(m, x, y, p, q):
    return x.index_fill_(0, _rows(m, x, p, q), _number(q)) if x.ndim and x.shape[0] else None


def _index_add(m, x, y, p, q):
    if not x.ndim or not x.shape[0]:
        return None
    rows = _rows(m, x, p, q)
    return x.index_add_(0, rows, m.t.ones(len(rows), *x.shape[1:], dtype=m.t.float64).to(x.device) * y.sum())


def _index_copy(m, x, y, p, q):
    if not x.ndim or not x.shape[0]:
        return None
    rows = _rows(m, x, p, q)
    return x.index_copy_(0, rows, m.t.ones(len(rows), *x.shape[1:], dtype=m.t.float64).to(x.device) * y.sum())


def _scatter(m, x, y, p, q):
    if not x.ndim or not x.numel():
        return None
    index = m.t.zeros(1, *x.shape[1:], dtype=m.t.int64).to(x.device) + p % x.shape[0]
    values = m.t.ones(1, *x.shape[1:], dtype=m.t.float64).to(x.device) * y.sum()
    return (x.scatter_ if q % 2 else x.scatter_add_)(0, index, values)


def _masked_fill(m, x, y, p, q):
    return x.masked_fill_(x.detach() > _number(p), _number(q))


def _masked_scatter(m, x, y, p, q):
    if y.numel() < x.numel() or y is x or _overlap(m, x, y):
        return None
    return x.masked_scatter_(x.detach() > _number(p), y)


def _lerp(m, x, y, p, q):
    return x.lerp_(y, 0.25) if _broadcasts(x, y, True) and not _overlap(m, x, y) and y is not x else None


def _addcmul(m, x, y, p, q):
    return (
        x.addcmul_(y, y, value=_number(p))
        if _broadcasts(x, y, True) and not _overlap(m, x, y) and y is not x
        else None
    )


def _hooked(m, x, y, p, q):
    """Not on a view: a write to it passes its hooks by in PyTorch, and through them here."""
    if x.requires_grad and x.grad_fn is not None and not x._is_view():
        x.register_hook(lambda g: g * 0.5)
    return x


def _retained(m, x, y, p, q):
    """Not of a view, whose place PyTorch looks for only when it is asked."""
    if x.requires_grad and not x.is_leaf and not x._is_view():
        x.retain_grad()
    return x


def _doubling(t):
    class Doubling(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            ctx.save_for_backward(a)
            return a * a

        @staticmethod
        def backward(ctx, g):
            (a,) = ctx.saved_tensors
            return g * a * 2

    return Doubling


def _dirty(t):
    class Dirty(t.autograd.Function):
        @staticmethod
        def forward(ctx, a):
            a.mul_(3)
            ctx.mark_dirty(a)
            return a

        @staticmethod
        def backward(ctx, g):
            return g * 3

    return Dirty


_FUNCTIONS = {t: (_doubling(t), _dirty(t)) for t in (ours, theirs)}


def _function(m, x, y, p, q):
    m.has_functions = True
    return _FUNCTIONS[m.t][0].apply(x)


def _checkpointed(m, x, y, p, q):
    if not _broadcasts(x, y):
        return None
    return m.t.utils.checkpoint.checkpoint(lambda a, b: (a * b).sin() * a, x, y, use_reentrant=False)


def _requires(m, x, y, p, q):
    return x.detach().requires_grad_(bool(p % 2))


def _detach_in_place(m, x, y, p, q):
    """Of what has no views, and was not saved by a Function: PyTorch loses the second derivative then."""
    if m.has_functions:
        return None
    return x.detach_() if not any(t is not x and _overlap(m, x, t) for t in m.pool) else None


STEPS = [
    ("select", _select), ("slice", _slice), ("slice of the last", _slice_last), ("narrow", _narrow),
    ("transpose", _transpose), ("permute", _permute), ("flat", _flat), ("reshape", _reshape), ("view", _view),
    ("unsqueeze", _unsqueeze), ("squeeze", _squeeze), ("expand", _expand), ("diagonal", _diagonal), ("split", _split),
    ("chunk", _chunk), ("index", _index), ("x[None]", _none_index),
    ("masked write", _masked_write), ("slice write", _slice_write), ("item write", _item_write),
    ("index write", _index_write), ("write of a detached", _quiet_write), ("view under no_grad", _no_grad_view),
    ("write under no_grad", _no_grad_write), ("+=", _augmented),
    _in_place("add_"), _in_place("mul_"), _in_place("sub_"), _in_place("copy_"), _in_place("div_"),
    _in_place_number("mul_"), _in_place_number("add_"), _in_place_number("fill_"), _in_place_number("clamp_"),
    ("zero_", lambda m, x, y, p, q: x.zero_()), ("sin_", lambda m, x, y, p, q: x.sin_()),
    ("tanh_", lambda m, x, y, p, q: x.tanh_()), ("neg_", lambda m, x, y, p, q: x.neg_()),
    _unary("sin"), _unary("tanh"), ("clone", _clone), _unary("contiguous"), _unary("detach"), _unary("relu"),
    _binary("mul", lambda t, x, y: x * y), _binary("add", lambda t, x, y: x + y), _binary("sub", lambda t, x, y: 2 - x * y),
    _binary("where", lambda t, x, y: t.where(x > 0, x, y)),
    ("times a number", lambda m, x, y, p, q: x * _number(p)), ("plus a number", lambda m, x, y, p, q: x + _number(p)),
    ("sum", _sum), ("stack", _stack), ("cat", _cat), ("matmul", _matmul),
    ("as_strided", _as_strided), ("unfold", _unfold), ("movedim", _movedim), ("flatten", _flatten),
    ("unflatten", _unflatten), ("x[mask]", _where_index), ("index_fill_", _index_fill), ("index_add_", _index_add),
    ("index_copy_", _index_copy), ("scatter_", _scatter), ("masked_fill_", _masked_fill), ("hook", _hooked), ("retain_grad", _retained),
    ("masked_scatter_", _masked_scatter), ("lerp_", _lerp), ("addcmul_", _addcmul),
    ("a Function", _function), ("a Function that writes_", lambda m, x, y, p, q: _FUNCTIONS[m.t][1].apply(x)),
    ("a checkpoint", _checkpointed), ("exp of tanh", lambda m, x, y, p, q: x.tanh().exp()),
    _unary("relu_"), _unary("sigmoid_"), _unary("square_"), ("detach and require", _requires), ("detach_", _detach_in_place),
]  # fmt: skip


def _outcome(call: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return call()
    except (RuntimeError, ValueError, TypeError, IndexError) as e:
        return e


def _array(x: Any) -> Any:
    return None if x is None else x.detach().cpu().numpy()


def _assert_equal(mine: Any, other: Any, where: str, tolerance: float = 1e-9) -> None:
    if mine is None or other is None:
        # a gradient of zero may be told by None
        present = mine if mine is not None else other
        assert present is None or np.allclose(_array(present), 0, atol=tolerance), (
            f"{where}: {mine} and {other}"
        )
        return
    assert str(mine.dtype) == str(other.dtype), f"{where}: {mine.dtype} and {other.dtype}"
    a, b = _array(mine), _array(other)
    assert a.shape == b.shape, f"{where}: {a.shape} and {b.shape}"
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=where)


def _compare_pools(mine: Machine, other: Machine, where: str, tolerance: float) -> None:
    assert len(mine.pool) == len(other.pool), where
    for i, (x, y) in enumerate(zip(mine.pool, other.pool, strict=True)):
        place = f"{where}, tensor {i}"
        _assert_equal(x, y, place, tolerance)
        assert (x.requires_grad, x.is_leaf) == (y.requires_grad, y.is_leaf), place
        assert not x.numel() or x._is_view() == y._is_view(), place


def _total(m: Machine) -> Any:
    """A weighted sum of all tensors that require grad."""
    total = 0.0
    for i, x in enumerate(m.pool):
        if x.requires_grad:
            weights = m.t.tensor(np.sin(np.arange(x.numel()) + i + 1.0).tolist(), dtype=m.t.float64).to(
                x.device
            )
            total = total + (x * weights.reshape(x.shape)).sum()
    return total


def _gradients(m: Machine, second: bool) -> Any:
    """The gradients of the total by the leaves, or those of their squares' sum."""
    total = _total(m)
    if not isinstance(total, m.t.Tensor):
        return []
    wanted = [x for x in m.leaves if x.requires_grad]
    if not wanted:
        return []
    first = m.t.autograd.grad(total, wanted, create_graph=second, allow_unused=True, retain_graph=True)
    if not second:
        return list(first)
    squares = [(g * g).sum() for g in first if g is not None and g.requires_grad]
    squared = sum(squares) if squares else None
    if squared is None or not squared.requires_grad:
        return [None] * len(wanted)
    return list(m.t.autograd.grad(squared, wanted, allow_unused=True))


def run_both(shapes: list[int], program: list[tuple[int, int, int, int, int]], device: str = "cpu") -> None:
    """Runs a program under both libraries, comparing after each step."""
    mine, other = Machine(ours, shapes, device), Machine(theirs, shapes)
    told = []
    tolerance = 1e-9 if max(shapes) < len(_SHAPES) else 2e-3
    for numbers in program:
        kind, a, b, p, q = numbers
        name = STEPS[kind % len(STEPS)][0]
        told.append(f"{name}({a % len(mine.pool)}, {b % len(mine.pool)}, {p}, {q})")
        where = " ".join(told)
        got, expected = _outcome(lambda n=numbers: mine.step(*n)), _outcome(lambda n=numbers: other.step(*n))
        if isinstance(got, Exception) or isinstance(expected, Exception):
            assert isinstance(got, Exception) and isinstance(expected, Exception), (
                f"{where}: {got!r} and {expected!r}"
            )
            told[-1] += "!"
        else:
            assert (got is None) == (expected is None), where
        if not _readable(other):
            return
        _compare_pools(mine, other, where, tolerance)
    told.append("then")
    for second in (False, True):
        got, expected = (
            _outcome(lambda s=second: _gradients(mine, s)),
            _outcome(lambda s=second: _gradients(other, s)),
        )
        where = " ".join(told) + f": derivatives {1 + second}"
        lost = isinstance(expected, RuntimeError) and any(words in str(expected) for words in _LOST)
        if lost and not isinstance(got, Exception):
            checked = None if second else _differences(shapes, program)
            for i, (g, e) in enumerate(zip(got, checked or (), strict=False)):
                _assert_equal(g, e, f"{where}, gradient {i} by differences", 1e-5)
            continue
        if isinstance(got, Exception) or isinstance(expected, Exception):
            assert isinstance(got, Exception) and isinstance(expected, Exception), (
                f"{where}: {got!r} and {expected!r}"
            )
            continue
        for i, (g, e) in enumerate(zip(got, expected, strict=True)):
            _assert_equal(g, e, f"{where}, gradient {i}", tolerance)
        for i, (x, y) in enumerate(zip(mine.pool, other.pool, strict=True)):
            if not second and x.retains_grad:
                _assert_equal(_retained_grad(x), _retained_grad(y), f"{where}, retained by {i}", tolerance)


def _retained_grad(x: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return x.grad


def _readable(other: Machine) -> bool:
    """Whether PyTorch still lets its tensors be looked at: not views made under no_grad whose base was written since."""
    return not isinstance(_outcome(lambda: [x.is_leaf for x in other.pool]), Exception)


# What PyTorch says where it has lost a saved value; gradwire, which computes before it writes, may still have it.
_LOST = ("modified by an inplace operation", "detached in-place")

# (A Function has written by the time that its write to a leaf is refused.)
_CUTS = ("detach", "no_grad", "hook", "Function that writes")


def _differences(shapes: list[int], program: list[tuple[int, int, int, int, int]]) -> list[Any] | None:
    """Central differences of PyTorch's total by the elements of the leaves; None where the program cuts gradients off."""
    if max(shapes) >= len(_SHAPES) or any(
        word in STEPS[kind % len(STEPS)][0] for kind, *_ in program for word in _CUTS
    ):
        return None

    def total(number: int, element: int, change: float) -> float:
        machine = Machine(theirs, shapes, "cpu", (number, element, change))
        for numbers in program:
            _outcome(lambda n=numbers: machine.step(*n))
            _readable(machine)  # PyTorch gives a view its place in the graph when it is asked about it
        return _total(machine).detach().item()

    result = []
    for number, leaf in enumerate(Machine(theirs, shapes).leaves):
        slopes = [(total(number, e, 1e-6) - total(number, e, -1e-6)) / 2e-6 for e in range(leaf.numel())]
        if not np.isfinite(slopes).all():
            return None
        result.append(theirs.tensor(slopes, dtype=theirs.float64).reshape(leaf.shape))
    return result


_small = st.integers(0, 11)
_programs = st.lists(
    st.tuples(st.integers(0, len(STEPS) - 1), _small, _small, _small, _small), min_size=1, max_size=14
)
_leaf_shapes = st.lists(st.integers(0, 2 * len(_SHAPES) - 1), min_size=1, max_size=2)


@settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(_leaf_shapes, _programs)
def test_random_programs_agree(device, shapes, program):
    run_both(shapes, program, device)


@pytest.mark.slow
@settings(max_examples=int(os.environ.get("GRADWIRE_PROGRAMS", "1500")), derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))  # fmt: skip
@given(_leaf_shapes, _programs)
def test_many_random_programs_agree(shapes, program):
    run_both(shapes, program)
