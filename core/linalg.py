"""torch.linalg: linear algebra on matrices and batches of them."""

from .functions.linalg import *
from .functions.linalg import __all__ as __all__
