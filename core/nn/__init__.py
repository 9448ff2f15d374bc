"""torch.nn: modules, layers, losses."""

from . import functional as functional
from . import init as init
from . import modules as modules
from . import utils as utils
from .module import Module as Module
from .modules import *
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .parameter import UninitializedBuffer as UninitializedBuffer
from .parameter import UninitializedParameter as UninitializedParameter
