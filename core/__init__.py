"""gradwire: a define-by-run autograd library with the names and semantics of PyTorch.

`import gradwire as torch` runs ordinary training code on NumPy (CPU) or CuPy (GPU).
"""

from . import (
    amp,
    autograd,
    backends,
    convert,
    cuda,
    data,
    distributions,
    func,
    graph,
    jit,
    linalg,
    nn,
    optim,
    random,
    return_types,
    safetensors,
    special,
    training,
    utils,
)
from .amp import GradScaler
from .autocast import (
    autocast,
    get_autocast_dtype,
    is_autocast_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
)
from .autograd import enable_grad, inference_mode, no_grad, set_grad_enabled
from .backends import Device as device
from .creation import *  # noqa: F403
from .default_device import get_default_device, set_default_device
from .dtypes import (
    bfloat16, bool, can_cast, double, dtype, float, float16, float32, float64, get_default_dtype, half, int, int8, int16, int32, int64,
    long, promote_types, result_type, set_default_dtype, short, uint8,
)  # fmt: skip
from .interop import from_dlpack, to_dlpack
from .layouts import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    layout,
    memory_format,
    preserve_format,
    strided,
)
from .limits import finfo, iinfo
from .functions import *  # noqa: F403
from .nn.functional.on_torch import *  # noqa: F403
from .casts import (
    detach,
    get_device,
    is_same_size,
    is_signed,
    is_complex,
    is_floating_point,
    is_tensor,
    numel,
    set_default_tensor_type,
)
from .autograd.anomaly_mode import is_anomaly_enabled
from .grad_mode import is_grad_enabled, is_inference_mode_enabled
from .printing import set_printoptions
from .promises import *  # noqa: F403
from .random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from .serialization import load, save
from .tensor import Size, Tensor
from .threads import get_num_threads, set_num_threads
from .training import Job, run
from .func import vmap
from math import e, inf, nan, pi

newaxis = None
__version__ = "0.1.0"
