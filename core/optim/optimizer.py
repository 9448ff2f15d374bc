"""Optimizer: parameter groups and state around one pure, elementwise update.

`update` works in place on raw arrays of any one shape and knows nothing of tensors, so that the optimizer service
can run the same rule on a slice of the flat parameter vector. Scalars are computed in float64 and applied once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..backends import module_of
from ..grad_mode import enable_grad
from ..tensor import Tensor
from ..versions import note_change

__all__ = ["Optimizer"]

Array = Any


class Optimizer:
    """Base of the optimizers. `params`: tensors, (name, tensor) pairs, or dicts of groups with their own options."""

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got a Tensor"
            )
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = defaultdict(dict)
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    # The rule

    def state_arrays(self, group: dict[str, Any]) -> tuple[str, ...]:
        """Names of the state arrays of a parameter of `group`; each has the parameter's shape and starts at zero."""
        return ()

    def update(self, p: Array, g: Array, state: dict[str, Array], group: dict[str, Any], step: int) -> None:
        """Applies one step to `p` in place. g, p and the state arrays have one shape; `step` counts from 1."""
        raise NotImplementedError(
            f"{type(self).__name__} lacks update(self, p, g, state, group, step), which changes p in place"
        )

    # PyTorch's face

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        group = dict(param_group)
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        seen = {id(p) for other in self.param_groups for p in other["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(p).__name__}"
                )
            if not p.is_leaf:
                raise ValueError("can't optimize a non-leaf Tensor")
            if id(p) in seen:
                raise ValueError("some parameters appear in more than one parameter group")
            seen.add(id(p))
        group["params"] = params
        for name, value in self.defaults.items():
            group.setdefault(name, value)
        self._check(group)
        self.param_groups.append(group)

    def _check(self, group: dict[str, Any]) -> None:
        lr = group.get("lr", 0.0)
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not group.get("weight_decay", 0.0) >= 0.0:
            raise ValueError(f"Invalid weight_decay value: {group['weight_decay']}")

    def zero_grad(self, set_to_none: bool = True) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad = p.grad.detach().zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient. A closure is called first, with gradients recorded."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            names = self.state_arrays(group)
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    xp = module_of(p._array)
                    state["step"] = 0
                    for name in names:
                        state[name] = Tensor._wrap(xp.zeros(p._array.shape, p._array.dtype))
                state["step"] += 1
                note_change(p._array)
                with np.errstate(all="ignore"):  # a run that diverges gives inf and nan, not warnings
                    self.update(
                        p._array, p.grad._array, {n: state[n]._array for n in names}, group, state["step"]
                    )
        return loss

    def state_dict(self) -> dict[str, Any]:
        """{"state": {number: {…}}, "param_groups": […]} with parameters numbered in order of the groups."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            groups.append(
                {
                    **{k: v for k, v in group.items() if k != "params"},
                    "params": [numbers[id(p)] for p in group["params"]],
                }
            )
        return {
            "state": {numbers[id(p)]: dict(s) for p, s in self.state.items() if s},
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        groups = state_dict["param_groups"]
        if len(groups) != len(self.param_groups):
            raise ValueError("loaded state dict has a different number of parameter groups")
        for own, other in zip(self.param_groups, groups, strict=True):
            if len(own["params"]) != len(other["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
                )
        self.state.clear()
        for own, other in zip(self.param_groups, groups, strict=True):
            own.update({k: v for k, v in other.items() if k != "params"})
            for p, number in zip(own["params"], other["params"], strict=True):
                if number in state_dict["state"]:
                    saved = state_dict["state"][number]
                    self.state[p] = {
                        k: v.detach().clone().to(p.device, p.dtype)
                        if isinstance(v, Tensor) and v.ndim == p.ndim and k != "step"
                        else v
                        for k, v in saved.items()
                    }
                    self.state[p]["step"] = int(saved["step"])

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {k}: {v}" for k, v in sorted(group.items()) if k != "params"]
        return "\n".join([*lines, ")"])
