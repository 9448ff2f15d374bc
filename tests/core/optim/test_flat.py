"""Parameters that lie in one buffer, and those that can't: the numbers are PyTorch's, whatever happens to a parameter."""

from __future__ import annotations

import copy
import functools
import pickle

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire.backends import to_numpy
from gradwire.optim.flat import CHUNK

from . import problems
from .problems import NAMES, parameters, values

LR = 0.05


run = functools.partial(problems.run, skips=False)


def blocks(o):
    return [block for plan in o._plans.values() for block in plan.blocks]


def in_blocks(o):
    return sum(len(b.params) for b in blocks(o))


def test_parameters_and_state_become_views_of_one_array(device):
    ps = parameters(torch, device=device)
    before = values(ps)
    o = torch.optim.Adam(ps, lr=0.0)
    run(o, ps, 3)
    (block,) = blocks(o)
    flat = to_numpy(block.flat)
    np.testing.assert_array_equal(flat, before)
    np.testing.assert_array_equal(
        to_numpy(block.state["exp_avg"]),
        np.concatenate([to_numpy(o.state[p]["exp_avg"]._array).reshape(-1) for p in ps]),
    )
    block.flat[...] = 7.0
    block.state["exp_avg"][...] = 8.0
    assert all((p == 7).all() and (o.state[p]["exp_avg"] == 8).all() for p in ps)


@pytest.mark.parametrize("name", [*NAMES, "Lion"])
def test_the_bits_are_those_of_one_parameter_at_a_time(name, device):
    shapes = [(3, 4), (5,), (), (CHUNK + 5,), (0,), (2, 3)]

    def path(kept):
        ps = parameters(torch, "float32", device, shapes)
        o = getattr(torch.optim, name)(ps, lr=LR)
        if kept:
            aliases = [p.detach() for p in ps]
        result = run(o, ps, 6)
        assert in_blocks(o) == (0 if kept else 5)
        if kept:
            np.testing.assert_array_equal(values(aliases), values(ps))
        return result

    np.testing.assert_array_equal(path(False), path(True))


def both(script, kinds=("SGD", "Adam", "ASGD"), **options):
    """Runs `script(t, make)` under both libraries for several optimizers and compares what it returns."""
    for name in kinds:
        given = {"momentum": 0.9} if name == "SGD" else {}

        def path(t, name=name, given=given):
            return script(t, lambda ps: getattr(t.optim, name)(ps, lr=LR, **given, **options))

        np.testing.assert_allclose(path(torch), path(real), rtol=1e-9, atol=1e-11, err_msg=name)


def test_an_alias_from_before_stays_one():
    def script(t, make):
        ps = parameters(t)
        seen = [ps[0].detach(), ps[1].data, ps[3].detach()[0, 1:]]
        o = make(ps)
        run(o, ps, 5)
        seen[0].mul_(2)
        run(o, ps, 5, 5)
        return np.concatenate([values(seen), values(ps)])

    both(script)


def test_an_alias_from_between_stays_one():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        run(o, ps, 3)
        seen = [p.detach() for p in ps]
        run(o, ps, 3, 3)
        seen[2].fill_(3)
        run(o, ps, 3, 6)
        return np.concatenate([values(seen), values(ps)])

    both(script)


def test_numpy_arrays_under_parameters_stay_under_them():
    def script(t, make):
        arrays = [np.arange(6.0), np.ones((2, 3))]
        ps = [t.from_numpy(a).requires_grad_() for a in arrays]
        run(make(ps), ps, 5)
        return np.concatenate([a.reshape(-1) for a in arrays])

    both(script)


def test_an_alias_that_is_gone_lets_the_parameter_in():
    ps = parameters(torch)
    alias = ps[0].detach()
    o = torch.optim.Adam(ps)
    run(o, ps, 2)
    assert in_blocks(o) == 3
    del alias
    run(o, ps, 9, 2)
    assert in_blocks(o) == 3 and o._plans[0].single == [ps[0]]  # one alone gains nothing from a buffer


def test_shared_memory_of_two_parameters_is_written_by_both():
    def script(t, make):
        ps = parameters(t)
        twin = ps[0].detach().requires_grad_()
        part = ps[3].detach()[0].requires_grad_()
        everything = [*ps, twin, part]
        run(make(everything), everything, 6)
        return values(everything)

    both(script)


def test_tied_weights_get_both_gradients():
    def script(t, make):
        t.manual_seed(0)
        a, b = t.nn.Linear(4, 4).double(), t.nn.Linear(4, 4).double()
        b.weight = a.weight
        with t.no_grad():
            for p in [a.weight, a.bias, b.bias]:
                p.copy_(t.arange(p.numel(), dtype=t.float64).reshape(p.shape) / 10)
        model = t.nn.Sequential(a, b)
        o = make(model.parameters())
        for i in range(6):
            o.zero_grad()
            model(t.ones(2, 4, dtype=t.float64) * i).pow(2).sum().backward()
            o.step()
        return values(model.parameters())

    both(script)


def test_freezing_and_thawing():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = [run(o, ps, 3)]
        ps[0].requires_grad_(False)
        ps[0].grad = None
        path.append(run(o, ps, 4, 3))
        ps[0].requires_grad_(True)
        path.append(run(o, ps, 4, 7))
        return np.concatenate(path)

    both(script)


def test_gradients_that_are_none_now_and_then():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = []
        for i in range(25):
            for k, p in enumerate(ps):
                p.grad = None if (i * 7 + k) % 3 == 0 else t.full(tuple(p.shape), i + k, dtype=t.float64)
            o.step()
            path.append(values(ps))
        return np.array(path)

    both(script, ("SGD", "Adam", "NAdam", "Adagrad"))


def test_all_gradients_none_changes_nothing():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        o.step()
        run(o, ps, 2)
        o.zero_grad()
        o.step()
        assert len(o.state) == len(ps)
        return values(ps)

    both(script)


def test_data_assigned_anew():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = []
        for i in range(12):
            path.append(run(o, ps, 1, i))
            if i in (2, 3, 4, 9):
                before = ps[i % 4].detach()
                ps[i % 4].data = ps[i % 4].data * 0.5 + i
                path.append(values([before]))
        return np.concatenate([p.reshape(-1) for p in path])

    both(script)


def test_data_assigned_in_every_step():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = []
        for i in range(20):
            path.append(run(o, ps, 1, i))
            for p in ps:
                p.data = p.data.clamp(-0.5, 0.5)
        return np.concatenate(path)

    both(script)


def test_written_in_place_between_steps():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = []
        for i in range(8):
            path.append(run(o, ps, 1, i))
            with t.no_grad():
                ps[0].clamp_(-0.3, 0.3)
                ps[3][0].zero_()
            ps[1].data.mul_(0.9)
        return np.concatenate(path)

    both(script)


def test_resized_without_state():
    def path(t):
        ps = parameters(t)
        o = t.optim.SGD(ps, lr=LR, weight_decay=0.1)
        result = [run(o, ps, 3)]
        ps[0].data = t.arange(10, dtype=t.float64)
        ps[0].grad = None
        ps[2].data = ps[2].data.reshape(1, 1)
        ps[2].grad = None
        result.append(run(o, ps, 3, 3))
        return np.concatenate([r.reshape(-1) for r in result])

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-10, atol=1e-12)


def test_moved_to_another_dtype_without_state():
    def path(t):
        ps = parameters(t)
        o = t.optim.SGD(ps, lr=LR)
        run(o, ps, 3)
        for p in ps:
            p.data = p.data.float()
            p.grad = None
        return run(o, ps, 3, 3)

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-5)


def test_moved_to_a_device(device):
    ps = parameters(torch)
    o = torch.optim.SGD(ps, lr=LR)
    path = [run(o, ps, 3)]
    for p in ps:
        p.data = p.data.to(device)
        p.grad = None
    path.append(run(o, ps, 3, 3))
    others = parameters(real)
    expected = run(real.optim.SGD(others, lr=LR), others, 6)
    np.testing.assert_allclose(np.concatenate(path), expected, rtol=1e-10, atol=1e-12)


def test_out_of_order_memory_stays_as_it_is():
    def script(t, make):
        base = t.arange(24, dtype=t.float64).reshape(4, 6) / 10
        ps = [
            base.clone().t().requires_grad_(),
            base.clone()[::2, 1:4].requires_grad_(),
            base.clone().requires_grad_(),
        ]
        strides = [p.stride() for p in ps]
        o = make(ps)
        path = run(o, ps, 5)
        assert [p.stride() for p in ps] == strides
        return path

    both(script)


def test_gradients_out_of_order():
    def script(t, make):
        ps = [t.ones(3, 4, dtype=t.float64).requires_grad_(), t.ones(2, 2, dtype=t.float64).requires_grad_()]
        o = make(ps)
        for i in range(5):
            ps[0].grad = (t.arange(12, dtype=t.float64).reshape(4, 3) + i).t()
            ps[1].grad = t.arange(2, dtype=t.float64).reshape(1, 2).expand(2, 2)
            o.step()
        return values(ps)

    both(script)


def test_two_dtypes_in_a_group():
    def path(t):
        ps = parameters(t, "float64", shapes=[(3,), (2, 2)]) + parameters(t, "float32", shapes=[(4,), (1, 2)])
        o = t.optim.AdamW(ps, lr=LR)
        result = run(o, ps, 6)
        return result, [str(p.dtype) for p in ps]

    (ours, kinds), (theirs, their_kinds) = path(torch), path(real)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert kinds == their_kinds


def test_a_parameter_in_two_optimizers():
    def script(t, make):
        ps = parameters(t)
        first, second = make(ps), make(ps[:2])
        path = []
        for i in range(6):
            path.append(run(first, ps, 1, i))
            path.append(run(second, ps, 1, i))
        return np.concatenate(path)

    both(script)


def test_one_optimizer_after_another():
    def script(t, make):
        ps = parameters(t)
        path = [run(make(ps), ps, 4)]
        o = make(ps)
        path.append(run(o, ps, 4, 4))
        if t is torch:
            assert in_blocks(o) == 4
        return np.concatenate(path)

    both(script)


def test_params_and_groups_changed_by_hand():
    def script(t, make):
        ps = parameters(t)
        o = make(ps[:2])
        path = [run(o, ps, 3)]
        o.param_groups[0]["params"].append(ps[2])
        path.append(run(o, ps, 3, 3))
        o.param_groups[0]["params"] = ps[1:]
        path.append(run(o, ps, 3, 6))
        o.param_groups.insert(0, {**o.param_groups[0], "params": [ps[0]], "lr": 0.01})
        path.append(run(o, ps, 3, 9))
        return np.concatenate(path)

    both(script)


def test_state_changed_by_hand():
    def script(t, make):
        ps = parameters(t)
        o = make(ps)
        path = [run(o, ps, 3)]
        name = next(k for k in ("momentum_buffer", "exp_avg", "ax") if k in o.state[ps[0]])
        o.state[ps[0]][name] = t.ones(3, 4, dtype=t.float64)
        path.append(run(o, ps, 2, 3))
        o.state[ps[2]][name].mul_(0.5)
        path.append(run(o, ps, 2, 5))
        o.state[ps[1]] = {}
        path.append(run(o, ps, 2, 7))
        o.state.clear()
        path.append(run(o, ps, 2, 9))
        return np.concatenate(path)

    both(script)


def test_step_counts_changed_by_hand():
    def path(t):
        ps = parameters(t)
        o = t.optim.Adam(ps, lr=LR)
        run(o, ps, 3)
        o.state[ps[0]]["step"] += 100
        o.state[ps[1]]["step"].fill_(7.0)
        return run(o, ps, 5, 3)

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-9, atol=1e-11)


def test_a_graph_that_outlives_the_step_is_told_of_the_change():
    ps = parameters(torch)
    o = torch.optim.SGD(ps, lr=LR)
    run(o, ps, 3)
    kept = (ps[0] * ps[0].sin()).sum()
    run(o, ps, 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.backward()


def test_a_write_to_one_parameter_is_none_to_its_neighbours(device):
    ps = parameters(torch, device=device)
    o = torch.optim.SGD(ps, lr=LR)
    run(o, ps, 3)
    assert in_blocks(o) == 4
    kept = (ps[0] * ps[0].sin()).sum()
    with torch.no_grad():
        ps[1].mul_(2)
    kept.backward()
    assert ps[1]._version == ps[0]._version + 1


def test_a_view_in_a_graph_from_before_the_first_step():
    def script(t, make):
        ps = parameters(t)
        views = [p.reshape(-1) for p in ps]
        o = make(ps)
        run(o, ps, 3)
        return np.concatenate([values(views), values(ps)])

    both(script)


def test_copies_are_apart_and_go_on_alike():
    ps = parameters(torch)
    o = torch.optim.Adam(ps, lr=LR)
    run(o, ps, 3)
    for twin in (copy.deepcopy(o), pickle.loads(pickle.dumps(o))):
        others = twin.param_groups[0]["params"]
        np.testing.assert_array_equal(values(others), values(ps))
        again = copy.deepcopy(ps)
        p = torch.optim.Adam(again, lr=LR)
        p.load_state_dict(o.state_dict())
        np.testing.assert_array_equal(run(twin, others, 4, 3), run(p, again, 4, 3))


def test_a_model_copied_or_saved_between_steps():
    def script(t, make):
        t.manual_seed(0)
        model = t.nn.Sequential(t.nn.Linear(3, 4), t.nn.Tanh(), t.nn.Linear(4, 1)).double()
        with t.no_grad():
            for p in model.parameters():
                p.copy_(t.arange(p.numel(), dtype=t.float64).reshape(p.shape) / 10)
        o = make(model.parameters())
        x = t.arange(6, dtype=t.float64).reshape(2, 3)

        def train(m, o, n):
            for _ in range(n):
                o.zero_grad()
                m(x).pow(2).sum().backward()
                o.step()

        train(model, o, 3)
        best, twin = copy.deepcopy(model.state_dict()), copy.deepcopy(model)
        train(model, o, 3)
        trained = values(model.parameters())
        model.load_state_dict(best)
        np.testing.assert_array_equal(values(model.parameters()), values(twin.parameters()))
        train(model, o, 2)
        return np.concatenate([trained, values(model.parameters()), values(twin.parameters())])

    both(script)


def test_a_long_parameter_is_read_where_its_gradient_lies():
    def path(t):
        ps = parameters(t, shapes=[(3,), (CHUNK // 2 + 1,), (2, CHUNK), (4,), (5,)])
        return run(t.optim.Adam(ps, lr=LR), ps, 3)

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-9, atol=1e-12)
