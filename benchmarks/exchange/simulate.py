"""Messages and bytes of one step's exchange, counted over simulated ranks: threads of this process, up to 256 of them.

Every rank brings the sums of its leaves of a small vector; the result's bytes are compared with the plain recursion's. Bytes
are given in vectors: 1.0 is what one gradient takes. `between hosts`: what leaves a host of 8 ranks, by the plain exchange
and by way of collectors (hierarchy.py).
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gradwire.training import BLOCK, owned_range, tree_sum
from gradwire.workers.exchange import Exchange
from gradwire.workers.hierarchy import HostExchange
from gradwire.workers.in_process import InProcessNetwork
from gradwire.workers.tree import Forest, add_into_left

PER_HOST = 8


class Counted:
    """A transport that counts what it sends, by destination."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.messages: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def send(self, dest: int, tag: int, buffers: Any) -> None:
        self.messages[dest] += 1
        self.bytes[dest] += sum(memoryview(b).nbytes for b in buffers)
        self._transport.send(dest, tag, buffers)


def step(world: int, leaves: int, by_host: bool) -> tuple[float, float, float, float]:
    """Messages and vectors that the busiest rank sends; messages and vectors that the busiest host sends to others."""
    size = world * BLOCK
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(size, np.float32) for _ in range(leaves)]
    hosts = [str(rank // PER_HOST) for rank in range(world)]
    bounds = [
        (p.start * BLOCK, p.stop * BLOCK)
        for p in (owned_range(r, world, size // BLOCK) for r in range(world))
    ]

    def body(transport: Any) -> tuple[bytes, Counted]:
        counted = Counted(transport)
        plain = Exchange(counted, leaves)  # type: ignore[arg-type]
        exchange = HostExchange(plain, hosts) if by_host else plain
        forest: Forest[Any] = Forest(add_into_left)
        for v in plain.owned_leaves:
            forest.push_leaf(v, values[v].copy())
        part, _ = exchange.reduce_scatter(forest.nodes, bounds, np.dtype(np.float32))
        out = np.empty(size, np.float32)
        exchange.all_gather(part, bounds, out)
        return out.tobytes(), counted

    ranks = InProcessNetwork().form(world, deadline_s=300.0)
    with ThreadPoolExecutor(world) as pool:
        found = list(pool.map(body, ranks))
    expected = tree_sum([v.copy() for v in values]).tobytes()
    if any(out != expected for out, _ in found):
        raise SystemExit(f"{world} ranks: other bits than the plain recursion")
    vector = size * 4
    away: Counter[str] = Counter()
    away_bytes: Counter[str] = Counter()
    for rank, (_, counted) in enumerate(found):
        for dest in counted.messages:
            if hosts[dest] != hosts[rank]:
                away[hosts[rank]] += counted.messages[dest]
                away_bytes[hosts[rank]] += counted.bytes[dest]
    return (
        max(c.messages.total() for _, c in found),
        max(c.bytes.total() for _, c in found) / vector,
        max(away.values(), default=0),
        max(away_bytes.values(), default=0) / vector,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=256)
    most = parser.parse_args().most
    print(
        "| ranks | leaves | messages a rank | vectors a rank | a ring's | between hosts: messages | vectors | by collectors: messages | vectors |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    began = time.perf_counter()
    for world in (2, 4, 8, 16, 32, 64, 128, 256):
        if world > most:
            break
        for leaves in sorted({max(8, world), 2 * max(8, world)}):
            plain = step(world, leaves, False)
            ring = 2 * (world - 1) / world
            text = f"| {world} | {leaves} | {plain[0]} | {plain[1]:.2f} | {ring:.2f} |"
            if world > PER_HOST:
                collected = step(world, leaves, True)
                text += f" {plain[2]} | {plain[3]:.2f} | {collected[2]} | {collected[3]:.2f} |"
            else:
                text += " | | | |"
            print(text, flush=True)
    print(f"\nall bits are those of the plain recursion ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
