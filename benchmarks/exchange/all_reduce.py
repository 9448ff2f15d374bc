"""Sums 64 MiB over the processes of one host: gradwire's exchange against all_reduce of PyTorch's gloo, in one run.

Every rank brings one vector, as if it had summed its leaves. gradwire makes a reduce-scatter and an all-gather, which
leave the sum on every rank, in the tree's order. One thread each. Prints bandwidth (the vector's bytes by the time of
the slowest rank, median of rounds), ratios to gloo, and the bytes a rank sends beside the 2 (W - 1) / W of a ring.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import multiprocessing
import platform
import secrets
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradwire.training import owned_range
from gradwire.workers.exchange import Exchange
from gradwire.workers.shared_memory import HostListener
from gradwire.workers.sockets import SocketListener
from gradwire.workers.transport import Buffer, Transport
from gradwire.workers.tree import Node, canonical_nodes

MIB = 1 << 20
LEAVES = 8
GOAL = 1.0
LISTENERS: dict[str, Callable[[], Any]] = {"sockets": SocketListener, "shared memory": HostListener}


class Counted:
    """A transport that counts the bytes of what it sends."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        self.sent += sum(memoryview(b).nbytes for b in buffers)
        self._transport.send(dest, tag, buffers)


def over_gradwire(kind: str, rank: int, world: int, pipe: Any, secret: bytes) -> tuple[Any, Any]:
    listener = LISTENERS[kind]()
    pipe.send(listener.address)
    transport = listener.form(rank, pipe.recv(), generation=1, secret=secret, deadline_s=60.0)
    counted = Counted(transport)
    exchange = Exchange(counted, LEAVES)  # type: ignore[arg-type]
    places = canonical_nodes(exchange.owned_leaves)
    elements = 0
    bounds: list[tuple[int, int]] = []
    out = np.empty(0, np.float32)

    def all_reduce(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        nonlocal elements, bounds, out
        if elements != vector.size:
            elements = vector.size
            parts = [owned_range(r, world, elements) for r in range(world)]
            bounds = [(p.start, p.stop) for p in parts]
            out = np.empty_like(vector)
        nodes = [Node(level, index, vector if i == 0 else None) for i, (level, index) in enumerate(places)]
        counted.sent = 0
        part, _ = exchange.reduce_scatter(nodes, bounds, vector.dtype)
        assert part is not None
        exchange.all_gather(part, bounds, out)
        return out

    return all_reduce, (lambda: counted.sent, transport.close)


def over_gloo(rank: int, world: int, port: int) -> tuple[Any, Any]:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)

    def all_reduce(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        dist.all_reduce(torch.from_numpy(vector))
        return vector

    return all_reduce, (lambda: 0, dist.destroy_process_group)


def rank_main(kind: str, rank: int, world: int, size: int, pipe: Any, extra: Any) -> None:
    if kind == "gloo":
        all_reduce, (sent, close) = over_gloo(rank, world, extra)
    else:
        all_reduce, (sent, close) = over_gradwire(kind, rank, world, pipe, extra)
    values = np.arange(size // 4, dtype=np.float32) % 1000 + rank
    vector = np.empty_like(values)
    expected = (np.arange(size // 4, dtype=np.float32) % 1000) * world + world * (world - 1) / 2
    pipe.send("ready")
    while pipe.recv() == "go":
        vector[:] = values
        pipe.send("filled")
        pipe.recv()
        started = time.perf_counter()
        got = all_reduce(vector)
        pipe.send((time.perf_counter() - started, sent()))
        assert np.array_equal(got, expected), "the sum is wrong"
    close()


class Group:
    """The processes of one kind of exchange."""

    def __init__(self, kind: str, world: int, size: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        extra: Any = free_port() if kind == "gloo" else secrets.token_bytes(32)
        ends = [spawn.Pipe() for _ in range(world)]
        self.pipes = [mine for mine, _ in ends]
        self.processes = [
            spawn.Process(target=rank_main, args=(kind, r, world, size, ends[r][1], extra), daemon=True)
            for r in range(world)
        ]
        for process in self.processes:
            process.start()
        if kind != "gloo":
            addresses = [pipe.recv() for pipe in self.pipes]
            self.tell(addresses)
        self.hear()

    def tell(self, what: Any) -> None:
        for pipe in self.pipes:
            pipe.send(what)

    def hear(self) -> list[Any]:
        return [pipe.recv() for pipe in self.pipes]

    def round(self) -> tuple[float, int]:
        """Seconds of the slowest rank, and the most bytes that one sent."""
        self.tell("go")
        self.hear()
        self.tell("begin")
        results = self.hear()
        return max(t for t, _ in results), max(s for _, s in results)

    def stop(self) -> None:
        self.tell("stop")
        for process in self.processes:
            process.join(20)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=float, default=64)
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", default=["gloo", *LISTENERS])
    args = parser.parse_args()
    size = int(args.mib * MIB)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}")
    for world in args.ranks:
        groups = {kind: Group(kind, world, size) for kind in args.only}
        times: dict[str, list[float]] = {kind: [] for kind in groups}
        sent: dict[str, int] = {}
        for i in range(args.rounds + 2):
            for kind, group in groups.items():
                seconds, sent[kind] = group.round()
                if i >= 2:
                    times[kind].append(seconds)
        for group in groups.values():
            group.stop()
        for kind in groups:
            bandwidth = size / MIB / 1024 / statistics.median(times[kind])
            line = f"{world} ranks  {kind:14} {bandwidth:6.2f} GiB/s  {1e3 * statistics.median(times[kind]):7.1f} ms"
            if kind != "gloo":
                ring = 2 * (world - 1) / world * size
                line += f"  sends {sent[kind] / MIB:6.1f} MiB, {sent[kind] / ring:.3f} of a ring's"
                if "gloo" in groups:
                    ratios = [g / t for g, t in zip(times["gloo"], times[kind], strict=True)]
                    ratio = statistics.median(ratios)
                    line += f"  {ratio:5.2f} x gloo (from {min(ratios):.2f} to {max(ratios):.2f}; goal {GOAL:.1f}: "
                    line += f"{'met' if ratio >= GOAL else 'missed'})"
            print(line, flush=True)


if __name__ == "__main__":
    main()
