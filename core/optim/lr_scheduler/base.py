"""LRScheduler: what all schedules share."""

from __future__ import annotations

import types
import warnings
from typing import Any

from ...tensor import Tensor
from ..optimizer import Optimizer

__all__ = [
    "EPOCH_GIVEN",
    "LRScheduler",
    "each_group",
    "group_values",
    "load_callables",
    "saved_callables",
    "set_rate",
]

EPOCH_GIVEN = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form is used "
    "instead of the new chainable form, where available."
)
_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. In PyTorch 1.1.0 and later, you should call them in the "
    "opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in PyTorch skipping the first "
    "value of the learning rate schedule."
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. Please, make sure to call "
    "`optimizer.step()` before `lr_scheduler.step()`."
)


def group_values(optimizer: Optimizer, name: str) -> list[Any]:
    """The option `name` of every group; a tensor as a copy."""
    return [g[name].clone() if isinstance(g[name], Tensor) else g[name] for g in optimizer.param_groups]


def set_rate(group: dict[str, Any], value: Any, name: str = "lr") -> None:
    """Puts `value` into the group; where a tensor is, into that tensor."""
    if isinstance(group[name], Tensor):
        group[name].fill_(value.item() if isinstance(value, Tensor) else value)
    else:
        group[name] = value


def each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group, from one for all or a list. Raises ValueError for a list of another length."""
    n = len(optimizer.param_groups)
    if isinstance(value, (list, tuple)):
        if len(value) != n:
            raise ValueError(
                f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, param_groups has {n}."
            )
    else:
        value = [value] * n
    return [v.clone() if isinstance(v, Tensor) else v for v in value]


def saved_callables(functions: list[Any]) -> list[dict[str, Any] | None]:
    """What a state dict keeps of functions: nothing of a plain one, the attributes of an object."""
    return [None if isinstance(f, types.FunctionType) else dict(f.__dict__) for f in functions]


def load_callables(functions: list[Any], saved: list[dict[str, Any] | None]) -> None:
    for f, attributes in zip(functions, saved, strict=True):
        if attributes is not None:
            f.__dict__.update(attributes)


class LRScheduler:
    """Base: `get_lr` gives the groups' rates for `last_epoch`, most often from the rates as they are now.

    As the rates of the moment count, several schedules may work on one optimizer, and a rate set by hand is gone on from.
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = self._checked(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                rate = group["lr"]
                group.setdefault("initial_lr", rate.clone() if isinstance(rate, Tensor) else rate)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch >= 0.\n"
                    "It comes with the optimizer's state dict; load that first, or leave last_epoch out of a fresh run."
                )
        self.base_lrs = group_values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if not getattr(optimizer, "_scheduled", False):
            optimizer._scheduled = True  # type: ignore[attr-defined]
            optimizer._opt_called = False  # steps from now on count
        self._initial_step()

    @staticmethod
    def _checked(optimizer: Any) -> Optimizer:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        return optimizer

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rates of all groups for `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} lacks get_lr(self), the list of the groups' rates")

    def get_last_lr(self) -> list[Any]:
        """The rates that this schedule set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Goes on to the next epoch, or to the one given, and sets the groups' rates."""
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(_OVERRIDDEN, UserWarning, stacklevel=2)
            elif not self.optimizer._opt_called:
                warnings.warn(_ORDER, UserWarning, stacklevel=2)
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_GIVEN, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self._get_lr_called_within_step = True
        try:
            if epoch is None:
                self.last_epoch += 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", None)
                rates = self.get_lr() if closed is None else closed()
        finally:
            self._get_lr_called_within_step = False
        self._set(rates)

    def _set(self, rates: list[Any]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_rate(group, rate)
        self._last_lr: list[Any] = group_values(self.optimizer, "lr")

    def _scaled(self, factor: float) -> list[Any]:
        """The rates of the moment times `factor`."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def _unchanged(self) -> list[Any]:
        return group_values(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.", UserWarning, stacklevel=3
            )  # fmt: skip

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer; the rates themselves are in the optimizer's state dict."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.__dict__.update(state_dict)
