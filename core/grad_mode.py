"""What each thread's operations go by: whether they are recorded (no_grad, enable_grad, set_grad_enabled), and NumPy's
silence about overflow and NaN, which PyTorch has too."""

from __future__ import annotations

import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = [
    "enable_grad",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "set_grad_enabled",
]

F = TypeVar("F", bound=Callable[..., Any])


class _State(threading.local):
    enabled = True  # a plain attribute of the thread: read once by every operation
    inference = False
    autocast: Any = None  # what is cast in this thread, once an autocast was opened: see autocast.py
    capturing = False  # whether the running backward pass returns gradients instead of adding them
    after_backward: list[Callable[[], None]] | None = (
        None  # what is called when this thread's backward pass has ended
    )
    early: frozenset[int] | None = (
        None  # ids of leaves whose gradient the next backward pass is to hand out at once
    )
    outer: list[bool]  # what `with no_grad:` (the class itself) goes back to
    quiet: Callable[
        ..., Any
    ]  # quiet(f, *args) is f(*args) without warnings: ten times cheaper than np.errstate

    def __init__(self) -> None:
        self.outer = []
        context = contextvars.copy_context()
        context.run(np.seterr, all="ignore")
        self.quiet = context.run


state = _State()


def is_grad_enabled() -> bool:
    """Whether operations in this thread are recorded."""
    return state.enabled


class _GradMode:
    """A context manager and decorator that sets the mode and puts back what was there."""

    _mode = True

    def __init__(self) -> None:
        self._before: list[bool] = []

    def __enter__(self) -> None:
        self._before.append(state.enabled)
        state.enabled = self._mode

    def __exit__(self, *exc: object) -> None:
        state.enabled = self._before.pop()

    def __call__(self, function: F) -> F:
        mode = self._mode
        if inspect.isgeneratorfunction(function):
            return _generator_in(mode, function)  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            before, state.enabled = state.enabled, mode
            try:
                return function(*args, **kwargs)
            finally:
                state.enabled = before

        return wrapped  # type: ignore[return-value]


def _generator_in(mode: bool, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`'s generators with the mode set while they run, and put back while their caller does."""

    def switched(call: Callable[..., Any], *args: Any) -> Any:
        before, state.enabled = state.enabled, mode
        try:
            return call(*args)
        finally:
            state.enabled = before

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        generator = function(*args, **kwargs)
        try:
            produced = switched(next, generator)
            while True:
                try:
                    sent = yield produced
                except GeneratorExit:
                    switched(generator.close)
                    raise
                except BaseException as e:
                    produced = switched(generator.throw, e)
                else:
                    produced = switched(generator.send, sent)
        except StopIteration as end:
            return end.value

    return wrapped


class _ClassIsContext(type):
    """Lets the class itself stand in a `with`: `with no_grad:` beside `with no_grad():`; and `@no_grad`."""

    _mode: bool

    def __enter__(cls) -> None:
        state.outer.append(state.enabled)
        state.enabled = cls._mode

    def __exit__(cls, *exc: object) -> None:
        state.enabled = state.outer.pop()

    def __call__(cls, function: Callable[..., Any] | None = None) -> Any:
        instance = super().__call__()
        return instance if function is None else instance(function)


class no_grad(_GradMode, metaclass=_ClassIsContext):
    """Operations within are not recorded: `with no_grad():`, `with no_grad:`, `@no_grad()`, `@no_grad`."""

    _mode = False


class enable_grad(_GradMode, metaclass=_ClassIsContext):
    """Operations within are recorded, also inside a no_grad."""

    _mode = True


class set_grad_enabled(_GradMode):
    """Sets the mode at once; as a context manager it puts back what was there before."""

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled: expected a bool, got {type(mode).__name__}")
        self._outside = state.enabled
        self._mode = mode
        state.enabled = mode

    def __enter__(self) -> None:
        state.enabled = self._mode

    def __exit__(self, *exc: object) -> None:
        state.enabled = self._outside

    def __call__(self, function: F) -> F:
        state.enabled = self._outside  # as a decorator it is to act on the calls alone
        return super().__call__(function)


class inference_mode(_GradMode):
    """Operations within are not recorded: `with inference_mode():`, `@inference_mode()`, `@inference_mode`.

    Like no_grad; what is made within may be used afterwards as any other tensor. mode=False records.
    """

    def __new__(cls, mode: Any = True) -> Any:
        instance = super().__new__(cls)
        if callable(mode):
            instance.__init__(True)  # type: ignore[misc]
            return instance(mode)
        return instance

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._mode = not mode
        self._inference: list[bool] = []

    def __enter__(self) -> None:
        super().__enter__()
        self._inference.append(state.inference)
        state.inference = not self._mode

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        state.inference = self._inference.pop()

    def __call__(self, function: F) -> F:
        if inspect.isgeneratorfunction(function):
            return super().__call__(function)
        mode = not self._mode

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with inference_mode(mode):
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def is_inference_mode_enabled() -> bool:
    """Whether this thread is within inference_mode."""
    return state.inference
