"""autograd.functional beside PyTorch's: values, forms, graphs and refusals."""

from __future__ import annotations

import pytest

import gradwire as ours
from tests.core.beside import assert_alike, assert_refused_alike


def _x(t, requires_grad=False, device="cpu"):
    return t.tensor(
        [0.5, -1.5, 2.0], dtype=t.float64, requires_grad=requires_grad, device=device if t is ours else "cpu"
    )


def _m(t, device="cpu"):
    return t.tensor(
        [[1.0, 2.0, -0.5], [0.25, -1.0, 3.0]], dtype=t.float64, device=device if t is ours else "cpu"
    )


def _one(x):
    return (x**3).sum() * x[0].exp()


def _two(x, m):
    return m @ x.sin(), (x * m).sum(0), (x[0] * x[1] * x[2])


def _number(x, m):
    return ((m @ x) ** 3).sum()


CALLS = {
    "jacobian": lambda f, t, d, **o: f.jacobian(lambda x: x**3 + x.sum(), _x(t, device=d), **o),
    "jacobian of tuples": lambda f, t, d, **o: f.jacobian(_two, (_x(t, device=d), _m(t, d)), **o),
    "jacobian by an unused input": lambda f, t, d, **o: f.jacobian(
        lambda x, m: x * 2, (_x(t, device=d), _m(t, d)), **o
    ),
    "jacobian of a constant": lambda f, t, d, **o: f.jacobian(lambda x: x.detach(), _x(t, device=d), **o),
    "jacobian of a scalar": lambda f, t, d, **o: f.jacobian(_one, _x(t, device=d), **o),
    "hessian": lambda f, t, d, **o: f.hessian(_one, _x(t, device=d), **o),
    "hessian of tuples": lambda f, t, d, **o: f.hessian(_number, (_x(t, device=d), _m(t, d)), **o),
    "hessian of a linear function": lambda f, t, d, **o: f.hessian(lambda x: x.sum(), _x(t, device=d), **o),
}
PRODUCTS = {
    "vjp": lambda f, t, d, **o: f.vjp(lambda x: x**3 + x.sum(), _x(t, device=d), _x(t, device=d) + 1, **o),
    "vjp without v": lambda f, t, d, **o: f.vjp(_one, _x(t, device=d), **o),
    "vjp of tuples": lambda f, t, d, **o: f.vjp(
        lambda x, m: (m @ x, x.exp()), (_x(t, device=d), _m(t, d)), (_m(t, d)[:, 0], _x(t, device=d)), **o
    ),
    "jvp": lambda f, t, d, **o: f.jvp(lambda x: x**3 + x.sum(), _x(t, device=d), _x(t, device=d) + 1, **o),
    "jvp of tuples": lambda f, t, d, **o: f.jvp(
        _two, (_x(t, device=d), _m(t, d)), (_x(t, device=d) * 2, _m(t, d) + 1), **o
    ),
    "jvp with a constant output": lambda f, t, d, **o: f.jvp(
        lambda x: (x * x, x.detach()), _x(t, device=d), _x(t, device=d), **o
    ),
    "vhp": lambda f, t, d, **o: f.vhp(_one, _x(t, device=d), _x(t, device=d) + 1, **o),
    "vhp of tuples": lambda f, t, d, **o: f.vhp(
        _number, (_x(t, device=d), _m(t, d)), (_x(t, device=d) * 2, _m(t, d) + 1), **o
    ),
    "hvp": lambda f, t, d, **o: f.hvp(_one, _x(t, device=d), _x(t, device=d) + 1, **o),
    "hvp of tuples": lambda f, t, d, **o: f.hvp(
        _number, (_x(t, device=d), _m(t, d)), (_x(t, device=d) * 2, _m(t, d) + 1), **o
    ),
    "hvp of a linear function": lambda f, t, d, **o: f.hvp(
        lambda x: x.sum(), _x(t, device=d), _x(t, device=d), **o
    ),
}


# Whether a gradient of zero carries a graph is no part of the contract.
_WITH_GRAPH = [n for n in (*CALLS, *PRODUCTS) if not any(w in n for w in ("constant", "linear", "unused"))]


@pytest.mark.parametrize(
    ("name", "create_graph"),
    [(n, False) for n in (*CALLS, *PRODUCTS)] + [(n, True) for n in _WITH_GRAPH],
)
def test_it_gives_what_pytorch_gives(name, create_graph, device):
    call = {**CALLS, **PRODUCTS}[name]
    assert_alike(lambda t: call(t.autograd.functional, t, device, create_graph=create_graph))


@pytest.mark.parametrize("name", CALLS)
def test_vectorize_and_forward_mode_change_nothing_in_the_values(name):
    strategy = "outer_jacobian_strategy" if "hessian" in name else "strategy"
    assert_alike(lambda t: CALLS[name](t.autograd.functional, t, "cpu", vectorize=True))
    by_columns = {strategy: "forward-mode"}  # PyTorch gives lists of tensors that require grad here
    assert_alike(
        lambda t: _tuples(CALLS[name](t.autograd.functional, t, "cpu", vectorize=True, **by_columns))
    )


def _tuples(x):
    return tuple(_tuples(i) for i in x) if isinstance(x, (tuple, list)) else x.detach()


@pytest.mark.parametrize("name", ["jacobian", "hessian", "vjp", "jvp", "vhp", "hvp"])
def test_results_with_create_graph_are_differentiated_again(name):
    def run(t):
        x = _x(t, True)
        f = t.autograd.functional
        v = () if name in ("jacobian", "hessian") else (_x(t) + 1,)
        function = (
            (lambda x: x**4 + x.sum())
            if name in ("jacobian", "vjp", "jvp")
            else (lambda x: (x**4).sum() * x[0])
        )
        result = getattr(f, name)(function, x, *v, create_graph=True)
        wanted = result[1] if isinstance(result, tuple) else result
        return t.autograd.grad((wanted * wanted).sum(), x)

    assert_alike(run)


def test_inputs_and_their_gradients_are_left_alone():
    def run(t):
        x = _x(t, True)
        (x * 2).sum().backward()
        result = t.autograd.functional.jacobian(lambda y: y * x, x)
        return result, x.grad

    assert_alike(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, t: f.jacobian(lambda x: x, [_x(t)]),
        lambda f, t: f.jacobian(lambda x: x, (3,)),
        lambda f, t: f.jacobian(lambda x: 3, _x(t)),
        lambda f, t: f.jacobian(lambda x: [x], _x(t)),
        lambda f, t: f.jacobian(lambda x: x, _x(t), strategy="sideways"),
        lambda f, t: f.jacobian(lambda x: x, _x(t), strict=True, vectorize=True),
        lambda f, t: f.jacobian(lambda x: x, _x(t), create_graph=True, strategy="forward-mode"),
        lambda f, t: f.jacobian(lambda x: x, _x(t), strict=True, strategy="forward-mode"),
        lambda f, t: f.jacobian(lambda x: x, _x(t), strategy="forward-mode"),
        lambda f, t: f.jacobian(lambda x: x.detach(), _x(t), strict=True),
        lambda f, t: f.jacobian(lambda x, y: x * 2, (_x(t), _x(t)), strict=True),
        lambda f, t: f.jacobian(lambda x: x * 2, _x(t), create_graph=True, strict=True),
        lambda f, t: f.jacobian(lambda x: x, t.arange(3)),
        lambda f, t: f.hessian(lambda x: x, _x(t)),
        lambda f, t: f.hessian(lambda x: (x.sum(), x.sum()), _x(t)),
        lambda f, t: f.hessian(lambda x: x.sum(), _x(t), strict=True),
        lambda f, t: f.hessian(lambda x: x.sum(), _x(t), outer_jacobian_strategy="sideways"),
        lambda f, t: f.vjp(lambda x: x, _x(t)),
        lambda f, t: f.vjp(lambda x: x, _x(t), _m(t)),
        lambda f, t: f.vjp(lambda x: x, _x(t), (_x(t), _x(t))),
        lambda f, t: f.vjp(lambda x: (x, x), _x(t), (_x(t), _m(t))),
        lambda f, t: f.vjp(lambda x: x, _x(t), 1.0),
        lambda f, t: f.vjp(lambda x: x.detach(), _x(t), _x(t), strict=True),
        lambda f, t: f.vjp(lambda x, y: x * 2, (_x(t), _x(t)), _x(t), strict=True),
        lambda f, t: f.jvp(lambda x: x, _x(t)),
        lambda f, t: f.jvp(lambda x: x, _x(t), _m(t)),
        lambda f, t: f.jvp(lambda x, y: x, (_x(t), _x(t)), _x(t)),
        lambda f, t: f.jvp(lambda x: x.detach(), _x(t), _x(t), strict=True),
        lambda f, t: f.jvp(lambda x: x * 2, _x(t), _x(t), strict=True, create_graph=True),
        lambda f, t: f.vjp(lambda x: x * 2, _x(t), _x(t), strict=True, create_graph=True),
        lambda f, t: f.vhp(lambda x: x, _x(t), _x(t)),
        lambda f, t: f.vhp(lambda x: x.sum(), _x(t)),
        lambda f, t: f.vhp(lambda x: x.sum(), _x(t), _x(t), strict=True),
        lambda f, t: f.hvp(lambda x: x.sum(), _x(t), _x(t), strict=True),
        lambda f, t: f.hvp(lambda x: (x * x).sum(), _x(t), _x(t), strict=True, create_graph=True),
        lambda f, t: f.vhp(lambda x: (x * x).sum(), _x(t), _x(t), strict=True, create_graph=True),
        lambda f, t: f.hvp(lambda x: (x.sum(), 1), _x(t), _x(t)),
    ],
)  # fmt: skip
def test_a_bad_call_is_refused_as_pytorch_refuses_it(call):
    assert_refused_alike(lambda t: call(t.autograd.functional, t), 40)


def test_an_empty_input_has_an_empty_jacobian():
    x = ours.ones(0, 2, dtype=ours.float64)
    assert ours.autograd.functional.jacobian(lambda y: y * 3, x).shape == (0, 2, 0, 2)
