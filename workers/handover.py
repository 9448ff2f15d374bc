"""What members do when they have formed a group: settle where they go on, and give each what it lacks of the state.

Called by member.py; the decisions are those of formation.py, which every rank makes alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.exchange import Exchange
from gradwire.workers.formation import (
    Formation,
    Resolution,
    StateLostError,
    Status,
    Transfer,
    assigned_leaves,
    neighbours,
    resolve,
    transfers,
)
from gradwire.workers.state import packed, unpacked
from gradwire.workers.step import Slices
from gradwire.workers.training_state import TrainingState
from gradwire.workers.transport import Phase, Transport, make_tag

__all__ = ["taken_over"]

Piece = tuple[str, int, np.ndarray[Any, Any]]
_PARAMETERS, _COMMON, _OWN, _COPY = range(4)


def taken_over(
    transport: Transport,
    formation: Formation,
    state: TrainingState,
    reach: Callable[[str, int], None],
    live_copies: bool = True,
) -> Exchange | None:
    """Brings this member to where the group goes on; the exchange of its workers, None where it is not one of them.

    Raises StateLostError on all ranks alike where only a checkpoint can help, CheckpointDamagedError, ExchangeError.
    """
    plan, layout, rank = state.plan, state.layout, formation.rank
    everyone = Exchange(transport, max(plan.shards, transport.world_size))
    statuses = [Status.decoded(body) for body in everyone.all_gather_bytes(state.status().encoded())]
    step = 1 + (state.finished or 0)
    reach("told-status", step)
    resolution = resolve(statuses, layout.size)
    worker = rank < formation.workers
    slices = _new_slices(state, formation, live_copies) if worker else None
    todo: list[int] | None = None
    if resolution.step is None:
        if not formation.from_checkpoint:
            # They were to be given state by ranks that died meanwhile, and may have a part of it.
            raise StateLostError("nobody who is left has the whole state")
        if slices is not None:
            read = None if formation.resume is None else checkpoints.read(formation.resume)
            state.begin(slices, read)
            state.settled = True
    else:
        _finish_forward(everyone, statuses, resolution, state)
        if rank in resolution.behind:
            reach("finished-forward", step)
        _hand_over(transport, formation, statuses, resolution, state, slices, live_copies)
        todo = _leaves_to_do(statuses, resolution, formation.workers, plan.shards, rank)
        # A checkpoint that was due and of which nothing was heard may have gone with the rank that wrote it.
        due = resolution.step > 0 and plan.checkpoints_after(resolution.step - 1)
        state.settled = not (resolution.settle or (due and formation.told_checkpoint < resolution.step))
    state.take_history(formation.options_history)
    everyone.all_gather_bytes(b"")  # nobody changes anything before all have what they need
    reach("handed-over", step)
    if slices is not None:
        state.slices = slices
    if transport.world_size > formation.workers:
        # Who leaves takes its slices along: only when nobody may ask for them again.
        everyone.all_gather_bytes(b"")
    if slices is None:
        return None
    exchange = Exchange(transport, plan.shards, formation.workers)
    exchange.begin_at(everyone)
    state.step_maker.enter(exchange, slices, todo, formation.hosts[: formation.workers])
    return exchange


def _new_slices(state: TrainingState, formation: Formation, live_copies: bool) -> Slices:
    """The slices of a worker in the new group, without state yet."""
    rank, workers = formation.rank, formation.workers
    if workers == 1 or not live_copies:
        return Slices(state.owner(rank, workers), None, rank, rank)
    keepers = neighbours(formation.hosts[:workers])
    kept = keepers.index(rank) if rank in keepers else rank
    return Slices(state.owner(rank, workers), state.owner(kept, workers), keepers[rank], kept)


def _finish_forward(
    everyone: Exchange, statuses: Sequence[Status], resolution: Resolution, state: TrainingState
) -> None:
    """Lets who is behind finish the step that it is prepared for, as far as the slices that it holds go."""
    if not resolution.behind:
        return
    prepared = state.step_maker.prepared
    last = (resolution.step or 0) - 1
    knows = prepared is not None and prepared.step == last and prepared.passed
    told = everyone.all_gather_bytes(prepared.told() if prepared is not None and knows else b"")
    if everyone.rank not in resolution.behind:
        return
    if prepared is None or prepared.step != last:
        raise AssertionError(
            f"rank {everyone.rank} is not prepared for step {last + 1}, which others finished"
        )
    if not prepared.passed:
        knowing = next(
            r for r, s in enumerate(statuses) if s.step is not None and (s.step > last or s.passed)
        )
        state.step_maker.hear(prepared, [told[knowing]])
    state.step_maker.apply(prepared)


def _hand_over(
    transport: Transport,
    formation: Formation,
    statuses: Sequence[Status],
    resolution: Resolution,
    state: TrainingState,
    slices: Slices | None,
    live_copies: bool,
) -> None:
    rank, layout, size = formation.rank, state.layout, state.layout.size
    ranks, workers = range(len(statuses)), formation.workers
    behind, fresh = set(resolution.behind), set(resolution.fresh)
    holds = [() if r in fresh else statuses[r].slices for r in ranks]
    # Parameters and buffers of the step: whole where it was finished, in slices where it is being finished now.
    values = [() if r in fresh else holds[r] if r in behind else ((0, size),) for r in ranks]
    lacking = [((0, size),) if r in behind or (r in fresh and r < workers) else () for r in ranks]
    maker = state.step_maker
    _move(
        transport,
        _PARAMETERS,
        transfers(lacking, values),
        lambda t: [
            np.ascontiguousarray((maker.next if rank in behind else state.vector())[t.start : t.stop])
        ],
        lambda t, message: _put(maker.next, t, message),
    )
    if rank in behind:
        assert maker.prepared is not None
        state.commit(maker.prepared, 0.0, workers)
    # What is the same everywhere, for who is new.
    if rank == resolution.donor:
        for dest in sorted(fresh):
            if dest < workers:
                transport.send(dest, make_tag(Phase.HAND_OVER, _COMMON), state.common())
    counts: list[int] | None = None
    if rank in fresh and slices is not None:
        counts = state.take_common(
            transport.recv(resolution.donor, make_tag(Phase.HAND_OVER, _COMMON)), maker.next
        )
    elif state.slices is not None:
        counts = state.slices.own.step_counts
    # The optimizer's state of every new slice and every new copy.
    bounds = [layout.slice_bounds(r, workers) if r < workers else (0, 0) for r in ranks]
    needs_copy = [(0, 0)] * len(bounds)
    if workers > 1 and live_copies:
        keepers = neighbours(formation.hosts[:workers])
        for kept, keeper in enumerate(keepers):
            needs_copy[keeper] = bounds[kept]
    before = [] if state.slices is None or rank in fresh else list(state.slices.held)
    for kind, needs in ((_OWN, bounds), (_COPY, needs_copy)):
        moves = transfers([[need] if need[0] < need[1] else [] for need in needs], holds)
        pieces = _collected(transport, kind, moves, state, before)
        if slices is not None:
            new = slices.own if kind == _OWN else slices.copy
            if new is not None:
                assert counts is not None
                named = dict(zip((s.name for s in layout.parameter_segments), counts, strict=True))
                new.load_pieces(pieces, named)


def _collected(
    transport: Transport, kind: int, moves: Sequence[Transfer], state: TrainingState, before: Sequence[Any]
) -> list[Piece]:
    """Gives others their part of the optimizer's state in the slices `before`, and returns what comes here."""
    pieces: list[Piece] = []
    _move(
        transport,
        kind,
        moves,
        lambda t: packed(_pieces_of(before, state, t.start, t.stop)),
        lambda t, message: pieces.extend(unpacked(message)),
        lambda t: pieces.extend(_pieces_of(before, state, t.start, t.stop)),
    )
    return pieces


def _move(
    transport: Transport,
    kind: int,
    moves: Sequence[Transfer],
    give: Callable[[Transfer], list[Any]],
    take: Callable[[Transfer, memoryview], None],
    keep: Callable[[Transfer], None] = lambda t: None,
) -> None:
    """Carries transfers out: each as one message, in the same order on both sides."""
    tag = make_tag(Phase.HAND_OVER, kind)
    for t in moves:
        if t.source == transport.rank != t.dest:
            transport.send(t.dest, tag, give(t))
    for t in moves:
        if t.dest == transport.rank:
            if t.source == transport.rank:
                keep(t)
            else:
                take(t, transport.recv(t.source, tag))


def _put(vector: np.ndarray[Any, Any], t: Transfer, message: memoryview) -> None:
    vector[t.start : t.stop] = np.frombuffer(message, vector.dtype)


def _pieces_of(held: Sequence[Any], state: TrainingState, start: int, stop: int) -> list[Piece]:
    """The optimizer's state of the elements [start, stop), from the slices here that have them."""
    firsts = {s.name: s.start for s in state.layout.parameter_segments}
    pieces: list[Piece] = []
    for owner in held:
        for key, offset, array in owner.state_slices() if owner.start < stop and start < owner.stop else ():
            first = firsts[key.rpartition("/")[0]] + offset
            a, b = max(start, first), min(stop, first + array.size)
            if a < b:
                values = np.ascontiguousarray(state.on_host(array[a - first : b - first]))
                pieces.append((key, offset + a - first, values))
    return pieces


def _leaves_to_do(
    statuses: Sequence[Status], resolution: Resolution, workers: int, leaves: int, rank: int
) -> list[int] | None:
    """The leaves of the interrupted step that fall to this rank; None where the group begins with a step."""
    done = [s.nodes if s.step == resolution.step else () for s in statuses]
    if not any(done[:workers]) or rank >= workers:
        return None
    return assigned_leaves(done, workers, leaves)[rank]
