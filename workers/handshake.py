"""How two ranks make sure of each other when a connection between them is opened.

Both know the group's 32-byte secret, and neither sends it: each proves it by a keyed digest of fresh random bytes
of the other's. Nothing that arrives before the proof is used for more than fixed-size numbers.

    connector → acceptor   magic, generation, rank, world size, 32 random bytes
    acceptor  → connector  verdict, 32 random bytes, digest(secret, "acceptor" + hello + its random bytes)
    connector → acceptor   digest(secret, "connector" + hello + the acceptor's random bytes)
    acceptor  → connector  verdict
"""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import struct
from enum import IntEnum

from gradwire.workers.transport import HandshakeRefused

__all__ = ["SECRET_BYTES", "accept_handshake", "connect_handshake", "receive_exactly"]

SECRET_BYTES = 32
_MAGIC = b"gradwire-exchg-1"
_HELLO = struct.Struct("<16sQII32s")
_CHALLENGE = struct.Struct("<B32s32s")


class _Verdict(IntEnum):
    WELCOME = 0
    WRONG_GENERATION = 1
    WRONG_RANK = 2
    WRONG_SECRET = 3


_REASONS = {
    _Verdict.WRONG_GENERATION: "it belongs to another generation of the group",
    _Verdict.WRONG_RANK: "it did not expect this rank of a group of this size",
    _Verdict.WRONG_SECRET: "the group's secret is another one",
}


def receive_exactly(sock: socket.socket, view: memoryview) -> None:
    """Fills `view` from a socket; `ConnectionError` when the other side closed before."""
    at = 0
    while at < view.nbytes:
        got = sock.recv_into(view[at:])
        if got == 0:
            raise ConnectionError("the connection was closed")
        at += got


def _receive(sock: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    receive_exactly(sock, memoryview(data))
    return bytes(data)


def _digest(secret: bytes, role: bytes, hello: bytes, nonce: bytes) -> bytes:
    return hmac.new(secret, role + hello + nonce, hashlib.sha256).digest()


def connect_handshake(
    sock: socket.socket, rank: int, peer: int, world_size: int, generation: int, secret: bytes
) -> None:
    """The connector's part. Raises `HandshakeRefused`, or `OSError` where the connection itself fails."""
    hello = _HELLO.pack(_MAGIC, generation, rank, world_size, os.urandom(32))
    sock.sendall(hello)
    verdict, nonce, proof = _CHALLENGE.unpack(_receive(sock, _CHALLENGE.size))
    if verdict != _Verdict.WELCOME:
        raise HandshakeRefused(rank, peer, _REASONS[_Verdict(verdict)])
    if not hmac.compare_digest(proof, _digest(secret, b"acceptor", hello, nonce)):
        raise HandshakeRefused(rank, peer, _REASONS[_Verdict.WRONG_SECRET])
    sock.sendall(_digest(secret, b"connector", hello, nonce))
    verdict = _receive(sock, 1)[0]
    if verdict != _Verdict.WELCOME:
        raise HandshakeRefused(rank, peer, _REASONS[_Verdict(verdict)])


def accept_handshake(
    sock: socket.socket, rank: int, world_size: int, generation: int, secret: bytes
) -> int | None:
    """The acceptor's part: the rank that proved itself, or None for a stranger, who has been told why.

    Raises `OSError` where the connection itself fails.
    """
    hello = _receive(sock, _HELLO.size)
    magic, their_generation, their_rank, their_world, _ = _HELLO.unpack(hello)
    if magic != _MAGIC:
        return None
    verdict = _Verdict.WELCOME
    if their_generation != generation:
        verdict = _Verdict.WRONG_GENERATION
    elif their_world != world_size or not rank < their_rank < world_size:
        verdict = _Verdict.WRONG_RANK
    nonce = os.urandom(32)
    sock.sendall(_CHALLENGE.pack(verdict, nonce, _digest(secret, b"acceptor", hello, nonce)))
    if verdict != _Verdict.WELCOME:
        return None
    proof = _receive(sock, 32)
    if not hmac.compare_digest(proof, _digest(secret, b"connector", hello, nonce)):
        sock.sendall(bytes([_Verdict.WRONG_SECRET]))
        return None
    sock.sendall(bytes([_Verdict.WELCOME]))
    return int(their_rank)
