"""Optimizer: parameter groups, state and hooks around one pure update rule.

`update` works in place on raw arrays and knows nothing of tensors, so that the optimizer service can run the same rule
on a slice of the flat parameter vector: a rule that is elementwise gives the same bits on any slice, because its scalars
are computed once, in float64. `step` runs it on flat buffers where parameters can lie in one (see flat.py).
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from ..backends import device_of, module_of
from ..dtypes import get_default_dtype
from ..grad_mode import enable_grad
from ..node import RemovableHandle
from ..tensor import Tensor
from ..versions import note_change
from .flat import Plan, apply_rule
from .state_dict import load, packed

__all__ = ["Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "required"]

Array = Any
Group = dict[str, Any]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()
"""A default for options that every group must give."""

_before_any: list[tuple[Any]] = []
_after_any: list[tuple[Any]] = []


def _registered(hooks: list[tuple[Any]], hook: Any, prepend: bool = False) -> RemovableHandle:
    entry = (hook,)
    hooks.insert(0 if prepend else len(hooks), entry)
    return RemovableHandle(hooks, entry)


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` before every step of every optimizer; a returned pair replaces the arguments."""
    return _registered(_before_any, hook)


def register_optimizer_step_post_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` after every step of every optimizer."""
    return _registered(_after_any, hook)


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step` with the hooks around it, once in a call: a step that calls its base class's does not run them again."""

    @functools.wraps(step)
    def hooked_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        args = (self, *args)  # what PyTorch's hooks see
        if self._stepping:
            return step(*args, **kwargs)
        self._stepping = True
        try:
            for (hook,) in (*_before_any, *self._pre_hooks):
                result = hook(self, args, kwargs)
                if result is not None:
                    if not (isinstance(result, tuple) and len(result) == 2):
                        raise RuntimeError(
                            f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            out = step(*args, **kwargs)
            for (hook,) in (*self._post_hooks, *_after_any):
                hook(self, args, kwargs)
        finally:
            self._stepping = False
        self._opt_called = True
        return out

    hooked_step._wrapped_by_lr_sched = hooked_step.hooked = True  # type: ignore[attr-defined]
    return hooked_step


def _kind(value: Any) -> str:
    """What PyTorch's messages call the type of `value`."""
    if isinstance(value, Tensor):
        kinds = {"float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long",
                 "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"}  # fmt: skip
        return f"torch.{'cuda.' if value.is_cuda else ''}{kinds[value.dtype.name]}Tensor"
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def as_scalar_state(value: float) -> float:
    """`value` as PyTorch's 0-d state tensors hold it: in the default dtype, but never below float32."""
    return float(value) if get_default_dtype().name == "float64" else float(np.float32(value))


def scalar_tensor(value: float) -> Tensor:
    """A 0-d state tensor; on the host wherever the parameter is, as reading it must not wait for a GPU."""
    return Tensor._wrap(np.array(value, np.float64 if get_default_dtype().name == "float64" else np.float32))


class Optimizer:
    """Base of the optimizers. `params`: tensors, (name, tensor) pairs, or dicts of groups with their own options.

    A new one either writes `step`, as in PyTorch, or says in `update` what happens to one array; the latter is what jobs
    can use.
    """

    elementwise: ClassVar[bool] = True
    """Whether `update` may be given any part of a parameter; else it gets whole parameters in their own shape."""
    counts_steps: ClassVar[bool] = True
    """Whether a parameter's state has its number of updates, "step"."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self._set_up()  # here, as optimizers that wrap another one often don't call this class's __init__
        return self

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        self.defaults = defaults
        if isinstance(params, Tensor):
            raise TypeError(
                f"params argument given to the optimizer should be an iterable of Tensors or dicts, but got {_kind(params)}"
            )
        self.param_groups: list[Group] = []
        self.state: dict[Any, dict[str, Any]] = defaultdict(dict)
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__.get("step")
        if own is not None and not hasattr(own, "hooked"):
            cls.step = _with_hooks(own)  # type: ignore[method-assign]

    def _set_up(self) -> None:
        """Everything that is not saved."""
        self._pre_hooks: list[tuple[Any]] = []
        self._post_hooks: list[tuple[Any]] = []
        self._state_hooks: dict[str, list[tuple[Any]]] = {k: [] for k in ("save", "saved", "load", "loaded")}
        self._plans: dict[int, Plan] = {}
        self._stepping = self._opt_called = False

    # The rule

    def state_arrays(self, group: Group) -> tuple[str, ...]:
        """Names of the state arrays of a parameter of `group`, each of the parameter's shape."""
        return ()

    def state_scalars(self, group: Group) -> dict[str, float]:
        """Names and first values of the numbers that a parameter's state has beside the arrays and the step count."""
        return {}

    def state_start(self, name: str, group: Group) -> float:
        """What the state array `name` is filled with at first."""
        return 0.0

    def state_shapes(self, shape: tuple[int, ...], group: Group) -> dict[str, tuple[int, ...]]:
        """The state arrays of a parameter of `shape`, with their shapes."""
        return dict.fromkeys(self.state_arrays(group), shape)

    def new_state(self, xp: Any, shape: tuple[int, ...], dtype: Any, group: Group) -> dict[str, Any]:
        """Fresh state for `update`: numbers, and arrays of module `xp`."""
        state: dict[str, Any] = {name: float(value) for name, value in self.state_scalars(group).items()}
        for name, of_shape in self.state_shapes(shape, group).items():
            state[name] = xp.full(of_shape, self.state_start(name, group), dtype=dtype)
        return state

    def update(self, p: Array, g: Array, state: dict[str, Any], group: Group, step: int) -> None:
        """Applies one step to `p` in place. g, p and the state arrays have one shape, never 0-d; `step` counts from 1.

        Numbers of the state are replaced in the dict. Without `counts_steps`, `step` is 1 where the state is fresh.
        """
        raise NotImplementedError(
            f"{type(self).__name__} lacks update(self, p, g, state, group, step), which changes p in place, or step()"
        )

    # Stepping

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient. A closure is called first, with gradients recorded."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with np.errstate(all="ignore"):  # a run that diverges gives inf and nan, not warnings
            for i, group in enumerate(self.param_groups):
                if self.elementwise:
                    plan = self._plans.get(i)
                    if plan is None:
                        plan = self._plans[i] = Plan()
                    plan.step(self, group)
                else:
                    for p in group["params"]:
                        if p._grad is not None:
                            self._update_one(p, group)
        return loss

    def _update_one(self, p: Tensor, group: Group) -> None:
        """A step of one parameter where it lies."""
        array, grad, state = p._array, p._grad._array, self.state.get(p, {})  # type: ignore[union-attr]
        if grad.shape != array.shape or grad.dtype != array.dtype:
            raise RuntimeError(
                f"a parameter of shape {list(array.shape)} and dtype {p.dtype} has a gradient of shape {list(grad.shape)} "
                f"and dtype {p._grad.dtype}"  # type: ignore[union-attr]
            )
        count = self._count(p, state, group)
        if state:
            self.state[p] = state
        arrays: dict[str, Any] = {name: float(state[name]) for name in self.state_scalars(group)}
        numbers = tuple(arrays)
        for name, shape in self.state_shapes(array.shape, group).items():
            value = state[name]
            arrays[name] = value._array
            if value._array.shape != shape or value._array.dtype != array.dtype:
                raise RuntimeError(
                    f"the optimizer's state {name!r} has shape {list(value.shape)} and dtype {value.dtype}, which does not fit "
                    f"its parameter of shape {list(p.shape)} and dtype {p.dtype}; make the optimizer after the model has its "
                    "final dtype and shapes"
                )
            if device_of(value._array) != device_of(array):
                raise RuntimeError(
                    f"the optimizer's state {name!r} is on {value.device}, its parameter on {p.device}; make the optimizer "
                    "after the model is on its device"
                )
        note_change(array)
        if self.elementwise and array.ndim == 0:
            array, grad = array.reshape(1), grad.reshape(1)
            arrays = {n: a if n in numbers else a.reshape(1) for n, a in arrays.items()}
        apply_rule(self, array, grad, arrays, group, count)
        for name in numbers:
            state[name]._array[...] = arrays[name]

    def _count(self, p: Tensor, state: dict[str, Any], group: Group) -> int:
        """Makes what the state of `p` lacks; returns the number of this step: 1, or 2 for any later one where none is kept."""
        array = p._array
        fresh = not state
        if self.counts_steps:
            step = state.get("step")
            if step is None:
                step = state["step"] = scalar_tensor(0.0)
            elif not isinstance(step, Tensor):
                step = state["step"] = scalar_tensor(float(step))
            step._array += 1
            count = int(step._array)
        for name, value in self.state_scalars(group).items():
            if state.get(name) is None:
                state[name] = scalar_tensor(value)
        for name, shape in self.state_shapes(array.shape, group).items():
            if state.get(name) is None:
                fresh = True
                start = self.state_start(name, group)
                with device_of(array).context():
                    state[name] = Tensor._wrap(module_of(array).full(shape, start, dtype=array.dtype))
        return count if self.counts_steps else 2 - fresh

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients, or (set_to_none=False) puts zeros where they lie."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    g = p._grad
                    if g.grad_fn is not None:
                        g.detach_()
                    g.requires_grad_(False).zero_()

    # Groups

    def add_param_group(self, param_group: Group) -> None:
        """Adds a group: a dict with "params" and options of its own. Raises TypeError and ValueError as PyTorch does."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets will "
                "change between runs. Please use a list instead."
            )
        params = [params] if isinstance(params, Tensor) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        params = [p[1] if isinstance(p, tuple) else p for p in params]
        if names and len(names) != len(params):
            raise ValueError(
                "all optimizer params should be with/without names. Some param names are missing"
            )
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {_kind(p)}")
            if not (p.is_leaf or p.retains_grad):
                raise ValueError("can't optimize a non-leaf Tensor")
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for name, value in self.defaults.items():
            if value is required and name not in param_group:
                raise ValueError(
                    f"parameter group didn't specify a value of required optimization parameter {name}"
                )
            param_group.setdefault(name, value)
        if len({id(p) for p in params}) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error; "
                "see github.com/pytorch/pytorch/issues/40967 for more information",
                stacklevel=3,
            )
        others: set[int] = set()
        for group in self.param_groups:
            others.update(map(id, group["params"]))
            if ("param_names" in param_group) != ("param_names" in group):
                given = "with names" if "param_names" in param_group else "without names"
                raise ValueError(
                    "all optimizer param groups should be with/without names. "
                    f"cannot add param group {given} to the optimizer"
                )
        if not others.isdisjoint(map(id, params)):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)

    # Hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step; a returned pair replaces the arguments."""
        return _registered(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return _registered(self._post_hooks, hook)

    def register_state_dict_pre_hook(
        self, hook: Callable[[Any], None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` before each state_dict()."""
        return _registered(self._state_hooks["save"], hook, prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[[Any, Group], Group | None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after each state_dict(); a returned dict replaces it."""
        return _registered(self._state_hooks["saved"], hook, prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[[Any, Group], Group | None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before each load_state_dict; a returned dict replaces it."""
        return _registered(self._state_hooks["load"], hook, prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[[Any], None], prepend: bool = False
    ) -> RemovableHandle:
        """Calls `hook(optimizer)` after each load_state_dict."""
        return _registered(self._state_hooks["loaded"], hook, prepend)

    # Saving

    def state_dict(self) -> Group:
        """{"state": {number: {…}}, "param_groups": […]} with parameters numbered in order of the groups."""
        for (hook,) in tuple(self._state_hooks["save"]):
            hook(self)
        result = packed(self.param_groups, self.state)
        for (hook,) in tuple(self._state_hooks["saved"]):
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: Group) -> None:
        """Takes options and state from a state dict of this library or of PyTorch; values are copied."""
        state_dict = dict(state_dict)
        for (hook,) in tuple(self._state_hooks["load"]):
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        self.param_groups, self.state = load(
            state_dict, self.param_groups, self.defaults, {"step", *self.state_scalars(self.param_groups[0])}
        )
        self._after_load()
        for (hook,) in tuple(self._state_hooks["loaded"]):
            hook(self)

    def _after_load(self) -> None:
        """Puts right what an optimizer of another kind or age may have saved."""
        self._plans = {}

    def __getstate__(self) -> Group:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: Group) -> None:
        self.__dict__.update(state)
        self._after_load()

    def __repr__(self) -> str:
        text = f"{type(self).__name__} ("
        for i, group in enumerate(self.param_groups):
            options = "".join(f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params")
            text += f"\nParameter Group {i}\n{options}"
        return text + ")"


Optimizer.step = _with_hooks(Optimizer.step)  # type: ignore[method-assign]
