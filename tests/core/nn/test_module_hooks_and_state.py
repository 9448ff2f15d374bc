"""Hooks, states, registration and lookups of modules: each story is told by both libraries and must be the same."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same

BOTH = (ours, theirs)


def linear(t, *shape):
    m = t.nn.Linear(*shape).double()
    with t.no_grad():
        for i, p in enumerate(m.parameters()):
            p.copy_(t.arange(p.numel(), dtype=t.float64).reshape(p.shape) * 0.1 + i)
    return m


def net(t):
    return t.nn.Sequential(OrderedDict(a=linear(t, 2, 3), act=t.nn.Tanh(), b=linear(t, 3, 1)))


def grads(m):
    return [
        p.grad if p.grad is None else [round(x, 10) for x in p.grad.flatten().tolist()]
        for p in m.parameters()
    ]


def lists(gs):
    return [g if g is None else [round(x, 10) for x in g.flatten().tolist()] for g in gs]


X = [[1.0, 2.0], [-0.5, 0.25]]


@pytest.mark.parametrize("needs_grad", [True, False])
@pytest.mark.parametrize("replace", [None, "input", "output"])
def test_full_backward_hooks_see_and_replace_the_gradients(needs_grad, replace):
    def story(t):
        m, seen = net(t), []
        for name, part in m.named_children():

            def post(module, grad_input, grad_output, name=name):
                seen.append((name, lists(grad_input), lists(grad_output)))
                return (grad_input[0] * 2,) if replace == "input" and grad_input[0] is not None else None

            def pre(module, grad_output, name=name):
                seen.append((name, "pre", lists(grad_output)))
                return (grad_output[0] * 3,) if replace == "output" else None

            part.register_full_backward_hook(post)
            part.register_full_backward_pre_hook(pre)
        x = t.tensor(X, dtype=t.float64, requires_grad=needs_grad)
        m(x).sum().backward()
        return seen, grads(m), None if x.grad is None else lists([x.grad])

    assert len(same(story)[0]) == 6


def test_removed_hooks_are_not_called_and_prepended_ones_come_first():
    def story(t):
        m, seen = linear(t, 2, 2), []
        handles = [
            m.register_forward_hook(lambda *a: seen.append("second")),
            m.register_forward_hook(lambda *a: seen.append("first"), prepend=True),
            m.register_forward_pre_hook(lambda *a: seen.append("pre")),
            m.register_forward_pre_hook(lambda *a: seen.append("pre-first"), prepend=True),
            m.register_full_backward_hook(lambda *a: seen.append("backward")),
        ]
        m(t.ones(1, 2, dtype=t.float64)).sum().backward()
        for h in handles:
            h.remove()
        m(t.ones(1, 2, dtype=t.float64)).sum().backward()
        return seen

    assert len(same(story)) == 5


def test_hooks_with_keyword_arguments_see_and_replace_them():
    def story(t):
        class Scaled(t.nn.Module):
            def forward(self, x, *, by=1.0):
                return x * by

        m, seen = Scaled(), []

        def pre(module, args, kwargs):
            seen.append((len(args), dict(kwargs)))
            return args, {"by": kwargs["by"] + 1}

        def after(module, args, kwargs, output):
            seen.append((kwargs, output.tolist()))
            return output + 1

        m.register_forward_pre_hook(pre, with_kwargs=True)
        m.register_forward_hook(after, with_kwargs=True)
        return seen, m(t.ones(2), by=2.0).tolist()

    same(story)


def test_a_hook_that_is_always_called_sees_a_failed_forward():
    def story(t):
        class Fails(t.nn.Module):
            def forward(self, x):
                raise ValueError("no")

        m, seen = Fails(), []
        m.register_forward_hook(lambda mod, args, out: seen.append(out), always_call=True)
        m.register_forward_hook(lambda mod, args, out: seen.append("not this"))
        with pytest.raises(ValueError, match="no"):
            m(t.ones(1))
        return seen

    assert same(story) == [None]


def test_the_output_of_a_module_with_backward_hooks_refuses_changes_in_place():
    def story(t):
        m = linear(t, 2, 2)
        m.register_full_backward_hook(lambda *a: None)
        y = m(t.ones(1, 2, dtype=t.float64, requires_grad=True))
        with pytest.raises(RuntimeError, match="view"):
            y.add_(1)

    same(story)


def test_states_keep_versions_hooks_and_extra_state():
    def story(t):
        class Counting(t.nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = t.nn.BatchNorm1d(2)
                self.calls = 3

            def get_extra_state(self):
                return {"calls": self.calls}

            def set_extra_state(self, state):
                self.calls = state["calls"] + 1

        m, seen = Counting(), []
        m.register_state_dict_post_hook(
            lambda mod, state, prefix, local: seen.append(("post", prefix, dict(local)))
        )
        m.register_state_dict_pre_hook(lambda mod, prefix, keep: seen.append(("pre", prefix, keep)))
        m.register_load_state_dict_pre_hook(
            lambda mod, state, prefix, *rest: seen.append(("load-pre", prefix, list(state)))
        )
        m.register_load_state_dict_post_hook(
            lambda mod, keys: seen.append(("load-post", list(keys.missing_keys)))
        )
        state = m.state_dict(prefix="x.")
        plain = m.state_dict()
        result = m.load_state_dict(plain)
        return seen, list(state), {k: dict(v) for k, v in plain._metadata.items()}, m.calls, repr(result)

    same(story)


@pytest.mark.parametrize(
    "change",
    [
        lambda t, s: s.pop("a.bias"),
        lambda t, s: s.update({"c.weight": t.ones(1), "a.extra": t.ones(1)}),
        lambda t, s: (s.pop("a.bias"), s.update({"zz": t.ones(1), "b.weight": t.ones(2, 2)})),
        lambda t, s: s.update({"a.weight": [1, 2]}),
        lambda t, s: s.update({"a.weight": t.ones(3, 2, dtype=t.float32)}),
        lambda t, s: s.update({"a.weight.deep": t.ones(1)}),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_what_a_state_lacks_or_has_too_much_is_told_in_torchs_words(change, strict, assign):
    def story(t):
        m = net(t)
        state = OrderedDict(m.state_dict())
        change(t, state)
        try:
            keys = m.load_state_dict(state, strict=strict, assign=assign)
        except RuntimeError as e:
            return [line.rstrip() for line in str(e).splitlines()]
        return (
            list(keys.missing_keys),
            list(keys.unexpected_keys),
            [str(p.dtype) for p in m.parameters()],
            repr(keys),
        )

    def same_type_names(result):
        return str(result).replace("gradwire.", "torch.")

    assert same_type_names(story(ours)) == same_type_names(story(theirs))


def test_a_state_that_is_assigned_is_taken_over_and_keeps_what_needs_a_gradient():
    def story(t):
        m = net(t)
        m.a.weight.requires_grad_(False)
        state = {k: t.ones_like(v) for k, v in m.state_dict().items()}
        m.load_state_dict(state, assign=True)
        shares = (
            m.a.bias.data_ptr() == state["a.bias"].data_ptr()
            if t is theirs
            else m.a.bias._array is state["a.bias"]._array
        )
        return shares, [type(p).__name__ for p in m.parameters()], [p.requires_grad for p in m.parameters()]

    assert same(story)[2] == [False, True, True, True]


@pytest.mark.parametrize(
    "act",
    [
        lambda t, m: m.register_buffer("a", t.ones(1)),
        lambda t, m: m.register_buffer("x.y", t.ones(1)),
        lambda t, m: m.register_buffer("", t.ones(1)),
        lambda t, m: m.register_buffer("p", 3),
        lambda t, m: m.register_parameter("p", t.ones(1)),
        lambda t, m: m.register_parameter("p", 5),
        lambda t, m: m.register_parameter("forward", t.nn.Parameter(t.ones(1))),
        lambda t, m: m.register_parameter(3, None),
        lambda t, m: m.add_module("p", 3),
        lambda t, m: m.add_module("x.y", t.nn.Tanh()),
        lambda t, m: m.add_module("", t.nn.Tanh()),
        lambda t, m: setattr(m, "a", 3),
        lambda t, m: setattr(m.a, "weight", 3),
        lambda t, m: setattr(m.a, "weight", t.ones(1)),
        lambda t, m: (m.register_buffer("q", t.ones(1)), setattr(m, "q", "x")),
        lambda t, m: m.get_submodule("a.c"),
        lambda t, m: m.get_submodule("a.weight"),
        lambda t, m: m.get_submodule("b").weight.shape[0],
        lambda t, m: m.get_parameter("a.weight").shape[1],
        lambda t, m: m.get_parameter("a.nothing"),
        lambda t, m: m.get_parameter("a"),
        lambda t, m: m.get_buffer("a.weight"),
        lambda t, m: m.set_submodule("", t.nn.Tanh()),
        lambda t, m: (m.set_submodule("a", t.nn.Tanh()), repr(m))[1],
        lambda t, m: m.set_submodule("nothing", t.nn.Tanh(), strict=True),
        lambda t, m: m.nothing,
        lambda t, m: m.train("yes"),
        lambda t, m: m.to(t.int64),
        lambda t, m: t.nn.Module(3),
        lambda t, m: t.nn.Module(x=3),
        lambda t, m: t.nn.Module()(1),
        lambda t, m: m.load_state_dict([1]),
        lambda t, m: sorted(n for n in dir(m) if n in ("a", "act", "b", "training", "forward")),
        lambda t, m: [n for n, _ in t.nn.Sequential(m.a, m.a).named_parameters(remove_duplicate=False)],
        lambda t, m: [n for n, _ in t.nn.Sequential(m.a, m.a).named_modules(remove_duplicate=False)],
    ],
)
def test_registering_and_finding_go_as_with_torch(act):
    same(lambda t: act(t, net(t)))


@pytest.mark.parametrize("kind", ["module", "parameter", "buffer"])
def test_nothing_is_registered_before_init(kind):
    def story(t):
        class Early(t.nn.Module):
            def __init__(self):
                self.x = {
                    "module": t.nn.Tanh(),
                    "parameter": t.nn.Parameter(t.ones(1)),
                    "buffer": t.nn.Buffer(t.ones(1)),
                }[kind]

        Early()

    assert same(story)[0] == "AttributeError"


def test_buffers_are_registered_by_assignment():
    def story(t):
        m = t.nn.Module()
        m.kept, m.scratch = t.nn.Buffer(t.ones(2)), t.nn.Buffer(t.ones(2), persistent=False)
        m.kept = t.zeros(3)
        return [(n, b.tolist()) for n, b in m.named_buffers()], list(m.state_dict())

    same(story)


@pytest.mark.parametrize("t", BOTH)
def test_modules_are_copied_and_pickled_with_their_buffers_and_shared_parts(t):
    m = t.nn.ModuleList([linear(t, 2, 2), t.nn.BatchNorm1d(2)])
    m.append(m[0])
    m.scratch = t.nn.Buffer(t.ones(1), persistent=False)
    for c in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert c[0] is c[2] and c[0] is not m[0] and list(c.state_dict()) == list(m.state_dict())
        assert c[0].weight.requires_grad and c[0].weight.tolist() == m[0].weight.tolist()


class TestPlacesOfErrors:
    def model(self):
        nn = ours.nn

        class Block(nn.Module):
            def __init__(self, size):
                super().__init__()
                self.linear1 = nn.Linear(size, 4)

            def forward(self, x):
                return self.linear1(x)

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList([Block(4), Block(4), Block(5)])

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x

        class Model(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = Encoder()

            def forward(self, x):
                return self.encoder(x)

        return Model()

    def test_a_shape_that_does_not_fit_names_the_modules_path_and_both_shapes(self):
        with pytest.raises(RuntimeError, match=r"^encoder\.layers\.2\.linear1: .*4.*5") as e:
            self.model()(ours.ones(2, 4))
        assert str(e.value).count("linear1") == 1

    def test_a_lone_module_keeps_torchs_words(self):
        with pytest.raises(RuntimeError) as e:
            ours.nn.Linear(3, 2)(ours.ones(2, 4))
        assert not str(e.value).startswith("Linear")

    def test_the_users_own_errors_keep_their_words(self):
        m = self.model()
        m.encoder.layers[0].register_forward_pre_hook(lambda *a: (_ for _ in ()).throw(ValueError("mine")))
        with pytest.raises(ValueError, match=r"^mine$"):
            m(ours.ones(2, 4))
