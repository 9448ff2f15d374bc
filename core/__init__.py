"""gradwire: a define-by-run autograd library with the names and semantics of PyTorch.

`import gradwire as torch` runs ordinary training code on NumPy (CPU) or CuPy (GPU).
"""

from . import autograd, backends, cuda, data, func, graph, linalg, nn, optim, random, training, utils
from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from .creation import (
    FloatTensor, LongTensor, arange, as_tensor, bernoulli, device, empty, empty_like, eye, from_numpy, full, full_like, linspace,
    multinomial, normal, ones, ones_like, rand, rand_like, randint, randn, randn_like, randperm, tensor, zeros, zeros_like,
)  # fmt: skip
from .dtypes import (
    bfloat16, bool, double, dtype, float, float16, float32, float64, get_default_dtype, half, int, int8, int16, int32, int64, long,
    promote_types, result_type, set_default_dtype, short, uint8,
)  # fmt: skip
from .functions import *  # noqa: F403
from .autograd.anomaly_mode import is_anomaly_enabled
from .grad_mode import is_grad_enabled, is_inference_mode_enabled
from .random import Generator, initial_seed, manual_seed, seed
from .tensor import Size, Tensor
from .training import Job, run

__version__ = "0.1.0"
