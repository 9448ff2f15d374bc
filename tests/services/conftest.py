"""A real service for tests: real gRPC on loopback, real SQLite, real processes that run small scripted jobs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nursery import Nursery
from postgresql_server import Server, UnavailableError
from serving_harness import ServerProcess, end_jobs, scripted
from sqlalchemy import URL

from gradwire.services.client import Client
from gradwire.services.connections import Where
from gradwire.services.security.exposure import Protection
from gradwire.services.service import Address, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A service on a free port."""
    running = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0))
    running.start()
    yield running
    for job in list(running._store.unfinished()):
        running._store.request_cancel(job.id).result()
    running.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    """A service that asks for tokens, on loopback without TLS."""
    running = Service(
        tmp_path / "home", scripted, Address("127.0.0.1", 0), protection=Protection(require_token=True)
    )
    running.start()
    yield running
    for job in list(running._store.unfinished()):
        running._store.request_cancel(job.id).result()
    running.stop()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    """A client of that service."""
    with Client(str(service.address)) as connected:
        yield connected


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Starts services in processes on one home; what is left of them and of their jobs is ended."""
    started: list[ServerProcess] = []

    def start(port: int = 0, training: bool = False) -> ServerProcess:
        started.append(ServerProcess(tmp_path / "home", port, training))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()
    end_jobs(tmp_path / "home")


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """Starts services one after the other on one home and port."""
    opened = Nursery(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server for the whole session."""
    try:
        server = Server()
    except UnavailableError as error:
        pytest.skip(f"PostgreSQL can't be had here: {error}")
    yield server
    server.close()


@pytest.fixture
def database(postgresql: Server) -> Iterator[URL]:
    """A database of its own on PostgreSQL, with the tables of a new store."""
    url = postgresql.new()
    yield url
    postgresql.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """A store's place, for tests that hold on both kinds of database."""
    if request.param == "sqlite":
        return tmp_path / "jobs.db"
    url: URL = request.getfixturevalue("database")
    return url
