"""The contract in its plainest form: same bits twice, torch's gradients, and what a user reads when it goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch as real
from threadpoolctl import threadpool_info, threadpool_limits

import gradwire as torch
from gradwire import Job, nn, optim
from gradwire.nn import functional as F
from gradwire.training import train_solo
from gradwire.training.job import JobFileError
from gradwire.training.shard import LossError
from gradwire.training.solo import NonFiniteLoss
from gradwire.utils.data import TensorDataset

RNG = np.random.default_rng(0)
X = RNG.standard_normal((26, 5)).astype(np.float32)
Y = (X.sum(1) > 0).astype(np.int64)


class Small(Job):
    epochs = 2
    batch_size = 8

    def model(self) -> nn.Module:
        return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))

    def train_data(self):
        return TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))

    def optimizer(self, model):
        return optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)

    def loss(self, model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])


class WithBatchNorm(Small):
    batch_size = 13  # no shard of a single row, which batch norm refuses

    def model(self):
        return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))


class Clipped(Small):
    clip_grad_norm = 0.05


class Adamized(WithBatchNorm):
    schedule_every = "step"

    def optimizer(self, model):
        return optim.AdamW(model.parameters(), lr=1e-2)

    def scheduler(self, optimizer):
        return optim.lr_scheduler.CosineAnnealingLR(optimizer, 8)

    def eval_data(self):
        return self.train_data()

    def evaluate(self, model, batch):
        logits = model(batch[0])
        return {
            "loss": F.cross_entropy(logits, batch[1]),
            "accuracy": (logits.argmax(1) == batch[1]).float().mean(),
        }


@pytest.mark.parametrize("kind", [Small, WithBatchNorm, Clipped, Adamized])
def test_a_job_ends_with_the_same_bits_twice(kind):
    first, second = (train_solo(kind(), 2 if issubclass(kind, WithBatchNorm) else 3) for _ in range(2))
    assert first.parameters_sha256 == second.parameters_sha256 and first.history == second.history


def test_seed_and_shards_are_part_of_the_bits():
    other = Small()
    other.seed = 1
    results = {
        train_solo(Small(), 8).parameters_sha256,
        train_solo(other, 8).parameters_sha256,
        train_solo(Small(), 3).parameters_sha256,
    }
    assert len(results) == 3


def test_global_generators_used_before_do_not_matter():
    first = train_solo(WithBatchNorm(), 2).parameters_sha256
    np.random.seed(5)
    torch.manual_seed(99)
    assert train_solo(WithBatchNorm(), 2).parameters_sha256 == first


class Wide(Small):
    epochs = 1
    batch_size = 13

    def model(self):
        return nn.Sequential(nn.Linear(5, 700), nn.Tanh(), nn.Linear(700, 700), nn.Tanh(), nn.Linear(700, 2))


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: thread counts can't differ")
def test_the_thread_count_of_the_process_before_does_not_matter_and_comes_back():
    def blas():
        return [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]

    shas = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            before = blas()
            shas.append(train_solo(Wide(), 1).parameters_sha256)
            assert blas() == before
    assert shas[0] == shas[1]


# Against torch


def torch_model(model):
    """The same Linear-Tanh-Linear in torch, float64, with the values of gradwire's."""
    twin = real.nn.Sequential(real.nn.Linear(5, 4), real.nn.Tanh(), real.nn.Linear(4, 2)).double()
    twin.load_state_dict(
        {n: real.from_numpy(t.detach().numpy().astype(np.float64)) for n, t in model.state_dict().items()}
    )
    return twin


def initial(kind: Callable[[], Job]) -> nn.Module:
    from gradwire.backends import Device
    from gradwire.training import build

    return build(kind(), Device("cpu"))[2]


class OneStep(Small):
    epochs = 1
    batch_size = 26

    def optimizer(self, model):
        return optim.SGD(model.parameters(), lr=1.0)


@pytest.mark.parametrize("shards", [1, 3, 8, 26, 40])
def test_the_first_gradient_is_torchs_over_the_full_batch(shards):
    twin = torch_model(initial(OneStep))
    before = {n: p.detach().clone() for n, p in twin.named_parameters()}
    real.nn.functional.cross_entropy(twin(real.from_numpy(X).double()), real.from_numpy(Y)).backward()
    after = train_solo(OneStep(), shards).model.state_dict()
    for name, p in twin.named_parameters():
        np.testing.assert_allclose(
            before[name].numpy() - after[name].numpy(), p.grad.numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("kind", [Small, Clipped])
def test_a_whole_run_is_torchs_to_float_tolerance(kind):
    from gradwire.training.plan import Plan

    plan = Plan(kind(), 26, 0, 3)
    twin = torch_model(initial(kind))
    optimizer = real.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for step in range(plan.total_steps):
        rows = np.concatenate([plan.shard_rows(step, v) for v in range(3)])
        optimizer.zero_grad()
        real.nn.functional.cross_entropy(
            twin(real.from_numpy(X[rows]).double()), real.from_numpy(Y[rows])
        ).backward()
        if kind.clip_grad_norm:
            real.nn.utils.clip_grad_norm_(twin.parameters(), kind.clip_grad_norm)
        optimizer.step()
    got = train_solo(kind(), 3).model.state_dict()
    for name, t in twin.state_dict().items():
        np.testing.assert_allclose(got[name].numpy(), t.numpy(), rtol=1e-4, atol=1e-5)


def test_batch_norm_statistics_are_the_mean_of_the_shards():
    class Once(WithBatchNorm):
        epochs = 1
        batch_size = 26

    hidden = initial(Once)[0](torch.from_numpy(X)).detach().numpy()
    from gradwire.training.plan import Plan

    plan = Plan(Once(), 26, 0, 4)
    parts = [hidden[plan.shard_rows(0, v)] for v in range(4)]
    state = train_solo(Once(), 4).model.state_dict()
    np.testing.assert_allclose(
        state["1.running_mean"].numpy(), np.mean([0.1 * p.mean(0) for p in parts], 0), atol=1e-6
    )
    np.testing.assert_allclose(
        state["1.running_var"].numpy(), np.mean([0.9 + 0.1 * p.var(0, ddof=1) for p in parts], 0), atol=1e-6
    )
    assert state["1.num_batches_tracked"].item() == 1


def test_frozen_parameters_stay_as_they_are_and_out_of_the_update():
    class Frozen(Small):
        def model(self):
            m = super().model()
            m[0].requires_grad_(False)
            return m

    before, after = initial(Frozen).state_dict(), train_solo(Frozen(), 3).model.state_dict()
    assert torch.equal(before["0.weight"], after["0.weight"]) and not torch.equal(
        before["2.weight"], after["2.weight"]
    )


def _which(batch):
    return int(batch[0].numpy()[0, 0] > 0)


class Branching(Small):
    """Each batch goes through one of two heads; the third is never used."""

    batch_size = 4

    def model(self):
        return nn.ModuleList([nn.Linear(5, 2) for _ in range(3)])

    def loss(self, model, batch):
        return F.cross_entropy(model[_which(batch)](batch[0]), batch[1])


def test_parameters_that_a_step_does_not_use_are_skipped_like_torchs_none_gradients():
    from gradwire.training.plan import Plan

    start = initial(Branching)
    twin = real.nn.ModuleList([real.nn.Linear(5, 2) for _ in range(3)]).double()
    twin.load_state_dict(
        {n: real.from_numpy(t.detach().numpy().astype(np.float64)) for n, t in start.state_dict().items()}
    )
    optimizer = real.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    plan, used = Plan(Branching(), 26, 0, 1), []
    for step in range(plan.total_steps):
        rows = plan.shard_rows(step, 0)
        used.append(_which((torch.from_numpy(X[rows]),)))
        optimizer.zero_grad()
        real.nn.functional.cross_entropy(
            twin[used[-1]](real.from_numpy(X[rows]).double()), real.from_numpy(Y[rows])
        ).backward()
        optimizer.step()
    got = train_solo(Branching(), 1).model.state_dict()
    assert set(used) == {0, 1}
    for name, t in twin.state_dict().items():
        np.testing.assert_allclose(got[name].numpy(), t.numpy(), rtol=1e-4, atol=1e-5)
    assert torch.equal(got["2.weight"], start.state_dict()["2.weight"])


def test_a_graph_that_differs_from_shard_to_shard_gives_the_same_bits_twice():
    assert train_solo(Branching(), 4).parameters_sha256 == train_solo(Branching(), 4).parameters_sha256


def test_weights_make_uneven_shards_one_mean_over_what_counts():
    class Weighted(OneStep):
        def loss(self, model, batch):
            counts = (batch[1] == 1).float()
            each = F.cross_entropy(model(batch[0]), batch[1], reduction="none")
            return {"loss": (each * counts).sum() / max(counts.sum().item(), 1), "weight": counts.sum()}

    twin = torch_model(initial(Weighted))
    before = twin[0].weight.detach().clone()
    kept = Y == 1
    real.nn.functional.cross_entropy(
        twin(real.from_numpy(X[kept]).double()), real.from_numpy(Y[kept])
    ).backward()
    after = train_solo(Weighted(), 8).model.state_dict()["0.weight"].numpy()
    np.testing.assert_allclose(before.numpy() - after, twin[0].weight.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_metrics_are_means_over_samples_and_evaluation_uses_eval_mode():
    result = train_solo(Adamized(), 3)
    model = result.model.eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(X)).numpy()
    assert result.evaluation["accuracy"] == pytest.approx((logits.argmax(1) == Y).mean())
    assert set(result.metrics) == {"loss"} and len(result.history) == result.steps == 4


def test_a_data_set_that_is_read_sample_by_sample_gives_the_same_bits():
    class Slow(Small):
        def train_data(self):
            return [(torch.from_numpy(x), int(y)) for x, y in zip(X, Y, strict=True)]

    assert train_solo(Slow(), 3).parameters_sha256 == train_solo(Small(), 3).parameters_sha256


# Messages


def job(**methods) -> Job:
    return type("Wrong", (Small,), methods)()


@pytest.mark.parametrize(
    ("methods", "error", "message"),
    [
        ({"loss": lambda s, m, b: m(b[0])}, LossError, r"Wrong.loss\(\): expected 'loss' to be a scalar, got a tensor of shape \(3, 2\); reduce it"),
        ({"loss": lambda s, m, b: 1.0}, LossError, r'Wrong.loss\(\): expected a scalar tensor, or a dict with one under "loss", got float'),
        ({"loss": lambda s, m, b: {"acc": 1}}, LossError, "got a dict with acc"),
        ({"loss": lambda s, m, b: {"loss": m(b[0]).mean(), "acc": "high"}}, LossError, "expected 'acc' to be a scalar, got str"),
        ({"loss": lambda s, m, b: {"loss": m(b[0]).mean(), "weight": -1}}, LossError, '"weight" to be a finite number of at least 0'),
        ({"loss": lambda s, m, b: m(b[0]).detach().mean()}, LossError, "does not depend on the model's parameters"),
        ({"loss": lambda s, m, b: m(b[0]).mean() * float("nan")}, NonFiniteLoss, "the loss of step 1 is nan"),
        ({"loss": lambda s, m, b: m(b[0]).mean() * float("inf")}, NonFiniteLoss, "the loss of step 1 is (inf|-inf|nan)"),
        ({"model": lambda s: 3}, JobFileError, r"Wrong.model\(\): expected an nn.Module, got int"),
        ({"optimizer": lambda s, m: None}, JobFileError, r"Wrong.optimizer\(\): expected an Optimizer, got NoneType"),
        ({"train_data": lambda s: None}, JobFileError, r"Wrong.train_data\(\): expected a data set with __len__ and __getitem__"),
        ({"train_data": lambda s: []}, JobFileError, "expected at least one sample, got an empty data set"),
        ({"optimizer": lambda s, m: optim.SGD([nn.Parameter(torch.ones(1))])}, JobFileError, r"holds 1 tensor\(s\) that are no parameter"),
        ({"model": lambda s: Small.model(s).requires_grad_(False)}, JobFileError, "there is nothing to train"),
        ({"model": lambda s: nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 2).double())}, JobFileError, "have dtypes float32, float64"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_job_is_one_clear_error(methods, error, message):
    with np.errstate(all="ignore"), pytest.raises(error, match=message):
        train_solo(job(**methods), 3)


def test_the_users_own_exception_passes_through():
    def broken(self, model, batch):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train_solo(job(loss=broken), 3)


def test_a_step_in_which_nothing_counts_changes_nothing_or_is_an_error():
    def nothing(self, model, batch):
        return {"loss": model(batch[0]).mean(), "weight": 0}

    with pytest.raises(NonFiniteLoss), np.errstate(all="ignore"):
        train_solo(job(loss=nothing), 3)


def test_the_same_bits_come_from_another_process():
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_solo as t; print(t.train_solo(t.WithBatchNorm(), 2).parameters_sha256)"
    out = subprocess.run(
        [sys.executable, "-c", script, os.path.dirname(__file__)], capture_output=True, text=True, check=True
    )
    assert out.stdout.split()[-1] == train_solo(WithBatchNorm(), 2).parameters_sha256
