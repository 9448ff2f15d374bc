"""Messages through memory that two processes share: reused, never read early or late, and gone with the processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradwire.workers import shared_memory
from gradwire.workers.shared_memory import HostListener, SharedLink, host_identity
from gradwire.workers.sockets import SocketTransport
from gradwire.workers.transport import PeerLost, Transport
from tests.workers.groups import SECRET, form_group, on_all

LONG = 3 << 20


def pair() -> list[Transport]:
    return form_group("shared_memory", 2)


def link_of(transport: Transport, peer: int) -> SharedLink:
    assert isinstance(transport, SocketTransport)
    link = transport.links[peer]
    assert isinstance(link, SharedLink)
    return link


def test_a_room_is_used_again_when_nothing_refers_to_its_message_any_more() -> None:
    a, b = pair()
    for i in range(20):
        a.send(1, 1, [np.full(LONG, i, np.uint8), b"end"])
        assert bytes(b.recv(0, 1)[-4:]) == bytes([i]) + b"end"
    assert len(link_of(a, 1)._rooms) == 1
    on_all([a, b], lambda t: t.close())


def test_a_message_that_is_kept_stays_as_it_is_while_others_come() -> None:
    a, b = pair()
    kept = []
    for i in range(5):
        a.send(1, 1, [np.full(LONG, i, np.uint8)])
        kept.append(np.frombuffer(b.recv(0, 1), np.uint8)[5:-5])  # a view of a view of the message
    for _ in range(5):
        a.send(1, 1, [np.full(LONG, 99, np.uint8)])
        b.recv(0, 1)
    assert [set(array.tolist()[:1000]) for array in kept] == [{i} for i in range(5)]
    kept[2][:] = 7  # the memory is the receiver's
    assert kept[1][0] == 1
    assert kept[3][0] == 3
    on_all([a, b], lambda t: t.close())


def test_what_finds_no_room_goes_over_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "ROOMS_LIMIT", 2 * LONG)
    a, b = pair()
    for i in range(6):  # nobody reads: the sender must not wait for that
        a.send(1, 1, [np.full(LONG, i, np.uint8)])
    assert len(link_of(a, 1)._rooms) == 2
    for i in range(6):
        message = b.recv(0, 1)
        assert len(message) == LONG
        assert message[0] == message[-1] == i
    on_all([a, b], lambda t: t.close())


def test_ranks_of_another_host_are_reached_by_tcp() -> None:
    listeners = [HostListener(), HostListener()]
    listeners[1].address = replace(listeners[1].address, identity="elsewhere")
    addresses = [listener.address for listener in listeners]
    assert addresses[0].identity == host_identity()
    ranks = on_all(
        range(2),
        lambda r: listeners[r].form(r, addresses, generation=1, secret=SECRET, deadline_s=10.0),
    )
    ranks[0].send(1, 1, [np.arange(LONG, dtype=np.uint8)])
    assert bytes(ranks[1].recv(0, 1)) == np.arange(LONG, dtype=np.uint8).tobytes()
    assert ranks[0].links[1].socket.family == socket.AF_INET
    on_all(ranks, lambda t: t.close())


VICTIM = """
import sys, pickle
import numpy as np
from gradwire.workers.shared_memory import HostListener
listener = HostListener()
sys.stdout.buffer.write(pickle.dumps(listener.address).hex().encode() + b"\\n")
sys.stdout.flush()
addresses = [pickle.loads(bytes.fromhex(sys.stdin.readline())), listener.address]
transport = listener.form(1, addresses, generation=1, secret=bytes(range(32)), deadline_s=20.0)
data = np.zeros(3 << 20, np.uint8)
while True:
    transport.send(0, 1, [data])
    transport.recv(0, 2)
"""


@pytest.mark.parametrize("after", [0, 1, 5])
def test_a_sender_killed_in_mid_message_is_lost_at_once_and_leaves_nothing(after: int) -> None:
    import pickle

    before = set(os.listdir("/dev/shm")) if Path("/dev/shm").exists() else set()
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    theirs = pickle.loads(bytes.fromhex(process.stdout.readline()))
    listener = HostListener()
    process.stdin.write(pickle.dumps(listener.address).hex() + "\n")
    process.stdin.flush()
    transport = listener.form(0, [listener.address, theirs], generation=1, secret=SECRET, deadline_s=20.0)
    for _ in range(after):
        transport.recv(1, 1)
        transport.send(1, 2, [b"next"])
    process.send_signal(signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(PeerLost):
        while True:
            transport.recv(1, 1)
    assert time.monotonic() - start < 5
    process.wait()
    transport.close()
    if before:
        assert {name for name in os.listdir("/dev/shm") if "gradwire" in name} <= before
    process.stdin.close()
    process.stdout.close()
