"""The functions of this package that PyTorch has on its own namespace too, such as torch.conv2d."""

from ... import functions as _functions
from ...functions.catalogue import catalogue as _catalogue
from .. import functional as _functional
from . import torch_forms as _torch_forms

__all__: list[str] = []
for _entry in _catalogue.values():
    if _entry.namespace == "torch" and _entry.is_function and not hasattr(_functions, _entry.name):
        for _name in _entry.names:
            globals()[_name] = getattr(_torch_forms, _entry.name, None) or getattr(_functional, _entry.name)
            __all__ += [_name]
