"""torch.cuda.amp: the older names of torch.amp for GPUs."""

from __future__ import annotations

from typing import Any

from . import amp as _amp
from .dtypes import dtype as DType
from .dtypes import float16

__all__ = ["GradScaler", "autocast"]


class autocast(_amp.autocast):
    """torch.amp.autocast("cuda")."""

    def __init__(self, enabled: bool = True, dtype: DType = float16, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_amp.GradScaler):
    """torch.amp.GradScaler("cuda")."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("cuda", *args, **kwargs)
