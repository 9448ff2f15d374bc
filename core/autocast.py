"""Mixed precision: within `autocast` products run in a 16-bit dtype, losses and other delicate functions in float32.

What runs how is PyTorch's list for each device, as far as its functions are here. A float32 parameter is cast once within the
outermost autocast, and its gradient comes back in float32. Nothing of this is looked at while no autocast is open anywhere.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from . import versions
from .dtypes import bfloat16, float16, float32, float64
from .dtypes import dtype as DType
from .grad_mode import state as grad_state
from .tensor import Tensor

__all__ = [
    "autocast", "custom_bwd", "custom_fwd", "get_autocast_dtype", "is_autocast_available", "is_autocast_enabled", "lowered",
    "runs_in_float32", "runs_low", "set_autocast_dtype", "set_autocast_enabled",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
_DTYPES: dict[str, DType] = {"cpu": bfloat16, "cuda": float16}


class _Modes:
    """What is cast on each device in this thread, and the casts of parameters that were made already."""

    def __init__(self) -> None:
        self.dtypes: dict[str, DType] = {}  # device -> the 16-bit dtype, where autocast is on
        self.depth = 0
        self.cache: dict[int, tuple[Tensor, Tensor, int]] | None = {}


def _modes() -> _Modes:
    modes = grad_state.autocast
    if modes is None:
        modes = grad_state.autocast = _Modes()
    return modes


def _device_type(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(name)}`")
    if name not in _DTYPES:
        raise RuntimeError(
            f"User specified an unsupported autocast device_type '{name}'; there are 'cpu' and 'cuda'"
        )
    return name


class autocast:
    """A context manager and decorator: `with autocast("cpu", dtype=torch.bfloat16):`. Nests; enabled=False switches it off."""

    def __init__(
        self,
        device_type: str,
        dtype: DType | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device = _device_type(device_type)
        self.fast_dtype = _DTYPES[self.device] if dtype is None else dtype
        self.cache_enabled = True if cache_enabled is None else cache_enabled
        if enabled and self.fast_dtype not in (bfloat16, float16):
            where = "CPU" if self.device == "cpu" else "CUDA"
            warnings.warn(
                f"In {where} autocast, but the target dtype is not supported. Disabling autocast.\n{where} Autocast only supports "
                f"dtype of torch.bfloat16, torch.float16 currently, got {self.fast_dtype}.",
                stacklevel=2,
            )
            enabled = False
        self.enabled = enabled
        self._before: list[tuple[DType | None, Any]] = []

    def __enter__(self) -> autocast:
        modes = _modes()
        self._before.append((modes.dtypes.get(self.device), modes.cache))
        if self.enabled:
            modes.dtypes[self.device] = self.fast_dtype
        else:
            modes.dtypes.pop(self.device, None)
        if not self.cache_enabled:
            modes.cache = None
        elif modes.cache is None:
            modes.cache = {}
        modes.depth += 1
        versions.count_observer(1)
        return self

    def __exit__(self, *exc: object) -> None:
        modes = _modes()
        before, modes.cache = self._before.pop()
        if before is None:
            modes.dtypes.pop(self.device, None)
        else:
            modes.dtypes[self.device] = before
        modes.depth -= 1
        versions.count_observer(-1)
        if not modes.depth and modes.cache is not None:
            modes.cache.clear()

    def __call__(self, function: F) -> F:
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            raise TypeError("autocast decorates plain functions; open it within a generator or coroutine")

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return run  # type: ignore[return-value]


def _cast(t: Any, to: DType, modes: _Modes) -> Any:
    """`t` in dtype `to`, where it is a float tensor that autocast casts (float64 it leaves alone)."""
    if not isinstance(t, Tensor) or not t.is_floating_point() or t.dtype in (to, float64):
        return t
    keeps = (
        modes.cache is not None and to is not float32 and t.is_leaf and t.requires_grad and grad_state.enabled
    )
    if not keeps:
        return t.to(to)
    assert modes.cache is not None
    version = versions.version_of(t._array)
    found = modes.cache.get(id(t))
    if found is None or found[0] is not t or found[2] != version or found[1].dtype is not to:
        found = modes.cache[id(t)] = (t, t.to(to), version)
    return found[1]


def lowered(*tensors: Any, on: tuple[str, ...] = ("cpu", "cuda")) -> tuple[Any, ...]:
    """The operands of a product in autocast's dtype, where it is on for their device, one of `on`."""
    modes = grad_state.autocast
    if modes is None or not modes.dtypes:
        return tensors
    device = next((t.device.type for t in tensors if isinstance(t, Tensor)), "")
    to = modes.dtypes.get(device) if device in on else None
    return tensors if to is None else tuple(_cast(t, to, modes) for t in tensors)


def runs_low(*devices: str) -> Callable[[F], F]:
    """Decorates a function whose tensors autocast on `devices` casts to its 16-bit dtype."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            if versions.watch and grad_state.autocast is not None:
                names = list(kwargs)
                cast = lowered(*args, *kwargs.values(), on=devices)
                args, kwargs = cast[: len(args)], dict(zip(names, cast[len(args) :], strict=True))
            return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    return decorate


def runs_in_float32(*devices: str) -> Callable[[F], F]:
    """Decorates a function whose 16-bit tensors autocast on `devices` casts to float32."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            modes = grad_state.autocast if versions.watch else None
            if modes is not None and modes.dtypes:
                kind = next((t.device.type for t in args if isinstance(t, Tensor)), "")
                if kind in devices and kind in modes.dtypes:
                    args = tuple(_cast(t, float32, modes) for t in args)
                    kwargs = {k: t if k == "out" else _cast(t, float32, modes) for k, t in kwargs.items()}
                    with autocast(kind, enabled=False):  # products within are in float32, too
                        return function(*args, **kwargs)
            return function(*args, **kwargs)

        return run  # type: ignore[return-value]

    return decorate


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows the device."""
    return device_type in _DTYPES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for the device in this thread."""
    modes = grad_state.autocast
    return modes is not None and _device_type(device_type) in modes.dtypes


def get_autocast_dtype(device_type: str) -> DType:
    """The dtype that autocast casts to on the device, or would."""
    modes = grad_state.autocast
    usual = _DTYPES[_device_type(device_type)]
    return usual if modes is None else modes.dtypes.get(device_type, usual)


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Switches autocast on the device on or off within an open autocast."""
    modes = _modes()
    if enabled and not modes.depth:
        raise RuntimeError("set_autocast_enabled: open an autocast first (`with torch.autocast(...):`)")
    if enabled:
        modes.dtypes[_device_type(device_type)] = get_autocast_dtype(device_type)
    else:
        modes.dtypes.pop(_device_type(device_type), None)


def set_autocast_dtype(device_type: str, dtype: DType) -> None:
    """The dtype that autocast on the device casts to from now on, in every thread."""
    if dtype not in (bfloat16, float16):
        raise RuntimeError(f"set_autocast_dtype: expected torch.bfloat16 or torch.float16, got {dtype}")
    _DTYPES[_device_type(device_type)] = dtype


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: DType | None = None) -> Any:
    """Decorates the forward of an autograd.Function: within autocast it gets cast_inputs, and runs without autocast."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        ctx._dtype = get_autocast_dtype(device_type)
        on = is_autocast_enabled(device_type)
        if cast_inputs is None:
            ctx._fwd_used_autocast = on
            return fwd(ctx, *args, **kwargs)
        ctx._fwd_used_autocast = False
        if not on:
            return fwd(ctx, *args, **kwargs)
        modes = _Modes()
        with autocast(device_type, enabled=False):
            return fwd(ctx, *[_cast(a, cast_inputs, modes) for a in args], **{k: _cast(v, cast_inputs, modes) for k, v in kwargs.items()})  # fmt: skip

    return run


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorates the backward of an autograd.Function: it runs with the autocast of its forward."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def run(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, dtype=ctx._dtype, enabled=ctx._fwd_used_autocast):
            return bwd(ctx, *args, **kwargs)

    return run
