"""Functions of the `torch` namespace that make tensors, and the methods of Tensor that do: new_*, random fills."""

from . import data, drawn, filled, ranges, typed, windows
from . import refilled as refilled
from .data import *  # noqa: F403
from .drawn import *  # noqa: F403
from .filled import *  # noqa: F403
from .ranges import *  # noqa: F403
from .typed import *  # noqa: F403
from .windows import *  # noqa: F403

__all__ = [*data.__all__, *drawn.__all__, *filled.__all__, *ranges.__all__, *typed.__all__, *windows.__all__]
