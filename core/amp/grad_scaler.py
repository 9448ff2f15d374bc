"""GradScaler: losses scaled up so that gradients of 16-bit floats do not vanish, and steps left out where they overflow.

Micikevicius et al., arXiv:1710.03740.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any

from ..backends import module_of
from ..creation import full
from ..dtypes import float16, float32
from ..grad_mode import no_grad
from ..tensor import Tensor

__all__ = ["GradScaler"]


class _Stage(Enum):
    READY, UNSCALED, STEPPED = range(3)


class GradScaler:
    """`scaler.scale(loss).backward(); scaler.step(optimizer); scaler.update()`.

    The scale is multiplied by growth_factor after growth_interval steps without inf or NaN in the gradients, and by
    backoff_factor after one with them, whose step is left out.
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if growth_factor <= 1.0:
            raise AssertionError("The growth factor must be > 1.0.")
        if backoff_factor >= 1.0:
            raise AssertionError("The backoff factor must be < 1.0.")
        self._device, self._enabled = device, enabled
        self._scale, self._growth_factor, self._backoff_factor = (
            float(init_scale),
            growth_factor,
            backoff_factor,
        )
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._stages: dict[int, _Stage] = {}
        self._overflowed: dict[int, bool] = {}

    def scale(self, outputs: Any) -> Any:
        """A loss, or several in lists and tuples, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * full((), self._scale, dtype=float32, device=outputs.device)
        if isinstance(outputs, Iterable) and not isinstance(outputs, (str, bytes)):
            scaled = [self.scale(o) for o in outputs]
            return (
                scaled
                if isinstance(outputs, list)
                else tuple(scaled)
                if isinstance(outputs, tuple)
                else iter(scaled)
            )
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    @no_grad()
    def _unscale(self, optimizer: Any, allow_fp16: bool) -> bool:
        """Divides the gradients by the scale, in place; whether inf or NaN is among them."""
        overflowed = False
        found = False
        for group in optimizer.param_groups:
            for p in group["params"]:
                g = p.grad
                if g is None:
                    continue
                found = True
                if not allow_fp16 and g.dtype is float16:
                    raise ValueError("Attempting to unscale FP16 gradients.")
                g.mul_(1.0 / self._scale)
                overflowed |= not bool(
                    module_of(g._array)
                    .isfinite(g.float()._array if g.dtype.itemsize == 2 else g._array)
                    .all()
                )
        if not found:
            raise AssertionError("No inf checks were recorded for this optimizer.")
        return overflowed

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of the optimizer's parameters by the scale, in place; once a step, before clipping them."""
        if not self._enabled:
            return
        stage = self._stages.get(id(optimizer), _Stage.READY)
        if stage is _Stage.UNSCALED:
            raise RuntimeError(
                "unscale_() has already been called on this optimizer since the last update()."
            )
        if stage is _Stage.STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        self._overflowed[id(optimizer)] = self._unscale(optimizer, allow_fp16=False)
        self._stages[id(optimizer)] = _Stage.UNSCALED

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """optimizer.step(), unless the gradients overflowed (None then)."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        stage = self._stages.get(id(optimizer), _Stage.READY)
        if stage is _Stage.STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage is _Stage.READY:
            self.unscale_(optimizer)
        result = None if self._overflowed[id(optimizer)] else optimizer.step(*args, **kwargs)
        self._stages[id(optimizer)] = _Stage.STEPPED
        return result

    def update(self, new_scale: Any = None) -> None:
        """Adapts the scale to what the steps since the last update() found, or sets it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        else:
            if not self._overflowed:
                raise AssertionError("No inf checks were recorded prior to update.")
            if any(self._overflowed.values()):
                self._scale *= self._backoff_factor
                self._growth_tracker = 0
            else:
                self._growth_tracker += 1
                if self._growth_tracker == self._growth_interval:
                    grown = self._scale * self._growth_factor
                    self._scale = grown if grown < 3.4e38 else self._scale
                    self._growth_tracker = 0
        self._stages.clear()
        self._overflowed.clear()

    def is_enabled(self) -> bool:
        return self._enabled

    def get_scale(self) -> float:
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale, how it changes, and how many good steps there were since it last did; empty where not enabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale, "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes back what state_dict gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._scale = float(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = (
            state_dict["growth_interval"],
            state_dict["_growth_tracker"],
        )
