"""Which operations a module's forward made: told by the numbers that nodes get in the order of their creation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ..node import next_seq

__all__ = ["Call", "Calls", "record"]


@dataclass
class Call:
    """One run of a module's forward: what was made between the numbers `start` and `end` belongs to it."""

    path: str
    kind: str
    start: int
    end: int = 0


@dataclass
class Calls:
    """The runs of `module` and all below it, in the order in which they began."""

    module: Any
    all: list[Call] = field(default_factory=list)


@contextmanager
def record(module: Any) -> Iterator[Calls]:
    """Within, the forward calls of `module` and the modules below it are noted, by forward hooks, for boxes in a picture."""
    calls = Calls(module)
    running: list[Call] = []
    handles = []

    def begin(path: str) -> Any:
        def hook(m: Any, args: Any) -> None:
            running.append(Call(path, type(m).__name__, next_seq()))
            calls.all.append(running[-1])

        return hook

    def end(m: Any, args: Any, output: Any) -> None:
        running.pop().end = next_seq()

    for path, m in module.named_modules():
        handles.append(m.register_forward_pre_hook(begin(path)))
        handles.append(m.register_forward_hook(end))
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
        for call in running:  # those that an error ended
            call.end = next_seq()
