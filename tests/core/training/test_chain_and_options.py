"""The hash chain sees every change and no slicing; options that are changed on the way act as in PyTorch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch as real
from hypothesis import given
from hypothesis import strategies as st

import gradwire
from gradwire import Job, nn, optim
from gradwire.backends import Device
from gradwire.training import Plan, block_checksums, build, chain_next, state_arrays, train_solo
from gradwire.training.layout import BLOCK
from gradwire.utils.data import TensorDataset

RNG = np.random.default_rng(0)
VECTORS = {d: RNG.standard_normal(3 * BLOCK).astype(d) for d in ("float16", "float32", "float64")}


@pytest.mark.parametrize("dtype", VECTORS)
def test_a_checksum_is_the_sum_of_words_times_odd_numbers_of_their_places(dtype: str) -> None:
    words = VECTORS[dtype].view(np.uint32).reshape(3, -1).tolist()
    unit = np.zeros(3 * BLOCK, dtype)
    factors = []
    for i in range(len(words[0])):
        unit.view(np.uint32)[i] = 1
        factors.append(int(block_checksums(unit)[0]))
        unit.view(np.uint32)[i] = 0
    assert all(f % 2 for f in factors)
    expected = [sum(w * f for w, f in zip(block, factors, strict=True)) % 2**64 for block in words]
    assert block_checksums(VECTORS[dtype]).tolist() == expected
    # (a - b) * (f - g) = 0 modulo 2^64 needs 32 zeros at the end of f - g, as a - b has fewer than 32.
    assert all((f - g) % 2**32 for f, g in itertools.combinations(factors, 2))


@given(st.sampled_from(sorted(VECTORS)), st.integers(0, 3 * BLOCK - 1), st.data())
def test_one_flipped_bit_changes_the_checksum_of_its_block_alone(
    dtype: str, at: int, data: st.DataObject
) -> None:
    before, flipped = VECTORS[dtype], VECTORS[dtype].copy()
    bits = flipped.view(f"u{flipped.dtype.itemsize}")
    bits[at] ^= bits.dtype.type(1 << data.draw(st.integers(0, 8 * bits.itemsize - 1)))
    differ = block_checksums(before) != block_checksums(flipped)
    assert np.flatnonzero(differ).tolist() == [at // BLOCK]


@pytest.mark.parametrize("other", ["neighbour", "sign"])
def test_exchanged_values_change_the_checksum(other: str) -> None:
    v = VECTORS["float32"].copy()
    if other == "sign":
        v[8:12] = [1.5, -1.5, 0.0, -0.0]
    before = block_checksums(v)[0]
    for i in range(8, 12, 2):
        swapped = v.copy()
        swapped[[i, i + 1]] = swapped[[i + 1, i]]
        assert block_checksums(swapped)[0] != before


def test_slices_have_the_checksums_of_the_whole_on_every_device(device: str) -> None:
    whole = block_checksums(VECTORS["float32"])
    xp = Device(device).module
    with Device(device).context():
        flat = xp.asarray(VECTORS["float32"])
        parts = [block_checksums(flat[a * BLOCK : b * BLOCK]) for a, b in ((0, 1), (1, 1), (1, 3))]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_the_chain_depends_on_all_before_on_the_step_and_on_the_order_of_blocks() -> None:
    sums = block_checksums(VECTORS["float32"])
    values = [
        chain_next(b"", 0, sums), chain_next(b"", 1, sums), chain_next(chain_next(b"", 0, sums), 1, sums),
        chain_next(b"", 0, sums[::-1]), chain_next(b"", 0, sums[:2]),
    ]  # fmt: skip
    assert len(set(values)) == len(values) and {len(v) for v in values} == {16}


def test_an_array_that_is_no_row_of_whole_blocks_is_refused() -> None:
    for wrong in (np.zeros(BLOCK + 1, np.float32), np.zeros((2, BLOCK), np.float32)):
        with pytest.raises(ValueError, match="whole blocks of 1024"):
            block_checksums(wrong)


X = RNG.standard_normal((20, 3)).astype(np.float32)
CHANGES = ((0, {"lr": 0.2}), (2, {"lr": 0.05, "momentum": 0.5}), (5, {"lr": 0.1}), (5, {"weight_decay": 0.1}))


class Scheduled(Job):
    epochs = 3
    batch_size = 8
    schedule_every = "step"
    schedule: str | None = None

    def model(self):
        return nn.Linear(3, 2)

    def train_data(self):
        return TensorDataset(gradwire.from_numpy(X))

    def optimizer(self, model):
        groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 0.3}]
        return optim.SGD(groups, lr=0.1, momentum=0.9)

    def scheduler(self, optimizer):
        return schedule_of(optim, self.schedule, optimizer)

    def loss(self, model, batch):
        return (model(batch[0]) ** 2).mean()


def schedule_of(library, name, optimizer):
    schedules = library.lr_scheduler
    if name == "chainable":
        return schedules.ExponentialLR(optimizer, 0.8)
    return schedules.LambdaLR(optimizer, lambda t: 1 / (1 + t)) if name == "from initial_lr" else None


@pytest.mark.parametrize("name", [None, "chainable", "from initial_lr"])
def test_changed_options_act_as_on_pytorchs_groups_between_two_steps(name: str | None) -> None:
    job = Scheduled()
    job.schedule = name
    train, _, start, _, _ = build(job, Device("cpu"))
    twin = real.nn.Linear(3, 2).double()
    twin.load_state_dict({n: real.from_numpy(a.astype(np.float64)) for n, a in state_arrays(start).items()})
    optimizer = real.optim.SGD(
        [{"params": [twin.weight]}, {"params": [twin.bias], "lr": 0.3}], lr=0.1, momentum=0.9
    )
    scheduler = schedule_of(real.optim, name, optimizer)
    plan = Plan(job, len(train), 0, 4)
    for step in range(plan.total_steps):
        for finished, options in CHANGES:
            if finished == step:
                for group in optimizer.param_groups:
                    group.update(options)
        optimizer.zero_grad()
        rows = np.concatenate([plan.shard_rows(step, v) for v in range(4)])
        (twin(real.from_numpy(X[rows]).double()) ** 2).mean().backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    got = train_solo(job, 4, options_history=CHANGES)
    for entry, t in twin.state_dict().items():
        np.testing.assert_allclose(state_arrays(got.model)[entry], t.numpy(), rtol=1e-5, atol=1e-6)
    plain = train_solo(job, 4)
    later = train_solo(job, 4, options_history=CHANGES[2:])
    assert plain.parameters_sha256 != got.parameters_sha256
    assert [a == b for a, b in zip(plain.chains, later.chains, strict=True)] == [True] * 5 + [False] * 4


def test_an_option_that_the_optimizer_lacks_is_an_error() -> None:
    for wrong in ({"learning_rate": 0.1}, {"params": 1.0}):
        with pytest.raises(ValueError, match=f"SGD has no option {next(iter(wrong))}"):
            train_solo(Scheduled(), 4, options_history=[(0, wrong)])
