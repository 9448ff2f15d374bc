"""torch.optim.swa_utils: averages of a model's weights. Izmailov et al., arXiv:1803.05407; exponential ones as in Polyak and Juditsky."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from ..creation import tensor
from ..dtypes import int64
from ..grad_mode import no_grad
from ..nn import Module
from ..tensor import Tensor
from .lr_scheduler.base import LRScheduler, each_group
from .optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def _check_decay(decay: float) -> None:
    if decay < 0.0 or decay > 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """decay * average + (1 - decay) * current, for one tensor."""
    _check_decay(decay)

    @no_grad()
    def ema_update(ema_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return ema_param * decay + current_param * (1 - decay)

    return ema_update


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The mean over all models so far, for one tensor."""

    @no_grad()
    def swa_update(averaged_param: Tensor, current_param: Tensor, num_averaged: Any) -> Tensor:
        return averaged_param + (current_param - averaged_param) / (num_averaged + 1)

    return swa_update


def get_ema_multi_avg_fn(
    decay: float = 0.999,
) -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """The exponential average of lists of tensors, in place."""
    _check_decay(decay)

    @no_grad()
    def ema_update(
        ema_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Any
    ) -> None:
        for average, now in zip(ema_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                average.add_((now - average) * (1 - decay))
            else:
                average.copy_(average * decay + now * (1 - decay))

    return ema_update


def get_swa_multi_avg_fn() -> Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]:
    """The mean of lists of tensors, in place."""

    @no_grad()
    def swa_update(
        averaged_param_list: Sequence[Tensor], current_param_list: Sequence[Tensor], num_averaged: Any
    ) -> None:
        weight = 1 / (float(num_averaged) + 1)
        for average, now in zip(averaged_param_list, current_param_list, strict=True):
            if average.is_floating_point():
                average.add_((now - average) * weight)
            else:
                average.copy_(average + (now - average) * weight)

    return swa_update


class AveragedModel(Module):
    """A copy of `model` whose parameters are an average over what `update_parameters` was given; by default the mean.

    avg_fn: (average, current, number averaged) -> new average, of one tensor. multi_avg_fn: the same in place, of lists.
    use_buffers: averages buffers too; else they are copied.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Callable[[Tensor, Tensor, Any], Tensor] | None = None,
        multi_avg_fn: Callable[[Sequence[Tensor], Sequence[Tensor], Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Takes the weights of `model` into the average; the first are copied."""
        if self.use_buffers:
            own: Iterable[Tensor] = chain(self.module.parameters(), self.module.buffers())
            given: Iterable[Tensor] = chain(model.parameters(), model.buffers())
        else:
            own, given = self.parameters(), model.parameters()
        averages = [t.detach() for t in own]
        current = [t.detach().to(a.device) for a, t in zip(averages, given, strict=False)]
        averages = averages[: len(current)]
        if int(self.n_averaged) == 0:
            for average, now in zip(averages, current, strict=True):
                average.copy_(now)
        elif self.multi_avg_fn is not None:
            alike: dict[Any, list[int]] = {}
            for i, average in enumerate(averages):
                alike.setdefault((str(average.device), average.dtype.name), []).append(i)
            for members in alike.values():
                mine, theirs = [averages[i] for i in members], [current[i] for i in members]
                self.multi_avg_fn(mine, theirs, self.n_averaged.to(mine[0].device))
        else:
            average_of = self.avg_fn or get_swa_avg_fn()
            for average, now in zip(averages, current, strict=True):
                average.copy_(average_of(average, now, self.n_averaged.to(average.device)))
        if not self.use_buffers:
            for average, now in zip(self.module.buffers(), model.buffers(), strict=True):
                average.detach().copy_(now.detach().to(average.device))
        self.n_averaged += 1


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the statistics of all batch norms anew, as means over one pass through `loader` in training mode.

    The loader gives inputs, or tuples and lists that begin with one.
    """
    from ..nn.modules.batchnorm import _BatchNorm

    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
    was_training = model.training
    model.train()
    for data in loader:
        x = data[0] if isinstance(data, (list, tuple)) else data
        model(x if device is None else x.to(device))
    for m, momentum in zip(norms, momenta, strict=True):
        m.momentum = momentum
    model.train(was_training)


class SWALR(LRScheduler):
    """Anneals every group's rate to swa_lr in anneal_epochs epochs, then keeps it."""

    def __init__(
        self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ) -> None:  # fmt: skip
        for rate, group in zip(each_group("swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}"
            )
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the rate is swa_lr after `step` steps."""
        done = max(0, min(1, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * done)) / 2 if self._anneal_strategy == "cos" else done

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group in self.optimizer.param_groups:
            rate, last = group["lr"], group["swa_lr"]
            start = last if before == 1 else (rate - before * last) / (1 - before)
            rates.append(last * now + start * (1 - now))
        return rates
