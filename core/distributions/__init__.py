"""torch.distributions: sampling, densities, entropies and divergences of probability distributions."""

from . import constraints as constraints
from . import transforms as transforms
from .composed import *
from .constraint_registry import biject_to as biject_to
from .constraint_registry import transform_to as transform_to
from .continuous import *
from .discrete import *
from .distribution import Distribution as Distribution
from .distribution import ExponentialFamily as ExponentialFamily
from .gamma import *
from .kl import kl_divergence as kl_divergence
from .kl import register_kl as register_kl
from .kl_pairs import *
from .low_rank import *
from .matrices import *
from .mixture import *
from .multivariate_normal import *
from .relaxed import (
    NegativeBinomial as NegativeBinomial,
)
from .relaxed import (
    OneHotCategoricalStraightThrough as OneHotCategoricalStraightThrough,
)
from .relaxed import (
    RelaxedBernoulli as RelaxedBernoulli,
)
from .relaxed import (
    RelaxedOneHotCategorical as RelaxedOneHotCategorical,
)
from .tails import *
from .transformed import *
from .transforms import *
from .transforms_of_parts import *
