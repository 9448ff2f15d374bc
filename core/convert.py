"""Weights of PyTorch's files: reads the zip that torch.save writes, without running what its pickle names.

Only what a closed list of constructors makes is taken: tensors, dicts, lists, tuples, sets, numbers, strings. Anything else
is refused by the key it stands under, before any of it is run.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from os import PathLike
from typing import IO, Any

import numpy as np

from . import dtypes
from .dtypes import dtype as DType
from .nn.parameter import Parameter
from .tensor import Size, Tensor

__all__ = ["load_pt"]

_STORAGES = {
    "DoubleStorage": "float64", "FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}  # fmt: skip


class _Storage:
    """A run of elements of the file, by its key in the zip."""

    def __init__(self, dtype: str | None, key: str, elements: int) -> None:
        self.dtype, self.key, self.elements = dtype, key, elements


class _Kind:
    """A storage's type, as the pickle names it."""

    def __init__(self, dtype: str | None) -> None:
        self.dtype = dtype


class _Refused:
    """In the place of an object that is not on the list: nothing of it is run, only its name is kept."""

    name = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """The pickle of a torch.save file; find_class gives nothing but what is written here."""

    def __init__(self, source: IO[bytes], archive: zipfile.ZipFile, folder: str, swap: bool) -> None:
        super().__init__(source)
        self._archive, self._folder, self._swap = archive, folder, swap
        self._arrays: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("torch", "Size"): Size,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("torch.storage", "UntypedStorage"): _Kind(None),
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _STORAGES:
            return _Kind(_STORAGES[name])
        if module == "torch" and isinstance(getattr(dtypes, name, None), DType):
            return getattr(dtypes, name)
        return type("_Refused", (_Refused,), {"name": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        if not (
            isinstance(pid, tuple)
            and len(pid) == 5
            and pid[0] == "storage"
            and isinstance(pid[1], (_Kind, type))
        ):
            raise pickle.UnpicklingError(f"an unknown kind of reference: {pid!r}")
        kind = pid[1]
        if not isinstance(kind, _Kind):
            raise pickle.UnpicklingError(f"a storage of an unknown type: {getattr(kind, 'name', kind)}")
        return _Storage(kind.dtype, str(pid[2]), int(pid[4]))

    def _array(self, storage: _Storage, dtype: str) -> Any:
        """The elements of a storage; tensors that shared one in the file share it again."""
        found = self._arrays.get((storage.key, dtype))
        if found is None:
            kind = getattr(dtypes, dtype).numpy
            with self._archive.open(f"{self._folder}data/{storage.key}") as f:
                data = bytearray(f.read())
            if len(data) < storage.elements * kind.itemsize:
                raise ValueError(
                    f"storage {storage.key} has {len(data)} bytes where {storage.elements * kind.itemsize} were written: "
                    "the file is damaged"
                )
            found = np.frombuffer(data, kind)
            if self._swap and kind.itemsize > 1:
                found.view(f"u{kind.itemsize}").byteswap(inplace=True)
            self._arrays[storage.key, dtype] = found
        return found

    def _tensor(self, storage: Any, offset: int, size: Any, stride: Any, *rest: Any) -> Any:
        if not isinstance(storage, _Storage) or storage.dtype is None:
            return _named("a tensor of an untyped storage")
        base = self._array(storage, storage.dtype)
        size, stride = tuple(map(int, size)), tuple(map(int, stride))
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if offset < 0 or min((*size, *stride, 0)) < 0 or (0 not in size and last >= base.size):
            raise ValueError(
                f"a tensor of size {size} and stride {stride} lies beyond its storage: the file is damaged"
            )
        view = np.lib.stride_tricks.as_strided(
            base[offset:] if 0 not in size else base[:0], size, [s * base.itemsize for s in stride]
        )
        t = Tensor._wrap(view)
        needs = bool(rest[0]) if rest else False
        return t.requires_grad_() if needs and t.is_floating_point() else t

    @staticmethod
    def _parameter(data: Any, requires_grad: bool, hooks: Any) -> Any:
        return (
            Parameter(data.detach(), requires_grad=bool(requires_grad)) if isinstance(data, Tensor) else data
        )


def _named(name: str) -> _Refused:
    return type("_Refused", (_Refused,), {"name": name})()


def _refused(found: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Where in `found` something stands that was not taken, and what it is."""
    if isinstance(found, _Refused) or (isinstance(found, type) and issubclass(found, _Refused)):
        yield path, found.name
    elif isinstance(found, dict):
        for k, v in found.items():
            yield from _refused(k, f"{path}.(key)" if path else "(key)")
            yield from _refused(v, f"{path}.{k}" if path else str(k))
    elif isinstance(found, (list, tuple, set)):
        for i, v in enumerate(found):
            yield from _refused(v, f"{path}[{i}]")


def load_pt(f: str | PathLike[str] | IO[bytes]) -> Any:
    """What a `.pt` or `.pth` file of torch.save holds (a state_dict, or dicts and lists of tensors, numbers and strings).

    Raises ValueError for a file that is none, is damaged, or was written before PyTorch 1.6, and pickle.UnpicklingError
    for one that holds other objects, with the keys under which they stand; nothing of them is run.
    """
    name = getattr(f, "name", None) or (f if isinstance(f, (str, PathLike)) else "the file")
    try:
        archive = zipfile.ZipFile(f)  # type: ignore[arg-type]
    except zipfile.BadZipFile:
        raise ValueError(
            f"load_pt: {name} is not a zip of torch.save. Files of PyTorch before 1.6 and other formats can be written again "
            "with torch.save(torch.load(file, weights_only=True), file), or as safetensors"
        ) from None
    with archive:
        names = archive.namelist()
        pickles = [n for n in names if n == "data.pkl" or n.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"load_pt: {name} has no data.pkl: it was not written by torch.save")
        if any(n.endswith("constants.pkl") for n in names):
            raise ValueError(
                f"load_pt: {name} is a TorchScript program; save its state_dict() with torch.save"
            )
        folder = pickles[0][: -len("data.pkl")]
        order = archive.read(f"{folder}byteorder").decode() if f"{folder}byteorder" in names else "little"
        swap = order != ("little" if np.little_endian else "big")
        try:
            found = _Reader(io.BytesIO(archive.read(pickles[0])), archive, folder, swap).load()
        except (KeyError, EOFError, IndexError, AttributeError, zipfile.BadZipFile, TypeError) as e:
            raise ValueError(f"load_pt: {name} is damaged: {e}") from e
    wrong = list(_refused(found))
    if wrong:
        shown = "; ".join(f"{path or 'the file itself'} is a {kind}" for path, kind in wrong[:5])
        more = f", and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise pickle.UnpicklingError(
            f"load_pt: {name} holds other things than tensors, dicts, lists, numbers and strings, which are not loaded: {shown}{more}. "
            "Save model.state_dict() with torch.save"
        )
    return found
