"""torch.func's transforms beside PyTorch's: values, forms, nesting, graphs and refusals."""

from __future__ import annotations

import gc
import weakref

import pytest

import gradwire as ours
from tests.core.beside import assert_alike, assert_refused_alike


def _x(t, device="cpu", requires_grad=False):
    place = device if t is ours else "cpu"
    return t.tensor([0.5, -1.5, 2.0], dtype=t.float64, device=place, requires_grad=requires_grad)


def _m(t, device="cpu"):
    place = device if t is ours else "cpu"
    return t.tensor([[1.0, 2.0, -0.5], [0.25, -1.0, 3.0]], dtype=t.float64, device=place)


def _tree(t, device="cpu"):
    return {"w": _m(t, device), "rest": [_x(t, device), (_x(t, device) + 1,)]}


def _loss(tree, scale=1.0):
    return ((tree["w"] @ tree["rest"][0]).sin().sum() + tree["rest"][1][0].exp().sum()) * scale


def _forms(x, m):
    return {"a": m @ x, "b": (x.sin(), [(x * m).sum()])}


CALLS = {
    "grad": lambda F, t, d: F.grad(lambda x: (x**3).sum())(_x(t, d)),
    "grad by name": lambda F, t, d: F.grad(lambda x, scale: (x**3).sum() * scale)(_x(t, d), scale=3),
    "grad of a tree": lambda F, t, d: F.grad(_loss)(_tree(t, d), scale=2.0),
    "grad by several": lambda F, t, d: F.grad(lambda x, m: (m @ x).sin().sum(), argnums=(1, 0))(_x(t, d), _m(t, d)),
    "grad by the last": lambda F, t, d: F.grad(lambda x, m: (m @ x).sin().sum(), argnums=-1)(_x(t, d), _m(t, d)),
    "grad by an unused": lambda F, t, d: F.grad(lambda x, m: x.sum(), argnums=(0, 1))(_x(t, d), _m(t, d)),
    "grad of a constant": lambda F, t, d: F.grad(lambda x: x.detach().sum())(_x(t, d)),
    "grad with aux": lambda F, t, d: F.grad(lambda x: ((x**2).sum(), {"y": x * 2}), has_aux=True)(_x(t, d)),
    "grad and value": lambda F, t, d: F.grad_and_value(_loss)(_tree(t, d)),
    "grad and value with aux": lambda F, t, d: F.grad_and_value(lambda x: ((x**2).sum(), [x * 2]), has_aux=True)(
        _x(t, d)
    ),
    "grad of grad": lambda F, t, d: F.grad(F.grad(lambda x: x**4))(_x(t, d)[0]),
    "grad three times": lambda F, t, d: F.grad(F.grad(F.grad(lambda x: x**4 * x.sin())))(_x(t, d)[2]),
    "no confusion of perturbations": lambda F, t, d: F.grad(lambda x: x * F.grad(lambda y: x + y)(x * 0 + 1))(
        _x(t, d)[2]
    ),
    "inner grad of outer": lambda F, t, d: F.grad(lambda x: F.grad(lambda y: (x * y) ** 2)(x) * x)(_x(t, d)[2]),
    "inner grad by a closed-over": lambda F, t, d: F.grad(
        lambda x: F.grad(lambda y: (x.sin() * y**2).sum())(_x(t, d)).sum()
    )(_x(t, d)[2]),
    "vjp": lambda F, t, d: [f(_m(t, d)[:, 0]) if callable(f) else f for f in F.vjp(lambda x: _m(t, d) @ x, _x(t, d))],
    "vjp of trees": lambda F, t, d: F.vjp(_forms, _x(t, d), _m(t, d))[1](
        {"a": _m(t, d)[:, 0], "b": (_x(t, d), [_x(t, d)[0]])}
    ),
    "vjp twice": lambda F, t, d: [f(_x(t, d)) for f in [F.vjp(lambda x: x**3, _x(t, d))[1]] for _ in range(2)],
    "vjp with aux": lambda F, t, d: F.vjp(lambda x: (x * 2, x + 1), _x(t, d), has_aux=True)[::2],
    "jvp": lambda F, t, d: F.jvp(lambda x: x**3, (_x(t, d),), (_x(t, d) + 1,)),
    "jvp of trees": lambda F, t, d: F.jvp(_forms, (_x(t, d), _m(t, d)), (_x(t, d) + 1, _m(t, d) * 2)),
    "jvp of a tree": lambda F, t, d: F.jvp(_loss, (_tree(t, d),), (_tree(t, d),)),
    "jvp with constants": lambda F, t, d: F.jvp(lambda x: (x * 2, x.detach(), x.long()), (_x(t, d),), (_x(t, d),)),
    "jvp with aux": lambda F, t, d: F.jvp(lambda x: (x * x, x + 1), (_x(t, d),), (_x(t, d),), has_aux=True),
    "jvp of grad": lambda F, t, d: F.jvp(F.grad(lambda x: (x**3).sum()), (_x(t, d),), (_x(t, d) + 1,)),
    "grad of jvp": lambda F, t, d: F.grad(lambda x: F.jvp(lambda y: y**3, (x,), (x,))[1].sum())(_x(t, d)),
    "jvp of jvp": lambda F, t, d: F.jvp(
        lambda x: F.jvp(lambda y: y**4, (x,), (x * 0 + 1,))[1], (_x(t, d),), (_x(t, d) + 1,)
    ),
    "jacrev": lambda F, t, d: F.jacrev(_forms, argnums=(0, 1))(_x(t, d), _m(t, d)),
    "jacrev of a tree": lambda F, t, d: F.jacrev(_loss)(_tree(t, d)),
    "jacrev with aux": lambda F, t, d: F.jacrev(lambda x: (x * x, x + 1), has_aux=True)(_x(t, d)),
    "jacrev in chunks": lambda F, t, d: F.jacrev(lambda x: x**2, chunk_size=2)(_x(t, d)),
    "jacrev of jacrev": lambda F, t, d: F.jacrev(F.jacrev(lambda x: x**3 + x.sum() ** 2))(_x(t, d)),
    "jacfwd": lambda F, t, d: F.jacfwd(_forms, argnums=(0, 1))(_x(t, d), _m(t, d)),
    "jacfwd of a tree": lambda F, t, d: F.jacfwd(_loss)(_tree(t, d)),
    "jacfwd with aux": lambda F, t, d: F.jacfwd(lambda x: (x * x, x + 1), has_aux=True)(_x(t, d)),
    "jacfwd with constants": lambda F, t, d: F.jacfwd(lambda x: (x.long(), x.detach(), x))(_x(t, d)),
    "jacfwd of jacfwd": lambda F, t, d: F.jacfwd(F.jacfwd(lambda x: x**3 + x.sum() ** 2))(_x(t, d)),
    "hessian": lambda F, t, d: F.hessian(lambda x: (x**3).sum() * x[0])(_x(t, d)),
    "hessian by several": lambda F, t, d: F.hessian(lambda x, m: ((m @ x) ** 3).sum(), argnums=(0, 1))(
        _x(t, d), _m(t, d)
    ),
    "hessian of a tree": lambda F, t, d: F.hessian(lambda p: (p["w"] ** 3).sum() * p["v"])({"w": _x(t, d), "v": _x(t, d)[0]}),
    "hessian of a vector": lambda F, t, d: F.hessian(lambda x: x**3)(_x(t, d)),
    "grad without recording outside": lambda F, t, d: t.no_grad()(lambda: F.grad(lambda x: (x**3).sum())(_x(t, d)))(),
    "grad with no_grad inside": lambda F, t, d: F.grad(lambda x: (x * t.no_grad()(lambda: x * x)()).sum())(_x(t, d)),
    "linearize": lambda F, t, d: [f(_x(t, d) + 1) if callable(f) else f for f in F.linearize(lambda x: x**3, _x(t, d))],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_it_gives_what_pytorch_gives(name, device):
    assert_alike(lambda t: CALLS[name](t.func, t, device))


GRAPHS = {
    "grad of an input with a graph": lambda t, x: t.func.grad(lambda y: (y**3).sum())(x),
    "grad of a function with a parameter": lambda t, x: t.func.grad(lambda y: (y**2 * x).sum())(x.detach()),
    "value": lambda t, x: t.func.grad_and_value(lambda y: (y**2 * x).sum())(x.detach())[1],
    "vjp by the primal": lambda t, x: t.func.vjp(lambda y: y**3, x)[1](x.detach())[0],
    "vjp by the cotangent": lambda t, x: t.func.vjp(lambda y: y**3, x.detach())[1](x)[0],
    "jvp by the primal": lambda t, x: t.func.jvp(lambda y: y**3, (x,), (x.detach(),))[1],
    "jvp by the tangent": lambda t, x: t.func.jvp(lambda y: y**3, (x.detach(),), (x,))[1],
    "jacrev": lambda t, x: t.func.jacrev(lambda y: y**3)(x),
    "jacfwd": lambda t, x: t.func.jacfwd(lambda y: y**3)(x),
    "hessian": lambda t, x: t.func.hessian(lambda y: (y**4).sum())(x),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_results_belong_to_the_graph_around_the_transform(name):
    def run(t):
        x = _x(t, requires_grad=True)
        result = GRAPHS[name](t, x)
        return result, t.autograd.grad((result * result).sum(), x)

    assert_alike(run)


def test_results_that_depend_on_nothing_outside_carry_no_graph():
    x = _x(ours)
    outer = _x(ours, requires_grad=True)
    assert not ours.func.grad(lambda y: (y**2).sum() + outer.detach().sum())(x).requires_grad
    output, pull = ours.func.vjp(lambda y: y**2, x)
    assert not output.requires_grad and not pull(x)[0].requires_grad
    with ours.no_grad():
        assert not ours.func.grad(lambda y: (y**2).sum())(outer).requires_grad


def test_a_transform_leaves_the_inputs_gradient_alone():
    x = _x(ours, requires_grad=True)
    ours.func.grad(lambda y: (y * x).sum())(x).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_the_graph_of_a_transform_is_freed_at_once():
    gc.collect()
    gc.disable()
    try:
        kept = []

        def watched(x):
            y = (x**2).exp()
            kept.append(weakref.ref(y.grad_fn))
            return y.sum()

        ours.func.grad(watched)(_x(ours))
        ours.func.hessian(watched)(_x(ours))
        _, pull = ours.func.vjp(watched, _x(ours))
        assert [k() is None for k in kept] == [True, True, False]
        del pull
        assert kept[-1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "call",
    [
        lambda F, t: F.grad(lambda x: x)(_x(t)),
        lambda F, t: F.grad(lambda x: 3.0)(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), argnums=1)(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), argnums=(0, 0))(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), argnums="a")(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), argnums=("a",))(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), argnums=())(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum(), has_aux=True)(_x(t)),
        lambda F, t: F.grad(lambda x: (x.sum(), 3), has_aux=True)(_x(t)),
        lambda F, t: F.grad(lambda x: x.sum())(3.0),
        lambda F, t: F.grad(lambda x: x[0].sum())((_x(t), None)),
        lambda F, t: F.grad(lambda x: x.sum())(t.arange(3)),
        lambda F, t: F.vjp(lambda x: x, _x(t))[1](_m(t)),
        lambda F, t: F.vjp(lambda x: (x, x), _x(t))[1](_x(t)),
        lambda F, t: F.vjp(lambda x: [x], _x(t))[1]((_x(t),)),
        lambda F, t: F.vjp(lambda x: x.long(), _x(t)),
        lambda F, t: F.vjp(lambda x: 3, _x(t)),
        lambda F, t: F.vjp(lambda x: x, 3),
        lambda F, t: F.vjp(lambda x: x, _x(t), has_aux=True),
        lambda F, t: F.jvp(lambda x: x, _x(t), _x(t)),
        lambda F, t: F.jvp(lambda x: x, (_x(t),), (_x(t), _x(t))),
        lambda F, t: F.jvp(lambda x: x, (_x(t),), (_m(t),)),
        lambda F, t: F.jvp(lambda x: x.detach(), (_x(t),), (_x(t),), strict=True),
        lambda F, t: F.jvp(lambda x: 3, (_x(t),), (_x(t),)),
        lambda F, t: F.jacrev(lambda x: x, chunk_size=0)(_x(t)),
        lambda F, t: F.jacrev(lambda x: x, argnums=2)(_x(t)),
        lambda F, t: F.jacrev(lambda x: x.long())(_x(t)),
        lambda F, t: F.jacfwd(lambda x: x, randomness="a")(_x(t)),
    ],
)
def test_a_bad_call_is_refused_as_pytorch_refuses_it(call):
    assert_refused_alike(lambda t: call(t.func, t), 40)


def test_a_tangent_of_another_dtype_is_refused():
    with pytest.raises(RuntimeError, match="a tangent has its primal's dtype"):
        ours.func.jvp(lambda x: x, (_x(ours),), (_x(ours).float(),))
