"""A service that asks for tokens."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_harness import scripted

from gradwire.services.security.exposure import Protection
from gradwire.services.service import Address, Service


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Service]:
    """On loopback, without TLS."""
    running = Service(
        tmp_path / "home", scripted, Address("127.0.0.1", 0), protection=Protection(require_token=True)
    )
    running.start()
    yield running
    for job in list(running._store.unfinished()):
        running._store.request_cancel(job.id).result()
    running.stop()
