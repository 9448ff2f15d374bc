"""All operations, by family. `arrays` and `tensors` are the two faces that backward rules are run with."""

from . import activation as activation
from . import convolution as convolution
from . import cumulative as cumulative
from . import gates as gates
from . import indexing as indexing
from . import lookup as lookup
from . import losses as losses
from . import matrix as matrix
from . import normalization as normalization
from . import order as order
from . import overwriting as overwriting
from . import piecewise as piecewise
from . import pointwise as pointwise
from . import pooling as pooling
from . import recurrent as recurrent
from . import reduction as reduction
from . import rounding as rounding
from . import scattering as scattering
from . import shape as shape
from . import statistics as statistics
from . import strided as strided
from . import transcendental as transcendental
from . import windows as windows
from .registry import arrays as arrays
from .registry import index as index
from .registry import tensors as tensors
