"""torch.utils.data: data sets and loaders."""

from ..data import *  # noqa: F403
from ..data import __all__ as __all__
