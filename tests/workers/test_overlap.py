"""Gradients that leave while backward still runs: the bits of those that leave after it, whatever the buckets are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradwire as torch
from gradwire import Job, nn
from gradwire.backends import Device
from gradwire.training import BLOCK, ParameterLayout, ShardStep, build, tree_sum
from gradwire.utils.data import TensorDataset
from gradwire.workers.exchange import Exchange
from gradwire.workers.faults import Fault
from gradwire.workers.reports import Failed
from gradwire.workers.transport import Transport
from gradwire.workers.tree import Forest, add_into_left
from tests.workers.crews import JOBS, run_job
from tests.workers.groups import TRANSPORTS, form_group, on_all


@pytest.mark.parametrize("bucket_bytes", [64, 1000, 4096])
@pytest.mark.parametrize("name", ["mlp", "norm", "cycle"])
def test_no_bucket_size_changes_a_bit(name: str, bucket_bytes: int, tmp_path: Path) -> None:
    run_job(name, tmp_path, 3, bucket_bytes=bucket_bytes).is_the_oracle_s(name)


@pytest.mark.parametrize("point", ["computed", "reduced", "passed-on", "prepared"])
def test_a_death_after_buckets_were_sent_changes_none_either(point: str, tmp_path: Path) -> None:
    run_job("mlp", tmp_path, 4, bucket_bytes=256, faults=[Fault(2, point, 3)]).is_the_oracle_s("mlp")


class Layers(Job):
    batch_size = 4

    def model(self):  # type: ignore[no-untyped-def]
        return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))

    def train_data(self):  # type: ignore[no-untyped-def]
        return TensorDataset(torch.randn(4, 3))

    def optimizer(self, model):  # type: ignore[no-untyped-def]
        return torch.optim.SGD(model.parameters(), lr=0.1)

    def loss(self, model, batch):  # type: ignore[no-untyped-def]
        middle = model[0](batch[0])
        middle.register_hook(lambda gradient: EVENTS.append("backward reaches the first layer"))
        return model[2](model[1](middle)).square().mean()


EVENTS: list[str] = []


class Watch:
    def begin(self, vector: np.ndarray) -> None:  # type: ignore[type-arg]
        self.vector = vector

    def ready(self, parameter: int, again: bool) -> None:
        assert not again
        assert self.vector.any()
        EVENTS.append(f"parameter {parameter}")


def test_the_last_layer_s_gradients_are_told_before_backward_reaches_the_first() -> None:
    job, cpu = Layers(), Device("cpu")
    train, _, model, optimizer, _ = build(job, cpu)
    step = ShardStep(job, model, ParameterLayout(model, optimizer, cpu))
    EVENTS.clear()
    watched = step.run(train, 0, 0, range(4), watch=Watch())
    assert EVENTS[2] == "backward reaches the first layer"
    assert {*EVENTS[:2]} == {"parameter 2", "parameter 3"}
    assert {*EVENTS[3:]} == {"parameter 0", "parameter 1"}
    plain = step.run(train, 0, 0, range(4))
    assert (watched.vector.tobytes(), watched.used) == (plain.vector.tobytes(), plain.used)


def test_a_gradient_that_changes_after_it_was_sent_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    text = (JOBS / "mlp.py").read_text()
    job = tmp_path / "twice.py"
    job.write_text(
        text.replace(
            "        scores = model(x)\n", "        scores = model(Again.apply(x.requires_grad_(), model))\n"
        )
        + AGAIN
    )
    ran = run_job(job, tmp_path / "a", 2, bucket_bytes=64)
    (failed,) = ran.of(Failed)
    assert "more than once in one backward" in failed.message
    assert "overlap_exchange = False" in failed.message
    off = {"overlap_exchange": "False"}
    two = run_job(job, tmp_path / "b", 2, bucket_bytes=64, overrides=off)
    assert two.sha256 == run_job(job, tmp_path / "c", 3, bucket_bytes=64, overrides=off).sha256


AGAIN = """


class Again(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, model):
        ctx.model = model
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        with torch.enable_grad():
            ctx.model(torch.ones(1, 6)).sum().backward()
        return gradient, None
"""


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_ranks_may_cut_the_vector_where_they_like(kind: str) -> None:
    rng = np.random.default_rng(0)
    size = 6 * BLOCK
    leaves = [rng.standard_normal(size, np.float32) for _ in range(5)]
    expected = tree_sum([leaf.copy() for leaf in leaves]).tobytes()
    bounds = [(0, BLOCK), (BLOCK, 4 * BLOCK), (4 * BLOCK, size)]
    cuts = [[(5, 70), (BLOCK, size)], [], [(size - 3, size), (0, 3 * BLOCK), (3 * BLOCK, 3 * BLOCK + 1)]]

    def body(t: Transport) -> bytes:
        exchange = Exchange(t, 5)
        forest: Forest[np.ndarray] = Forest(add_into_left)  # type: ignore[type-arg]
        for v in exchange.owned_leaves:
            forest.push_leaf(v, leaves[v].copy())
        reduction = exchange.reduction(bounds, np.dtype(np.float32))
        for start, stop in cuts[t.rank]:
            reduction.offer(
                start,
                stop,
                [type(n)(n.level, n.index, n.value[start:stop]) for n in forest.nodes if n.value is not None],
            )
        part, notes = reduction.finish(size, forest.nodes, b"%d" % t.rank)
        assert notes == [b"0", b"1", b"2"]
        assert part is not None
        out = np.empty(size, np.float32)
        exchange.all_gather(part, bounds, out)
        exchange.all_gather_bytes(b"")
        exchange.close()
        return out.tobytes()

    ranks = form_group(kind, 3)
    assert on_all(ranks, body) == [expected] * 3
    on_all(ranks, lambda t: t.close())
