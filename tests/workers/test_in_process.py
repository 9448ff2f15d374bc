from __future__ import annotations

import pytest

from gradwire.workers.in_process import InProcessNetwork
from gradwire.workers.transport import ExchangeTimeout, PeerLost
from tests.workers.groups import in_thread, on_all


def test_messages_of_an_older_generation_are_dropped() -> None:
    network = InProcessNetwork()
    old = network.form(2, generation=1)
    new = network.form(2, generation=2, deadline_s=0.1)
    old[0].send(1, 1, [b"stale"])
    new[0].send(1, 1, [b"fresh"])
    assert bytes(new[1].recv(0, 1)) == b"fresh"
    with pytest.raises(ExchangeTimeout):
        new[1].recv(0, 1)
    assert new[1].dropped == 1


def test_an_older_generation_cannot_abort_a_newer_one() -> None:
    network = InProcessNetwork()
    old = network.form(2, generation=1)
    new = network.form(2, generation=2)
    old[0].abort("I am late")
    new[0].send(1, 1, [b"fine"])
    assert bytes(new[1].recv(0, 1)) == b"fine"


def test_the_death_of_a_thread_ends_all_waits() -> None:
    ranks = InProcessNetwork().form(3)
    waits = [in_thread(lambda t=t: t.recv(1 - t.rank if t.rank < 2 else 0, 1)) for t in (ranks[0], ranks[2])]  # type: ignore[misc]
    ranks[1].die()
    for wait in waits:
        outcome = wait(5.0)
        assert isinstance(outcome, PeerLost)
        assert outcome.peer == 1


def test_hundreds_of_ranks_pass_a_message_around() -> None:
    ranks = InProcessNetwork().form(200)

    def pass_on(t):  # type: ignore[no-untyped-def]
        if t.rank == 0:
            t.send(1, 1, [b"0"])
            return bytes(t.recv(199, 1))
        got = bytes(t.recv(t.rank - 1, 1))
        t.send((t.rank + 1) % 200, 1, [got + b"." if t.rank % 50 == 0 else got])
        return got

    assert on_all(ranks, pass_on)[0] == b"0..."


def test_a_group_without_ranks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 rank"):
        InProcessNetwork().form(0)
