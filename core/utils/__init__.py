"""torch.utils: checkpoint, dlpack, tensorboard, and data, which is `gradwire.data`."""

from . import checkpoint, data, dlpack, tensorboard

__all__ = ["checkpoint", "data", "dlpack", "tensorboard"]
