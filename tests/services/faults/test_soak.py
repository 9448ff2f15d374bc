"""A service under jobs, watchers and kills for a while: neither memory, descriptors, threads nor rows grow. `make soak` for five minutes."""

import os
import signal
import sqlite3
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nursery import Nursery, Server
from serving_harness import code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.states import JobState

BATCH = 3
WATCHERS = 3
MEMORY_BYTES = 24 * 1024 * 1024
"""Growth of a service's memory while it serves: what allocators and caches keep of hundreds of jobs."""
SPARE = 6
"""Descriptors and threads: connections and readers are opened when they are first needed."""
POOL = 16
"""Connections to the store at most, each with two files, which the pool opens as more readers meet."""


@dataclass(frozen=True)
class Size:
    """What a service's process holds; descriptors but for those of the store's pool."""

    memory: int
    descriptors: int
    threads: int

    @classmethod
    def of(cls, server: Server) -> "Size":
        proc = Path(f"/proc/{server.pid}")
        memory = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        files = []
        for each in (proc / "fd").iterdir():
            with suppress(FileNotFoundError):
                files.append(os.readlink(each))
        of_store = sum("jobs.db" in name for name in files)
        assert of_store <= 2 * POOL + 1
        return cls(memory, len(files) - of_store, len(list((proc / "task").iterdir())))

    @classmethod
    def settled(cls, server: Server, before: "Size") -> "Size":
        """What it holds when no more than before; a watch that has ended gives its place back a moment later."""
        wait_until(lambda: cls.of(server).descriptors <= before.descriptors + SPARE, 20, "few descriptors")
        return cls.of(server)


@dataclass
class Batch:
    """A few jobs, each watched by some, the first cancelled on its way."""

    client: Client
    jobs: list[RemoteJob] = field(default_factory=list)
    seen: list[list[int]] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> "Batch":
        for _ in range(BATCH):
            job = self.client.submit(code(), overrides={"steps": "8", "step_s": "0.01", "lines": "5"})
            self.jobs.append(job)
            for _ in range(WATCHERS):
                self._watch(job)
        self.jobs[0].cancel()
        return self

    def _watch(self, job: RemoteJob) -> None:
        numbers: list[int] = []
        self.seen.append(numbers)
        thread = threading.Thread(target=lambda: numbers.extend(each.number for each in job.watch()))
        self.threads.append(thread)
        thread.start()

    def finish(self) -> list[r.Job]:
        """Waits for all, and holds what each watcher saw against the job."""
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a watch did not end"
        ended = [job.get() for job in self.jobs]
        for k, job in enumerate(ended):
            assert job.state == (JobState.CANCELLED if k == 0 else JobState.SUCCEEDED)
            for numbers in self.seen[k * WATCHERS : (k + 1) * WATCHERS]:
                assert numbers == list(range(1, job.last_event + 1))
        return ended


def rows(home: Path) -> dict[str, int]:
    """How many rows each table of the store has."""
    store = sqlite3.connect(home / "jobs.db")
    try:
        names = [row[0] for row in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: store.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}
    finally:
        store.close()


def soak(nursery: Nursery, lives: int, life_s: float) -> None:
    ended: list[r.Job] = []
    fewest: dict[str, int] = {}
    server = nursery.start()
    with Client(server.address, retry_for_s=60) as client:
        for life in range(lives):
            # First, so that threads and connections that are made when they are needed are there.
            ended += Batch(client).start().finish()
            before, end = Size.of(server), time.monotonic() + life_s
            while time.monotonic() < end:
                ended += Batch(client).start().finish()
            after = Size.settled(server, before)
            assert after.threads <= before.threads + SPARE
            assert after.memory - before.memory < MEMORY_BYTES
            flying = Batch(client).start()
            how = (signal.SIGKILL, signal.SIGTERM)[life % 2]
            assert server.end(how) == (-9 if how == signal.SIGKILL else 0)
            server = nursery.start()
            ended += flying.finish()
            fewest = fewest or rows(nursery.home)
        found = rows(nursery.home)
    # One of each for a job, its events, and nothing that nobody asked for.
    assert found["jobs"] == found["requests"] == len(ended) == len({job.id for job in ended})
    assert found["events"] == sum(job.last_event for job in ended)
    assert found["code"] == 1
    grown = {name for name, count in found.items() if count > fewest[name]}
    assert grown <= {"jobs", "requests", "events", "audit", "accounts"}
    # An owner's account is made when its use is first kept.
    assert found["accounts"] <= 1


def test_a_service_serves_for_a_while_and_does_not_grow(nursery: Nursery) -> None:
    soak(nursery, lives=2, life_s=2.0)


@pytest.mark.long
def test_a_service_serves_for_five_minutes_and_does_not_grow(nursery: Nursery) -> None:
    soak(nursery, lives=5, life_s=55.0)
