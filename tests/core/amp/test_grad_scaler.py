"""GradScaler beside PyTorch's: scales, steps left out, states, order of calls."""

from __future__ import annotations

import math

import pytest

import gradwire as ours
from tests.core.stories import same


def setting(t, **options):
    w = t.nn.Parameter(t.tensor([1.0, -2.0]))
    return w, t.optim.SGD([w], lr=0.5), t.amp.GradScaler("cpu", **options)


def test_steps_go_on_and_the_scale_grows_and_falls():
    def story(t):
        w, o, s = setting(t, init_scale=8.0, growth_interval=2)
        seen = []
        for factor in (1.0, 1.0, 1.0, math.inf, 1.0, math.nan, 1.0, 1.0):
            o.zero_grad()
            s.scale((w * w).sum() * factor).backward()
            s.step(o)
            s.update()
            seen.append((s.get_scale(), [round(x, 6) for x in w.tolist()]))
        return seen, s.state_dict()

    same(story)


def test_gradients_are_unscaled_before_they_are_clipped():
    def story(t):
        w, o, s = setting(t)
        s.scale((w * 3).sum()).backward()
        s.unscale_(o)
        before = w.grad.tolist()
        t.nn.utils.clip_grad_norm_([w], 1.0)
        s.step(o)
        s.update()
        return before, [round(x, 6) for x in w.tolist()]

    same(story)


@pytest.mark.parametrize(
    "act",
    [
        lambda t, w, o, s: (s.unscale_(o), s.unscale_(o)),
        lambda t, w, o, s: (s.step(o), s.unscale_(o)),
        lambda t, w, o, s: (s.step(o), s.step(o)),
        lambda t, w, o, s: s.update(),
        lambda t, w, o, s: s.step(o, closure=lambda: None),
        lambda t, w, o, s: (setattr(w, "grad", None), s.step(o)),
        lambda t, w, o, s: s.load_state_dict({}),
        lambda t, w, o, s: s.scale(3),
        lambda t, w, o, s: [x.item() for x in s.scale([w.sum(), w.sum()])],
        lambda t, w, o, s: type(s.scale((w.sum(),))).__name__,
        lambda t, w, o, s: (s.update(16.0), s.get_scale())[1],
        lambda t, w, o, s: (s.step(o), s.update(t.tensor(4.0)), s.get_scale())[2],
        lambda t, w, o, s: t.amp.GradScaler("cpu", growth_factor=1.0),
        lambda t, w, o, s: t.amp.GradScaler("cpu", backoff_factor=1.0),
        lambda t, w, o, s: (
            s.set_growth_factor(3.0),
            s.set_backoff_factor(0.1),
            s.set_growth_interval(7),
            s.state_dict(),
        )[3],
        lambda t, w, o, s: t.amp.GradScaler("cpu", enabled=False).state_dict(),
        lambda t, w, o, s: t.amp.GradScaler("cpu", enabled=False).get_scale(),
        lambda t, w, o, s: (t.amp.GradScaler("cpu", enabled=False).step(o), w.tolist())[1],
    ],
)
def test_calls_and_their_order_are_torchs(act):
    def story(t):
        w, o, s = setting(t, init_scale=4.0)
        s.scale(w.sum()).backward()
        return act(t, w, o, s)

    same(story)


def test_a_state_goes_from_one_to_the_other():
    def story(t):
        _, _, s = setting(t, init_scale=4.0, growth_interval=5)
        other = t.amp.GradScaler("cpu")
        other.load_state_dict(s.state_dict())
        return other.state_dict(), other.is_enabled()

    same(story)


def test_float16_gradients_are_refused():
    def story(t):
        w = t.nn.Parameter(t.tensor([1.0], dtype=t.float16))
        w.grad = t.ones_like(w)
        s = t.amp.GradScaler("cpu")
        s.scale(t.ones(()))
        s.unscale_(t.optim.SGD([w], lr=0.1))

    assert same(story)[0] == "ValueError"


def test_the_older_names_are_there():
    assert ours.cuda.amp.GradScaler().state_dict()["scale"] == 65536.0
    with ours.cuda.amp.autocast():
        assert ours.is_autocast_enabled("cuda") and not ours.is_autocast_enabled("cpu")
