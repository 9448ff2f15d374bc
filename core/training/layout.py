"""ParameterLayout: all trainable parameters, and the floating buffers after them, as views of one flat vector."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends import Device
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor
from .job import JobFileError

__all__ = ["BLOCK", "ParameterLayout", "Segment"]

BLOCK = 1024
"""Elements in a block. Slices of ranks border on blocks, and norms are sums of block sums: no slicing changes a bit."""


@dataclass(frozen=True)
class Segment:
    """Where one parameter lies in the flat vector: elements [start, stop), and its optimizer group."""

    name: str
    start: int
    stop: int
    group: int
    shape: tuple[int, ...]


class ParameterLayout:
    """Moves a model's trainable parameters and floating buffers into `flat` and leaves them there as views.

    parameter_segments: in order of named_parameters(). buffer_start: first element of the buffers, on a block border.
    size: elements of the vector, whole blocks; what lies between (`gaps`) is zero and stays zero. Where the optimizer is
    not elementwise, each parameter begins on a block border and no slice cuts one.
    """

    def __init__(self, model: Module, optimizer: Optimizer, device: Device) -> None:
        self.model, self.device = model, device
        group_of = {id(p): i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad and id(p) in group_of]
        known = {id(p) for _, p in named}
        strangers = sum(
            p.requires_grad and id(p) not in known for g in optimizer.param_groups for p in g["params"]
        )
        if strangers:
            raise JobFileError(
                f"the optimizer holds {strangers} tensor(s) that are no parameter of the model; only the model is trained"
            )
        if not named:
            raise JobFileError(
                "the optimizer holds no parameter of the model that requires grad; there is nothing to train"
            )
        kinds = {p.dtype for _, p in named}
        if len(kinds) != 1:
            names = ", ".join(sorted(k.name for k in kinds))
            raise JobFileError(
                f"the trainable parameters have dtypes {names}; they must share one (use model.float())"
            )
        self.dtype = named[0][1]._array.dtype
        self.parameters: list[Tensor] = [p for _, p in named]
        segments, gaps, at = [], [], 0
        for name, p in named:
            n = p.numel()
            if not optimizer.elementwise and at % BLOCK:
                gaps.append((at, _whole_blocks(at)))
                at = gaps[-1][1]
            segments.append(Segment(name, at, at + n, group_of[id(p)], tuple(p.shape)))
            at += n
        self.parameter_segments = tuple(segments)
        gaps.append((at, _whole_blocks(at)))
        self.gaps = tuple(gaps)
        self.buffer_start = at = _whole_blocks(at)
        self._borders = (
            None
            if optimizer.elementwise
            else sorted({*(s.start // BLOCK for s in segments), self.buffer_start // BLOCK})
        )
        buffer_segments = []
        for name, b in model.named_buffers():
            if not b.is_floating_point():
                continue
            if b._array.dtype != self.dtype:
                raise JobFileError(
                    f"buffer {name} is {b.dtype.name}, the parameters {named[0][1].dtype.name}; they must share one dtype"
                )
            buffer_segments.append(Segment(name, at, at + b.numel(), 0, tuple(b.shape)))
            at += b.numel()
        self.buffer_segments = tuple(buffer_segments)
        self.size = _whole_blocks(at)
        with device.context():
            self.flat = device.module.zeros(self.size, self.dtype)
        for s, parameter in zip(self.parameter_segments, self.parameters, strict=True):
            view = self.flat[s.start : s.stop].reshape(s.shape)
            view[...] = parameter._array
            parameter._array = view
        self.read_buffers(self.flat)
        self._integer_buffers = [
            (n, b.numel()) for n, b in model.named_buffers() if not b.is_floating_point()
        ]

    @property
    def blocks(self) -> int:
        return self.size // BLOCK

    @property
    def parameter_blocks(self) -> int:
        return self.buffer_start // BLOCK

    def slice_bounds(self, rank: int, world: int) -> tuple[int, int]:
        """Elements [start, stop) whose optimizer state rank r of W owns; may be empty."""
        return self._border(rank * self.blocks // world) * BLOCK, self._border(
            (rank + 1) * self.blocks // world
        ) * BLOCK

    def _border(self, block: int) -> int:
        """The last block up to `block` at which a slice may begin."""
        if self._borders is None or block >= self._borders[-1]:
            return block
        return self._borders[bisect_right(self._borders, block) - 1]

    def new_vector(self) -> Any:
        """A vector like `flat`, zeros in the gaps, the rest not set."""
        with self.device.context():
            vector = self.device.module.empty(self.size, self.dtype)
        for start, stop in self.gaps:
            vector[start:stop] = 0
        return vector

    def read_gradients(self, vector: Any, there: bytearray | None = None) -> bytearray:
        """Puts every parameter's gradient into `vector`, zeros where there is none; 1 for each that has one.

        there: 1 for those that lie there already.
        """
        used = bytearray(len(self.parameters)) if there is None else there
        for i, (s, p) in enumerate(zip(self.parameter_segments, self.parameters, strict=True)):
            if used[i]:
                continue
            if p.grad is None:
                vector[s.start : s.stop] = 0
            else:
                vector[s.start : s.stop] = p.grad._array.reshape(-1)
                used[i] = 1
        return used

    def add_gradients(self, vector: Any) -> bytearray:
        """Adds every parameter's gradient to what lies in `vector`, zeros where there is none; 1 for each that has one."""
        used = bytearray(len(self.parameters))
        with np.errstate(over="ignore", invalid="ignore"):  # the whole sum is looked at
            for i, (s, p) in enumerate(zip(self.parameter_segments, self.parameters, strict=True)):
                if p.grad is None:
                    vector[s.start : s.stop] += 0  # as the sum of vectors does it: -0 becomes +0
                else:
                    vector[s.start : s.stop] += p.grad._array.reshape(-1)
                    used[i] = 1
        return used

    def read_buffers(self, vector: Any) -> None:
        """Puts the model's floating buffers, as they are now, into `vector`, and zeros behind them."""
        end = self.buffer_start
        for s, buffer in self._buffers_now():
            vector[s.start : s.stop] = buffer.reshape(-1)
            end = s.stop
        vector[end:] = 0

    def add_buffers(self, vector: Any) -> None:
        """Adds the model's floating buffers, as they are now, to what lies in `vector`."""
        with np.errstate(over="ignore", invalid="ignore"):
            for s, buffer in self._buffers_now():
                vector[s.start : s.stop] += buffer.reshape(-1)

    def _buffers_now(self) -> list[tuple[Segment, Any]]:
        if not self.buffer_segments:
            return []
        now = dict(self.model.named_buffers())
        return [(s, now[s.name]._array) for s in self.buffer_segments]

    def write_buffers(self, integers: bytes | None = None) -> None:
        """Puts the buffers of `flat` (and integer ones from their bytes) back into the model."""
        if not self.buffer_segments and not self._integer_buffers:
            return
        now = dict(self.model.named_buffers())
        for s in self.buffer_segments:
            now[s.name]._array[...] = self.flat[s.start : s.stop].reshape(s.shape)
        at = 0
        for name, _ in self._integer_buffers if integers is not None else ():
            a = now[name]._array
            raw = self.device.module.frombuffer(integers[at : at + a.nbytes], dtype=a.dtype)  # type: ignore[index]
            a[...] = raw.reshape(a.shape)
            at += a.nbytes

    def integer_buffers(self) -> bytes:
        """The model's integer and bool buffers, one after the other."""
        if not self._integer_buffers:
            return b""
        now = dict(self.model.named_buffers())
        return b"".join(now[name].detach().cpu().numpy().tobytes() for name, _ in self._integer_buffers)


def _whole_blocks(n: int) -> int:
    return -(-n // BLOCK) * BLOCK
