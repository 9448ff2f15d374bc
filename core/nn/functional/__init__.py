"""torch.nn.functional: stateless forms of layers, and losses, by family."""

from .activation import *
from .adaptive_pooling import *
from .attention import *
from .classification import *
from .convolution import *
from .ctc import *
from .distances import *
from .dropouts import *
from .embeddings import *
from .fractional_pooling import *
from .margins import *
from .normalization import *
from .padding import *
from .pooling import *
from .products import *
from .regression import *
from .resampling import *
from .sampling import *
from .shuffling import *
