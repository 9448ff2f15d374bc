"""torch.utils: checkpoint, dlpack, and data, which is `gradwire.data`."""

from . import checkpoint, data, dlpack

__all__ = ["checkpoint", "data", "dlpack"]
