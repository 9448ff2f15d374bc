"""The functions of this package that PyTorch has on its own namespace too, such as torch.conv2d."""

from ... import functions as _functions
from ...functions.catalogue import catalogue as _catalogue
from .. import functional as _functional

__all__ = ["max_pool1d", "max_pool2d", "max_pool3d"]  # there without return_indices
max_pool1d, max_pool2d, max_pool3d = (getattr(_functional, _name) for _name in __all__)
for _entry in _catalogue.values():
    if _entry.namespace == "torch" and _entry.is_function and not hasattr(_functions, _entry.name):
        for _name in _entry.names:
            globals()[_name] = getattr(_functional, _entry.name)
            __all__ += [_name]
