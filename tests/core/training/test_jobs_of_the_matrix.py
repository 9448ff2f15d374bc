"""The jobs in tests/workers/jobs under the reference: it trains them as an ordinary loop does, however many the shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire import nn
from gradwire.backends import Device
from gradwire.training import Job, Plan, Reference, ShardStep, build, load_job, state_arrays, train_solo
from gradwire.training.shard import seeded

JOBS = Path(__file__).parents[2] / "workers" / "jobs"
OTHERS = {"overflow", "greedy"}  # whose steps are left out; who wants more than its process may use
NAMES = sorted(path.stem for path in JOBS.glob("*.py") if path.stem not in OTHERS)


def loaded(name: str) -> Job:
    return load_job(JOBS / f"{name}.py")


def ordinary(job: Job, shards: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """Losses and final state of a loop as a user of PyTorch writes it: backward adds into .grad, clip, step, schedule."""
    train, _, model, optimizer, scheduler = build(job, Device("cpu"))
    plan = Plan(job, len(train), 0, shards)
    losses = []
    for step in range(plan.total_steps):
        optimizer.zero_grad()
        before = {n: b.clone() for n, b in model.named_buffers()}
        after: list[dict[str, np.ndarray]] = []
        whole, weights = 0.0, 0.0
        for shard in range(shards):
            rows = plan.shard_rows(step, shard).tolist()
            if not rows:
                continue
            for n, b in model.named_buffers():
                b.copy_(before[n])
            with seeded(job.seed, "step", step, shard):
                result = job.loss(model.train(), job.collate([train[i] for i in rows]))
            parts = result if isinstance(result, dict) else {"loss": result}
            weight = float(parts.get("weight", len(rows)))
            (parts["loss"] * weight).backward()
            whole, weights = whole + weight * parts["loss"].item(), weights + weight
            after.append({n: b.numpy().copy() for n, b in model.named_buffers()})
        for p in model.parameters():
            if p.grad is not None:
                p.grad /= weights
        if job.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), job.clip_grad_norm)
        optimizer.step()
        for n, b in model.named_buffers():
            b.numpy()[...] = np.mean([state[n] for state in after], axis=0)
        if scheduler is not None and (job.schedule_every == "step" or plan.ends_epoch(step)):
            scheduler.step()
        losses.append(whole / weights)
    return losses, state_arrays(model)


@pytest.mark.parametrize("shards", [8, 3])
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_trains_as_an_ordinary_loop_does(name: str, shards: int) -> None:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # where rounding can't hide a wrong term
    try:
        losses, state = ordinary(loaded(name), shards)
        ran = train_solo(loaded(name), shards)
    finally:
        torch.set_default_dtype(default)
    np.testing.assert_allclose([m["loss"] for m in ran.history], losses, rtol=1e-11)
    for entry, array in state_arrays(ran.model).items():
        assert array.dtype in (np.float64, np.int64)
        np.testing.assert_allclose(array, state[entry], rtol=1e-8, atol=1e-10, err_msg=entry)


@pytest.mark.parametrize("name", ["branches", "cycle"])
def test_without_dropout_or_batch_statistics_shards_change_nothing_but_rounding(name: str) -> None:
    one, eight, many = (train_solo(loaded(name), shards) for shards in (1, 8, 64))
    for other in (eight, many):
        assert other.parameters_sha256 != one.parameters_sha256
        np.testing.assert_allclose(
            [m["loss"] for m in other.history], [m["loss"] for m in one.history], rtol=1e-5
        )


def test_the_perceptron_without_dropout_has_pytorchs_losses() -> None:
    mlp = type(loaded("mlp"))

    class Plain(mlp):  # type: ignore[misc, valid-type]
        def model(self):
            parts = [part for part in super().model() if not isinstance(part, nn.Dropout)]
            return nn.Sequential(*parts)

    job = Plain()
    train, _, start, _, _ = build(job, Device("cpu"))
    twin = real.nn.Sequential(
        real.nn.Linear(6, 40), real.nn.ReLU(), real.nn.Linear(40, 40), real.nn.Tanh(), real.nn.Linear(40, 3)
    )
    twin.load_state_dict({n: real.from_numpy(a.copy()) for n, a in state_arrays(start).items()})
    x, y = (real.from_numpy(t.numpy()) for t in train.tensors)
    optimizer = real.optim.Adam(twin.parameters(), lr=job.lr)
    scheduler = real.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    plan, losses = Plan(job, len(train), 0, 1), []
    for step in range(plan.total_steps):
        rows = plan.shard_rows(step, 0)
        optimizer.zero_grad()
        loss = real.nn.functional.cross_entropy(twin(x[rows]), y[rows])
        loss.backward()
        real.nn.utils.clip_grad_norm_(twin.parameters(), job.clip_grad_norm)
        optimizer.step()
        if plan.ends_epoch(step):
            scheduler.step()
        losses.append(loss.item())
    for shards in (1, 8):
        ours = [m["loss"] for m in train_solo(Plain(), shards).history]
        np.testing.assert_allclose(ours, losses, rtol=0, atol=1e-6)


def test_the_branching_job_leaves_parameters_out_in_some_shards_and_in_some_steps() -> None:
    reference = Reference(loaded("branches"))
    plan, used = reference.plan, []
    for step in range(plan.total_steps):
        rows = [plan.shard_rows(step, v) for v in range(8)]
        leaves = [
            ShardStep.run(reference.shard_step, reference.train, step, v, r)
            for v, r in enumerate(rows)
            if len(r)
        ]
        used.append([leaf.used for leaf in leaves])
        reference.step()
    by_parameter = [column for step in used for column in zip(*step, strict=True)]
    assert any(any(column) and not all(column) for column in by_parameter)
    assert len(set(reference.counts)) > 1  # a parameter that no shard used was not updated
    assert any(len(step) < 8 for step in used)


def test_every_kind_of_job_of_the_matrix_is_there_and_ends_with_a_smaller_batch() -> None:
    assert set(NAMES) >= {"mlp", "cnn", "gpt", "branches"}
    for name in NAMES:
        job = loaded(name)
        plan = Reference(job).plan
        assert plan.epochs >= 3 and plan.batch_samples(plan.steps_per_epoch - 1) < job.batch_size
