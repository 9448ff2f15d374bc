"""vmap beside PyTorch's: dimensions, gradients, random numbers and refusals."""

from __future__ import annotations

import pytest

import gradwire as ours
from tests.core.beside import assert_alike, assert_refused_alike


def _m(t, device="cpu"):
    place = device if t is ours else "cpu"
    return t.tensor([[1.0, 2.0, -0.5], [0.25, -1.0, 3.0]], dtype=t.float64, device=place)


CALLS = {
    "rows": lambda v, t, d: v(lambda x: x.sin().sum())(_m(t, d)),
    "columns": lambda v, t, d: v(lambda x: x * 2, in_dims=1)(_m(t, d)),
    "the last dimension": lambda v, t, d: v(lambda x: x * 2, in_dims=-1, out_dims=-1)(_m(t, d)),
    "several": lambda v, t, d: v(lambda x, y: x @ y, in_dims=(0, 1))(_m(t, d), _m(t, d).T),
    "one argument whole": lambda v, t, d: v(lambda x, y: x + y, in_dims=(0, None))(_m(t, d), _m(t, d)[0]),
    "trees": lambda v, t, d: v(lambda p: {"s": p["a"] + p["b"][0]}, in_dims=({"a": 0, "b": [1]},))(
        {"a": _m(t, d), "b": [_m(t, d).T]}
    ),
    "one dimension for a tree": lambda v, t, d: v(lambda p: p[0] + p[1], in_dims=(0,))((_m(t, d), _m(t, d))),
    "two results": lambda v, t, d: v(lambda x: (x, x * 2), out_dims=(0, 1))(_m(t, d)),
    "a list of results": lambda v, t, d: v(lambda x: [x, x * 2], out_dims=[0, 1])(_m(t, d)),
    "a result without the dimension": lambda v, t, d: v(lambda x: (x, 4), out_dims=(0, None))(_m(t, d)),
    "a constant result": lambda v, t, d: v(lambda x: _m(t, d)[0])(_m(t, d)),
    "a keyword": lambda v, t, d: v(lambda x, k: x + k)(_m(t, d), k=_m(t, d)[0]),
    "chunks": lambda v, t, d: v(lambda x: x * 2, chunk_size=1)(_m(t, d)),
    "nested": lambda v, t, d: v(v(lambda x: x * 2))(_m(t, d)),
    "gradients of each sample": lambda v, t, d: v(t.func.grad(lambda w, x: (w * x).sin().sum()), in_dims=(None, 0))(
        _m(t, d)[0], _m(t, d)
    ),
    "Hessians of each sample": lambda v, t, d: v(t.func.hessian(lambda x: (x**3).sum()))(_m(t, d)),
    "gradient of a map": lambda v, t, d: t.func.grad(lambda w: v(lambda x: (w * x).sum() ** 2)(_m(t, d)).sum())(
        _m(t, d)[0]
    ),
    "writes of a sample's own": lambda v, t, d: v(lambda x: (x * 2).add_(1))(_m(t, d)),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_it_gives_what_pytorch_gives(name, device):
    assert_alike(lambda t: CALLS[name](t.func.vmap, t, device))


def test_gradients_flow_through_a_map():
    def run(t):
        x = _m(t).requires_grad_()
        w = _m(t)[0].requires_grad_()
        y = t.func.vmap(lambda a, b: (a * b) ** 2, in_dims=(0, None))(x, w)
        return y, t.autograd.grad(y.sum(), (x, w))

    assert_alike(run)


def test_a_mapped_argument_is_written_in_place():
    def run(t):
        x = _m(t)
        t.func.vmap(lambda a: a.mul_(2))(x)
        return x

    assert_alike(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda v, t: v(lambda x: 3)(_m(t)),
        lambda v, t: v(lambda x: None)(_m(t)),
        lambda v, t: v(lambda x: x, in_dims=2)(_m(t)),
        lambda v, t: v(lambda x, y: x, in_dims=(0,))(_m(t), _m(t)),
        lambda v, t: v(lambda x: x, in_dims=None)(_m(t)),
        lambda v, t: v(lambda x: x, in_dims=(None,))(_m(t)),
        lambda v, t: v(lambda x: x, in_dims=1.0)(_m(t)),
        lambda v, t: v(lambda x: x, in_dims=(1.0,))(_m(t)),
        lambda v, t: v(lambda x: x)(),
        lambda v, t: v(lambda x: x)(3),
        lambda v, t: v(lambda x, y: x)(_m(t), _m(t).T),
        lambda v, t: v(lambda x: x, out_dims=2)(_m(t)),
        lambda v, t: v(lambda x: x, out_dims=(0, 0))(_m(t)),
        lambda v, t: v(lambda x: x, out_dims=None)(_m(t)),
        lambda v, t: v(lambda x: x, out_dims="a")(_m(t)),
        lambda v, t: v(lambda x: x, randomness="a")(_m(t)),
        lambda v, t: v(lambda x: x, chunk_size=0)(_m(t)),
        lambda v, t: v(lambda x: x + t.randn(3))(_m(t)),
        lambda v, t: v(lambda x: t.nn.functional.dropout(x))(_m(t)),
        lambda v, t: v(lambda x: x, in_dims=((0, 0),))(_m(t)),
    ],
)
def test_a_bad_call_is_refused_as_pytorch_refuses_it(call):
    assert_refused_alike(lambda t: call(t.func.vmap, t), 50)


def test_what_all_samples_share_is_not_written_by_each_in_turn():
    total = ours.zeros(3, dtype=ours.float64)
    with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
        ours.func.vmap(lambda x: total.add_(x))(_m(ours))
    model = ours.nn.BatchNorm1d(3).double()
    with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
        ours.func.vmap(model)(ours.ones(4, 2, 3, dtype=ours.float64))


def test_an_argument_that_is_not_mapped_is_not_written_by_each_sample():
    with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
        ours.func.vmap(lambda x, s: s.add_(x), in_dims=(0, None))(_m(ours), ours.zeros(3, dtype=ours.float64))


def test_random_numbers_differ_or_are_the_same_as_asked(device):
    x = ours.zeros(4, 3, device=device)
    ours.manual_seed(0)
    differing = ours.func.vmap(lambda a: a + ours.rand(3, device=device), randomness="different")(x)
    ours.manual_seed(0)
    plain = ours.stack([ours.rand(3, device=device) for _ in range(4)])
    assert (differing == plain).all()
    ours.manual_seed(0)
    same = ours.func.vmap(lambda a: a + ours.rand(3, device=device), randomness="same")(x)
    assert (same == plain[0]).all()
    assert ours.rand(3, device=device).tolist() == plain[1].tolist()
    with pytest.raises(RuntimeError, match="randomness error mode"):
        ours.func.vmap(lambda a: ours.rand(3))(x)
    ours.rand(3)  # allowed again


def test_a_batch_of_no_samples_is_refused():
    with pytest.raises(NotImplementedError, match="a batch of no samples"):
        ours.func.vmap(lambda x: x)(ours.ones(0, 2))
