"""The optimizer service: the owner of one slice of the parameters, at the mid-point of a step's exchange.

It divides the finished sums, clips, and updates its slice by the user's optimizer, which is elementwise or gets parameters
whole. Slice borders lie on whole blocks and norms are sums of block sums, so no number of owners changes a bit. The classes here know
nothing of processes; `gradwire.workers.step` calls them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwire.optim import Optimizer
from gradwire.optim.flat import apply_rule
from gradwire.training import ParameterLayout, all_finite, block_sums, clip_factor

__all__ = ["SliceOptimizer"]

Array = Any


@dataclass(frozen=True)
class _Piece:
    """The part of one parameter that lies in the slice: elements [start, stop) of the flat vector."""

    parameter: int
    name: str
    start: int
    stop: int
    group: int
    offset: int
    """Where the piece begins within its parameter."""
    shape: tuple[int, ...]
    """What the update is given: the parameter's own shape where the optimizer needs whole parameters."""


class SliceOptimizer:
    """Owns the elements [start, stop) of the flat vector and the optimizer state that belongs to them."""

    def __init__(
        self, optimizer: Optimizer, layout: ParameterLayout, bounds: tuple[int, int], max_norm: float | None
    ) -> None:
        self._optimizer, self._layout, self._max_norm = optimizer, layout, max_norm
        self.start, self.stop = bounds
        self._parameters_stop = max(self.start, min(self.stop, layout.buffer_start))
        self._pieces = [
            _Piece(
                i,
                s.name,
                max(s.start, self.start),
                min(s.stop, self.stop),
                s.group,
                max(0, self.start - s.start),
                (min(s.stop, self.stop) - max(s.start, self.start),) if optimizer.elementwise else s.shape,
            )
            for i, s in enumerate(layout.parameter_segments)
            if max(s.start, self.start) < min(s.stop, self.stop)
        ]
        with layout.device.context():
            self._state: list[dict[str, Any]] = [
                optimizer.new_state(
                    layout.device.module, p.shape, layout.dtype, optimizer.param_groups[p.group]
                )
                for p in self._pieces
            ]
        self.step_counts = [0] * len(layout.parameter_segments)
        """Updates made so far, of every parameter of the model; every owner counts alike."""
        self.finite = True
        """Whether the gradients that `finish` took are finite."""
        self._gradient: Array = None
        self._applied: tuple[tuple[int, int], Array] | None = None

    @property
    def needs_norm(self) -> bool:
        """Whether `apply` wants the block sums of all owners."""
        return self._max_norm is not None

    def finish(self, total: Array, weight: float, leaves: float) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Takes the sums of this slice over all leaves and divides them: gradients by weight (times the losses' scale), buffers by leaves.

        Returns the sums of squares of the slice's parameter blocks, in float64; empty where no norm is needed.
        """
        kind = self._layout.dtype.type
        at = self._parameters_stop - self.start
        with np.errstate(all="ignore"):  # what is not finite is told by `finite`
            self._gradient = total[:at] / kind(weight)
            self._buffers = total[at:] / kind(leaves)
        self.finite = all_finite(self._layout.device.module, self._gradient)
        if self._max_norm is None or at == 0:
            return np.empty(0, np.float64)
        return block_sums(self._layout.device.module, self._gradient)

    def apply(self, generation: int, step: int, used: Sequence[int], sums: np.ndarray[Any, Any]) -> Array:
        """The slice's values after the step, in memory of their own; `layout.flat` is not touched.

        used: for every parameter, whether any shard's graph reached it; one that was not is passed over.
        sums: of all parameter blocks, in order, where `needs_norm`. A repeat of the last (generation, step) returns
        the same values and updates nothing.
        """
        key = (generation, step)
        if self._applied is not None and self._applied[0] == key:
            return self._applied[1]
        if self._gradient is None:
            raise RuntimeError(f"step {step}: apply was called before finish")
        if self._max_norm is not None:
            _, factor = clip_factor(sums, self._max_norm)
            self._gradient *= self._layout.dtype.type(factor)
        values = self._layout.flat[self.start : self.stop].copy()
        for i, reached in enumerate(used):
            self.step_counts[i] += bool(reached)
        for piece, state in zip(self._pieces, self._state, strict=True):
            if used[piece.parameter]:
                part = slice(piece.start - self.start, piece.stop - self.start)
                group = self._optimizer.param_groups[piece.group]
                count = self.step_counts[piece.parameter]
                p, g = values[part].reshape(piece.shape), self._gradient[part].reshape(piece.shape)
                apply_rule(self._optimizer, p, g, state, group, count)
        values[self._parameters_stop - self.start :] = self._buffers
        self._gradient = None
        self._applied = (key, values)
        return values

    @property
    def divided(self) -> Array:
        """What `finish` made: gradients, then buffers, of the slice. `adopt` takes it on the rank that keeps a copy."""
        if self._gradient is None:
            raise RuntimeError("divided was asked for before finish")
        return self._layout.device.module.concatenate([self._gradient, self._buffers])

    def adopt(self, divided: Array) -> None:
        """Takes what the slice's owner has finished, instead of `finish`."""
        at = self._parameters_stop - self.start
        self._gradient, self._buffers = divided[:at].copy(), divided[at:].copy()

    def state_slices(self) -> list[tuple[str, int, Array]]:
        """("<parameter>/<state name>", offset within the parameter, flat array) for all state of this slice.

        A number that belongs to a whole parameter comes as a float64 array filled with it.
        """
        return [
            (
                f"{piece.name}/{name}",
                piece.offset,
                np.full(piece.stop - piece.start, float(value))
                if isinstance(value, (int, float))
                else value.reshape(-1),
            )
            for piece, state in zip(self._pieces, self._state, strict=True)
            for name, value in state.items()
        ]

    def load_pieces(
        self, pieces: Iterable[tuple[str, int, np.ndarray[Any, Any]]], step_counts: Mapping[str, int]
    ) -> None:
        """Takes this slice's part of pieces as `state_slices` gives them, of whatever slices, that cover it together."""
        xp = self._layout.device.module
        by_key: dict[str, list[tuple[int, np.ndarray[Any, Any]]]] = {}
        for key, offset, array in pieces:
            by_key.setdefault(key, []).append((offset, array))
        for piece, state in zip(self._pieces, self._state, strict=True):
            first, last = piece.offset, piece.offset + piece.stop - piece.start
            for name, own in state.items():
                key = f"{piece.name}/{name}"
                left = last - first
                for offset, array in by_key.get(key, ()):
                    start, stop = max(first, offset), min(last, offset + array.size)
                    if start >= stop:
                        continue
                    values = array[start - offset : stop - offset]
                    left -= stop - start
                    if isinstance(own, (int, float)):
                        state[name] = float(values[0])
                    else:
                        own.reshape(-1)[start - first : stop - first] = xp.asarray(values)
                if left:
                    raise KeyError(f"{left} elements of {key} are missing")
        self.step_counts = [step_counts[s.name] for s in self._layout.parameter_segments]
        self._applied = self._gradient = None

    def load_state(self, arrays: Mapping[str, np.ndarray[Any, Any]], step_counts: Mapping[str, int]) -> None:
        """Takes this slice's part of whole state arrays, named as in `state_slices`. KeyError for a missing one."""
        self.load_pieces(((key, 0, array.reshape(-1)) for key, array in arrays.items()), step_counts)
