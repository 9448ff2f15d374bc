"""save and load: tensors in dictionaries, lists and tuples with numbers and strings, in a file that can run nothing.

The file is one of safetensors: the storages of the tensors, and what is made of them as JSON in its metadata. So a
loaded file has no more in it than these kinds of values, whoever wrote it.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes, safetensors
from .backends import Device, to_numpy
from .convert import load_pt
from .dtypes import dtype as DType
from .layouts import order_like
from .tensor import Size, Tensor
from .versions import owner_of

__all__ = ["load", "save"]

_KEY, _VERSION = "gradwire.save", 1
_PLAIN = (bool, int, str, type(None))


class _Writer:
    """Turns an object into JSON and storages, each of them once."""

    def __init__(self) -> None:
        self.storages: dict[str, Tensor] = {}
        self._of_owner: dict[tuple[int, Any], str] = {}
        self._of_tensor: dict[int, int] = {}
        self._kept: list[Any] = []  # what ids stand for must live

    def value(self, x: Any, where: str) -> Any:
        kind = type(x)
        if kind in _PLAIN:
            return x
        if kind is float:
            return x if math.isfinite(x) else {"float": repr(x)}
        if isinstance(x, Tensor):
            return self._tensor(x, where)
        if kind is list:
            return {"list": [self.value(v, f"{where}[{i}]") for i, v in enumerate(x)]}
        if kind is tuple or kind is Size:
            name = "tuple" if kind is tuple else "size"
            return {name: [self.value(v, f"{where}[{i}]") for i, v in enumerate(x)]}
        if kind is dict or isinstance(x, OrderedDict):
            name = "dict" if kind is dict else "ordered"
            items = [
                [self.value(k, f"a key of {where}"), self.value(v, f"{where}[{k!r}]")] for k, v in x.items()
            ]
            return {name: items}
        if isinstance(x, (set, frozenset)):
            return {kind.__name__: [self.value(v, where) for v in sorted(x, key=repr)]}
        if kind is bytes:
            return {"bytes": base64.b64encode(x).decode()}
        if isinstance(x, DType):
            return {"dtype": x.name}
        if isinstance(x, Device):
            return {"device": str(x)}
        if isinstance(x, np.generic):
            return self.value(x.item(), where)
        if hasattr(x, "state_dict"):
            raise TypeError(
                f"save: {where} is a {kind.__name__}; save its state_dict() and build it anew before loading that"
            )
        raise TypeError(
            f"save: {where} is a {kind.__name__}; a file holds tensors, dicts, lists, tuples, sets, numbers, strings and bytes"
        )

    def _tensor(self, t: Tensor, where: str) -> Any:
        if id(t) in self._of_tensor:
            return {"again": self._of_tensor[id(t)]}
        if not t.is_leaf:
            t_, requires_grad = t.detach(), True
        else:
            t_, requires_grad = t, t.requires_grad
        kind = type(t).__name__
        if kind not in ("Tensor", "Parameter", "Buffer"):
            raise TypeError(f"save: {where} is a {kind}; save a plain tensor of it: .detach()")
        self._of_tensor[id(t)] = len(self._of_tensor)
        self._kept.append(t)
        array = t_._array
        owner = owner_of(array)
        key = (id(owner), array.dtype)
        stored = owner.transpose(order_like(owner))  # as it lies in memory
        if not stored.flags.c_contiguous or owner.dtype != array.dtype:
            t_ = t_.contiguous()
            stored = owner = array = t_._array
            key = (id(owner), array.dtype)
        if key not in self._of_owner:
            name = self._of_owner[key] = str(len(self._of_owner))
            self.storages[name] = Tensor._wrap(np.ascontiguousarray(to_numpy(stored)).reshape(-1))
            self._kept.append(owner)
        entry: dict[str, Any] = {
            "storage": self._of_owner[key],
            "shape": list(t.shape),
            "stride": list(t_.stride()),
        }
        if array is not owner:
            entry["offset"] = t_.storage_offset()
        if kind != "Tensor":
            entry["kind"] = kind
            if kind == "Buffer":
                entry["persistent"] = bool(getattr(t, "persistent", True))
        if requires_grad:
            entry["requires_grad"] = True
        if t.device.type != "cpu":
            entry["device"] = str(t.device)
        return {"tensor": entry}


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: Any = None,
    _use_new_zipfile_serialization: bool = True,
) -> None:
    """Writes `obj` to `f`, a path or a file that is open for binary writing: tensors (sharing storages as they do) in
    dicts, lists, tuples and sets with numbers, strings and bytes. Raises TypeError for anything else, saying where it is."""
    if pickle_module is not None or pickle_protocol is not None:
        raise ValueError("save: files hold no pickles; leave pickle_module and pickle_protocol out")
    writer = _Writer()
    structure = {"version": _VERSION, "object": writer.value(obj, "the object")}
    data = safetensors.save(
        writer.storages, {_KEY: json.dumps(structure, separators=(",", ":"), allow_nan=False)}
    )
    if hasattr(f, "write"):
        f.write(data)
        return
    with open(f, "wb") as file:
        file.write(data)


class _Reader:
    """Makes the object of a file's JSON again."""

    def __init__(self, storages: dict[str, Tensor], placed: Callable[[Tensor, str], Tensor]) -> None:
        self._storages, self._placed = storages, placed
        self._on: dict[tuple[str, str], Tensor] = {}
        self._tensors: list[Tensor] = []

    def value(self, x: Any) -> Any:
        if not isinstance(x, dict):
            return x
        ((kind, inner),) = x.items()
        if kind in ("list", "tuple", "set", "frozenset", "size"):
            made = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "size": Size}[kind]
            return made(self.value(v) for v in inner)
        if kind in ("dict", "ordered"):
            pairs = [(self.value(k), self.value(v)) for k, v in inner]
            return OrderedDict(pairs) if kind == "ordered" else dict(pairs)
        if kind == "float":
            return float(inner)
        if kind == "bytes":
            return base64.b64decode(inner)
        if kind == "dtype":
            return next(d for d in dtypes._all if d.name == inner)
        if kind == "device":
            return Device(inner)
        if kind == "again":
            return self._tensors[inner]
        if kind == "tensor":
            return self._tensor(inner)
        raise ValueError(f"load: a value of the kind {kind!r}, which this version does not know")

    def _tensor(self, entry: dict[str, Any]) -> Tensor:
        name, was = entry["storage"], entry.get("device", "cpu")
        storage = self._on.get((name, was))
        if storage is None:
            storage = self._on[name, was] = self._placed(self._storages[name], was)
        shape, stride, offset = tuple(entry["shape"]), tuple(entry["stride"]), entry.get("offset", 0)
        _check_within(storage.numel(), shape, stride, offset)
        array = storage._array
        dense = math.prod(shape) == array.size and stride == Tensor._wrap(np.empty(shape, np.int8)).stride()
        if dense:
            shown = array.reshape(shape)
        else:
            from .functions import as_strided

            shown = as_strided(storage, shape, stride, offset)._array
        made = Tensor._wrap(shown)
        requires_grad = entry.get("requires_grad", False)
        kind = entry.get("kind", "Tensor")
        if kind == "Tensor":
            made.requires_grad_(requires_grad)
        else:
            from .nn import Buffer, Parameter

            if kind == "Parameter":
                made = Parameter(made, requires_grad)
            elif kind == "Buffer":
                made = Buffer(made, persistent=entry["persistent"])
            else:
                raise ValueError(f"load: a tensor of the kind {kind!r}, which this version does not know")
        self._tensors.append(made)
        return made


def _check_within(count: int, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> None:
    if any(not isinstance(n, int) or n < 0 for n in (*shape, *stride, offset)) or len(shape) != len(stride):
        raise ValueError(f"load: a tensor of shape {shape}, strides {stride} and offset {offset}")
    if 0 not in shape and offset + sum((n - 1) * s for n, s in zip(shape, stride, strict=True)) >= count:
        raise ValueError(
            f"load: a tensor of shape {shape} and strides {stride} that goes beyond its storage of {count}"
        )


def _placing(map_location: Any) -> Callable[[Tensor, str], Tensor]:
    """Where a storage goes that was on a device when it was saved."""

    def placed(storage: Tensor, was: str) -> Tensor:
        if map_location is None:
            target = was
        elif isinstance(map_location, (str, Device)):
            target = str(map_location)
        elif isinstance(map_location, dict):
            target = str(map_location.get(was, was))
        else:
            found = map_location(storage, was)
            return storage if found is None else found  # type: ignore[no-any-return]
        try:
            return storage.to(target)
        except RuntimeError as e:
            raise RuntimeError(
                f"Attempting to deserialize object on device {was} but it cannot be had here ({e}). "
                "Use torch.load with map_location='cpu' to map your storages to the CPU."
            ) from None

    return placed


def _each_tensor(x: Any, moved: Callable[[Tensor], Tensor]) -> Any:
    """`x` with its tensors moved, each once; themselves where they are in their place."""
    if isinstance(x, Tensor):
        there = moved(x)
        if there is not x and x.requires_grad:
            there = there.detach().requires_grad_()
        return there
    if isinstance(x, (dict, OrderedDict)):
        return type(x)((k, _each_tensor(v, moved)) for k, v in x.items())
    if type(x) in (list, tuple):
        return type(x)(_each_tensor(v, moved) for v in x)
    return x


def load(
    f: str | os.PathLike[str] | Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """What `save` wrote to `f`, a path or a file that is open for binary reading; a plain safetensors file gives its dict, and
    a zip that PyTorch wrote what gradwire.convert reads in it.

    map_location: a device, a dict of devices, or a function of a storage and the name of the device it was on. Raises
    ValueError for files that neither wrote.
    """
    if pickle_module is not None:
        raise ValueError("load: files hold no pickles; leave pickle_module out")
    if hasattr(f, "read"):
        data = f.read()
    else:
        with open(f, "rb") as file:
            data = file.read()
    placed = _placing(map_location)
    if data[:2] == b"PK":
        return _each_tensor(load_pt(io.BytesIO(data)), lambda t: placed(t, "cpu"))
    if data[:1] == b"\x80" and data[8:9] != b"{":  # which a length of 128 begins with, too
        raise ValueError(
            "load: a pickle, of PyTorch's format before 1.6; save it anew there, whose zip files are read here"
        )
    storages = safetensors.load(data)
    told = (safetensors.metadata_of(data) or {}).get(_KEY)
    if told is None:
        return {name: placed(t, "cpu") for name, t in storages.items()}
    structure = json.loads(told)
    if structure.get("version") != _VERSION:
        raise ValueError(
            f"load: a file of version {structure.get('version')!r}; this gradwire reads version {_VERSION}"
        )
    try:
        return _Reader(storages, placed).value(structure["object"])
    except (KeyError, IndexError, TypeError, AttributeError, StopIteration) as e:
        raise ValueError(f"load: the file's structure is damaged ({type(e).__name__}: {e})") from None
