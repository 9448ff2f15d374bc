"""The functions of the `torch` namespace that act on tensors, by family, and the Tensor methods made from them.

Each one checks and completes the user's arguments and applies operations from `ops`. Importing this package attaches
methods, operators and in-place forms to Tensor.
"""

from . import linalg as linalg
from . import operators as operators
from . import polynomials as polynomials
from . import special as special
from .activation import *
from .arithmetic import *
from .bits import *
from .catalogue import catalogue as _catalogue
from .copies import *
from .cumulative import *
from .distances import *
from .dropping import *
from .einsum import *
from .elementary import *
from .extremes import *
from .floats import *
from .gammas import *
from .indexing import *
from .joining import *
from .matrix import *
from .normalization import *
from .of_matrices import *
from .parts import *
from .rearranging import *
from .reduction import *
from .replacing import *
from .rounding import *
from .scattering import *
from .searching import *
from .selecting import *
from .shape import *
from .sorting import *
from .statistics import *
from .tables import *
from .transcendental import *
from .triangles import *


def _name_aliases() -> None:
    for entry in _catalogue.values():
        if entry.namespace == "torch" and entry.is_function:
            globals().update({name: globals()[entry.name] for name in entry.names})


_name_aliases()
# Functions alone: the families' own names, such as `linalg`, belong to public modules of the package.
__all__ = [n for e in _catalogue.values() if e.namespace == "torch" and e.is_function for n in e.names]
