"""parameters_sha256: one number for a model's state, the same on every machine that holds the same bits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["parameters_sha256"]


def parameters_sha256(state: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """Hex sha256 over all arrays in order of name: for each "name NUL dtype NUL d0,d1,… NUL", then its C-ordered
    little-endian bytes. dtype is NumPy's name ("float32"); a 0-d shape is the empty string."""
    h = hashlib.sha256()
    for name in sorted(state):
        a = np.asarray(state[name])
        h.update(f"{name}\0{a.dtype.name}\0{','.join(map(str, a.shape))}\0".encode())
        h.update(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data)
    return h.hexdigest()
