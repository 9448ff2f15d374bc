"""One reduce-scatter of a step, piece by piece: what is summed already is on its way while the rest is still computed.

A piece is a range of the flat vector, whole buckets mostly; it is sent by a thread of its own. Ranks may cut the vector
where they like: the sums are made element by element, by the tree, so no cut can change a bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradwire.workers.tree import Node, add_into_left, sum_of

if TYPE_CHECKING:
    from gradwire.workers.exchange import Exchange

__all__ = ["Reduction"]

Array = np.ndarray[Any, Any]
Bounds = Sequence[tuple[int, int]]
_HEAD = struct.Struct("<IIQQ?7x")  # nodes, bytes of the note, start, stop, whether it is the last piece
_PLACE = struct.Struct("<BBxxI")  # level, whether there is a sum, index
_ALIGNMENT = 64
_Piece = tuple[int, int, list[Node[Array]]]


class Reduction:
    """Sums vectors of one size and of `dtype` over all leaves; rank r gets the elements [start, stop) of `bounds[r]`."""

    def __init__(self, exchange: Exchange, tag: int, bounds: Bounds, dtype: np.dtype[Any]) -> None:
        self._exchange, self._tag, self._bounds, self._dtype = exchange, tag, bounds, dtype
        self._offered: list[tuple[int, int]] = []
        self._own: list[_Piece] = []
        self._sending: list[Future[None]] = []

    def offer(self, start: int, stop: int, nodes: Sequence[Node[Array]]) -> None:
        """Sends the elements [start, stop) of this rank's sums, which are final, without waiting for it.

        `nodes`: their values are of these elements alone. They must not change before `finish` has returned.
        """
        self._offered.append((start, stop))
        self._keep(start, stop, nodes)
        for dest in self._exchange.others:
            at, end = self._cut(dest, start, stop)
            if at < end:
                body = self._message(at, end, [_part(n, at - start, end - start) for n in nodes], b"", False)
                self._sending.append(self._exchange.sender.submit(self._exchange.send, dest, self._tag, body))

    def finish(
        self, size: int, nodes: Sequence[Node[Array]], note: bytes = b""
    ) -> tuple[Array | None, list[bytes]]:
        """Sends the rest of the vectors, of `size` elements, and returns this rank's sum and every rank's note.

        `nodes`: this rank's sums, whole. The sum is None where every leaf is absent. Raises ExchangeError.
        """
        for sending in self._sending:
            sending.result()
        rest = _complement(self._offered, size)
        for start, stop in rest:
            self._keep(start, stop, [_part(n, start, stop) for n in nodes])
        for dest in self._exchange.others:
            parts = [cut for start, stop in rest if (cut := self._cut(dest, start, stop))[0] < cut[1]]
            for k, (at, end) in enumerate(parts or [(0, 0)]):
                last = k == max(len(parts) - 1, 0)
                cut_nodes = [_part(n, at, end) for n in nodes]
                body = self._message(at, end, cut_nodes, note if last else b"", last)
                self._exchange.send(dest, self._tag, body)
        pieces = [self._own]
        notes = []
        for source in range(self._exchange.world_size):
            if source == self._exchange.rank:
                notes.append(note)
                continue
            found, their_note = self._received(source)
            pieces.append(found)
            notes.append(their_note)
        return self._summed(pieces), notes

    def _keep(self, start: int, stop: int, nodes: Sequence[Node[Array]]) -> None:
        """This rank's own part of a piece."""
        at, end = self._cut(self._exchange.rank, start, stop)
        if at < end:
            own = [_part(n, at - start, end - start) for n in nodes]
            if self._exchange.world_size > 1:
                # Sums are made in place, and a step that others interrupt goes on from what was here.
                own = [Node(n.level, n.index, None if n.value is None else n.value.copy()) for n in own]
            self._own.append((at, end, own))

    def _cut(self, rank: int, start: int, stop: int) -> tuple[int, int]:
        first, last = self._bounds[rank]
        return max(start, first), min(stop, last)

    @staticmethod
    def _message(start: int, stop: int, nodes: Sequence[Node[Array]], note: bytes, last: bool) -> list[Any]:
        places = b"".join(_PLACE.pack(n.level, n.value is not None, n.index) for n in nodes)
        head = _HEAD.pack(len(nodes), len(note), start, stop, last) + places + note
        head = head.ljust(-(-len(head) // _ALIGNMENT) * _ALIGNMENT, b"\0")
        return [head, *(node.value for node in nodes if node.value is not None)]

    def _received(self, source: int) -> tuple[list[_Piece], bytes]:
        """All pieces of a rank, and its note."""
        pieces: list[_Piece] = []
        while True:
            message = self._exchange.recv(source, self._tag)
            count, note_size, start, stop, last = _HEAD.unpack_from(message)
            at = _HEAD.size + count * _PLACE.size
            note = bytes(message[at : at + note_size])
            places = _PLACE.iter_unpack(message[_HEAD.size : at])
            at = -(-(at + note_size) // _ALIGNMENT) * _ALIGNMENT
            nodes: list[Node[Array]] = []
            for level, present, index in places:
                value = None
                if present:
                    value = np.frombuffer(message, self._dtype, stop - start, at)
                    at += value.nbytes
                nodes.append(Node(level, index, value))
            pieces.append((start, stop, nodes))
            if last:
                return pieces, note

    def _summed(self, pieces: Sequence[list[_Piece]]) -> Array | None:
        start, stop = self._bounds[self._exchange.rank]
        if start == stop:
            return np.empty(0, self._dtype)
        inside = [[p for p in found if p[0] < p[1]] for found in pieces]
        borders = sorted({start, stop, *(b for found in inside for piece in found for b in piece[:2])})
        whole: Array | None = None
        for at, end in pairwise(borders):
            nodes: list[Node[Array]] = []
            for found in inside:
                first, _, here = next(p for p in found if p[0] <= at and end <= p[1])
                nodes += [_part(n, at - first, end - first) for n in here]
            part = sum_of(nodes, add_into_left)
            if len(borders) == 2 or part is None:
                return part
            if whole is None:
                whole = np.empty(stop - start, self._dtype)
            whole[at - start : end - start] = part
        return whole


def _part(node: Node[Array], start: int, stop: int) -> Node[Array]:
    return Node(node.level, node.index, None if node.value is None else node.value[start:stop])


def _complement(ranges: Sequence[tuple[int, int]], size: int) -> list[tuple[int, int]]:
    """What of [0, size) lies in none of the ranges, which don't overlap."""
    result, at = [], 0
    for start, stop in sorted(ranges):
        if at < start:
            result.append((at, start))
        at = stop
    return [*result, (at, size)] if at < size else result
