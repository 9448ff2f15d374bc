"""What is particular to connections between processes: proofs of membership, strangers, killed processes."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from gradwire.workers.sockets import SocketListener, SocketTransport
from gradwire.workers.transport import ExchangeTimeout, PeerLost
from tests.workers.groups import SECRET, form_group, in_thread, on_all


def test_strangers_do_not_hold_up_the_group() -> None:
    listeners = [SocketListener() for _ in range(2)]
    addresses = [listener.address for listener in listeners]
    silent = [socket.create_connection(addresses[0]) for _ in range(5)]
    rude = socket.create_connection(addresses[0])
    rude.sendall(b"GET / HTTP/1.1\r\n\r\n" * 20)
    start = time.monotonic()
    ranks = on_all(
        range(2), lambda r: listeners[r].form(r, addresses, generation=1, secret=SECRET, deadline_s=5.0)
    )
    assert time.monotonic() - start < 4
    ranks[0].send(1, 1, [b"hello"])
    assert bytes(ranks[1].recv(0, 1)) == b"hello"
    on_all(ranks, SocketTransport.close)
    for sock in [*silent, rude]:
        sock.close()


def test_a_rank_that_nobody_listens_for_is_a_lost_peer() -> None:
    gone, here = SocketListener(), SocketListener()
    gone.close()
    with pytest.raises(PeerLost, match=r"rank 1 lost rank 0: can't connect to 127\.0\.0\.1"):
        here.form(1, [gone.address, here.address], generation=1, secret=SECRET, deadline_s=1.0)


def test_a_stale_generation_on_an_open_connection_is_dropped() -> None:
    a, b = form_group("sockets", 2, deadline_s=0.2, generation=3)
    assert isinstance(a, SocketTransport)
    assert isinstance(b, SocketTransport)
    stale = struct.pack("<BxxxIQQQ", 0, 0x67775831, 2, 1, 5) + b"stale"
    a.links[1].socket.sendall(stale)
    a.send(1, 1, [b"fresh"])
    assert bytes(b.recv(0, 1)) == b"fresh"
    with pytest.raises(ExchangeTimeout):
        b.recv(0, 1)
    assert b.dropped == 1
    on_all([a, b], SocketTransport.close)


def test_a_sender_that_nobody_reads_stops_at_the_deadline() -> None:
    with stranger_rank("time.sleep(60)") as (a, process):
        os.kill(process.pid, signal.SIGSTOP)
        start = time.monotonic()
        with pytest.raises(ExchangeTimeout, match="rank 0 heard nothing from rank 1 in plain 0"):
            for _ in range(1000):
                a.send(1, 0, [bytes(1 << 20)])
        assert time.monotonic() - start < 15


def test_kill_9_of_a_peer_ends_a_wait_at_once() -> None:
    with stranger_rank("time.sleep(60)") as (a, process):
        wait = in_thread(lambda: a.recv(1, 1))
        time.sleep(0.1)
        start = time.monotonic()
        process.kill()
        outcome = wait(5.0)
        assert time.monotonic() - start < 1
        assert isinstance(outcome, PeerLost)
        assert outcome.peer == 1
        with pytest.raises(PeerLost):
            a.send(1, 1, [b"late"])


class stranger_rank:
    """Rank 1 of 2 in a process of its own that runs `body` after the group was formed; rank 0 is here."""

    def __init__(self, body: str) -> None:
        self._body = body

    def __enter__(self) -> tuple[SocketTransport, subprocess.Popen[str]]:
        listener = SocketListener()
        code = textwrap.dedent(
            f"""
            import time
            from gradwire.workers.sockets import SocketListener
            listener = SocketListener()
            print(listener.address[1], flush=True)
            transport = listener.form(1, [{listener.address!r}, listener.address], generation=1,
                                      secret=bytes(range(32)), deadline_s=10.0)
            {self._body}
            """
        )
        self._process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._transport = listener.form(
            0, [listener.address, ("127.0.0.1", port)], generation=1, secret=SECRET, deadline_s=2.0
        )
        return self._transport, self._process

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._transport.close()
