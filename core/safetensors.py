"""The safetensors format: named tensors in one file, with nothing in it that could run.

    from gradwire.safetensors import load_file, save_file

save_file, load_file, save, load and safe_open are called as those of the safetensors package for PyTorch are. A file is
the length of its header (8 bytes, little-endian), the header (JSON: for each name dtype, shape and place), the values.
See https://github.com/huggingface/safetensors for the format.
"""

from __future__ import annotations

import itertools
import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from . import dtypes
from .backends import Device, to_device, to_numpy
from .dtypes import dtype as DType
from .tensor import Tensor

__all__ = ["load", "load_file", "metadata_of", "safe_open", "save", "save_file"]

_NAMES = {
    dtypes.float64: "F64", dtypes.float32: "F32", dtypes.float16: "F16", dtypes.bfloat16: "BF16", dtypes.int64: "I64",
    dtypes.int32: "I32", dtypes.int16: "I16", dtypes.int8: "I8", dtypes.uint8: "U8", dtypes.bool: "BOOL",
}  # fmt: skip
_DTYPES = {name: d for d, name in _NAMES.items()}
_LONGEST_HEADER = 100_000_000


def _pieces(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None) -> Iterator[Any]:
    """The file's bytes, in order. Wider dtypes come first, so that every tensor is aligned."""
    if not isinstance(tensors, Mapping):
        raise ValueError(f"Expected a dict of [str, torch.Tensor] but received {type(tensors)}")
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, Tensor):
            raise ValueError(f"Key `{name}` is invalid, expected torch.Tensor but received {type(t)}")
        if name == "__metadata__":
            raise ValueError(
                "a tensor can't be named __metadata__, which is the name of what is told beside the tensors"
            )
    _refuse_shared(tensors)
    order = sorted(tensors, key=lambda n: (-tensors[n].dtype.itemsize, n))
    header: dict[str, Any] = {}
    if metadata:
        for key, value in metadata.items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise ValueError(f"metadata: expected strings alone, got {key!r}: {value!r}")
        header["__metadata__"] = dict(metadata)
    at = 0
    for name in order:
        t = tensors[name]
        size = t.numel() * t.dtype.itemsize
        header[name] = {"dtype": _NAMES[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in order:
        yield np.ascontiguousarray(to_numpy(tensors[name]._array)).reshape(-1).view(np.uint8).data


def _refuse_shared(tensors: Mapping[str, Tensor]) -> None:
    """Raises RuntimeError where two tensors overlap: a file would hold, and a reader get, the values twice."""
    spans = sorted(
        (t.data_ptr(), t.data_ptr() + (1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride(), strict=True))) * t.itemsize, name)
        for name, t in tensors.items()
        if t.numel() and t.device.type == "cpu"
    )  # fmt: skip
    for (_, end, name), (start, _, other) in itertools.pairwise(spans):
        if start < end:
            raise RuntimeError(
                f"Some tensors share memory, this will lead to duplicate memory on disk and potential differences when "
                f"loading them again: {[name, other]}. Save one of them, or clone() it."
            )


def save(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a safetensors file with these tensors by name."""
    return b"".join(_pieces(tensors, metadata))


def save_file(
    tensors: Mapping[str, Tensor], filename: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes these tensors by name into a safetensors file."""
    pieces = _pieces(tensors, metadata)
    first = next(pieces)  # which checks them all: a bad call leaves no file
    with open(filename, "wb") as file:
        file.write(first)
        for piece in pieces:
            file.write(piece)


class Header:
    """What a file says of its tensors, checked: places within the file, of the right size, without gaps or overlaps."""

    def __init__(self, raw: Any, what: str) -> None:
        total = len(raw)
        if total < 8:
            raise ValueError(f"{what}: no safetensors file: it has {total} bytes")
        length = int.from_bytes(raw[:8], "little")
        if length > min(_LONGEST_HEADER, total - 8):
            raise ValueError(f"{what}: no safetensors file: a header of {length} bytes in a file of {total}")
        try:
            header = json.loads(bytes(raw[8 : 8 + length]).decode(), object_pairs_hook=_once)
        except (UnicodeDecodeError, ValueError) as e:
            raise ValueError(f"{what}: the header is no JSON of a safetensors file ({e})") from None
        if not isinstance(header, dict):
            raise ValueError(f"{what}: the header is no JSON object")
        self.metadata: dict[str, str] | None = header.pop("__metadata__", None)
        self.start = 8 + length
        self.tensors: dict[str, tuple[DType, tuple[int, ...], int, int]] = {}
        for name, entry in header.items():
            self.tensors[name] = self._entry(name, entry, what)
        at = 0
        for name, (_, _, begin, end) in sorted(self.tensors.items(), key=lambda item: item[1][2:]):
            if begin != at:
                raise ValueError(f"{what}: a gap or an overlap in the file before {name!r}")
            at = end
        if self.start + at != total:
            raise ValueError(f"{what}: the tensors end at byte {self.start + at}, the file at {total}")

    def _entry(self, name: str, entry: Any, what: str) -> tuple[DType, tuple[int, ...], int, int]:
        try:
            dtype_name, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
            whole = all(isinstance(n, int) and n >= 0 for n in (*shape, begin, end))
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"{what}: {name!r} lacks dtype, shape or data_offsets") from None
        if dtype_name not in _DTYPES:
            raise ValueError(f"{what}: {name!r} is of {dtype_name}; tensors carry {', '.join(_DTYPES)}")
        d = _DTYPES[dtype_name]
        if not whole or end - begin != math.prod(shape) * d.itemsize:
            raise ValueError(
                f"{what}: {name!r} of shape {shape} and {d} does not fit the bytes {begin} to {end}"
            )
        return d, tuple(shape), begin, end


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name comes twice")
    return result


def _tensor(raw: Any, header: Header, name: str, place: Device, copy: bool) -> Tensor:
    d, shape, begin, end = header.tensors[name]
    flat = (
        np.frombuffer(raw, np.uint8, end - begin, header.start + begin)
        if end > begin
        else np.empty(0, np.uint8)
    )
    array = (flat.copy() if copy else flat).view(d.numpy).reshape(shape)
    return Tensor._wrap(to_device(array, place))


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors by name in the bytes of a safetensors file. Raises ValueError for bytes that are none."""
    header = Header(data, "load")
    return {name: _tensor(data, header, name, Device("cpu"), True) for name in header.tensors}


def metadata_of(data: bytes) -> dict[str, str] | None:
    """What the bytes of a safetensors file tell beside its tensors."""
    return Header(data, "load").metadata


def load_file(filename: str | os.PathLike[str], device: Any = "cpu") -> dict[str, Tensor]:
    """The tensors by name of a safetensors file, on `device`. Raises ValueError for a file that is none."""
    with safe_open(filename, device=device) as file:
        return {name: file.get_tensor(name) for name in file._header.tensors}


class safe_open:
    """A safetensors file whose tensors are read one at a time: keys(), get_tensor(name), metadata().

    with safe_open("model.safetensors") as file: weight = file.get_tensor("weight")
    """

    def __init__(
        self, filename: str | os.PathLike[str], framework: str = "gradwire", device: Any = "cpu"
    ) -> None:
        if framework not in ("gradwire", "pt", "torch", "pytorch"):
            raise ValueError(
                f"safe_open: the tensors are gradwire's; expected framework 'gradwire' or 'pt', got {framework!r}"
            )
        self._place = Device(device)
        with open(filename, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._raw: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self._header = Header(self._raw, str(filename))

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._raw:
            self._raw.close()

    def keys(self) -> list[str]:
        """The names, in alphabetical order."""
        return sorted(self._header.tensors)

    offset_keys = keys

    def metadata(self) -> dict[str, str] | None:
        """What the file tells beside its tensors; None where it tells nothing."""
        return self._header.metadata

    def get_tensor(self, name: str) -> Tensor:
        """The tensor of that name. Raises KeyError where there is none."""
        if name not in self._header.tensors:
            raise KeyError(f"File does not contain tensor {name}")
        return _tensor(self._raw, self._header, name, self._place, True)
