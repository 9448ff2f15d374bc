"""The named results of functions that return several tensors: `torch.max(t, 0).values`, `torch.return_types.max`."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

_FIELDS = {
    "values indices": "cummax cummin kthvalue max median min mode nanmedian sort topk",
    "min max": "aminmax",
    "mantissa exponent": "frexp",
    "hist bin_edges": "histogram",
    "Q R": "linalg_qr qr",
    "U S Vh": "linalg_svd",
    "U S V": "svd",
    "P L U": "linalg_lu lu_unpack",
    "LU pivots": "linalg_lu_factor",
    "L info": "linalg_cholesky_ex",
    "inverse info": "linalg_inv_ex",
    "result info": "linalg_solve_ex",
    "sign logabsdet": "linalg_slogdet slogdet",
    "eigenvalues eigenvectors": "linalg_eigh",
    "solution residuals rank singular_values": "linalg_lstsq",
    "solution cloned_coefficient": "triangular_solve",
}


def _shown(self: Any) -> str:
    inside = ",\n".join(f"{f}={v!r}" for f, v in zip(self._fields, self, strict=True))
    return f"torch.return_types.{type(self).__name__}(\n{inside})"


def _made(name: str, fields: str) -> Any:
    members = {"__slots__": (), "__repr__": _shown, "__module__": __name__}
    return type(name, (namedtuple(name, fields.split()),), members)


for _fields, _names in _FIELDS.items():
    for _name in _names.split():
        globals()[_name] = _made(_name, _fields)


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}: no function of that name has a named result"
    )
