"""torch.utils: kept for its name; see `gradwire.data`."""

from . import data

__all__ = ["data"]
