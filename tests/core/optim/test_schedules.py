"""Learning-rate schedules over a hundred epochs beside PyTorch's, and what they save, warn of and refuse."""

from __future__ import annotations

import copy
import json
import math
import warnings

import numpy as np
import pytest
import torch as real

import gradwire as torch


class Decay:
    """A callable with state of its own, which state dicts keep."""

    def __init__(self, base):
        self.base = base

    def __call__(self, n):
        return self.base**n


SCHEDULES = [
    ("LambdaLR", {"lr_lambda": lambda n: 1 / (1 + n)}),
    ("LambdaLR", {"lr_lambda": [lambda n: 0.9**n, lambda n: 1 + n]}),
    ("LambdaLR", {"lr_lambda": Decay(0.95)}),
    ("MultiplicativeLR", {"lr_lambda": lambda n: 0.95 + 0.01 * (n % 3)}),
    ("MultiplicativeLR", {"lr_lambda": [lambda n: 0.9, Decay(0.99)]}),
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("StepLR", {"step_size": 30}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11, 60], "gamma": 0.3}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.25, "total_iters": 7}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 70}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 50, "power": 2.5}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    ("CosineAnnealingLR", {"T_max": 100}),
    ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5, "T_mult": 2, "eta_min": 0.001}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": [0.1, 0.3], "step_size_up": 7, "step_size_down": 11, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "mode": "exp_range", "gamma": 0.99}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "scale_fn": Decay(0.9), "cycle_momentum": False}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 5, "scale_fn": Decay(0.99), "scale_mode": "iterations"}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 101}),
    ("OneCycleLR", {"max_lr": [0.1, 0.2], "epochs": 11, "steps_per_epoch": 10, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 120, "anneal_strategy": "linear", "pct_start": 0.1}),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 120, "cycle_momentum": False, "div_factor": 10.0}),
    ("SWALR", {"swa_lr": 0.02}),
    ("SWALR", {"swa_lr": [0.02, 0.3], "anneal_epochs": 40, "anneal_strategy": "linear"}),
    ("SWALR", {"swa_lr": 0.02, "anneal_epochs": 0}),
]  # fmt: skip
IDS = [f"{n} {', '.join(o)}" for n, o in SCHEDULES]


def optimizer(t, kind="SGD", **options):
    ps = [t.ones(3, requires_grad=True), t.ones(2, requires_grad=True)]
    given = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(t.optim, kind)(
        [{"params": ps[:1], "lr": 0.5}, {"params": ps[1:]}], lr=0.2, **given, **options
    )


def schedule(t, o, name, options):
    where = t.optim.swa_utils if name == "SWALR" else t.optim.lr_scheduler
    return getattr(where, name)(o, **copy.deepcopy(options))


def groups(o):
    """The numbers of all groups."""
    return [
        {k: v for k, v in g.items() if k in ("lr", "initial_lr", "momentum", "betas", "max_lr", "min_lr")}
        for g in o.param_groups
    ]


def path(t, o, s, epochs):
    seen = [(s.get_last_lr(), groups(o))]
    for _ in range(epochs):
        o.step()
        s.step()
        seen.append((list(s.get_last_lr()), groups(o)))
    return seen


def same(ours, theirs, tolerance=1e-12):
    """Nested lists and dicts of numbers, alike."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for k in theirs:
            same(ours[k], theirs[k], tolerance)
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b, tolerance)
    elif isinstance(theirs, float):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance)
    else:
        assert ours == theirs


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_a_hundred_epochs_are_torchs(name, options, kind):
    def seen(t):
        o = optimizer(t, kind)
        return path(t, o, schedule(t, o, name, options), 100)

    same(seen(torch), seen(real))


@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_a_rate_set_by_hand_is_gone_on_from_as_in_torch(name, options):
    def seen(t):
        o = optimizer(t)
        s = schedule(t, o, name, options)
        result = path(t, o, s, 4)
        o.param_groups[0]["lr"] *= 2
        return result + path(t, o, s, 20)

    same(seen(torch), seen(real))


@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_states_have_torchs_entries_and_go_on(name, options):
    def whole_and_resumed(t):
        o = optimizer(t)
        s = schedule(t, o, name, options)
        path(t, o, s, 9)
        saved = copy.deepcopy((o.state_dict(), s.state_dict()))
        whole = path(t, o, s, 30)
        p = optimizer(t)
        again = schedule(t, p, name, options)
        p.load_state_dict(saved[0])
        again.load_state_dict(copy.deepcopy(saved[1]))
        return whole, path(t, p, again, 30), saved[1]

    ours, theirs = whole_and_resumed(torch), whole_and_resumed(real)
    same(ours[0], theirs[0])
    same(ours[1], theirs[1])
    assert ours[0] == ours[1]
    same({k: v for k, v in ours[2].items() if k != "_schedule_phases"}, {k: v for k, v in theirs[2].items() if k != "_schedule_phases"})  # fmt: skip


@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_torchs_state_loads(name, options):
    o = optimizer(real)
    s = schedule(real, o, name, options)
    path(real, o, s, 9)
    p = optimizer(torch)
    again = schedule(torch, p, name, options)
    p.load_state_dict(o.state_dict())
    again.load_state_dict(copy.deepcopy(s.state_dict()))
    same(path(torch, p, again, 20), path(real, o, s, 20))


PLAIN = [(n, o) for n, o in SCHEDULES if not any(isinstance(v, Decay) for v in o.values())]


@pytest.mark.parametrize("name,options", PLAIN, ids=[f"{n} {', '.join(o)}" for n, o in PLAIN])
def test_a_state_passes_through_json(name, options):
    o = optimizer(torch)
    s = schedule(torch, o, name, options)
    path(torch, o, s, 4)
    p = optimizer(torch)
    again = schedule(torch, p, name, options)
    again.load_state_dict(json.loads(json.dumps(s.state_dict())))
    p.load_state_dict(o.state_dict())
    assert path(torch, p, again, 20) == path(torch, o, s, 20)


@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_last_epoch_resumes(name, options):
    def seen(t):
        o = optimizer(t)
        s = schedule(t, o, name, options)
        path(t, o, s, 6)
        return path(t, o, schedule(t, o, name, {**options, "last_epoch": s.last_epoch}), 20)

    same(seen(torch), seen(real))


@pytest.mark.parametrize("name,options", SCHEDULES, ids=IDS)
def test_step_to_a_given_epoch_warns_and_goes_there(name, options):
    def seen(t):
        o = optimizer(t)
        s = schedule(t, o, name, options)
        result = []
        for epoch in (3, 7, 2, 40):
            o.step()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                s.step(epoch)
            result.append(
                (list(s.get_last_lr()), groups(o), s.last_epoch, [str(w.message)[:60] for w in caught])
            )
        return result

    same(seen(torch), seen(real))


def test_restarts_take_fractions_of_epochs():
    def seen(t):
        o = optimizer(t)
        s = t.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2)
        result = []
        for i in range(60):
            s.step(i / 4)
            result.append((s.get_last_lr(), s.last_epoch))
        return result

    same(seen(torch), seen(real))


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_a_tensor_rate_is_written_in_place(t):
    p = t.ones(2, requires_grad=True)
    rate = t.tensor(0.5)
    o = t.optim.SGD([p], lr=rate)
    s = t.optim.lr_scheduler.ExponentialLR(o, 0.5)
    p.grad = t.ones(2)
    o.step()
    s.step()
    assert rate.item() == 0.25 and o.param_groups[0]["lr"] is rate and s.get_last_lr()[0].item() == 0.25
    o.step()
    assert p.tolist() == [0.25, 0.25]


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_steps_in_the_wrong_order_are_warned_of(t):
    o = optimizer(t)
    o.step()  # before the schedule there was; does not count
    s = t.optim.lr_scheduler.StepLR(o, 3)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        s.step()
    o = optimizer(t)
    s = t.optim.lr_scheduler.StepLR(o, 3)
    o.step()
    s.step()
    s.step()
    s = t.optim.lr_scheduler.StepLR(o, 3)
    o.step = lambda: None
    with pytest.warns(UserWarning, match="overridden after"):
        s.step()


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_get_lr_outside_of_step_is_warned_of(t):
    s = t.optim.lr_scheduler.StepLR(optimizer(t), 3)
    with pytest.warns(UserWarning, match="get_last_lr"):
        s.get_lr()


def composed(t, name):
    o = optimizer(t)
    lrs = t.optim.lr_scheduler
    if name == "warm-up, cosine":
        s = lrs.SequentialLR(o, [lrs.LinearLR(o, 0.1, total_iters=5), lrs.CosineAnnealingLR(o, 20)], [5])
    elif name == "three":
        s = lrs.SequentialLR(
            o, [lrs.ConstantLR(o, 0.1, 3), lrs.ExponentialLR(o, 0.9), lrs.StepLR(o, 4, 0.5)], [4, 11]
        )
    elif name == "milestone 0":
        s = lrs.SequentialLR(o, [lrs.ConstantLR(o, 0.1, 3), lrs.ExponentialLR(o, 0.9)], [0])
    elif name == "chained":
        s = lrs.ChainedScheduler(
            [lrs.ConstantLR(o, 0.1, 6), lrs.ExponentialLR(o, 0.95), lrs.MultiStepLR(o, [3, 9])]
        )
    elif name == "chained in sequence":
        chain = lrs.ChainedScheduler([lrs.ConstantLR(o, 0.5, 3), lrs.ExponentialLR(o, 0.9)])
        s = lrs.SequentialLR(o, [chain, lrs.PolynomialLR(o, 10)], [7])
    elif name == "sequence in sequence":
        first = lrs.SequentialLR(o, [lrs.LinearLR(o, 0.2, total_iters=3), lrs.ExponentialLR(o, 0.8)], [3])
        s = lrs.SequentialLR(o, [first, lrs.CosineAnnealingWarmRestarts(o, 4)], [8])
    else:
        s = lrs.ChainedScheduler([lrs.LambdaLR(o, lambda n: 0.9**n)], optimizer=o)
    return o, s


COMPOSED = [
    "warm-up, cosine", "three", "milestone 0", "chained", "chained in sequence", "sequence in sequence", "chain of one",
]  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_schedules_are_torchs(name):
    def seen(t):
        with warnings.catch_warnings(
            record=True
        ) as caught:  # schedules in schedules step before the optimizer
            warnings.simplefilter("always")
            result = path(t, *composed(t, name), 100)
        return result, [str(w.message)[:50] for w in caught]

    same(seen(torch), seen(real))


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
@pytest.mark.parametrize("name", COMPOSED)
def test_composed_states_go_on(name):
    def seen(t):
        o, s = composed(t, name)
        path(t, o, s, 6)
        p, again = composed(t, name)
        p.load_state_dict(copy.deepcopy(o.state_dict()))
        again.load_state_dict(copy.deepcopy(s.state_dict()))
        result = path(t, p, again, 25)
        assert result == path(t, o, s, 25)
        return result

    same(seen(torch), seen(real))


METRICS = [
    1.0,
    0.9,
    0.95,
    0.9,
    0.89995,
    0.91,
    0.92,
    0.5,
    0.6,
    math.nan,
    0.6,
    0.6,
    0.6,
    0.6,
    0.4,
    -1.0,
    0.0,
    0.0,
    0.0,
    0.0,
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 1},
        {"patience": 1, "factor": 0.5, "cooldown": 2},
        {"mode": "max", "patience": 2, "threshold": 0.1},
        {"patience": 0, "threshold_mode": "abs", "threshold": 0.2},
        {"mode": "max", "patience": 0, "threshold_mode": "abs", "min_lr": [0.1, 0.01]},
        {"patience": 0, "factor": 0.9, "eps": 0.03, "min_lr": 0.05},
    ],
)
def test_reduction_on_plateaus_is_torchs(options):
    def seen(t):
        o = optimizer(t)
        s = t.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
        result = []
        for i, metric in enumerate(METRICS * 2):
            o.step()
            s.step(t.tensor(metric) if i % 2 else metric)
            result.append((s.get_last_lr(), groups(o), s.num_bad_epochs, s.in_cooldown))
            if i == 9:
                again = t.optim.lr_scheduler.ReduceLROnPlateau(o)
                again.load_state_dict(copy.deepcopy(s.state_dict()))
                state, s = {k: v for k, v in s.state_dict().items() if k != "best"}, again
        return result, state

    same(seen(torch), seen(real))


def refused(t):
    """Calls that fail, by number."""
    lrs, swa = t.optim.lr_scheduler, t.optim.swa_utils
    o = optimizer(t)
    plain = t.optim.Rprop([t.ones(1, requires_grad=True)])
    other = lrs.StepLR(optimizer(t), 3)
    plateau = lrs.ReduceLROnPlateau(o)
    own = lrs.StepLR(o, 3)
    return [
        lambda: lrs.StepLR([1], 3),
        lambda: lrs.StepLR(o, 3, last_epoch=4) if "initial_lr" not in o.param_groups[0] else lrs.StepLR(plain, 3, last_epoch=4),
        lambda: lrs.LambdaLR(o, [lambda n: 1.0]),
        lambda: lrs.MultiplicativeLR(o, [lambda n: 1.0]),
        lambda: lrs.MultiplicativeLR(o, 0.5),
        lambda: lrs.ConstantLR(o, 1.5),
        lambda: lrs.LinearLR(o, 0.0),
        lambda: lrs.LinearLR(o, 0.5, 1.5),
        lambda: lrs.CosineAnnealingWarmRestarts(o, 0),
        lambda: lrs.CosineAnnealingWarmRestarts(o, 3, 0),
        lambda: lrs.CosineAnnealingWarmRestarts(o, 3, eta_min="a"),
        lambda: lrs.CosineAnnealingWarmRestarts(o, 3).step(-1),
        lambda: lrs.CyclicLR(o, 0.1, [0.2]),
        lambda: lrs.CyclicLR(o, 0.1, 0.2, mode="square"),
        lambda: lrs.CyclicLR(plain, 0.1, 0.2),
        lambda: lrs.OneCycleLR(o, 0.1),
        lambda: lrs.OneCycleLR(o, 0.1, total_steps=-1),
        lambda: lrs.OneCycleLR(o, 0.1, epochs=2),
        lambda: lrs.OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=3),
        lambda: lrs.OneCycleLR(o, 0.1, epochs=2, steps_per_epoch=1.5),
        lambda: lrs.OneCycleLR(o, 0.1, 10, pct_start=1),
        lambda: lrs.OneCycleLR(o, 0.1, 10, anneal_strategy="square"),
        lambda: lrs.OneCycleLR(o, [0.1], 10),
        lambda: lrs.OneCycleLR(plain, 0.1, 10),
        lambda: lrs.SequentialLR(o, [], []),
        lambda: lrs.SequentialLR(o, [own], [3]),
        lambda: lrs.SequentialLR(o, [own, plateau], [3]),
        lambda: lrs.SequentialLR(o, [own, 3], [3]),
        lambda: lrs.SequentialLR(o, [other], []),
        lambda: lrs.ChainedScheduler([]),
        lambda: lrs.ChainedScheduler([own, plateau]),
        lambda: lrs.ChainedScheduler([own, other]),
        lambda: lrs.ReduceLROnPlateau(o, factor=1.0),
        lambda: lrs.ReduceLROnPlateau(o, mode="least"),
        lambda: lrs.ReduceLROnPlateau(o, threshold_mode="x"),
        lambda: lrs.ReduceLROnPlateau(o, min_lr=[1]),
        lambda: lrs.ReduceLROnPlateau(3),
        lambda: swa.SWALR(o, 0.1, anneal_strategy="square"),
        lambda: swa.SWALR(o, 0.1, anneal_epochs=-1),
        lambda: swa.SWALR(o, [0.1]),
        lambda: swa.get_ema_avg_fn(2.0),
        lambda: swa.get_ema_multi_avg_fn(-0.1),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(len(refused(real))))
def test_wrong_schedules_are_refused_in_torchs_words(number):
    def error(t):
        with pytest.raises(Exception) as caught:
            refused(t)[number]()
        return caught.type, str(caught.value).split("\n")[0].split("\\n")[0][:250]

    assert error(torch) == error(real)


def test_a_cycle_that_is_over_is_refused():
    for t in (torch, real):
        o = optimizer(t)
        s = t.optim.lr_scheduler.OneCycleLR(o, 0.1, 5)
        for _ in range(4):
            o.step()
            s.step()
        o.step()
        s.step()
        with pytest.raises(
            ValueError, match=r"Tried to step 6 times\. The specified number of total steps is 5"
        ):
            s.step()


def test_a_schedule_of_ones_own():
    def seen(t):
        class Square(t.optim.lr_scheduler.LRScheduler):
            def get_lr(self):
                return [b / (1 + self.last_epoch) ** 2 for b in self.base_lrs]

        class Old(t.optim.lr_scheduler._LRScheduler):
            def get_lr(self):
                return [g["lr"] * 0.5 for g in self.optimizer.param_groups]

        o = optimizer(t)
        first = path(t, o, Square(o), 5)
        o = optimizer(t)
        return first, path(t, o, Old(o), 5)

    same(seen(torch), seen(real))
    with pytest.raises(NotImplementedError, match="LRScheduler lacks get_lr"):
        torch.optim.lr_scheduler.LRScheduler(optimizer(torch))


def test_the_rates_are_numbers_that_the_optimizer_uses():
    def trained(t):
        p = t.full((2,), 3.0, dtype=t.float64, requires_grad=True)
        o = t.optim.Adam([p], lr=0.1)
        s = t.optim.lr_scheduler.OneCycleLR(o, 0.3, 20)
        for _ in range(20):
            o.zero_grad()
            (p * p).sum().backward()
            o.step()
            s.step()
        return p.detach().numpy()

    np.testing.assert_allclose(trained(torch), trained(real), rtol=1e-10)
