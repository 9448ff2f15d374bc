"""The layout of safetensors files, for arrays of any size: made piece by piece, read by place.

A file is the length of its header (8 bytes, little-endian), the header (JSON: dtype, shape and place of each array) and
the values. https://github.com/huggingface/safetensors describes it; any reader of it opens what is made here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from gradwire.workers.checkpoint.content import Arrays

__all__ = ["Entry", "header_bytes", "parsed_header", "pieces"]

_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "bool": "BOOL",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
}  # fmt: skip
_DTYPES = {name: np.dtype(ml_dtypes.bfloat16 if own == "bfloat16" else own) for own, name in _NAMES.items()}
_LENGTH_BYTES = 8
_ALIGNMENT = 64
"""The values begin at a multiple of it, so that arrays on the file's bytes are aligned for vector instructions."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where an array lies: `begin` and `end` are bytes of the file."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def pieces(arrays: Arrays) -> Iterator[memoryview]:
    """The bytes of a file of these arrays, in order, without a copy where they are contiguous. Raises TypeError.

    The header names them in their own order; the values lie by falling size of an element, so that each is aligned.
    """
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, name))
    begins, at = {}, 0
    for name in order:
        begins[name] = at
        at += arrays[name].nbytes
    header = {}
    for name, array in arrays.items():
        if array.dtype.name not in _NAMES:
            raise TypeError(
                f"a checkpoint can't hold {name!r} of {array.dtype}; safetensors files have {', '.join(_NAMES)}"
            )
        header[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [begins[name], begins[name] + array.nbytes],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(_LENGTH_BYTES + len(text)) % _ALIGNMENT)
    yield memoryview(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
    for name in order:
        array = arrays[name]
        if array.size:
            flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
            yield flat.view(np.uint8).data


def header_bytes(first: bytes, total: int) -> int:
    """How many bytes a file's length and header take, by its first 8 bytes. Raises ValueError."""
    length = int.from_bytes(first[:_LENGTH_BYTES], "little")
    if len(first) < _LENGTH_BYTES or length > total - _LENGTH_BYTES:
        raise ValueError(f"a header of {length} bytes in a file of {total}")
    return _LENGTH_BYTES + length


def parsed_header(raw: bytes, total: int) -> dict[str, Entry]:
    """The arrays that the length and header `raw` of a file of `total` bytes name, in its order. Raises ValueError."""
    header = json.loads(raw[_LENGTH_BYTES:].decode())
    if not isinstance(header, dict):
        raise ValueError("the header is no JSON object")
    header.pop("__metadata__", None)
    entries = {}
    for name, told in header.items():
        try:
            dtype, shape = _DTYPES[told["dtype"]], tuple(told["shape"])
            begin, end = (len(raw) + at for at in told["data_offsets"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"the header does not say what {name!r} is") from None
        if not all(isinstance(size, int) and size >= 0 for size in (*shape, begin, end)):
            raise ValueError(f"the header gives {name!r} sizes that are none")
        if not len(raw) <= begin <= end <= total or end - begin != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the header gives {name!r} the bytes {begin} to {end}, which do not fit")
        entries[name] = Entry(dtype, shape, begin, end)
    return entries
