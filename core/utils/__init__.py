"""torch.utils: checkpoint, and data, which is `gradwire.data`."""

from . import checkpoint, data

__all__ = ["checkpoint", "data"]
