"""Sends a rank's sums while its last shard's backward still runs, bucket by bucket, as gradients become final.

A bucket is a fixed range of the flat vector. Backward makes the gradients of the last layers first, so buckets leave from
the end of the vector to its beginning. Which buckets there are, and when each leaves, can't change a bit (reduction.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.training import LossError, ParameterLayout
from gradwire.workers.reduction import Reduction
from gradwire.workers.tree import Forest, Node, add_into_left

__all__ = ["OverlappedLeaf"]

Array = np.ndarray[Any, Any]


class OverlappedLeaf:
    """The last leaf that a rank computes in a step. `ShardStep.run` calls `begin`, and `ready` for each gradient; see there."""

    def __init__(
        self, forest: Forest[Array], leaf: int, layout: ParameterLayout, reduction: Reduction, bucket: int
    ) -> None:
        """bucket: elements in one."""
        self._forest, self._leaf, self._layout, self._reduction = forest, leaf, layout, reduction
        self._bucket = bucket
        # Only whole buckets of parameters: what lies behind comes with the buffers, at the end.
        self._missing = [0] * (layout.parameter_segments[-1].stop // bucket)
        for s in layout.parameter_segments:
            for k in self._buckets(s.start, s.stop):
                self._missing[k] += 1
        self._sent = [False] * len(self._missing)
        self._vector: Array | None = None

    def _buckets(self, start: int, stop: int) -> range:
        return range(start // self._bucket, min(-(-stop // self._bucket), len(self._missing)))

    def begin(self, vector: Array) -> None:
        """Takes the leaf's vector, in which only the gaps are filled yet."""
        self._vector = vector

    def ready(self, parameter: int, again: bool) -> None:
        """The gradient of a parameter lies in the vector; `again`: not for the first time."""
        s = self._layout.parameter_segments[parameter]
        for k in self._buckets(s.start, s.stop):
            if again:
                if self._sent[k]:
                    raise LossError(
                        f"{s.name} got its gradient more than once in one backward, when it was on its way to other workers "
                        "already: set overlap_exchange = False in the job"
                    )
                continue
            self._missing[k] -= 1
            if self._missing[k] == 0:
                self._sent[k] = True
                start, stop = k * self._bucket, (k + 1) * self._bucket
                self._reduction.offer(start, stop, self._added(start, stop))

    def finish(self) -> None:
        """The vector is whole: adds what was not sent, and enters the leaf into the forest."""
        assert self._vector is not None
        at = 0
        for k in [*(k for k, sent in enumerate(self._sent) if sent), None]:
            start = self._vector.size if k is None else k * self._bucket
            if at < start:
                self._added(at, start)
            at = start + self._bucket
        self._forest.push_leaf(self._leaf, self._vector, lambda left, right: left)

    def _added(self, start: int, stop: int) -> list[Node[Array]]:
        """This rank's sums of the elements [start, stop), this leaf among them; made in place, once for each element."""
        assert self._vector is not None
        part: Forest[Array] = Forest(add_into_left)
        part.extend(
            Node(n.level, n.index, None if n.value is None else n.value[start:stop])
            for n in self._forest.nodes
        )
        part.push_leaf(self._leaf, self._vector[start:stop])
        return part.nodes
