"""torch.nn.utils.rnn: sequences of different lengths, padded and packed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ...backends import to_numpy
from ...creation import full, tensor
from ...functions import cat, stack
from ...tensor import Tensor

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence",
    "unpack_sequence", "unpad_sequence",
]  # fmt: skip

P = TypeVar("P", bound="PackedSequence")


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """Sequences of different lengths, ordered by step: data (rows, *), batch_sizes (steps,) rows of each step."""

    __slots__ = ()

    def __new__(
        cls: type[P],
        data: Tensor,
        batch_sizes: Any = None,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> P:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            raise AssertionError("Expected data to be a list or tuple of length 2")
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Make packed sequences with pack_sequence or pack_padded_sequence."
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self: P, *args: Any, **kwargs: Any) -> P:
        """Moves or casts the data, and moves the indices with it."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = (
            None if t is None else t.to(data.device) for t in (self.sorted_indices, self.unsorted_indices)
        )
        return type(self)(data, self.batch_sizes, *moved)

    def cpu(self: P) -> P:
        return self.to("cpu")

    def cuda(self: P) -> P:
        return self.to("cuda")

    def double(self: P) -> P:
        return self.to(dtype=_dtypes().float64)

    def float(self: P) -> P:
        return self.to(dtype=_dtypes().float32)

    @property
    def is_cuda(self) -> bool:
        return self.data.device.type == "cuda"


def _dtypes() -> Any:
    from ... import dtypes

    return dtypes


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`."""
    if permutation is None:
        return None
    order = to_numpy(permutation._array)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return tensor(inverse, device=permutation.device)


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leaves the padding of input (steps, batch, *) (batch_first: (batch, steps, *)) out.

    enforce_sorted: the lengths must fall; else the sequences are sorted, longest first.
    """
    sizes = np.asarray(lengths.tolist() if isinstance(lengths, Tensor) else list(lengths), np.int64)
    rows = input.transpose(0, 1) if batch_first else input
    batch = rows.shape[1]
    order = None
    if not enforce_sorted:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    if len(sizes) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={batch})"
        )
    if (sizes <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (np.diff(sizes) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if sizes[0] > rows.shape[0]:
        raise RuntimeError(f"Expected lengths of at most {rows.shape[0]} (the padded size), got {sizes[0]}")
    per_step = (sizes[None, :] > np.arange(sizes[0])[:, None]).sum(axis=1)
    if order is not None:
        indices = tensor(order, device=input.device)
        rows = rows.index_select(1, indices)
    data = cat([rows[t, : int(n)] for t, n in enumerate(per_step)])
    return PackedSequence(data, tensor(per_step, device="cpu"), None if order is None else indices)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The padded tensor (steps, batch, *) (batch_first: (batch, steps, *)) of a packed one, and the lengths."""
    sizes = sequence.batch_sizes.tolist()
    steps, batch = len(sizes), sizes[0]
    if total_length is not None and total_length < steps:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {steps}"
        )
    total = steps if total_length is None else total_length
    data, start, parts = sequence.data, 0, []
    rest = tuple(data.shape[1:])
    for n in sizes:
        part = data[start : start + n]
        start += n
        if n < batch:
            part = cat([part, full((batch - n, *rest), padding_value, dtype=data.dtype, device=data.device)])
        parts.append(part)
    parts += [full((batch, *rest), padding_value, dtype=data.dtype, device=data.device)] * (total - steps)
    padded = stack(parts, 1 if batch_first else 0)
    lengths = tensor([sum(n > b for n in sizes) for b in range(batch)], device="cpu")
    if sequence.unsorted_indices is not None:
        padded = padded.index_select(0 if batch_first else 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors (length, *) side by side: (longest, batch, *) (batch_first: (batch, longest, *))."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    items = list(sequences.unbind(0)) if isinstance(sequences, Tensor) else list(sequences)
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not items:
        raise RuntimeError("received an empty list of sequences")
    longest = max(t.shape[0] for t in items)
    padded = []
    for t in items:
        if tuple(t.shape[1:]) != tuple(items[0].shape[1:]):
            raise RuntimeError(
                f"pad_sequence: expected sequences of one shape but for their length, got {tuple(items[0].shape)} and {tuple(t.shape)}"
            )
        gap = full((longest - t.shape[0], *t.shape[1:]), padding_value, dtype=t.dtype, device=t.device)
        padded.append(cat([gap, t] if padding_side == "left" else [t, gap]))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences without their padding."""
    rows = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    return [row[: int(n)] for row, n in zip(rows.unbind(0), lengths.tolist(), strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs tensors (length, *); enforce_sorted: longest first."""
    return pack_padded_sequence(
        pad_sequence(sequences), [t.shape[0] for t in sequences], enforce_sorted=enforce_sorted
    )


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
