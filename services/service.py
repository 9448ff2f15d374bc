"""The whole service in one object: home, store, runner, front end. Used by the command line and by tests.

It runs its asyncio loop in a thread of its own, so that the main thread is free for signals and, in
`gradwire train`, for the client.
"""

import asyncio
import base64
import logging
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from sqlalchemy import URL

from gradwire.proto.v1 import (
    accounts_pb2,
    accounts_pb2_grpc,
    blobs_pb2,
    blobs_pb2_grpc,
    jobs_pb2,
    jobs_pb2_grpc,
)
from gradwire.services.accounts import Accounts, check_storage
from gradwire.services.address import Address as Address
from gradwire.services.address import AddressError as AddressError
from gradwire.services.blobs.keeping import LIMIT_BYTES, Blobs
from gradwire.services.data_rules import DataRules
from gradwire.services.faces.accounts import AccountsFace
from gradwire.services.faces.blobs import BlobsFace
from gradwire.services.faces.calls import Readers
from gradwire.services.faces.family import Parts
from gradwire.services.faces.guard import Guard
from gradwire.services.faces.jobs import JobsFace
from gradwire.services.feed import EventFeed
from gradwire.services.home import Home
from gradwire.services.inputs import Inputs
from gradwire.services.launcher import Launcher
from gradwire.services.leadership import LEASE_S, Leadership
from gradwire.services.monitoring.calls import Measured, watch_loop
from gradwire.services.monitoring.endpoint import Endpoint
from gradwire.services.monitoring.figures import Figures, Present, jobs_by_state
from gradwire.services.purging import Purger
from gradwire.services.records import JobSpec
from gradwire.services.runner import Runner
from gradwire.services.scheduling import Policy
from gradwire.services.security.exposure import Protection
from gradwire.services.security.gate import Gate, scopes_of_methods
from gradwire.services.security.limits import LIMITS, Kind, Limit, RateLimits
from gradwire.services.security.token_store import TokenStore
from gradwire.services.store import Change, Store
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits

log = logging.getLogger(__name__)
MESSAGE_BYTES = 4 * 1024 * 1024
WATCH_DRAIN_S = 2.0
STOP_GRACE_S = 1.0
LOOKERS = 2
SWITCH_INTERVAL_S = 0.001
RETENTION = timedelta(days=30)
_SERVICES = tuple(
    name.full_name
    for name in (
        accounts_pb2.DESCRIPTOR.services_by_name["Accounts"],
        jobs_pb2.DESCRIPTOR.services_by_name["Jobs"],
        blobs_pb2.DESCRIPTOR.services_by_name["Blobs"],
    )
)
_OPTIONS: list[tuple[str, Any]] = [
    # Without this a second service on the same port starts silently and takes half of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    # Below the client's 20 s: with an equal figure jitter alone ends connections with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC lets some of more than 1,000 calls that wait to be taken end as CANCELLED, without a word of why; the store says it
    # where it has too much to do.
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
]


def new_job_id(spec: JobSpec) -> str:
    """A new id: the job's name for people and 50 random bits, like digits-3fkx7q2mba."""
    name = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")[:24].rstrip("-") or "job"
    return f"{name}-{base64.b32encode(secrets.token_bytes(7)).decode().lower()[:10]}"


class Service:
    """A running service. `start` returns when it answers; `stop` when nothing of it is left."""

    def __init__(
        self,
        home: Path,
        launcher: Callable[[Home], Launcher],
        address: Address,
        new_id: Callable[[JobSpec], str] = new_job_id,
        protection: Protection | None = None,
        limits: Mapping[Kind, Limit] = LIMITS,
        retention: timedelta = RETENTION,
        data: DataRules | None = None,
        blob_bytes: int = LIMIT_BYTES,
        most: ProcessLimits = NO_LIMITS,
        store: URL | None = None,
        front_end: str = "",
        lease_s: float = LEASE_S,
        metrics: Address | None = None,
        policy: Policy | None = None,
    ) -> None:
        """`launcher` makes what runs the jobs, once the home is held. `new_id` names new jobs.

        `limits`: how fast each owner that has tokens may call. `retention`: how long deleted jobs can be undeleted.
        `data`: which URLs of data jobs may name. `blob_bytes`: what one blob may have. `most`: what a job may ask of limits for
        its workers. `store`: a PostgreSQL database instead of a file in the home; several front ends may share it, each with
        its own name (`front_end`), and the home; one that is gone schedules no longer after `lease_s` seconds. `policy`: the scheduler's settings. Raises
        AddressError where the address has not the protection that it needs. `metrics`: where to answer GET /metrics, behind the
        same protection.
        """
        if metrics is not None:
            (protection or Protection()).at(metrics)
        self._metrics_wanted = metrics
        self.metrics_address: Address | None = None
        self._endpoint: Endpoint | None = None
        self._blob_bytes, self._most = blob_bytes, most
        self._policy = policy
        self._limits, self._retention, self._data = RateLimits(limits), retention, data or DataRules()
        self.protection = (protection or Protection()).at(address)
        self._home_path, self._make_launcher, self._wanted, self._new_id = home, launcher, address, new_id
        self._url, self._lease_s = store, lease_s
        self._front_end = front_end or ("service" if store is not None else "")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="front-end", daemon=True)

    def start(self) -> Address:
        """Takes the home, opens the store, starts the launcher and the front end; returns where it listens.

        Raises HomeInUseError, AddressError, or what the launcher raises; then nothing is left behind.
        """
        # The writer gives up the interpreter at every statement and would wait 5 ms to have it back from a busy front
        # end: measured 780 durable submits/s with Python's 5 ms, 970 with 1 ms.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        undo: list[Callable[[], object]] = []
        try:
            self._home = Home(self._home_path, self._front_end)
            undo.append(self._home.close)
            self._store = Store(self._home.store if self._url is None else self._url)
            undo.append(self._store.close)
            self.tokens = TokenStore(self._store.engine)
            self._launcher = self._make_launcher(self._home)
            undo.append(self._launcher.close)
            self._leadership = Leadership(
                self._store,
                lambda store: Runner(store, self._home, self._launcher, self._policy),
                self._launcher.let_go,
                self._home.instance,
                self._home.before,
                self._lease_s,
            )
            undo.append(self._leadership.release)
            undo.append(self._leadership.stop)
            self._purger = Purger(self._store, self._home, self._leadership.keeps, lambda: datetime.now(UTC))
            self._readers = Readers()
            undo.append(self._readers.close)
            self._blobs = Blobs(self._store, self._home.blobs, self._blob_bytes, check_storage)
            undo.append(self._blobs.close)
            self._inputs = Inputs(self._home.blobs, self._blobs.usable)
            # Apart from the readers: an archive may take half a minute, reads must not wait for it.
            self._lookers = Readers(LOOKERS)
            undo.append(self._lookers.close)
            self._figures = Figures()
            if self._metrics_wanted is not None:
                self._store.listen(self._figures.take)
                self._store.writer.measure = self._figures.committed
            self._thread.start()
            undo.append(self._end_loop)
            self.address = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()
            undo.append(self._server_gone)
            if self._metrics_wanted is not None:
                self._endpoint = Endpoint(
                    self._metrics_wanted, self.protection, self._figures, self._gate.admit, self._loop
                )
                self.metrics_address = self._endpoint.address
            self._home.say(f"pid {os.getpid()}, at {self.address}")
            self._home.describe(
                {
                    "address": str(self.address),
                    "metrics": None if self.metrics_address is None else str(self.metrics_address),
                    "tls": self.protection.tls is not None,
                    "store": "SQLite" if self._url is None else "PostgreSQL",
                    "worker_limits": asdict(self._most),
                }
            )
        except BaseException:
            for step in reversed(undo):
                step()
            raise
        return self.address

    def stop(self) -> None:
        """Drains and stops: no new jobs, watchers told where to go on, all changes written, workers ended.

        Jobs that were running stay so in the store and go on when a service is started on this home again.
        """
        asyncio.run_coroutine_threadsafe(self._drain(), self._loop).result()
        if self._endpoint is not None:
            self._endpoint.close()
        self._leadership.stop()
        self._purger.stop()
        self._blobs.close()
        self._launcher.close()
        self._leadership.release()
        self._store.close()
        asyncio.run_coroutine_threadsafe(self._server.stop(STOP_GRACE_S), self._loop).result()
        self._blobs_face.close()
        self._lookers.close()
        self._readers.close()
        self._end_loop()
        self._home.close()

    async def _serve(self) -> Address:
        self._feed = EventFeed(lambda job_id, after: self._readers.run(self._store.events, job_id, after))
        self._store.listen(self._publish)
        parts = Parts(
            self._store,
            self._leadership,
            self._home,
            self._feed,
            self._readers,
            self._new_id,
            self._retention,
            self._inputs,
            self._lookers,
            self._data,
            self._most,
        )
        self._jobs = JobsFace(parts)
        gate = self._gate = Gate(
            lambda secret: self._readers.run(self.tokens.find, secret),
            self.protection.require_token,
            self._limits,
        )
        interceptors: list[grpc.aio.ServerInterceptor] = [gate, Guard()]
        if self._metrics_wanted is not None:
            # First, so that refused calls count as well.
            interceptors.insert(0, Measured(self._figures, frozenset(scopes_of_methods())))
        self._server = grpc.aio.server(
            interceptors=interceptors,
            options=_OPTIONS,
        )
        jobs_pb2_grpc.add_JobsServicer_to_server(self._jobs, self._server)  # type: ignore[no-untyped-call]
        self._blobs_face = BlobsFace(self._store, self._home, self._readers, self._blobs)
        blobs_pb2_grpc.add_BlobsServicer_to_server(self._blobs_face, self._server)  # type: ignore[no-untyped-call]
        accounts = AccountsFace(
            Accounts(self._store.engine), lambda: self._leadership.runner.ledger, self._readers
        )
        accounts_pb2_grpc.add_AccountsServicer_to_server(accounts, self._server)  # type: ignore[no-untyped-call]
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for name in ("", *_SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        names = (*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        credentials = self.protection.credentials()
        try:
            if credentials is None:
                port = self._server.add_insecure_port(str(self._wanted))
            else:
                port = self._server.add_secure_port(str(self._wanted), credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise AddressError(
                f"can't listen at {self._wanted}: is the port in use, or the address not this machine's? "
                "Name another with --address (port 0 takes a free one)"
            )
        # The jobs that were there stand in line before those that come.
        address = Address(self._wanted.host, port)
        self._leadership.start(str(address))
        self._purger.start()
        self._blobs.start()
        await self._server.start()
        self._figures.look(
            Present(
                lambda: jobs_by_state(self._store.engine),
                lambda: self._feed.watchers,
                lambda: self._store.writer.waiting,
            )
        )
        self._lag = asyncio.get_running_loop().create_task(watch_loop(self._figures))
        return address

    def _server_gone(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(0), self._loop).result()

    def _publish(self, changes: Sequence[Change]) -> None:
        self._loop.call_soon_threadsafe(self._feed.publish, changes)

    async def _drain(self) -> None:
        self._lag.cancel()
        await self._health.enter_graceful_shutdown()
        self._jobs.drain()
        self._blobs_face.drain()
        await self._feed.drain(WATCH_DRAIN_S)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
