"""State dicts to and from PyTorch, groups by name, hooks, closures, zero_grad, and optimizers of one's own."""

from __future__ import annotations

import copy
import io
import pickle
import weakref

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .problems import NAMES, RULES, ids, parameters, run, values


def made(t, name, options, ps):
    return getattr(t.optim, name)(ps, **options)


def plain(x):
    """A state dict with arrays for tensors."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return x.detach().numpy().copy() if hasattr(x, "detach") else x


def to_torch(x):
    if isinstance(x, dict):
        return {k: to_torch(v) for k, v in x.items()}
    if isinstance(x, list):
        return [to_torch(v) for v in x]
    return real.tensor(x.detach().cpu().numpy()) if isinstance(x, torch.Tensor) else x


def same(ours, theirs, where=""):
    assert type(ours) is type(theirs), where
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for k in theirs:
            same(ours[k], theirs[k], f"{where}/{k}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), where
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{where}/{i}")
    elif isinstance(theirs, np.ndarray):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), where
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=where)
    else:
        assert ours == theirs, where


@pytest.mark.parametrize("name,options", RULES, ids=ids(RULES))
def test_state_dicts_are_torchs_entry_by_entry(name, options):
    def saved(t):
        ps = parameters(t)
        o = made(t, name, options, [{"params": ps[:3]}, {"params": ps[3:], "lr": 0.07}])
        fresh = plain(o.state_dict())
        run(o, ps, 7)
        return fresh, plain(o.state_dict())

    def in_order(d):  # of the options, whose order says nothing
        return {"state": d["state"], "param_groups": [dict(sorted(g.items())) for g in d["param_groups"]]}

    for ours, theirs in zip(saved(torch), saved(real), strict=True):
        same(in_order(ours), in_order(theirs))


@pytest.mark.parametrize("name,options", RULES, ids=ids(RULES))
def test_a_saved_state_goes_on_in_either_library(name, options, device):
    ps = parameters(torch, device=device)
    o = made(torch, name, options, ps)
    run(o, ps, 7)
    state, start = copy.deepcopy(o.state_dict()), [p.detach().clone() for p in ps]
    expected = run(o, ps, 5, 7)

    again = [v.clone().requires_grad_() for v in start]
    p = made(torch, name, {"lr": 9.0}, again)
    p.load_state_dict(state)
    np.testing.assert_array_equal(run(p, again, 5, 7), expected)

    theirs = [real.tensor(v.cpu().numpy(), requires_grad=True) for v in start]
    q = made(real, name, {"lr": 9.0}, theirs)
    q.load_state_dict(to_torch(state))
    np.testing.assert_allclose(run(q, theirs, 5, 7), expected, rtol=1e-10, atol=1e-12)

    others = parameters(real)
    r = made(real, name, options, others)
    run(r, others, 7)
    back = [torch.tensor(v.detach().numpy(), device=device).requires_grad_() for v in others]
    s = made(torch, name, {"lr": 9.0}, back)
    s.load_state_dict(r.state_dict())  # PyTorch's own tensors
    np.testing.assert_allclose(run(s, back, 5, 7), run(r, others, 5, 7), rtol=1e-10, atol=1e-12)


def test_loading_takes_the_dtype_and_device_of_the_parameters(device):
    ps = parameters(torch, "float64")
    o = torch.optim.Adam(ps)
    run(o, ps, 3)
    others = parameters(torch, "float32", device)
    p = torch.optim.Adam(others)
    p.load_state_dict(o.state_dict())
    state = p.state[others[0]]
    assert state["exp_avg"].dtype is torch.float32 and state["exp_avg"].device.type == device
    assert (
        state["step"].dtype is torch.float32
        and str(state["step"].device) == "cpu"
        and state["step"].item() == 3
    )
    run(p, others, 3)


def test_loaded_state_is_a_copy():
    ps = parameters(torch)
    o = torch.optim.Adam(ps)
    run(o, ps, 2)
    others = parameters(torch)
    p = torch.optim.Adam(others)
    p.load_state_dict(o.state_dict())
    before = values([s["exp_avg"] for s in p.state.values()])
    run(o, ps, 2)
    np.testing.assert_array_equal(values([s["exp_avg"] for s in p.state.values()]), before)


def test_the_state_that_is_saved_is_the_live_one_as_in_torch():
    for t in (torch, real):
        ps = parameters(t)
        o = t.optim.Adam(ps)
        run(o, ps, 2)
        saved = o.state_dict()
        run(o, ps, 5)
        assert saved["state"][0]["step"].item() == 7
        np.testing.assert_array_equal(plain(saved["state"][0]["exp_avg"]), plain(o.state[ps[0]]["exp_avg"]))


def test_states_of_before_steps_were_tensors_load():
    ps = parameters(torch)
    o = torch.optim.Adam(ps, lr=0.1)
    run(o, ps, 3)
    old = copy.deepcopy(o.state_dict())
    for s in old["state"].values():
        s["step"] = int(s["step"])
    again = copy.deepcopy(ps)
    p = torch.optim.Adam(again, lr=0.1)
    p.load_state_dict(old)
    np.testing.assert_array_equal(run(p, again, 4), run(o, ps, 4))


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_state_dicts_of_another_shape_are_refused(t):
    ps = parameters(t)
    o = t.optim.SGD(ps, lr=1)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        o.load_state_dict(t.optim.SGD([{"params": [p]} for p in ps], lr=1).state_dict())
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        o.load_state_dict(t.optim.SGD(ps[:2], lr=1).state_dict())


def test_modes_of_loaded_states():
    ps = parameters(torch)
    o = torch.optim.Adam(ps)
    saved = o.state_dict()
    saved["param_groups"][0].update(capturable=True, fused=True)  # as trained on a GPU
    o.load_state_dict(saved)
    assert o.param_groups[0]["capturable"] is False and o.param_groups[0]["fused"] is True
    saved["param_groups"][0]["differentiable"] = True
    with pytest.raises(NotImplementedError, match="differentiable"):
        o.load_state_dict(saved)


def test_parameters_by_name():
    def seen(t):
        ps = parameters(t)
        o = t.optim.SGD([("a", ps[0]), ("b", ps[1])], lr=0.1)
        o.add_param_group({"params": [("c", ps[2]), ("d", ps[3])]})
        path = run(o, ps, 3)
        names = [g["param_names"] for g in o.param_groups]
        saved = o.state_dict()
        for g in saved["param_groups"]:
            del g["param_names"]
        o.load_state_dict(saved)
        return path, names, [g["param_names"] for g in o.param_groups], repr(o)

    ours, theirs = seen(torch), seen(real)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10)
    assert ours[1:] == theirs[1:]
    model = torch.nn.Linear(2, 2)
    assert torch.optim.Adam(model.named_parameters()).param_groups[0]["param_names"] == ["weight", "bias"]


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_the_given_group_is_the_group(t):
    ps = parameters(t)
    group = {"params": iter(ps[1:])}
    o = t.optim.SGD(ps[:1], lr=0.1)
    o.add_param_group(group)
    assert o.param_groups[1] is group and group["lr"] == 0.1
    assert len(group["params"]) == 3 and all(a is b for a, b in zip(group["params"], ps[1:], strict=True))


def hooked(t):
    ps = parameters(t)
    o = t.optim.SGD(ps, lr=0.1)
    seen = []
    module = __import__(f"{t.__name__}.optim.optimizer", fromlist=["x"])
    handles = [
        module.register_optimizer_step_pre_hook(
            lambda o, a, k: seen.append(("any, before", len(a), dict(k)))
        ),
        module.register_optimizer_step_post_hook(
            lambda o, a, k: seen.append(("any, after", len(a), dict(k)))
        ),
        o.register_step_pre_hook(lambda o, a, k: seen.append(("before", len(a), dict(k)))),
        o.register_step_post_hook(lambda o, a, k: seen.append(("after", len(a), dict(k)))),
        o.register_state_dict_pre_hook(lambda o: seen.append("save")),
        o.register_state_dict_pre_hook(lambda o: seen.append("save, first"), prepend=True),
        o.register_state_dict_post_hook(lambda o, d: {**d, "extra": 1}),
        o.register_state_dict_post_hook(lambda o, d: seen.append(sorted(d)), prepend=True),
        o.register_load_state_dict_pre_hook(lambda o, d: {k: v for k, v in d.items() if k != "extra"}),
        o.register_load_state_dict_post_hook(lambda o: seen.append("loaded")),
    ]
    run(o, ps, 1)
    o.step(closure=None)
    saved = o.state_dict()
    seen.append(sorted(saved))
    o.load_state_dict(saved)
    seen.append(sorted(saved))
    for h in handles:
        h.remove()
    run(o, ps, 1)
    o.load_state_dict(o.state_dict())
    return seen


def test_hooks_are_called_as_in_torch():
    assert hooked(torch) == hooked(real)


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_a_step_hook_may_replace_the_arguments(t):
    p = t.ones(1, requires_grad=True)
    o = t.optim.SGD([p], lr=0.5)

    def closure():
        o.zero_grad()
        (p * 3).sum().backward()
        return 7

    o.register_step_pre_hook(lambda o, a, k: (a, {"closure": closure}))
    assert o.step() == 7 and p.item() == -0.5
    o.register_step_pre_hook(lambda o, a, k: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        o.step()


def test_a_closure_sees_gradients_and_its_loss_is_returned():
    for t in (torch, real):
        p = t.ones(2, requires_grad=True)
        o = t.optim.SGD([p], lr=0.1)
        assert o.step() is None

        def closure(t=t, o=o, p=p):
            o.zero_grad()
            loss = (p * p).sum()
            loss.backward()
            return loss

        with t.no_grad():
            assert o.step(closure).item() == 2
        np.testing.assert_allclose(p.detach().numpy(), [0.8, 0.8], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_zero_grad():
    for t in (torch, real):
        p, q, r = (t.ones(2, requires_grad=True) for _ in range(3))
        o = t.optim.SGD([p, q, r], lr=0.1)
        p.grad = t.ones(2)
        (q * q).sum().backward(create_graph=True)
        kept = p.grad, q.grad
        o.zero_grad(set_to_none=False)
        assert p.grad is kept[0] and p.grad.tolist() == [0, 0] and r.grad is None
        assert q.grad.tolist() == [0, 0] and not q.grad.requires_grad and q.grad is kept[1]
        o.zero_grad()
        assert p.grad is q.grad is r.grad is None


def own(t):
    class Signs(t.optim.Optimizer):
        """As people write theirs: a step of its own, over groups and state."""

        def __init__(self, params, lr=0.1, decay=0.9):
            if lr <= 0:
                raise ValueError("lr")
            super().__init__(params, {"lr": lr, "decay": decay})

        @t.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with t.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["mean"] = t.zeros_like(p)
                    state["step"] += 1
                    state["mean"].mul_(group["decay"]).add_(p.grad, alpha=1 - group["decay"])
                    p.add_(state["mean"].sign(), alpha=-group["lr"] / state["step"])
            return loss

    return Signs


def test_an_optimizer_of_ones_own_with_a_step():
    def trained(t):
        ps = parameters(t)
        o = own(t)(ps)
        calls = []
        o.register_step_post_hook(lambda *a: calls.append(1))
        s = t.optim.lr_scheduler.ExponentialLR(o, 0.9)
        path = []
        for i in range(10):
            path.append(run(o, ps, 1, i))
            s.step()
        q = own(t)(ps)
        q.load_state_dict(copy.deepcopy(o.state_dict()))
        path.append(run(q, ps, 3, 10))
        return np.concatenate(path), len(calls), repr(o)

    ours, theirs = trained(torch), trained(real)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-9)
    assert ours[1:] == theirs[1:]


class Halving(torch.optim.Optimizer):
    """An optimizer of one's own with a rule, which runs on flat buffers and in jobs."""

    def __init__(self, params):
        super().__init__(params, {})

    def state_arrays(self, group):
        return ("seen",)

    def update(self, p, g, state, group, step):
        state["seen"] += abs(g)
        p -= g / 2**step


def test_an_optimizer_of_ones_own_with_a_rule(device):
    ps = parameters(torch, device=device)
    o = Halving(ps)
    start = values(ps)
    for _ in range(3):
        for p in ps:
            p.grad = torch.ones_like(p)
        o.step()
    np.testing.assert_allclose(values(ps), start - (1 / 2 + 1 / 4 + 1 / 8))
    assert all((o.state[p]["seen"] == 3).all() for p in ps) and o._plans[0].blocks


def test_an_optimizer_around_another():
    def trained(t):
        class Lookahead(t.optim.Optimizer):
            """Zhang et al., arXiv:1907.08610, as it goes around: without a call of the base's __init__."""

            def __init__(self, inner, k=3):
                self.inner, self.k, self.steps = inner, k, 0
                self.param_groups, self.state, self.defaults = inner.param_groups, inner.state, inner.defaults
                self.slow = [[p.detach().clone() for p in g["params"]] for g in self.param_groups]

            def step(self, closure=None):
                loss = self.inner.step(closure)
                self.steps += 1
                if self.steps % self.k == 0:
                    for group, slow in zip(self.param_groups, self.slow, strict=True):
                        for p, q in zip(group["params"], slow, strict=True):
                            q.add_(p.data - q, alpha=0.5)
                            p.data.copy_(q)
                return loss

        ps = parameters(t)
        o = Lookahead(t.optim.Adam(ps, lr=0.1))
        s = t.optim.lr_scheduler.StepLR(o, 4, 0.5)
        path = []
        for i in range(12):
            path.append(run(o, ps, 1, i))
            s.step()
        return np.concatenate(path)

    np.testing.assert_allclose(trained(torch), trained(real), rtol=1e-9)


def test_a_step_that_calls_its_bases_runs_the_hooks_once():
    class Twice(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            return super().step()

    p = torch.zeros(1, requires_grad=True)
    o = Twice([p], lr=1.0)
    calls = []
    o.register_step_pre_hook(lambda *a: calls.append(1))
    p.grad = torch.ones(1)
    o.step()
    assert p.item() == -2 and calls == [1]


@pytest.mark.parametrize("name", NAMES)
def test_optimizers_pickle(name):
    ps = parameters(torch)
    o = getattr(torch.optim, name)(ps, lr=0.05)
    run(o, ps, 3)
    file = io.BytesIO()
    pickle.dump((ps, o), file)
    file.seek(0)
    others, p = pickle.load(file)
    assert all(a is b for a, b in zip(others, p.param_groups[0]["params"], strict=True))
    np.testing.assert_array_equal(run(p, others, 3), run(o, ps, 3))


def test_a_dropped_optimizer_is_freed_at_once():
    ps = parameters(torch)
    o = torch.optim.Adam(ps)
    run(o, ps, 3)
    gone = weakref.ref(o)
    del o
    assert gone() is None
