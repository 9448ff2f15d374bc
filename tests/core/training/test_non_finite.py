"""Steps that are not finite: left out or the end of the job, with the operation named; losses scaled by GradScaler's rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire import Job, nn, optim
from gradwire.training import (
    NonFiniteGradient,
    NonFiniteLoss,
    Outcome,
    Reference,
    Scaling,
    state_arrays,
    train_solo,
)
from gradwire.training.job import JobFileError
from gradwire.training.scaling import INTERVAL, outcome_of
from gradwire.training.shard import LossError
from gradwire.utils.data import TensorDataset

X = np.random.default_rng(0).standard_normal((26, 5)).astype(np.float32)


class Plain(Job):
    epochs = 2
    batch_size = 8

    def model(self):
        return nn.Linear(5, 1)

    def train_data(self):
        return TensorDataset(torch.from_numpy(X))

    def optimizer(self, model):
        return optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss(self, model, batch):
        return (model(batch[0]) ** 2).mean()


def job(kind=Plain, **members):
    return type("Made", (kind,), members)()


class Poisoned(Plain):
    """One row makes an infinite input; the step that has it is known from the plan."""

    bad = 11

    def train_data(self):
        x = X.copy()
        x[self.bad] = np.inf
        return TensorDataset(torch.from_numpy(x))

    def step_with_it(self, plan):
        return [
            t for t in range(plan.total_steps) if any(self.bad in plan.shard_rows(t, v) for v in range(3))
        ]


def test_a_skipped_step_changes_nothing_but_its_number() -> None:
    made = Reference(job(Poisoned, on_non_finite="skip"), 3)
    bad = made.job.step_with_it(made.plan)
    assert len(bad) == 2
    for step in range(made.plan.total_steps):
        before = {n: a.copy() for n, a in state_arrays(made.model).items()}
        state = [{k: np.copy(v) for k, v in each.items()} for each in made.optimizer_state]
        counts = list(made.counts)
        metrics = made.step()
        same = all(np.array_equal(before[n], a) for n, a in state_arrays(made.model).items())
        assert same == (step in bad) and metrics["skipped"] == float(step in bad)
        if step in bad:
            assert not math.isfinite(metrics["loss"]) and counts == made.counts
            for old, new in zip(state, made.optimizer_state, strict=True):
                assert all(np.array_equal(old[k], new[k]) for k in old)
    assert all(np.isfinite(a).all() for a in state_arrays(made.model).values())


def test_otherwise_the_job_ends_there_unchanged_with_the_shard_named() -> None:
    made = Reference(job(Poisoned), 3)
    bad = made.job.step_with_it(made.plan)[0]
    for _ in range(bad):
        made.step()
    before = made.parameters_sha256
    shard = next(v for v in range(3) if made.job.bad in made.plan.shard_rows(bad, v))
    with pytest.raises(NonFiniteLoss, match=rf"the loss of step {bad + 1} is (inf|nan): .* in shard {shard}"):
        made.step()
    assert (made.finished, made.parameters_sha256) == (bad, before)


def log_of_negative(self, model, batch):
    masked = model(batch[0]).masked_fill(batch[0][:, :1] > 9, float("-inf")).softmax(0)
    return (masked.sum() - 2.0).log() * model(batch[0]).exp().mean()


def root_of_zero(self, model, batch):
    return (model(batch[0]) * 0.0).sqrt().mean()


def too_large(self, model, batch):
    return ((model(batch[0]).mean() + 3) * 1e30) * 1e30


@pytest.mark.parametrize(
    ("loss", "kind", "message"),
    [
        (log_of_negative, NonFiniteLoss, r"the loss of step 1 is nan: Log made NaN \(test_non_finite.py, line \d+, in log_of_negative\), in shard 0"),
        (root_of_zero, NonFiniteGradient, r"the loss of step 1 is 0.0, its gradient is not finite: backward of Sqrt made infinite values \(test_non_finite.py, line \d+, in root_of_zero\), in shard 0"),
        (too_large, NonFiniteLoss, r"the loss of step 1 is inf: Mul made infinite values \(test_non_finite.py, line \d+, in too_large\), in shard 0"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_operation_that_made_it_is_named_with_its_line(loss, kind, message, accumulate) -> None:
    with pytest.raises(NonFiniteLoss, match=message) as caught:
        train_solo(job(loss=loss, accumulate=accumulate), 3)
    assert type(caught.value) is kind


def test_a_gradient_that_overflows_without_nan_is_named_too() -> None:
    def loss(self, model, batch):
        zero = model.bias.sum() - model.bias.sum().detach()
        return zero * 1e-35 * 1e30 * 1e30

    with pytest.raises(
        NonFiniteGradient,
        match=r"backward of Mul made infinite values \(test_non_finite.py, line \d+, in loss\), in shard 0",
    ):
        train_solo(job(loss=loss), 3)


@pytest.mark.parametrize("scale", [1.0, 4096.0, 2.0**-9])
def test_a_scale_that_is_a_power_of_two_changes_no_bit(scale: float) -> None:
    plain = train_solo(Plain(), 3)
    scaled = train_solo(job(loss_scale=scale), 3)
    assert (plain.parameters_sha256, plain.history) == (scaled.parameters_sha256, scaled.history)


def test_another_scale_changes_the_rounding_alone() -> None:
    plain, scaled = train_solo(Plain(), 3), train_solo(job(loss_scale=1000.0), 3)
    for name, array in state_arrays(plain.model).items():
        np.testing.assert_allclose(state_arrays(scaled.model)[name], array, rtol=1e-5, atol=1e-7)


def test_the_dynamic_scale_is_that_of_pytorchs_scaler() -> None:
    """The same course of good and bad steps, to several growths."""
    made = job(loss_scale="dynamic")
    ours = Scaling.first(made, np.float32)
    theirs = real.amp.GradScaler("cpu")
    p = real.nn.Parameter(real.zeros(1))
    optimizer = real.optim.SGD([p], lr=0.0)
    rng = np.random.default_rng(1)
    for step in range(3 * INTERVAL):
        bad = step < 3 or (step > INTERVAL and rng.random() < 0.001)
        theirs.scale(p.sum() * (math.inf if bad else 1.0)).backward()
        theirs.step(optimizer)
        theirs.update()
        optimizer.zero_grad()
        ours = ours.after(made, outcome_of(made, ours, 1.0, not bad))
        assert ours.scale == theirs.get_scale()
    assert ours.scale != Scaling.first(made, np.float32).scale


def test_a_gradient_that_no_scale_made_overflow_ends_the_job_all_the_same() -> None:
    made = job(loss_scale="dynamic")
    assert outcome_of(made, Scaling(2.0), 0.5, False) is Outcome.SKIPPED
    assert outcome_of(made, Scaling(1.0), 0.5, False) is Outcome.FAILED
    assert outcome_of(made, Scaling(2.0), math.nan, False) is Outcome.FAILED
    always = job(loss_scale="dynamic", loss=root_of_zero, epochs=20)
    with pytest.raises(NonFiniteGradient, match=r"the loss of step 17 is 0.0"):
        train_solo(always, 3)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"on_non_finite": "ignore"}, "on_non_finite: expected 'fail' or 'skip', got 'ignore'"),
        ({"loss_scale": 0}, "loss_scale: expected a number above 0, 'dynamic' or None, got 0"),
        ({"loss_scale": math.inf}, "loss_scale: expected"),
        ({"loss_scale": "high"}, "loss_scale: expected"),
        ({"accumulate": 0}, "accumulate: expected an integer of at least 1"),
    ],
)
def test_a_wrong_setting_is_named(members, message) -> None:
    with pytest.raises(JobFileError, match=message):
        job(**members).check()


def test_settings_are_read_from_text() -> None:
    made = Plain()
    for text, value in (("dynamic", "dynamic"), ("none", None), ("512", 512.0)):
        made.override({"loss_scale": text})
        made.check()
        assert made.loss_scale == value


def test_16_bit_parameters_are_refused_where_their_gradients_would_be_unscaled() -> None:
    with pytest.raises(JobFileError, match="float16, whose gradients can't be unscaled"):
        Reference(job(loss_scale=8.0, model=lambda s: nn.Linear(5, 1).half()), 3)


def test_a_scale_fits_a_loss_of_16_bits() -> None:
    def loss(self, model, batch):
        return (model(batch[0]) ** 2).mean().half()

    plain, scaled = train_solo(job(loss=loss), 3), train_solo(job(loss=loss, loss_scale=2.0), 3)
    for name, array in state_arrays(plain.model).items():
        np.testing.assert_allclose(state_arrays(scaled.model)[name], array, rtol=1e-2, atol=1e-3)


def test_a_metric_of_a_name_that_is_taken_is_refused() -> None:
    def loss(self, model, batch):
        return {"loss": model(batch[0]).mean(), "skipped": 1.0}

    assert train_solo(job(loss=loss), 3).history[0]["skipped"] == 1.0
    with pytest.raises(LossError, match="can't be called 'skipped'"):
        train_solo(job(loss=loss, on_non_finite="skip"), 3)


# Accumulation


def test_parts_give_the_gradient_of_the_whole_and_fewer_rows_than_parts_are_no_matter() -> None:
    plain = train_solo(Plain(), 3)
    for n in (2, 3, 50):
        parts = train_solo(job(accumulate=n), 3)
        for name, array in state_arrays(plain.model).items():
            np.testing.assert_allclose(state_arrays(parts.model)[name], array, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            [h["loss"] for h in parts.history], [h["loss"] for h in plain.history], rtol=1e-5
        )
    assert (
        train_solo(job(accumulate=2), 3).parameters_sha256
        == train_solo(job(accumulate=2), 3).parameters_sha256
    )


def test_the_loss_sees_the_parts_in_order_and_their_gradients_add() -> None:
    seen: list[np.ndarray] = []

    def loss(self, model, batch):
        seen.append(batch[0].numpy().copy())
        return (model(batch[0]) ** 2).mean()

    made = Reference(job(loss=loss, accumulate=2, batch_size=26), 2)
    leaf = made.shard_step.run(made.train, 0, 0, made.plan.shard_rows(0, 0))
    assert [len(part) for part in seen] == [7, 6]
    np.testing.assert_array_equal(np.concatenate(seen), X[made.plan.shard_rows(0, 0)])
    twin = real.nn.Linear(5, 1)
    twin.load_state_dict({n: real.from_numpy(a.copy()) for n, a in state_arrays(made.model).items()})
    for part in seen:
        (twin(real.from_numpy(part)) ** 2).sum().backward()
    s = made.layout.parameter_segments[0]
    np.testing.assert_allclose(leaf.vector[s.start : s.stop], twin.weight.grad.numpy().ravel(), rtol=1e-4)
    assert leaf.scalars[:3].tolist() == [13.0, 13.0, 1.0]


def test_parts_need_less_memory() -> None:
    import tracemalloc

    peaks = []
    for n in (1, 4):
        made = Reference(
            job(
                accumulate=n,
                batch_size=256,
                train_data=lambda s: TensorDataset(torch.zeros(256, 5)),
                model=lambda s: nn.Sequential(
                    nn.Linear(5, 2000), *[nn.Tanh() for _ in range(6)], nn.Linear(2000, 1)
                ),
            ),
            1,
        )
        tracemalloc.start()
        made.step()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 0.4 * peaks[0]


def test_parts_must_return_the_same_metrics() -> None:
    def loss(self, model, batch):
        extra = {"odd": 1.0} if len(batch[0]) % 2 else {}
        return {"loss": (model(batch[0]) ** 2).mean(), **extra}

    with pytest.raises(LossError, match="the parts of one shard returned different metrics"):
        train_solo(job(loss=loss, accumulate=2), 3)
