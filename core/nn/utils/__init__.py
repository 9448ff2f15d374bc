"""torch.nn.utils: about gradients and parameters."""

from . import parametrizations as parametrizations
from . import parametrize as parametrize
from . import rnn as rnn
from .clip_grad import *
from .convert_parameters import *
from .fusion import *
from .init import *
from .normed_weights import *
