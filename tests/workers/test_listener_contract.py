"""What every listener promises (gradwire.workers.transport.Listener), asked of each of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from gradwire.workers.in_process import InProcessListener
from gradwire.workers.transport import (
    ExchangeAborted,
    ExchangeTimeout,
    HandshakeRefused,
    Listener,
    PeerLost,
    Transport,
)
from tests.workers.groups import LISTENERS as BETWEEN_PROCESSES
from tests.workers.groups import SECRET, in_thread, on_all

LISTENERS: dict[str, Callable[[], Listener]] = {"in_process": InProcessListener, **BETWEEN_PROCESSES}
Outcome = BaseException | object
pytestmark = pytest.mark.parametrize("kind", LISTENERS)


class Ranks:
    """Listeners of one group, and how each of them forms it."""

    def __init__(self, kind: str, world_size: int) -> None:
        self.listeners: list[Listener] = [LISTENERS[kind]() for _ in range(world_size)]
        self.addresses = [listener.address for listener in self.listeners]

    def form(
        self, rank: int, generation: int = 1, secret: bytes = SECRET, wait_s: float = 5.0
    ) -> Callable[..., Outcome]:
        return in_thread(
            lambda: self.listeners[rank].form(
                rank,
                self.addresses,
                generation=generation,
                secret=secret,
                deadline_s=5.0,
                connect_deadline_s=wait_s,
            )
        )


def leave(outcomes: list[Any]) -> None:
    on_all([t for t in outcomes if not isinstance(t, BaseException)], lambda t: t.close())


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_ranks_may_come_late_and_in_any_order(kind: str, order: tuple[int, ...]) -> None:
    ranks = Ranks(kind, 4)
    waits = {}
    for rank in order:
        waits[rank] = ranks.form(rank)
        time.sleep(0.05)
    formed: list[Any] = [waits[r](5.0) for r in range(4)]
    assert [t.rank for t in formed] == [0, 1, 2, 3]

    def pass_around(t: Transport) -> bytes:
        t.send((t.rank + 1) % 4, 1, [bytes([t.rank])])
        return bytes(t.recv((t.rank - 1) % 4, 1))

    assert on_all(formed, pass_around) == [b"\3", b"\0", b"\1", b"\2"]
    leave(formed)


def test_a_group_of_one_needs_nobody(kind: str) -> None:
    alone: Any = Ranks(kind, 1).form(0)(5.0)
    assert (alone.rank, alone.world_size) == (0, 1)
    alone.close()


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_closing_a_listener_ends_a_form_that_waits(kind: str, rank: int) -> None:
    ranks = Ranks(kind, 4)
    waits = [ranks.form(r) for r in range(3)]  # rank 3 never comes
    time.sleep(0.2)
    start = time.monotonic()
    ranks.listeners[rank].close()
    outcome = waits[rank](3.0)
    assert isinstance(outcome, ExchangeAborted), outcome
    assert str(outcome) == f"rank {rank} ended the exchange: its listener was closed"
    for wait in waits:
        assert isinstance(wait(3.0), PeerLost | ExchangeAborted)
    assert time.monotonic() - start < 2
    ranks.listeners[3].close()


def test_a_listener_closed_before_cannot_form(kind: str) -> None:
    ranks = Ranks(kind, 2)
    ranks.listeners[0].close()
    ranks.listeners[0].close()
    assert isinstance(ranks.form(0)(5.0), ExchangeAborted | PeerLost)
    outcome = ranks.form(1)(5.0)
    assert isinstance(outcome, PeerLost)
    assert outcome.peer == 0


def test_a_wrong_secret_is_refused_and_does_not_hold_up_the_others(kind: str) -> None:
    ranks = Ranks(kind, 2)
    first = ranks.form(0, wait_s=0.6)
    refused = ranks.form(1, secret=b"x" * 32)(5.0)
    assert isinstance(refused, HandshakeRefused)
    assert str(refused) == "rank 1 was not let in by rank 0: the group's secret is another one"
    assert isinstance(first(5.0), ExchangeTimeout | PeerLost)


@pytest.mark.parametrize("generations", [(2, 1), (1, 2)])
def test_a_stale_generation_is_refused(kind: str, generations: tuple[int, int]) -> None:
    ranks = Ranks(kind, 2)
    first = ranks.form(0, generation=generations[0], wait_s=0.6)
    refused = ranks.form(1, generation=generations[1])(5.0)
    assert isinstance(refused, HandshakeRefused)
    assert "another generation" in str(refused)
    assert isinstance(first(5.0), ExchangeTimeout | PeerLost)


def test_a_secret_of_another_length_is_refused(kind: str) -> None:
    ranks = Ranks(kind, 1)
    outcome = ranks.form(0, secret=b"short")(5.0)
    assert isinstance(outcome, ValueError)
    assert "32 bytes; got 5" in str(outcome)
    ranks.listeners[0].close()


@pytest.mark.parametrize(("waiting", "missing"), [(0, 1), (1, 0)])
def test_a_rank_that_never_comes_is_named_at_the_connect_deadline(
    kind: str, waiting: int, missing: int
) -> None:
    ranks = Ranks(kind, 2)
    start = time.monotonic()
    outcome = ranks.form(waiting, wait_s=0.4)(5.0)
    assert time.monotonic() - start < 2
    assert isinstance(outcome, ExchangeTimeout)
    assert (outcome.rank, outcome.peer) == (waiting, missing)
    ranks.listeners[missing].close()
