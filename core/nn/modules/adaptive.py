"""The softmax over many classes that looks closely only at the frequent ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ...functions import cat, where
from ...tensor import Tensor
from .. import functional as F
from ..module import Module
from .containers import ModuleList, Sequential
from .linear import Linear

__all__ = ["AdaptiveLogSoftmaxWithLoss"]


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Classes sorted by how often they come, in clusters: the first cutoffs[0] are judged at once with the clusters themselves.

    input (N, in_features) or (in_features,), target (N,) or (): the targets' log-probabilities, and the loss, minus their mean.
    RuntimeError for targets out of 0 … n_classes - 1. Grave, Joulin, Cissé, Grangier and Jégou, arXiv:1609.04309.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        edges = list(cutoffs)
        if not edges:
            raise ValueError("cutoffs should be a sequence of length larger than 0")
        rising = all(a < b for a, b in zip([0, *edges], [*edges, n_classes], strict=True))
        if not rising or any(int(c) != c for c in edges):
            raise ValueError(
                "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value is "
                "between 1 and n_classes-1"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs = [*edges, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = edges[0], len(edges)
        self.head_size = self.shortlist_size + self.n_clusters
        made = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **made)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(self._clusters()):
            narrow = int(in_features // div_value ** (i + 1))
            self.tail.append(
                Sequential(
                    Linear(in_features, narrow, bias=False, **made),
                    Linear(narrow, high - low, bias=False, **made),
                )
            )

    def _clusters(self) -> list[tuple[int, int]]:
        """The first class of each cluster and the one behind its last."""
        return list(zip(self.cutoffs[:-1], self.cutoffs[1:], strict=True))

    def reset_parameters(self) -> None:
        self.head.reset_parameters()
        for narrow, wide in self.tail:
            narrow.reset_parameters()
            wide.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        single = target_.ndim == 0
        if target_.ndim == 1:
            if input_.shape[0] != target_.shape[0]:
                raise RuntimeError("Input and target should have the same size in the batch dimension.")
            if input_.ndim != 2:
                raise RuntimeError(
                    f"1D target tensor expects 2D input tensors, but found inputs with size {input_.shape}"
                )
        elif single:
            if input_.ndim != 1:
                raise RuntimeError(
                    f"0D target tensor expects 1D input tensors, but found inputs with size {input_.shape}"
                )
        else:
            raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
        x, target = (t.unsqueeze(0) if single else t for t in (input_, target_))
        if target.numel() and bool(((target < 0) | (target >= self.n_classes)).any()):
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range "
                f"[{target.min().item()}, {target.max().item()}] were found. "
            )
        in_head, within = target, []
        for i, (low, high) in enumerate(self._clusters()):
            here = (target >= low) & (target < high)
            in_head = where(here, self.shortlist_size + i, in_head)
            (rows,) = here.nonzero(as_tuple=True)
            if rows.numel():
                log_probs = F.log_softmax(self.tail[i](x.index_select(0, rows)), dim=1)
                chosen = (target.index_select(0, rows) - low).unsqueeze(1)
                within.append((rows, log_probs.gather(1, chosen).squeeze(1)))
        output = F.log_softmax(self.head(x), dim=1).gather(1, in_head.unsqueeze(1)).squeeze(1)
        for rows, more in within:
            output = output.index_add(0, rows, more)
        return _ASMoutput(output.squeeze(0) if single else output, (-output).mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities (N, n_classes) of all classes."""
        return self._all(input, self.head(input))

    def _all(self, input: Tensor, head: Tensor) -> Tensor:
        log_probs = F.log_softmax(head, dim=1)
        parts = [log_probs[:, : self.shortlist_size]]
        for i in range(self.n_clusters):
            cluster = log_probs[:, self.shortlist_size + i].unsqueeze(1)
            parts.append(F.log_softmax(self.tail[i](input), dim=1) + cluster)
        return cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row: int64 (N,)."""
        head = self.head(input)
        best = head.argmax(1)
        (far,) = (best >= self.shortlist_size).nonzero(as_tuple=True)
        if not far.numel():
            return best
        return best.index_copy(0, far, self._all(input[far], head[far]).argmax(1))
