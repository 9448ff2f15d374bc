"""Names the module in which an operation failed: `encoder.layers.3.linear1: mat1 and mat2 shapes …`."""

from __future__ import annotations

from typing import Any

__all__ = ["name_place"]


class _Place:
    """Where an error came from so far: the outermost module it passed, and the path from there."""

    def __init__(self, message: str, module: Any) -> None:
        self.message, self.module, self.path = message, module, ""


def name_place(module: Any, error: Exception) -> None:
    """Puts the path of the failing module, as seen from `module`, before the message of an operation's error.

    Errors that the user's own code raised keep their words.
    """
    place = getattr(error, "_place", None)
    if place is None:
        if type(error) in (RuntimeError, ValueError, IndexError, TypeError) and _is_an_operations(error):
            error._place = _Place(error.args[0], module)  # type: ignore[attr-defined]
        return
    if place.module is module:
        return
    name = next((n for n, m in module.named_modules() if m is place.module), None)
    if name:
        place.path = f"{name}.{place.path}" if place.path else name
        place.module = module
        error.args = (f"{place.path}: {place.message}", *error.args[1:])


def _is_an_operations(error: Exception) -> bool:
    if not error.args or not isinstance(error.args[0], str):
        return False
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    origin = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return origin.startswith("gradwire.") and origin != "gradwire.nn.module"
