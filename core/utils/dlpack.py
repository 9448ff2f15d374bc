"""torch.utils.dlpack: tensors to DLPack capsules and back."""

from ..interop import from_dlpack, to_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
