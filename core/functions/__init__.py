"""The functions of the `torch` namespace that act on tensors, by family, and the Tensor methods made from them.

Each one checks and completes the user's arguments and applies operations from `ops`. Importing this package attaches
methods, operators and in-place forms to Tensor.
"""

from . import operators as operators
from .activation import *  # noqa: F403
from .arithmetic import *  # noqa: F403
from .catalogue import catalogue as _catalogue
from .einsum import *  # noqa: F403
from .elementary import *  # noqa: F403
from .indexing import *  # noqa: F403
from .joining import *  # noqa: F403
from .matrix import *  # noqa: F403
from .parts import *  # noqa: F403
from .reduction import *  # noqa: F403
from .rounding import *  # noqa: F403
from .shape import *  # noqa: F403
from .sorting import *  # noqa: F403
from .transcendental import *  # noqa: F403


def _name_aliases() -> None:
    for entry in _catalogue.values():
        if entry.namespace == "torch" and entry.is_function:
            globals().update({name: globals()[entry.name] for name in entry.names})


_name_aliases()
# Functions alone: the families' own names, such as `linalg`, belong to public modules of the package.
__all__ = [n for e in _catalogue.values() if e.namespace == "torch" and e.is_function for n in e.names]
