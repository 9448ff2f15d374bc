"""float16 and bfloat16: operations on them compute in float32 and round once, at the end, as PyTorch's do.

That goes for sums too, which would soon stop growing in eight or eleven bits. An operation that rounds nothing says so
(`exact`) and is given the arrays as they are. The backward of a node with a half output is lifted in the same way; the
engine rounds what comes out of it to the dtype of the place where it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import FULL, HALVES
from ..node import Op

__all__ = ["has_halves", "in_float32", "node_class"]

_FLOAT32 = np.dtype(np.float32)


def has_halves(arrays: Any) -> bool:
    """Whether one of the raw arrays is of float16 or bfloat16."""
    return any(a.dtype in HALVES for a in arrays if a is not None)


def _wide(x: Any) -> Any:
    return x.astype(_FLOAT32) if getattr(x, "dtype", None) in HALVES else x


def in_float32(op: type[Op]) -> Callable[..., Any]:
    """`op.forward` for arguments of which some are half arrays; itself where it rounds nothing."""
    if op.exact or op.is_view:
        return op.forward

    def forward(*args: Any) -> Any:
        found = {x.dtype for x in args if getattr(x, "dtype", None) in HALVES}
        wider = len(found) > 1 or any(getattr(x, "dtype", None) in FULL for x in args)
        out = op.forward(*map(_wide, args))
        if wider:
            return out
        (to,) = found
        if isinstance(out, tuple):
            return tuple(o.astype(to) if o.dtype == _FLOAT32 else o for o in out)
        return out.astype(to) if out.dtype == _FLOAT32 else out

    return forward


_classes: dict[Any, Any] = {}


def node_class(op: Any) -> Any:
    """What a node of `op` with a half output is: its backward on raw arrays gets float32 in place of halves."""
    found = _classes.get(op)
    if found is None:
        found = _classes[op] = _lifted(op)
    return found


def _lifted(op: Any) -> Any:
    def backward(self: Any, m: Any, g: Any, *saved: Any) -> Any:
        from . import arrays

        if m is arrays:
            g = [_wide(x) for x in g] if isinstance(g, list) else _wide(g)
            saved = tuple(map(_wide, saved))
        return op.backward(self, m, g, *saved)

    return type(op.__name__, (op,), {"__slots__": (), "__module__": op.__module__, "backward": backward})
