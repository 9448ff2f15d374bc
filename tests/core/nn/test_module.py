"""Module: registration, walking, state, modes, hooks; messages as torch's."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire import nn

BOTH = pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])


def model(t):
    class Net(t.nn.Module):
        def __init__(self):
            super().__init__()
            self.first = t.nn.Linear(2, 3)
            self.norm = t.nn.BatchNorm1d(3)
            self.scale = t.nn.Parameter(t.ones(3))
            self.register_buffer("offset", t.zeros(3))
            self.register_buffer("scratch", t.zeros(1), persistent=False)
            self.blocks = t.nn.ModuleList([t.nn.Linear(3, 3), t.nn.Sequential(t.nn.Linear(3, 1))])
            self.again = self.first
            self.nothing = None

        def forward(self, x):
            return self.blocks[1](self.blocks[0](self.norm(self.first(x)) * self.scale + self.offset))

    return Net()


def test_names_and_orders_are_torchs():
    ours, theirs = model(torch), model(real)
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, walk)()] == [n for n, _ in getattr(theirs, walk)()]
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters("net")] == [n for n, _ in theirs.named_parameters("net")]
    assert repr(ours) == repr(theirs)


def first_line(call):
    with pytest.raises(Exception) as e:
        call()
    return type(e.value).__name__, [line.rstrip() for line in str(e.value).splitlines()[:2]]


@pytest.mark.parametrize(
    "change",
    [
        lambda t, s: s.pop("first.bias"),
        lambda t, s: [s.pop("first.bias"), s.pop("scale")],
        lambda t, s: s.update(extra=t.ones(1)),
        lambda t, s: s.update(scale=t.ones(4)),
        lambda t, s: s.update({"blocks.0.weight": t.ones(2, 3)}),
    ],
)
def test_a_state_that_does_not_fit_is_refused_in_torchs_words(change):
    def run(t):
        m = model(t)
        state = OrderedDict(m.state_dict())
        change(t, state)
        return first_line(lambda: m.load_state_dict(state))

    assert run(torch) == run(real)


@BOTH
def test_a_state_that_fits_in_part_is_taken_when_not_strict(t):
    m = model(t)
    result = m.load_state_dict({"scale": t.full((3,), 5.0), "extra": t.ones(1)}, strict=False)
    assert (
        "first.weight" in result.missing_keys
        and result.unexpected_keys == ["extra"]
        and m.scale.tolist() == [5, 5, 5]
    )


@BOTH
def test_a_loaded_state_is_a_copy_and_a_given_state_is_not(t):
    a, b = model(t), model(t)
    b.load_state_dict(a.state_dict())
    a.state_dict()["scale"][0] = 9
    assert a.scale.tolist() == [9, 1, 1] and b.scale.tolist() == [1, 1, 1] and b.scale.requires_grad


@BOTH
def test_modes_reach_all_below(t):
    m = model(t)
    assert m.train(False) is m and not any(x.training for x in m.modules()) and m.train().norm.training


@BOTH
def test_double_casts_floating_state_and_leaves_integers(t):
    m = model(t).double()
    assert (
        m.scale.dtype == t.float64
        and m.norm.num_batches_tracked.dtype == t.int64
        and m.offset.dtype == t.float64
    )
    assert isinstance(m.scale, t.nn.Parameter) and m(t.zeros(4, 2, dtype=t.float64)).dtype == t.float64


@BOTH
def test_zero_grad_takes_gradients_away(t):
    m = model(t)
    m(t.ones(4, 2)).sum().backward()
    m.zero_grad()
    assert all(p.grad is None for p in m.parameters())


@BOTH
def test_a_deep_copy_is_independent_and_keeps_shared_parts_shared(t):
    m = model(t)
    c = copy.deepcopy(m)
    with t.no_grad():
        c.scale.zero_()
    assert m.scale.tolist() == [1, 1, 1] and c.again is c.first and c.first is not m.first


def test_a_module_can_be_pickled():
    m = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    again = pickle.loads(pickle.dumps(m))
    assert all(
        torch.equal(a, b) for a, b in zip(m.state_dict().values(), again.state_dict().values(), strict=True)
    )
    assert isinstance(again[0].weight, nn.Parameter) and again[0].weight.requires_grad


@BOTH
@pytest.mark.parametrize(
    "wrong",
    [
        lambda t, m: m.unknown,
        lambda t, m: setattr(m, "scale", t.ones(3)),
        lambda t, m: m.register_buffer("scale", t.ones(3)),
        lambda t, m: m.register_buffer("a.b", t.ones(3)),
        lambda t, m: m.register_parameter("", None),
        lambda t, m: m.get_submodule("blocks.7"),
        lambda t, m: t.nn.Module()(1),
        lambda t, m: m.train("yes"),
        lambda t, m: m.to(t.int64),
        lambda t, m: t.nn.Dropout(2),
        lambda t, m: t.nn.Linear(3, 2)(t.ones(4, 5)),
        lambda t, m: t.nn.BatchNorm1d(2)(t.ones(1, 2)),
    ],
)
def test_wrong_uses_raise_torchs_kind_of_error(t, wrong):
    expected = first_line(lambda: wrong(real, model(real)))[0]
    assert first_line(lambda: wrong(t, model(t)))[0] == expected


def test_children_assigned_before_init_are_refused():
    class Early(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


@BOTH
def test_forward_hooks_see_and_replace(t):
    m, seen = t.nn.Identity(), []
    pre = m.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    post = m.register_forward_hook(lambda module, args, out: seen.append(args[0].item()) or out * 10)
    assert m(t.tensor(1.0)).item() == 20 and seen == [2.0]
    pre.remove()
    post.remove()
    assert m(t.tensor(1.0)).item() == 1


@BOTH
def test_sequential_lists_and_dicts_are_indexed_as_torchs(t):
    s = t.nn.Sequential(t.nn.Linear(1, 2), t.nn.ReLU(), t.nn.Linear(2, 1))
    assert len(s) == 3 and s[-1] is list(s)[2] and len(s[1:]) == 2 and len(s.append(t.nn.Tanh())) == 4
    named = t.nn.Sequential(OrderedDict(a=t.nn.ReLU(), b=t.nn.Tanh()))
    assert [n for n, _ in named.named_children()] == ["a", "b"] and named.a is named[0]
    d = t.nn.ModuleDict({"x": t.nn.ReLU()})
    d["y"] = t.nn.Tanh()
    assert list(d) == ["x", "y"] and len(d) == 2 and "y" in d


@pytest.mark.parametrize("layer", [nn.Linear(50, 40), nn.Conv2d(5, 40, 3)])
def test_initial_values_lie_within_the_bound_of_the_fan_in_and_fill_it(layer):
    bound = 1 / np.sqrt(layer.weight.numel() / 40)
    for p in (layer.weight, layer.bias):
        values = np.abs(p.detach().numpy())
        assert values.max() <= bound and values.max() > 0.8 * bound


@BOTH
def test_initializers_have_their_spread(t):
    w = t.empty(300, 200)
    for fill, spread in [
        (lambda: t.nn.init.kaiming_normal_(w, nonlinearity="relu"), np.sqrt(2 / 200)),
        (lambda: t.nn.init.xavier_uniform_(w), np.sqrt(2 / 500)),
        (lambda: t.nn.init.xavier_normal_(w, gain=2), 2 * np.sqrt(2 / 500)),
        (lambda: t.nn.init.normal_(w, 0, 3), 3),
        (lambda: t.nn.init.uniform_(w, -1, 1), 1 / np.sqrt(3)),
        (lambda: t.nn.init.constant_(w, 2), 0),
    ]:
        fill()
        assert w.std().item() == pytest.approx(spread, rel=0.03)
