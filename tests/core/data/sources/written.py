"""The same data in every format, written by the libraries whose formats they are."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import safetensors.numpy

N = 53
X = np.random.default_rng(1).random((N, 3, 2)).astype(np.float32)
Y = np.random.default_rng(2).integers(0, 10, N)
TEXT = [f"line {i} \u00e9" for i in range(N)]


def table(x=X, y=Y, text=TEXT):
    rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(x.reshape(-1)), 2)
    lists = pyarrow.FixedSizeListArray.from_arrays(rows, 3)
    return pyarrow.table({"x": lists, "y": y, "text": list(text)})


def lines(x=X, y=Y, text=TEXT):
    return "".join(
        json.dumps({"x": a.tolist(), "y": int(b), "text": t}) + "\n"
        for a, b, t in zip(x, y, text, strict=True)
    )


def write(folder: Path, stem: str = "d", x=X, y=Y, text=TEXT) -> None:
    """d.npy, d.npz, packed.npz, d.safetensors, d.parquet, d.jsonl and d.jsonl.gz, under another stem where one is given."""
    np.save(folder / f"{stem}.npy", x)
    np.savez(folder / f"{stem}.npz", x=x, y=y)
    np.savez_compressed(folder / f"{stem}-packed.npz", x=x, y=y)
    safetensors.numpy.save_file({"y": y, "x": x}, folder / f"{stem}.safetensors")
    pyarrow.parquet.write_table(table(x, y, text), folder / f"{stem}.parquet", row_group_size=7)
    (folder / f"{stem}.jsonl").write_text(lines(x, y, text))
    (folder / f"{stem}.jsonl.gz").write_bytes(gzip.compress(lines(x, y, text).encode()))


DTYPES = (np.bool_, np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64)
