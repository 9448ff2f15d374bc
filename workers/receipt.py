"""A finished job's receipt: what its bits depended on, and the bits. Written beside the checkpoints by the first rank.

It says nothing of workers, times or places, so that runs that promise the same bits have equal receipts.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from gradwire.backends import Device, to_numpy
from gradwire.data import Subset, UrlDataset
from gradwire.tensor import Tensor
from gradwire.training import Job, parameters_sha256

__all__ = ["RECEIPT", "Receipt", "differences", "read_receipt", "receipt_of", "save_receipt"]

RECEIPT = "receipt.json"
FORMAT = 1
_DATA_LIMIT = 1 << 30
"""Bytes of data that are hashed at a job's end."""
_WORDS = {
    "job_file": "the job file",
    "code": "code",
    "settings": "settings",
    "shards": "shards",
    "threads": "threads within an operation",
    "device": "the kind of device",
    "data": "data",
    "options_history": "options changed on the way",
    "steps": "steps",
    "versions": "versions",
    "machine": "the machine",
    "parameters_sha256": "the parameters at the end",
    "chain": "the hash chain at the end",
}


@dataclass(frozen=True)
class Receipt:
    """All values are JSON's. versions: of Python and of libraries with an influence on bits; machine: models of CPU and device.

    settings: those of the job with their values, seed among them. code: sha256 of each file, by its path beside the job
    file. data: kind, samples and sha256 of each data set, '' where its data is not in memory; URL and content of one at a URL.
    """

    job_file: str
    code: Mapping[str, str]
    settings: Mapping[str, Any]
    shards: int
    threads: int
    device: str
    data: Mapping[str, Any]
    options_history: Sequence[Any]
    steps: int
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    parameters_sha256: str
    chain: str
    format: int = FORMAT


def differences(a: Receipt, b: Receipt) -> list[str]:
    """What differs, a line for each thing: first what bits depend on, then the bits."""
    lines = []
    for name, words in _WORDS.items():
        one, other = getattr(a, name), getattr(b, name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            for key in sorted(one.keys() | other.keys()):
                if one.get(key) != other.get(key):
                    lines.append(f"{words}, {key}: {_shown(one.get(key))} and {_shown(other.get(key))}")
        elif one != other:
            lines.append(f"{words}: {_shown(one)} and {_shown(other)}")
    return lines


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)


def receipt_of(
    job: Job,
    job_file: str,
    directory: str,
    shards: int,
    threads: int,
    device: str,
    data: Mapping[str, Any],
    changes: Iterable[tuple[int, Mapping[str, float]]],
    steps: int,
    parameters_sha256: str,
    chain: str,
) -> Receipt:
    """The receipt of a job that this process took part in. data: its data sets by name; changes: (step, options)."""
    versions, machine = _surroundings(device)
    return Receipt(
        Path(job_file).name,
        _code_hashes(Path(job_file), directory),
        {name: getattr(job, name) for name in type(job).settings()},
        shards,
        threads,
        device,
        {name: _data_hash(each) for name, each in data.items() if each is not None},
        [[step, dict(options)] for step, options in changes],
        steps,
        versions,
        machine,
        parameters_sha256,
        chain,
    )


def _surroundings(device: str) -> tuple[dict[str, str], dict[str, str]]:
    """(versions, machine) of this process and this host."""
    versions = {"python": platform.python_version(), "libc": " ".join(platform.libc_ver())}
    for package in ("gradwire", "numpy", "cupy"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    versions["blas"] = ", ".join(_numpy_blas())
    machine = {"architecture": platform.machine(), "cpu": _cpu_model()}
    if device.startswith("cuda"):
        import gradwire

        machine["gpu"] = str(gradwire.cuda.get_device_name(Device(device)))
    return versions, machine


def _numpy_blas() -> list[str]:
    """The BLAS that NumPy multiplies with. A wheel brings its own, beside others' (SciPy's) that may be loaded too."""
    loaded = [library for library in threadpool_info() if library.get("user_api") == "blas"]
    wheel = Path(np.__file__).parent
    own = [
        each
        for each in loaded
        if {wheel, wheel.with_name("numpy.libs")} & set(Path(each["filepath"]).parents)
    ]
    # The architecture is what OpenBLAS chose its kernels for.
    names = ("internal_api", "version", "architecture")
    return sorted(" ".join(str(each[name]) for name in names if each.get(name)) for each in own or loaded)


def _cpu_model() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor()


def _code_hashes(job_file: Path, directory: str = "") -> dict[str, str]:
    """sha256 of the job file and, where the job has a folder of its own, of all Python files in it, by their paths there."""
    root = Path(directory or job_file.parent)
    paths = {job_file, *(root.rglob("*.py") if directory else ())}
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(paths)
        if path.is_file()
    }


def _data_hash(dataset: Any) -> dict[str, Any]:
    """What can be said of a data set; its sha256 where it is a TensorDataset of at most 1 GiB, or named by URL."""
    told: dict[str, Any] = {"kind": type(dataset).__name__, "samples": len(dataset), "sha256": ""}
    if isinstance(dataset, UrlDataset):
        return {**told, **dataset.told()}
    if isinstance(dataset, Subset) and isinstance(dataset.dataset, UrlDataset):
        rows = hashlib.sha256(np.asarray(list(dataset.indices), np.int64).tobytes()).hexdigest()
        return {**told, "rows_sha256": rows, "of": dataset.dataset.told()}
    tensors = getattr(dataset, "tensors", None)
    if isinstance(tensors, Iterable):
        held = list(tensors)
        if held and all(isinstance(t, Tensor) for t in held):
            arrays = {str(i): to_numpy(t._array) for i, t in enumerate(held)}
            if sum(array.nbytes for array in arrays.values()) <= _DATA_LIMIT:
                told["sha256"] = parameters_sha256(arrays)
    return told


def save_receipt(folder: str, receipt: Receipt) -> str:
    """Writes it into a folder or a URL of fsspec; where it lies. Raises what the storage raises."""
    body = json.dumps({**asdict(receipt)}, indent=1, default=_plain) + "\n"
    if "://" in folder:
        import fsspec

        location = f"{folder.rstrip('/')}/{RECEIPT}"
        with fsspec.open(location, "w") as out:
            out.write(body)
        return location
    path = Path(folder) / RECEIPT
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".tmp-{RECEIPT}")
    aside.write_text(body)
    aside.replace(path)
    return str(path)


def read_receipt(path: Path) -> Receipt:
    """Raises OSError, ValueError where it is no receipt of this format."""
    told = json.loads(path.read_text())
    names = {field.name for field in fields(Receipt)}
    if not isinstance(told, dict) or told.keys() != names or told["format"] != FORMAT:
        raise ValueError(f"{path} is no receipt of format {FORMAT}")
    return Receipt(**told)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no value of JSON")
