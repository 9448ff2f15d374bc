"""What every transport promises (gradwire.workers.transport), asked of each of them."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from gradwire.workers.in_process import InProcessListener
from gradwire.workers.transport import (
    ExchangeAborted,
    ExchangeError,
    ExchangeTimeout,
    Listener,
    PeerLost,
    Phase,
    Transport,
    make_tag,
)
from tests.workers.groups import LISTENERS, SECRET, TRANSPORTS, form_group, in_thread, on_all

Former = Callable[..., list[Transport]]


@pytest.fixture(params=TRANSPORTS)
def form(request: pytest.FixtureRequest) -> Iterator[Former]:
    made: list[Transport] = []

    def former(world_size: int, **options: float) -> list[Transport]:
        ranks = form_group(request.param, world_size, **options)  # type: ignore[arg-type]
        made.extend(ranks)
        return ranks

    yield former
    on_all(made, lambda t: t.close())


def test_ranks_know_their_place(form: Former) -> None:
    ranks = form(3, generation=7)
    assert [(t.rank, t.world_size, t.generation) for t in ranks] == [(0, 3, 7), (1, 3, 7), (2, 3, 7)]


def test_messages_of_one_tag_arrive_in_order_and_whole(form: Former) -> None:
    a, b = form(2)
    for i in range(100):
        a.send(1, 5, [np.full(i, i, np.uint8), b"|", bytes([i])])
    for i in range(100):
        assert bytes(b.recv(0, 5)) == bytes([i]) * i + b"|" + bytes([i])


def test_messages_of_different_tags_may_be_taken_in_any_order(form: Former) -> None:
    a, b = form(2)
    a.send(1, 1, [b"one"])
    a.send(1, 2, [b"two"])
    a.send(1, 3, [])
    assert bytes(b.recv(0, 3)) == b""
    assert bytes(b.recv(0, 2)) == b"two"
    assert bytes(b.recv(0, 1)) == b"one"


def test_the_sender_may_reuse_its_memory_and_the_receiver_may_write(form: Former) -> None:
    a, b = form(2)
    array = np.arange(1000, dtype=np.float32)
    a.send(1, 1, [array])
    array[:] = -1
    got = np.frombuffer(b.recv(0, 1), np.float32)
    assert got.flags.writeable
    got += 1
    assert got.tolist() == list(range(1, 1001))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bool", "int64"])
def test_arrays_of_every_dtype_travel_as_their_bytes(form: Former, dtype: str) -> None:
    a, b = form(2)
    array = np.arange(12).astype(dtype).reshape(3, 4)
    out = np.zeros_like(array)
    a.send(1, 1, [array])
    b.recv_into(0, 1, out)
    assert out.tobytes() == array.tobytes()


def test_a_length_other_than_expected_is_refused(form: Former) -> None:
    a, b = form(2)
    a.send(1, 1, [b"four"])
    with pytest.raises(ValueError, match="rank 0 sent 4 bytes where 3 were expected"):
        b.recv_into(0, 1, bytearray(3))


def test_memory_that_is_not_contiguous_is_refused(form: Former) -> None:
    a, _ = form(2)
    with pytest.raises(ValueError, match="contiguous"):
        a.send(1, 1, [np.zeros((4, 4))[:, 0]])


def test_a_rank_sends_only_to_others_of_its_group(form: Former) -> None:
    a, _ = form(2)
    for dest in (0, 2, -1):
        with pytest.raises(ValueError, match=f"rank 0 of 2 can't send to rank {dest}"):
            a.send(dest, 1, [b""])


def test_large_arrays_go_both_ways_at_once(form: Former) -> None:
    ranks = form(3)
    size = 8 << 20

    def swap(t: Transport) -> list[int]:
        others = [r for r in range(3) if r != t.rank]
        for r in others:
            t.send(r, 9, [np.full(size, 10 * t.rank + r, np.uint8)])
        sums = []
        for r in others:
            got = np.frombuffer(t.recv(r, 9), np.uint8)
            assert got.size == size
            assert (got == 10 * r + t.rank).all()
            sums.append(r)
        return sums

    assert on_all(ranks, swap) == [[1, 2], [0, 2], [0, 1]]


def test_a_wait_ends_at_the_deadline_and_names_rank_and_phase(form: Former) -> None:
    _, b = form(2, deadline_s=0.2)
    start = time.monotonic()
    with pytest.raises(
        ExchangeTimeout, match=r"rank 1 heard nothing from rank 0 in all-gather 17 \(tag 274\)"
    ) as caught:
        b.recv(0, make_tag(Phase.ALL_GATHER, 17))
    assert time.monotonic() - start < 5
    assert (caught.value.rank, caught.value.peer, caught.value.tag) == (1, 0, 274)


def test_an_abort_ends_every_wait_of_every_rank(form: Former) -> None:
    ranks = form(3)
    waits = [in_thread(lambda t=t: t.recv((t.rank + 1) % 3, 1)) for t in ranks]  # type: ignore[misc]
    time.sleep(0.05)
    ranks[2].abort("rank 2 raised ValueError")
    for outcome in (wait(5.0) for wait in waits):
        assert isinstance(outcome, ExchangeAborted)
        assert str(outcome) == "rank 2 ended the exchange: rank 2 raised ValueError"
    for t in ranks:
        with pytest.raises(ExchangeAborted):
            t.send((t.rank + 1) % 3, 1, [b"late"])
        with pytest.raises(ExchangeAborted):
            t.recv((t.rank + 1) % 3, 1)


def test_the_first_abort_counts_and_more_do_no_harm(form: Former) -> None:
    a, b = form(2)
    a.abort("first")
    outcome = in_thread(lambda: b.recv(0, 1))(5.0)
    b.abort("second")
    a.abort("third")
    assert str(outcome) == "rank 0 ended the exchange: first"
    with pytest.raises(ExchangeAborted, match="first"):
        b.recv(0, 1)


def test_leaving_in_order_disturbs_only_who_still_wants_something(form: Former) -> None:
    a, b, c = form(3)
    a.send(1, 1, [b"last words"])
    waiting_for_a = in_thread(lambda: c.recv(0, 1))
    a.close()
    a.close()
    assert isinstance(waiting_for_a(5.0), PeerLost)
    c.send(1, 1, [b"still here"])
    assert bytes(b.recv(2, 1)) == b"still here"
    assert bytes(b.recv(0, 1)) == b"last words"
    with pytest.raises(PeerLost, match="rank 1 lost rank 0"):
        b.recv(0, 1)


@pytest.mark.parametrize(
    "error",
    [
        ExchangeTimeout(1, 2, make_tag(Phase.REDUCE_SCATTER, 3), 4.0),
        ExchangeAborted(1, "why"),
        PeerLost(0, 1, "killed"),
    ],
)
def test_errors_survive_the_way_between_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)


# Listeners: how groups come about.


@pytest.fixture(params=TRANSPORTS)
def make_listener(request: pytest.FixtureRequest) -> Callable[[], Listener]:
    if request.param == "in_process":
        return InProcessListener
    made: Callable[[], Listener] = LISTENERS[request.param]
    return made


def joined(listener: Listener, rank: int, addresses: list[object], **options: object) -> Transport:
    fields = {"generation": 1, "secret": SECRET, "deadline_s": 10.0, "connect_deadline_s": 10.0, **options}
    return listener.form(rank, addresses, **fields)  # type: ignore[arg-type]


def test_a_late_comer_is_waited_for(make_listener: Callable[[], Listener]) -> None:
    listeners = [make_listener() for _ in range(3)]
    addresses = [listener.address for listener in listeners]
    waits = [in_thread(lambda r=r: joined(listeners[r], r, addresses)) for r in (0, 1)]
    time.sleep(0.2)
    last = joined(listeners[2], 2, addresses)
    ranks = [wait(10.0) for wait in waits]
    ranks[0].send(2, 1, [b"hello"])  # type: ignore[union-attr]
    assert bytes(last.recv(0, 1)) == b"hello"
    on_all([*ranks, last], lambda t: t.close())  # type: ignore[attr-defined]


def test_closing_a_listener_ends_the_wait_of_another_thread(make_listener: Callable[[], Listener]) -> None:
    listeners = [make_listener() for _ in range(2)]
    addresses = [listener.address for listener in listeners]
    wait = in_thread(lambda: joined(listeners[0], 0, addresses))
    time.sleep(0.1)
    start = time.monotonic()
    listeners[0].close()
    assert isinstance(wait(10.0), ExchangeError)
    assert time.monotonic() - start < 2
    listeners[0].close()  # may be called again
    listeners[1].close()


def test_who_does_not_come_is_named_when_the_time_is_up(make_listener: Callable[[], Listener]) -> None:
    listeners = [make_listener() for _ in range(2)]
    addresses = [listener.address for listener in listeners]
    with pytest.raises(ExchangeTimeout, match="rank 0 heard nothing from rank 1"):
        joined(listeners[0], 0, addresses, connect_deadline_s=0.3)
    listeners[1].close()
