"""Connectionist temporal classification: the likelihood of a sequence of labels under any alignment to the frames."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autocast import runs_in_float32
from ...backends import module_of, to_device, to_numpy
from ...dtypes import FLOATS
from ...function import Function, once_differentiable
from ...functions import clamp, masked_fill, mean
from ...functions import sum as _sum
from ...tensor import Tensor
from .arguments import entered

__all__ = ["ctc_loss"]


class CtcLoss(Function):
    """Of log_probs (T, N, C). Graves et al., ICML 2006; in logarithms, all examples and labels of a frame at once."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, states: Any, allowed: Any, frames: Any, ends: Any) -> Tensor:
        """states: (N, S) the labels with blanks between. allowed: where a state is reached from two states before.

        frames: (N) how many there are. ends: (N) how many states there are.
        """
        lp = log_probs._array
        xp = module_of(lp)
        rows = xp.arange(lp.shape[1])
        with np.errstate(invalid="ignore"):
            forward_, total = _alphas(xp, lp, states, allowed, frames, ends, rows)
        ctx.save_for_backward(log_probs)
        ctx.plan = (forward_, total, states, allowed, frames, ends)
        return Tensor._wrap(-total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        """Of the logits that log_softmax was given, as PyTorch's: the sum of a frame's gradients is 0."""
        lp = ctx.saved_tensors[0]._array
        alphas, total, states, allowed, frames, ends = ctx.plan
        xp = module_of(lp)
        n_frames, batch, classes = lp.shape
        rows = xp.arange(batch)
        with np.errstate(invalid="ignore"):
            betas = _betas(xp, lp, states, allowed, frames, ends, rows)
        # log of the share of each class of a frame in all alignments, summed over the states in their order
        which = (xp.arange(classes)[None, None, :] == states[:, :, None]).astype(lp.dtype)
        joint = alphas + betas - lp[:, rows[:, None], states] - total[None, :, None]
        share = (xp.exp(joint).transpose(1, 0, 2) @ which).transpose(1, 0, 2)
        within = xp.arange(n_frames)[:, None, None] < frames[None, :, None]
        within = (
            within & (grad._array != 0)[None, :, None]
        )  # where the loss is left out, its share may be NaN
        out = xp.where(within, (xp.exp(lp) - share) * grad._array[None, :, None], lp.dtype.type(0))
        return Tensor._wrap(out), None, None, None, None


def _sum_of_logs(xp: Any, *parts: Any) -> Any:
    out = parts[0]
    for part in parts[1:]:
        out = xp.logaddexp(out, part)
    return out


def _shifted(xp: Any, a: Any, by: int) -> Any:
    """The states `by` further on (before, where negative); -inf beyond the ends."""
    edge = xp.full((a.shape[0], min(abs(by), a.shape[1])), -np.inf, a.dtype)
    return xp.concatenate((edge, a[:, :by]) if by < 0 else (a[:, by:], edge), axis=1)


def _alphas(
    xp: Any, lp: Any, states: Any, allowed: Any, frames: Any, ends: Any, rows: Any
) -> tuple[Any, Any]:
    """log of the likelihood of the frames up to each one by alignments that end in each state, and of all frames."""
    n_frames = lp.shape[0]
    nothing = lp.dtype.type(-np.inf)
    numbers = xp.arange(states.shape[1])
    exists = numbers[None] < ends[:, None]
    out = xp.full((n_frames, *states.shape), nothing, lp.dtype)
    last = xp.where(numbers[None] == 0, lp.dtype.type(0), nothing) + xp.zeros(states.shape, lp.dtype)
    for t in range(n_frames):
        here = lp[t][rows[:, None], states]
        if t:
            two = xp.where(allowed, _shifted(xp, last, -2), nothing)
            now = _sum_of_logs(xp, last, _shifted(xp, last, -1), two) + here
        else:
            now = xp.where(numbers[None] < 2, here, nothing)
        now = xp.where(exists, now, nothing)
        out[t] = now
        last = xp.where((t < frames)[:, None], now, last)
    final = last[rows, ends - 1]
    before = xp.where(ends > 1, last[rows, xp.maximum(ends - 2, 0)], nothing)
    total = xp.logaddexp(final, before)
    # without frames: certain for no labels, impossible for any
    empty = xp.where(ends == 1, lp.dtype.type(0), nothing)
    return out, xp.where(frames == 0, empty, total)


def _betas(xp: Any, lp: Any, states: Any, allowed: Any, frames: Any, ends: Any, rows: Any) -> Any:
    """log of the likelihood of the frames from each one on by alignments that begin in each state."""
    n_frames = lp.shape[0]
    nothing = lp.dtype.type(-np.inf)
    numbers = xp.arange(states.shape[1])[None]
    exists = numbers < ends[:, None]
    at_end = exists & (numbers >= ends[:, None] - 2)
    out = xp.full((n_frames, *states.shape), nothing, lp.dtype)
    leap = _shifted(xp, allowed.astype(lp.dtype), 2) > 0  # from here to two states further on
    after = xp.full(states.shape, nothing, lp.dtype)
    for t in reversed(range(n_frames)):
        here = lp[t][rows[:, None], states]
        two = xp.where(leap, _shifted(xp, after, 2), nothing)
        now = _sum_of_logs(xp, after, _shifted(xp, after, 1), two) + here
        now = xp.where((t == frames - 1)[:, None], xp.where(at_end, here, nothing), now)
        now = xp.where(exists & (t < frames)[:, None], now, nothing)
        out[t] = now
        after = now
    return out


def _lengths(given: Any, name: str, batch: int) -> Any:
    raw = to_numpy(given._array) if isinstance(given, Tensor) else np.asarray(given)
    if raw.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    raw = np.atleast_1d(raw).astype(np.int64)
    if raw.shape != (batch,):
        raise RuntimeError(f"{name} must be of size batch_size")
    return raw


@entered
@runs_in_float32("cpu", "cuda")
def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any, blank: int = 0, reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """-log of the probability of `targets` under all alignments to the frames (Graves et al., ICML 2006).

    log_probs: (T, N, C) or (T, C), from log_softmax. targets: (N, S), or all one after the other (sum of target_lengths).
    The mean is of losses over their target lengths. zero_infinity: 0 for targets that are too long for their frames.
    """
    if log_probs._array.dtype not in FLOATS or log_probs.ndim not in (2, 3):
        raise RuntimeError(
            f"ctc_loss: expected log_probs (T, N, C) or (T, C) of floats, got {log_probs.dtype} {list(log_probs.shape)}"
        )
    if targets._array.dtype.kind not in "iu":
        raise RuntimeError(f"targets must be integral, got {targets.dtype}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    single = log_probs.ndim == 2
    lp = log_probs.unsqueeze(1) if single else log_probs
    n_frames, batch, classes = lp._array.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    frames, counts = (
        _lengths(input_lengths, "input_lengths", batch),
        _lengths(target_lengths, "target_lengths", batch),
    )
    if frames.size and (frames.max() > n_frames or frames.min() < 0):
        raise RuntimeError(
            f"Expected input_lengths to have value at most {n_frames}, but got value {frames.max()} (while checking arguments for ctc_loss)"
        )
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"Expected target_lengths to have value at least 0, but got value {counts.min()}")
    states, allowed = _states(to_numpy(targets._array), counts, blank, single, batch)
    if states.size and (states.max() >= classes or states.min() < 0):
        raise RuntimeError(f"ctc_loss: targets must be classes from 0 to {classes - 1}")
    device = lp.device
    plan = [to_device(a, device) for a in (states, allowed, frames, counts * 2 + 1)]
    loss: Tensor = CtcLoss.apply(lp, *plan)
    if zero_infinity:
        loss = masked_fill(loss, Tensor._wrap(loss._array == np.inf), 0.0)
    if reduction == "mean":
        lengths = clamp(Tensor._wrap(to_device(counts, device)), min=1).to(loss.dtype)
        return mean(loss / lengths)
    if reduction == "sum":
        return _sum(loss)
    return loss.squeeze(0) if single else loss


def _states(targets: Any, counts: Any, blank: int, single: bool, batch: int) -> tuple[Any, Any]:
    """Each row's labels with blanks before, between and after; and where a state may be reached from two before."""
    longest = int(counts.max()) if counts.size else 0
    if targets.ndim == 1:
        if (single and targets.size < longest) or (not single and targets.size != counts.sum()):
            raise RuntimeError(
                f"Expected tensor to have size {int(counts.sum())} at dimension 0, but got size {targets.size} for targets "
                "(while checking arguments for ctc_loss)"
            )
        starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
        rows = [targets[s : s + n] for s, n in zip(starts, counts, strict=True)]
    else:
        if targets.ndim != 2 or targets.shape[0] != batch or targets.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size {targets.shape} for targets "
                "(while checking arguments for ctc_loss)"
            )
        rows = [row[:n] for row, n in zip(targets, counts, strict=True)]
    states = np.full((batch, 2 * longest + 1), blank, np.int64)
    for i, row in enumerate(rows):
        states[i, 1 : 2 * len(row) : 2] = row
    allowed = np.zeros(states.shape, bool)
    allowed[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    return states, allowed
