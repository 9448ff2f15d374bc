"""gradwire: a define-by-run autograd library with the names and semantics of PyTorch.

`import gradwire as torch` runs ordinary training code on NumPy (CPU) or CuPy (GPU).
"""

from . import autograd, backends, cuda, data, graph, nn, optim, random, training, utils
from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from .creation import (
    FloatTensor, LongTensor, arange, as_tensor, bernoulli, device, empty, empty_like, eye, from_numpy, full, full_like, linspace,
    multinomial, normal, ones, ones_like, rand, rand_like, randint, randn, randn_like, randperm, tensor, zeros, zeros_like,
)  # fmt: skip
from .dtypes import (
    bool, double, dtype, float, float16, float32, float64, get_default_dtype, half, int, int8, int16, int32, int64, long,
    promote_types, result_type, set_default_dtype, short, uint8,
)  # fmt: skip
from .functions import (
    abs, add, all, allclose, amax, amin, any, argmax, argmin, argsort, bitwise_and, bitwise_not, bitwise_or, bitwise_xor, bmm, cat, ceil,
    chunk, clamp, clone, cos, cumsum, div, dot, eq, equal, erf, exp, expm1, flatten, floor, floor_divide, gather, ge, gt, index_select,
    isfinite, isinf, isnan, le, log, log1p, log_softmax, logical_and, logical_not, logical_or, logsumexp, lt, masked_fill, matmul, max,
    maximum, mean, min, minimum, mm, mul, narrow, ne, neg, norm, outer, permute, pow, ravel, reciprocal, relu, remainder, reshape, round,
    rsqrt, select, sigmoid, sign, sin, softmax, sort, split, sqrt, square, squeeze, stack, std, sub, sum, t, tanh, topk, transpose, tril,
    triu, unbind, unsqueeze, var, where,
)  # fmt: skip
from .grad_mode import is_grad_enabled
from .random import Generator, initial_seed, manual_seed, seed
from .tensor import Size, Tensor
from .training import Job, run

__version__ = "0.1.0"
