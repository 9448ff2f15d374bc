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
from .reflections import *
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


# Methods that write in place and are functions of the namespace, too.
_IN_PLACE = (
    "abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_ ceil_ clamp_ clamp_max_ "
    "clamp_min_ clip_ cos_ cosh_ deg2rad_ detach_ erf_ erfc_ exp2_ exp_ expm1_ fill_ fix_ floor_ frac_ i0_ log10_ log1p_ log2_ log_ "
    "logit_ nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ relu_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_ tanh_ "
    "trunc_ xlogy_ zero_"
).split()


def _name_methods() -> None:
    from .. import in_place as in_place  # which attaches fill_ and zero_
    from ..tensor import Tensor

    globals().update({name: getattr(Tensor, name) for name in _IN_PLACE})


_name_aliases()
_name_methods()
# Functions alone: the families' own names, such as `linalg`, belong to public modules of the package.
__all__ = [
    n for e in _catalogue.values() if e.namespace == "torch" and e.is_function for n in e.names
] + _IN_PLACE
