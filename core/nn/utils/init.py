"""Modules made without their initial values."""

from __future__ import annotations

import inspect
from typing import Any

from ... import random
from ..module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module whose parameters and buffers hold no values yet: 0 here. Draws no numbers; args, kwargs: the module's."""
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    state = random.get_rng_state()
    try:
        module = module_cls(*args, **kwargs)
    finally:
        random.set_rng_state(state)
    for t in (*module.parameters(), *module.buffers()):
        t.detach().zero_()
    return module.to(device)
