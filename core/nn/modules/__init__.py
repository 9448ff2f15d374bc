"""The modules of torch.nn, by family."""

from .activation import *
from .adaptive import *
from .attention import *
from .batchnorm import *
from .containers import *
from .convolution import *
from .distance import *
from .dropout import *
from .embedding import *
from .lazy import *
from .linear import *
from .losses import *
from .normalization import *
from .padding import *
from .pooling import *
from .resampling import *
from .rnn import *
from .shape import *
from .transformer import *
