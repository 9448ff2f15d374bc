"""torch.jit where nothing is compiled: as PyTorch with PYTORCH_JIT=0, script gives back what it gets, which runs as it is.

Tracing, saving and loading of scripts are not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["export", "ignore", "is_scripting", "is_tracing", "script", "script_if_tracing", "unused"]

T = TypeVar("T")


def script(
    obj: T, optimize: Any = None, _frames_up: int = 0, _rcb: Any = None, example_inputs: Any = None
) -> T:
    """The function, class or module itself."""
    return obj


def script_if_tracing(fn: T) -> T:
    return fn


def export(fn: T) -> T:
    return fn


def unused(fn: T) -> T:
    return fn


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A decorator, with or without arguments, that gives back the function itself."""
    if callable(drop):
        return drop
    if not isinstance(drop, bool):
        raise RuntimeError(f"Argument to @torch.jit.ignore must be a bool or a function but got {drop}")

    def same(fn: Callable[..., Any]) -> Callable[..., Any]:
        return fn

    return same


def is_scripting() -> bool:
    return False


def is_tracing() -> bool:
    return False
