"""torch.nn.utils: about gradients and parameters."""

from . import rnn as rnn
