"""Each RPC, called by the real client over a real socket that breaks at the worst moment: it comes to the one right answer."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nursery import Nursery

from gradwire.services.client import Client

from .cases import CASES, PENDING, Bench, methods
from .relay import Loss, Relay

READS = (Loss.request, Loss.reply, Loss.reply_while_working)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    nursery = Nursery(tmp_path_factory.mktemp("lost") / "home")
    try:
        with Client(nursery.start().address) as client:
            yield Bench.of(nursery.home, client)
    finally:
        nursery.close()


@pytest.fixture(scope="module")
def relay(bench: Bench) -> Iterator[Relay]:
    with Relay(bench.client.address) as relay:
        yield relay


class StoreHeld:
    """Holds the store's file, so that what the service is about to write is neither written nor answered until it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._store = sqlite3.connect(self._path, isolation_level=None)
        self._store.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._store.execute("ROLLBACK")
        self._store.close()


def call_through(relay: Relay, name: str, prepared: Any, loss: Loss, held: Path | None) -> Any:
    """The answer that a client gets whose call suffers this loss."""
    case = CASES[name]
    answers: list[Any] = []
    with Client(relay.address, retry_for_s=20) as client:
        thread = threading.Thread(target=lambda: answers.append(case.call(client, prepared)))
        relay.lose(loss, case.pass_calls, case.replies)
        if held is None:
            thread.start()
            assert relay.lost.wait(20), "nothing was lost: the relay saw no such call"
        else:
            with StoreHeld(held):
                thread.start()
                assert relay.again.wait(20), "the client did not try again while the service worked"
        thread.join(40)
        assert not thread.is_alive(), "the client never came to an answer"
    assert len(answers) == 1, "the client's call failed"
    return answers[0]


def test_every_rpc_has_a_case() -> None:
    assert CASES.keys() | PENDING == methods().keys()
    assert not CASES.keys() & PENDING


@pytest.mark.parametrize(
    ("name", "loss"),
    [(name, loss) for name, case in CASES.items() for loss in (Loss if case.changes else READS)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_call_whose_messages_are_lost_has_the_one_right_answer(
    bench: Bench, relay: Relay, name: str, loss: Loss
) -> None:
    case = CASES[name]
    prepared = case.prepare(bench)
    # With the store held the service still works at the first call when the second comes.
    works = loss in (Loss.reply_while_working, Loss.link_while_working)
    held = bench.home / "jobs.db" if works and case.changes else None
    answer = call_through(relay, name, prepared, loss, held)
    assert case.call(bench.client, prepared) == answer
    case.check(bench, prepared, answer)
