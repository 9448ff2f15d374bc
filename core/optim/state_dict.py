"""What an optimizer saves and loads: PyTorch's layout, with parameters by number."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import numpy as np

from ..backends import to_device
from ..tensor import Tensor

__all__ = ["load", "packed"]


def packed(groups: list[dict[str, Any]], state: dict[Any, Any]) -> dict[str, Any]:
    """The state dict of `groups` and `state`. Its tensors are the optimizer's own, as in PyTorch."""
    numbers: dict[int, int] = {}
    packed_groups = []
    start = 0
    for group in groups:
        for i, p in enumerate(group["params"], start):
            numbers.setdefault(id(p), i)
        start += len(group["params"])
        options = {k: v for k, v in group.items() if k != "params"}
        packed_groups.append({**options, "params": [numbers[id(p)] for p in group["params"]]})
    by_number = {
        numbers[id(k)] if isinstance(k, Tensor) and id(k) in numbers else k: v for k, v in state.items()
    }
    return {"state": by_number, "param_groups": packed_groups}


def load(
    state_dict: dict[str, Any], groups: list[dict[str, Any]], defaults: dict[str, Any], numbers: set[str]
) -> tuple[list[dict[str, Any]], dict[Any, Any]]:
    """(groups, state) of `state_dict` for the parameters of `groups`; `numbers` are the state's entries that stay on the host.

    Raises ValueError where the groups or their sizes differ.
    """
    saved = copy.deepcopy(state_dict["param_groups"])
    if len(groups) != len(saved):
        raise ValueError("loaded state dict has a different number of parameter groups")
    if any(len(a["params"]) != len(b["params"]) for a, b in zip(groups, saved, strict=True)):
        raise ValueError(
            "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
        )
    own_of: dict[Any, Tensor] = {}
    for own, other in zip(groups, saved, strict=True):
        own_of.update(zip(other["params"], own["params"], strict=True))
        other["params"] = own["params"]
        if "param_names" in own:
            other.setdefault("param_names", own["param_names"])
        for name, value in defaults.items():
            other.setdefault(name, value)  # saved by a version that did not have the option
        if other.get("differentiable"):
            raise NotImplementedError("differentiable=True is not supported, and the state dict has it")
        if "capturable" in other:
            other["capturable"] = False  # where PyTorch keeps the step count; it changes no number
    state: dict[Any, Any] = defaultdict(dict)
    for key, values in state_dict["state"].items():
        if key in own_of:
            state[own_of[key]] = _fitted(values, own_of[key], numbers)
        else:
            state[key] = values
    return saved, state


def _fitted(value: Any, p: Tensor, numbers: set[str], key: str = "") -> Any:
    """A copy of `value` for the state of `p`: tensors (PyTorch's too) in its dtype and on its device, numbers on the host."""
    if isinstance(value, dict):
        return {k: _fitted(v, p, numbers, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fitted(v, p, numbers) for v in value)
    if not isinstance(value, Tensor):
        if not hasattr(value, "__array__") or isinstance(value, np.generic):
            return value
        if not isinstance(value, np.ndarray):
            value = value.detach().cpu().numpy()
        value = Tensor._wrap(np.array(value))
    if key in numbers:
        return Tensor._wrap(np.array(value.detach().cpu().numpy()))
    array = value._array
    if p.is_floating_point() and array.dtype != p._array.dtype:
        array = array.astype(p._array.dtype)
    moved = to_device(array, p.device)
    return Tensor._wrap(moved.copy() if moved is value._array else moved)
