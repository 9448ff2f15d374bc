"""torch.special: special functions."""

from .functions import polynomials as _polynomials
from .functions import special as _special
from .functions.polynomials import *
from .functions.special import *

__all__ = [*_polynomials.__all__, *_special.__all__]
