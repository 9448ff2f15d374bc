"""The contract in its plainest form: one process, one loop over shards, the tree by recursion, the whole vector.

`python job.py` runs this, under pdb if you like, and so does `gradwire train --reference`. It is also the oracle:
every other way of running a job must end with its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..backends import Device
from ..nn import Module
from ..optim.flat import apply_rule
from .chain import block_checksums, chain_next
from .diagnosis import culprit, non_finite_error
from .digest import parameters_sha256
from .job import Job
from .layout import ParameterLayout
from .parts import build, state_arrays
from .plan import Plan
from .rules import block_sums, clip_factor, tree_sum
from .scaling import NonFiniteLoss, Outcome, Scaling, all_finite, outcome_of, told_metrics
from .shard import Leaf, ShardStep, metrics_of, same_names

__all__ = ["NonFiniteLoss", "Reference", "SoloResult", "train_solo"]


class Reference:
    """A job, step by step, by the contract's own words. `finished` counts the steps made.

    options_history: (n, options) for each change of options while the job ran: from the step after n finished ones on, all
    parameter groups have them. As in PyTorch, `lr` is where a schedule goes on from that multiplies the rate it finds, and
    one that computes it from `initial_lr` (LambdaLR, OneCycleLR) sets it anew at its next step.
    chain: the hash chain after the finished steps (see chain.py).
    """

    def __init__(
        self,
        job: Job,
        shards: int = 8,
        device: str | Device = "cpu",
        options_history: Sequence[tuple[int, Mapping[str, float]]] = (),
    ) -> None:
        self.job, self.finished = job, 0
        self.options_history = tuple(options_history)
        device = Device(device)
        self.train, self.held_out, self.model, self.optimizer, self.scheduler = build(job, device)
        n_eval = 0 if self.held_out is None else len(self.held_out)
        self.plan = Plan(job, len(self.train), n_eval, shards)
        self.layout = ParameterLayout(self.model, self.optimizer, device)
        self.shard_step = ShardStep(job, self.model, self.layout)
        self.counts = [0] * len(self.layout.parameters)
        self.optimizer_state: list[dict[str, Any]] = [
            self.optimizer.new_state(
                device.module,
                (s.stop - s.start,) if self.optimizer.elementwise else s.shape,
                self.layout.dtype,
                self.optimizer.param_groups[s.group],
            )
            for s in self.layout.parameter_segments
        ]
        self.integers = self.layout.integer_buffers()
        self.chain = chain_next(b"", 0, block_checksums(self.layout.flat))
        self.scaling = Scaling.first(job, self.layout.dtype)

    @property
    def parameters_sha256(self) -> str:
        return parameters_sha256(state_arrays(self.model))

    def step(self) -> dict[str, float]:
        """Makes the next step; its metrics, means over the global batch. Raises NonFiniteLoss, and then nothing is changed."""
        job, layout, step = self.job, self.layout, self.finished
        self._change_options()
        total, gradient, scalars, present = self.sums()
        names = same_names(present, type(job).__name__)
        metrics = metrics_of(scalars, names)
        outcome = outcome_of(job, self.scaling, metrics["loss"], all_finite(layout.device.module, gradient))
        if outcome is Outcome.FAILED:
            shards, scale = range(self.plan.shards), self.scaling.scale
            found = culprit(
                self.shard_step, self.plan, self.train, step, shards, self.integers, scale, metrics["loss"]
            )
            raise non_finite_error(step, metrics["loss"], found)
        metrics = told_metrics(job, self.scaling, metrics, outcome)
        if outcome is Outcome.MADE:
            if job.clip_grad_norm is not None:
                _, factor = clip_factor(block_sums(layout.device.module, gradient), job.clip_grad_norm)
                gradient *= layout.dtype.type(factor)
            self._update(gradient, [any(used) for used in zip(*(leaf.used for leaf in present), strict=True)])
            layout.flat[layout.buffer_start :] = total[layout.buffer_start :] / layout.dtype.type(scalars[2])
            self.integers = present[0].integers
        layout.write_buffers(self.integers)
        self.scaling = self.scaling.after(job, outcome)
        if self.scheduler is not None and (job.schedule_every == "step" or self.plan.ends_epoch(step)):
            self.scheduler.step()
        self.finished += 1
        self.chain = chain_next(self.chain, self.finished, block_checksums(layout.flat))
        return metrics

    def sums(self) -> tuple[Any, Any, Any, list[Leaf]]:
        """Of the next step: the leaves' vectors added up, the mean gradient, the scalars added up, and the leaves. Changes nothing."""
        layout = self.layout
        leaves = [self._leaf(self.finished, shard) for shard in range(self.plan.shards)]
        with np.errstate(all="ignore"):  # whether they are finite is looked at in `step`
            total = tree_sum([leaf and leaf.vector for leaf in leaves])
            scalars = tree_sum([leaf and leaf.scalars for leaf in leaves])
            gradient = total[: layout.buffer_start] / layout.dtype.type(scalars[0] * self.scaling.scale)
        return total, gradient, scalars, [leaf for leaf in leaves if leaf is not None]

    def load_state(self, arrays: Mapping[str, np.ndarray[Any, Any]], step_counts: Mapping[str, int]) -> None:
        """Takes the optimizer's state from whole arrays, named "<parameter>/<state name>". KeyError for a missing one."""
        for i, s in enumerate(self.layout.parameter_segments):
            self.counts[i] = step_counts[s.name]
            for name, own in self.optimizer_state[i].items():
                saved = arrays[f"{s.name}/{name}"]
                if isinstance(own, (int, float)):
                    self.optimizer_state[i][name] = float(saved.reshape(-1)[0])
                else:
                    own[...] = self.layout.device.module.asarray(saved).reshape(own.shape)

    def go_on(self, finished: int, scaling: Scaling | None = None, chain: bytes = b"") -> None:
        """Goes on after `finished` steps from the state that was put into `model`, `layout` and `load_state`."""
        self.finished, self.chain = finished, chain
        self.scaling = self.scaling if scaling is None else scaling
        self.integers = self.layout.integer_buffers()

    def _change_options(self) -> None:
        for finished, options in self.options_history:
            if finished == self.finished:
                for group in self.optimizer.param_groups:
                    unknown = options.keys() - group.keys() | options.keys() & {"params"}
                    if unknown:
                        raise ValueError(
                            f"{type(self.optimizer).__name__} has no option {', '.join(sorted(unknown))}"
                        )
                    group.update(options)

    def _leaf(self, step: int, shard: int) -> Leaf | None:
        rows = self.plan.shard_rows(step, shard)
        if not len(rows):
            return None
        return self.shard_step.run(self.train, step, shard, rows, self.integers, scale=self.scaling.scale)

    def _update(self, gradient: Any, used: list[bool]) -> None:
        """The optimizer on every parameter that some shard's graph reached."""
        for i, s in enumerate(self.layout.parameter_segments):
            if used[i]:
                self.counts[i] += 1
                p, g = self.layout.flat[s.start : s.stop], gradient[s.start : s.stop]
                if not self.optimizer.elementwise:
                    p, g = p.reshape(s.shape), g.reshape(s.shape)
                group = self.optimizer.param_groups[s.group]
                apply_rule(self.optimizer, p, g, self.optimizer_state[i], group, self.counts[i])

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Means over the held-out data, after the epoch `epoch` (from 0)."""
        plan, whole = self.plan, None
        names: tuple[str, ...] = ()
        for batch in range(plan.eval_batches):
            leaves: list[Leaf | None] = []
            for shard in range(plan.shards):
                rows = plan.eval_rows(batch, shard)
                leaf = (
                    self.shard_step.evaluate(self.held_out, epoch, batch, shard, rows) if len(rows) else None
                )
                leaves.append(leaf)
            names = same_names([leaf for leaf in leaves if leaf is not None], type(self.job).__name__)
            summed = tree_sum([leaf and leaf.scalars for leaf in leaves])
            whole = summed if whole is None else whole + summed
        if whole is None:
            raise ValueError("there is no held-out data to evaluate on")
        return metrics_of(whole, names)


@dataclass
class SoloResult:
    """What a finished run left. `evaluation` holds the means over the held-out data after the last epoch."""

    parameters_sha256: str
    steps: int
    metrics: dict[str, float]
    evaluation: dict[str, float]
    model: Module
    history: list[dict[str, float]] = field(default_factory=list)
    chains: list[bytes] = field(default_factory=list)
    """The hash chain after every step."""


def train_solo(
    job: Job,
    shards: int = 8,
    device: str | Device = "cpu",
    threads: int = 1,
    on_step: Callable[[Plan, int, dict[str, float]], None] | None = None,
    on_evaluation: Callable[[Plan, int, dict[str, float]], None] | None = None,
    options_history: Sequence[tuple[int, Mapping[str, float]]] = (),
) -> SoloResult:
    """Trains `job` to its end in this process. Raises NonFiniteLoss, LossError, JobFileError, and what user code raises."""
    with threadpool_limits(threads):
        reference = Reference(job, shards, device, options_history)
        plan = reference.plan
        history: list[dict[str, float]] = []
        chains: list[bytes] = []
        evaluation: dict[str, float] = {}
        for step in range(plan.total_steps):
            history.append(reference.step())
            chains.append(reference.chain)
            if on_step is not None:
                on_step(plan, step, history[-1])
            if plan.ends_epoch(step) and plan.eval_batches:
                evaluation = reference.evaluate(plan.epoch_of(step))
                if on_evaluation is not None:
                    on_evaluation(plan, step, evaluation)
        sha256 = reference.parameters_sha256
    return SoloResult(sha256, plan.total_steps, history[-1], evaluation, reference.model, history, chains)
