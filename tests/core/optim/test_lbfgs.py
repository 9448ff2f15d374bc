"""LBFGS beside PyTorch's: the same path through curved valleys, the same number of evaluations, the same state."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as real

import gradwire as torch

OPTIONS = [
    {},
    {"lr": 0.1},
    {"lr": 0.5, "max_iter": 5, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"lr": 3.0, "line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 4, "history_size": 2},
    {"line_search_fn": "strong_wolfe", "max_iter": 30, "max_eval": 7},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-2},
    {"lr": 0.05, "tolerance_change": 1e-3},
]


def rosenbrock(a, b):
    x = (a.reshape(-1), b)
    return ((1 - x[0]) ** 2).sum() + 10 * ((x[1] - x[0] ** 2) ** 2).sum()


def bowl(a, b):
    return (a**2).sum() * 3 + (b - 1).pow(4).sum() + (a.reshape(-1) * b).sum()


def wavy(a, b):
    return ((a - 0.3) ** 2).sum() + (3 * a).sin().sum() + (b.exp() - b).sum()


def start(t, dtype="float64", device="cpu"):
    a = t.tensor([[-1.2, 0.7], [0.4, 1.9]], dtype=getattr(t, dtype))
    b = t.tensor([1.0, -0.5, 0.3, 2.0], dtype=getattr(t, dtype))
    return [a.to(device).requires_grad_(), b.to(device).requires_grad_()]


def train(o, ps, f, steps):
    """Losses, paths and evaluations."""
    seen = []

    def closure():
        o.zero_grad()
        loss = f(*ps)
        loss.backward()
        calls.append(loss.item())
        return loss

    for _ in range(steps):
        calls: list[float] = []
        first = o.step(closure).item()
        assert first == calls[0]
        point = np.concatenate([p.detach().cpu().numpy().reshape(-1) for p in ps])
        seen.append((len(calls), np.array([*calls, *point])))
    return seen


def same(ours, theirs, tolerance):
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a[0] == b[0], f"evaluations of step {i}"
        np.testing.assert_allclose(a[1], b[1], rtol=tolerance, atol=tolerance / 100, err_msg=f"step {i}")


CASES = [(wavy, o) for o in OPTIONS]
CASES += [
    (f, o)
    for f in (rosenbrock, bowl)
    for o in [{"lr": 0.02}, *OPTIONS]
    if "line_search_fn" in o or o == {"lr": 0.02}
]


@pytest.mark.parametrize(
    "f,options", CASES, ids=[f"{f.__name__} {', '.join(map(str, o.items()))}" for f, o in CASES]
)
def test_the_path_is_torchs(f, options, device):
    def path(t, where):
        ps = start(t, device=where)
        return train(t.optim.LBFGS(ps, **options), ps, f, 6 if device == "cpu" else 2)

    same(path(torch, device), path(real, "cpu"), 1e-7)


def test_single_precision_ends_where_torchs_does():
    def end(t):
        ps = start(t, "float32")
        return train(t.optim.LBFGS(ps, line_search_fn="strong_wolfe"), ps, rosenbrock, 10)[-1][1][-8:]

    np.testing.assert_allclose(end(torch), end(real), rtol=1e-4)
    np.testing.assert_allclose(end(torch), 1, rtol=1e-3)


@pytest.mark.parametrize("options", OPTIONS[:1] + OPTIONS[3:4], ids=["fixed", "line search"])
def test_state_goes_on_and_has_torchs_entries(options):
    def whole(t):
        ps = start(t)
        o = t.optim.LBFGS(ps, max_iter=4, **options)
        train(o, ps, wavy, 3)
        saved = copy.deepcopy(o.state_dict())
        again = [p.detach().clone().requires_grad_() for p in ps]
        q = t.optim.LBFGS(again)
        q.load_state_dict(saved)
        rest = train(q, again, wavy, 3)
        same(rest, train(o, ps, wavy, 3), 1e-12)
        return rest, saved

    (ours, state), (theirs, expected) = whole(torch), whole(real)
    same(ours, theirs, 1e-8)
    assert list(state["state"]) == [0] and set(state["state"][0]) | {"al"} == set(expected["state"][0]) | {
        "al"
    }
    ps = start(torch)
    o = torch.optim.LBFGS(ps)
    o.load_state_dict(expected)  # PyTorch's own
    assert o.state[ps[0]]["n_iter"] == expected["state"][0]["n_iter"]
    train(o, ps, wavy, 1)


def test_a_parameter_without_gradient_stays():
    def path(t):
        ps = [*start(t), t.ones(2, dtype=t.float64, requires_grad=True)]
        return train(
            t.optim.LBFGS(ps, line_search_fn="strong_wolfe"), ps, lambda a, b, c: rosenbrock(a, b), 3
        )

    same(path(torch), path(real), 1e-8)


def test_at_the_minimum_nothing_moves():
    for t in (torch, real):
        p = t.zeros(3, requires_grad=True)
        o = t.optim.LBFGS([p])
        assert train(o, [p], lambda p: (p * p).sum(), 1)[0][0] == 1 and p.tolist() == [0, 0, 0]
        assert dict(o.state[p]) == {"func_evals": 1, "n_iter": 0}


def test_a_linear_regression_is_solved():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((40, 3)), np.array([1.0, -2.0, 0.5])
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1).double()
    o = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe", max_iter=50)
    inputs, targets = torch.tensor(x), torch.tensor(x @ w + 0.25)

    def closure():
        o.zero_grad()
        loss = ((model(inputs)[:, 0] - targets) ** 2).mean()
        loss.backward()
        return loss

    o.step(closure)
    np.testing.assert_allclose(model.weight.detach().numpy()[0], w, rtol=1e-3)
    np.testing.assert_allclose(model.bias.detach().numpy(), 0.25, rtol=1e-3)


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_wrong_calls_are_refused(t):
    ps = start(t)
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        train(t.optim.LBFGS(ps, line_search_fn="armijo"), ps, bowl, 1)
    with pytest.raises(TypeError, match="closure"):
        t.optim.LBFGS(ps).step()
