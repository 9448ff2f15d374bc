"""SummaryWriter: what training tells, for TensorBoard to show."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...backends import to_numpy
from ...tensor import Tensor
from . import png
from .events import EventFile, event, field, summary_value

__all__ = ["SummaryWriter"]

_FLOAT, _STRING = 1, 7  # of TensorProto's dtypes
_files = 0
_lock = threading.Lock()


def _array(x: Any) -> Any:
    """A host array of a tensor, an array, a number, or nested lists of them."""
    if isinstance(x, Tensor):
        a = to_numpy(x.detach()._array)
    elif isinstance(x, (list, tuple)):
        a = np.asarray([_array(v) for v in x])
    else:
        a = np.asarray(x)
    return a.astype(np.float32) if a.dtype.name == "bfloat16" else a


def _number(x: Any, what: str) -> float:
    a = _array(x)
    if a.size != 1 or a.dtype.kind not in "biuf":
        raise ValueError(
            f"{what}: expected one number, got {'a value' if a.size == 1 else f'shape {a.shape}'} of dtype {a.dtype}"
        )
    return float(a.reshape(())[()])


class SummaryWriter:
    """Writes TensorBoard's event files into `log_dir` (runs/<time>_<host><comment> where none is given).

    Steps are integers; walltime is in seconds since 1970, now where it is not given. Everything is on disk after flush(),
    close(), or flush_secs seconds at the latest with the next thing that is added. Calls from several threads are safe.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        if log_dir is None:
            log_dir = Path("runs") / f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}"
        self.log_dir = str(log_dir)
        self.purge_step, self.max_queue, self.flush_secs = purge_step, max_queue, flush_secs
        self.filename_suffix = filename_suffix
        self._lock = threading.RLock()
        self._file: EventFile | None = None
        self._waiting, self._flushed = 0, time.monotonic()
        self._others: dict[str, SummaryWriter] = {}
        with self._lock:
            self._open()

    def _open(self) -> EventFile:
        global _files
        if self._file is None:
            folder = Path(self.log_dir)
            folder.mkdir(parents=True, exist_ok=True)
            now = time.time()
            with _lock:
                _files += 1
                name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.{_files}{self.filename_suffix}"
            self._file = EventFile((folder / name).open("ab"), now)
            if self.purge_step is not None:
                session = field(
                    7, field(1, 1, "int"), "bytes"
                )  # SessionLog.START: what came after this step is void
                self._file.write(field(1, now, "double") + field(2, self.purge_step, "int") + session)
            self._file.flush()
        return self._file

    def _add(self, values: list[bytes], step: Any, walltime: float | None) -> None:
        number = None if step is None else int(_number(step, "global_step"))
        with self._lock:
            file = self._open()
            file.write(event(time.time() if walltime is None else walltime, number, values))
            self._waiting += 1
            if self._waiting >= self.max_queue or time.monotonic() - self._flushed >= self.flush_secs:
                self.flush()

    def get_logdir(self) -> str:
        return self.log_dir

    # What can be told

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number at a step. new_style, double_precision: as a tensor, of doubles."""
        value = _number(scalar_value, f"add_scalar('{tag}')")
        if new_style or double_precision:
            data = field(1, 2 if double_precision else _FLOAT, "int")
            data += field(4, struct.pack("<d" if double_precision else "<f", value), "bytes")
            content = field(8, data, "bytes")
            self._add([summary_value(tag, content, "scalars", field(1, 0, "int"))], global_step, walltime)
        else:
            self._add([summary_value(tag, field(2, value, "float"))], global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Numbers to be shown in one chart: each in a folder of its own below log_dir."""
        for tag, value in tag_scalar_dict.items():
            folder = str(Path(self.log_dir) / f"{main_tag.replace('/', '_')}_{tag}")
            if folder not in self._others:
                self._others[folder] = SummaryWriter(
                    folder, max_queue=self.max_queue, flush_secs=self.flush_secs
                )
            self._others[folder].add_scalar(main_tag, value, global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How values are spread; bins: "tensorflow" (growing by a tenth from 1e-12 to 1e20), NumPy's names, or edges."""
        a = _array(values).astype(np.float64).ravel()
        if not a.size:
            raise ValueError("The input has no element.")
        if not np.isfinite(a).all():
            raise ValueError(
                f"add_histogram('{tag}'): {np.sum(~np.isfinite(a))} of {a.size} values are inf or NaN"
            )
        counts, limits = np.histogram(
            a, bins=_growing_bins() if isinstance(bins, str) and bins == "tensorflow" else bins
        )
        if max_bins is not None and len(counts) > max_bins:
            by = len(counts) // max_bins
            counts = np.pad(counts, (0, -len(counts) % by)).reshape(-1, by).sum(axis=1)
            edges = limits[:-1:by]
            limits = np.append(edges, limits[-1]) if len(edges) == len(counts) else limits[::by]
        filled = np.nonzero(counts)[0]
        first, last = (filled[0], filled[-1]) if len(filled) else (0, 0)
        # The buckets that hold something, after an empty one that says where the first begins.
        upper = [float(limits[first]), *(float(x) for x in limits[first + 1 : last + 2])]
        content = (
            field(1, a.min(), "double") + field(2, a.max(), "double") + field(3, float(a.size), "double")
        )
        content += field(4, a.sum(), "double") + field(5, float(a @ a), "double")
        content += field(6, upper, "doubles") + field(
            7, [0.0, *map(float, counts[first : last + 1])], "doubles"
        )
        self._add([summary_value(tag, field(5, content, "bytes"))], global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """A picture: uint8, or floats from 0 to 1; dataformats: CHW, HWC or HW."""
        self._add(
            [summary_value(tag, _image(_pixels(_array(img_tensor), dataformats)))], global_step, walltime
        )

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Pictures side by side in as near a square as they make; dataformats: NCHW or NHWC."""
        self._add(
            [summary_value(tag, _image(_pixels(_array(img_tensor), dataformats)))], global_step, walltime
        )

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Any = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """A figure of matplotlib, or several as one strip."""
        figures = figure if isinstance(figure, list) else [figure]
        drawn = []
        for f in figures:
            f.canvas.draw()
            drawn.append(np.asarray(f.canvas.buffer_rgba())[..., :3])
            if close:
                import matplotlib.pyplot as plt  # whoever has a figure has matplotlib

                plt.close(f)
        pictures = np.stack(drawn) if isinstance(figure, list) else drawn[0]
        if isinstance(figure, list):
            self.add_images(tag, pictures, global_step, walltime, "NHWC")
        else:
            self.add_image(tag, pictures, global_step, walltime, "HWC")

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Text, which TensorBoard reads as Markdown."""
        data = field(1, _STRING, "int") + field(2, field(2, field(1, 1, "int"), "bytes"), "bytes")
        data += field(8, text_string, "bytes")
        value = summary_value(f"{tag}/text_summary", field(8, data, "bytes"), "text", field(1, 0, "int"))
        self._add([value], global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Precision and recall of predictions (0 to 1) of labels (0 or 1) at as many thresholds."""
        p, y = _array(predictions).astype(np.float64).ravel(), _array(labels).astype(np.float64).ravel()
        if p.shape != y.shape:
            raise ValueError(f"add_pr_curve('{tag}'): {y.size} labels and {p.size} predictions")
        w = (
            np.ones_like(p)
            if weights is None
            else np.broadcast_to(_array(weights).astype(np.float64).ravel(), p.shape)
        )
        n = min(num_thresholds, 127)
        at = np.floor(p * (n - 1)).astype(np.int64).clip(0, n - 1)
        true = np.bincount(at, weights=y * w, minlength=n)[::-1].cumsum()[::-1]
        false = np.bincount(at, weights=(1 - y) * w, minlength=n)[::-1].cumsum()[::-1]
        least = 1e-7
        precision = true / np.maximum(least, true + false)
        recall = true / np.maximum(least, true[0])
        table = np.stack((true, false, false[0] - false, true[0] - true, precision, recall)).astype("<f4")
        shape = b"".join(field(2, field(1, size, "int"), "bytes") for size in table.shape)
        data = field(1, _FLOAT, "int") + field(2, shape, "bytes") + field(4, table.tobytes(), "bytes")
        plugin = field(1, 0, "int") + field(2, n, "int")
        self._add([summary_value(tag, field(8, data, "bytes"), "pr_curves", plugin)], global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """A run's hyperparameters (numbers, bools, texts) and what came of them."""
        if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        infos = b""
        for name, value in hparam_dict.items():
            kind = 3 if isinstance(value, bool) else 2 if isinstance(value, (int, float)) else 1
            info = field(1, name, "bytes") + field(4, kind, "int")
            if hparam_domain_discrete and name in hparam_domain_discrete:
                domain = b"".join(field(1, _value(v), "bytes") for v in hparam_domain_discrete[name])
                info += field(5, domain, "bytes")
            infos += field(5, info, "bytes")
        for name in metric_dict:
            infos += field(6, field(1, field(2, name, "bytes"), "bytes"), "bytes")
        start = b"".join(
            field(1, field(1, name, "bytes") + field(2, _value(v), "bytes"), "bytes")
            for name, v in hparam_dict.items()
        )
        parts = {
            "experiment": (2, infos),
            "session_start_info": (3, start),
            "session_end_info": (4, field(1, 1, "int")),
        }
        folder = str(Path(self.log_dir) / (str(time.time()) if run_name is None else run_name))
        with SummaryWriter(folder) as writer:
            values = [
                summary_value(
                    f"_hparams_/{name}", b"", "hparams", field(1, 0, "int") + field(number, data, "bytes")
                )
                for name, (number, data) in parts.items()
            ]
            for value in values:
                writer._add([value], None, None)
            for name, number in metric_dict.items():
                writer.add_scalar(name, number, global_step)

    # Ends

    def flush(self) -> None:
        """Puts on disk what was added."""
        with self._lock:
            if self._file is not None:
                self._file.flush()
            self._waiting, self._flushed = 0, time.monotonic()
            for other in self._others.values():
                other.flush()

    def close(self) -> None:
        """Flushes and closes the files; what is added afterwards begins a new one."""
        with self._lock:
            self.flush()
            if self._file is not None:
                self._file.close()
                self._file = None
            for other in self._others.values():
                other.close()
            self._others.clear()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _growing_bins() -> Any:
    up = [1e-12]
    while up[-1] < 1e20:
        up.append(up[-1] * 1.1)
    return np.array([-x for x in reversed(up)] + [0.0, *up])


def _value(v: Any) -> bytes:
    """A google.protobuf.Value."""
    if isinstance(v, bool):
        return field(4, v, "int")
    if isinstance(v, (int, float)) or (isinstance(v, Tensor) and v.numel() == 1):
        return field(2, float(v), "double")
    return field(3, v if isinstance(v, str) else json.dumps(v, default=str), "bytes")


def _pixels(a: Any, layout: str) -> Any:
    """uint8 (height, width, channels) of a picture, or of several put into a grid."""
    letters = layout.upper()
    if sorted(letters) not in (sorted("CHW"), sorted("HW"), sorted("NCHW")) or len(letters) != a.ndim:
        raise ValueError(
            f"expected a picture of {len(letters)} dimensions for dataformats='{layout}', got shape {a.shape}"
        )
    if a.dtype.kind == "f":
        a = np.clip(a, 0, 1) * 255
    elif a.dtype.kind == "b":
        a = a * 255
    a = a.astype(np.uint8)
    if len(letters) == 4:
        a = a.transpose([letters.index(x) for x in "NHWC"])
        n, h, w, c = a.shape
        columns = math.ceil(math.sqrt(n))
        rows = -(-n // columns)
        grid = np.zeros((rows * columns, h, w, c), np.uint8)
        grid[:n] = a
        a = grid.reshape(rows, columns, h, w, c).swapaxes(1, 2).reshape(rows * h, columns * w, c)
    elif len(letters) == 3:
        a = a.transpose([letters.index(x) for x in "HWC"])
    else:
        a = a.transpose([letters.index(x) for x in "HW"])[..., None]
    if a.shape[2] not in (1, 2, 3, 4):
        raise ValueError(f"a picture has 1 to 4 channels, got {a.shape[2]}")
    return np.repeat(a, 3, axis=2) if a.shape[2] == 1 else a


def _image(pixels: Any) -> bytes:
    height, width, channels = pixels.shape
    data = field(1, height, "int") + field(2, width, "int") + field(3, channels, "int")
    return field(4, data + field(4, png.encode(pixels), "bytes"), "bytes")
