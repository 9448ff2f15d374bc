"""kill -9 of a real service at every place where SubmitJob hands over or waits: N request ids are N jobs, one answer each."""

import random
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from nursery import Nursery
from serving_harness import code
from sqlalchemy import URL

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import kill_points, messages
from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.client.connection import Call
from gradwire.services.connections import Where, open_engine

SUBMITTERS = 4
KILLS = [(point, count) for count in (1, 3) for point in kill_points.POINTS]
LONG_KILLS = 3000


def request_of(request_id: str) -> pb.SubmitJobRequest:
    # It never leaves the queue: another job has all workers.
    spec = r.JobSpec("queued", code(f"# {request_id}\n"), workers=8)
    return pb.SubmitJobRequest(spec=messages.spec_to_message(spec), request_id=request_id)


def submit(client: Client, request_id: str) -> bytes:
    """The whole answer, but for why it waits, which is news and not part of the job."""
    job = client._call(Call("jobs", "SubmitJob", request_of(request_id), lambda answer: answer.job))
    job.ClearField("waiting_reason")
    return bytes(job.SerializeToString(deterministic=True))


def submit_under_kills(nursery: Nursery, kills: Sequence[tuple[str, int]]) -> dict[str, bytes]:
    """Submits without a pause while the service is killed at each of these places; the answer of each request id."""
    done = threading.Event()
    answers: dict[str, bytes] = {}
    wrong: list[str] = []
    address = nursery.start().address

    def submitting(seed: int) -> None:
        order = random.Random(seed)
        with Client(address, retry_for_s=60) as client:
            while not done.is_set():
                request_id = str(uuid.UUID(int=order.getrandbits(128), version=4))
                answers[request_id] = submit(client, request_id)
                if order.random() < 0.3 and submit(client, request_id) != answers[request_id]:
                    wrong.append(request_id)

    with Client(address, retry_for_s=60) as client:
        client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
        assert nursery.server is not None
        nursery.server.process.kill()
        threads = [threading.Thread(target=submitting, args=(seed,)) for seed in range(SUBMITTERS)]
        for thread in threads:
            thread.start()
        for kill in kills:
            nursery.server.wait()
            nursery.start([kill])
        assert nursery.server.wait() == -9
        nursery.start()
        done.set()
        for thread in threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in threads), "a submit was never answered"
        assert wrong == []
        repeated = {request_id: submit(client, request_id) for request_id in answers}
    assert repeated == answers
    return answers


def check_store(where: Where, answers: dict[str, bytes]) -> None:
    """What lies in the store is what was answered: one job, one queued event, one line of the audit log for each request id."""
    ids = {request_id: pb.Job.FromString(answer).id for request_id, answer in answers.items()}
    engine = open_engine(where)
    with engine.connect() as store:
        if isinstance(where, Path):
            assert store.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
        rows = store.exec_driver_sql(
            "SELECT requests.request_id, jobs.id, count(events.number) FROM requests JOIN jobs ON jobs.sequence = requests.job "
            "JOIN events ON events.job = jobs.sequence GROUP BY requests.request_id, jobs.id"
        ).all()
        jobs = store.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one()
        audited = (
            store.exec_driver_sql("SELECT subject FROM audit WHERE action = 'SubmitJob'").scalars().all()
        )
    engine.dispose()
    stored = {request_id: job for request_id, job, _ in rows if request_id in ids}
    assert stored == ids
    assert jobs == len(ids) + 1
    assert {events for request_id, _, events in rows if request_id in ids} == {1}
    assert len(audited) == len(set(audited)) == jobs


def test_a_service_killed_at_every_place_of_a_submit_has_each_job_once(nursery: Nursery) -> None:
    answers = submit_under_kills(nursery, KILLS)
    assert len(answers) > SUBMITTERS
    check_store(nursery.home / "jobs.db", answers)


@pytest.fixture
def on_postgresql(tmp_path: Path, database: URL) -> Iterator[Nursery]:
    """Starts services one after the other on one home and one database."""
    opened = Nursery(tmp_path / "home", store=database)
    yield opened
    opened.close()


def test_a_service_on_postgresql_killed_at_every_place_of_a_submit_has_each_job_once(
    on_postgresql: Nursery, database: URL
) -> None:
    answers = submit_under_kills(on_postgresql, [(point, 5) for point in kill_points.POINTS])
    assert len(answers) > SUBMITTERS
    check_store(database, answers)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_kills_at_random_places_of_submits(nursery: Nursery, seed: int) -> None:
    order = random.Random(seed)
    kills = [(order.choice(kill_points.POINTS), order.randint(1, 12)) for _ in range(LONG_KILLS // 4)]
    check_store(nursery.home / "jobs.db", submit_under_kills(nursery, kills))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2))
def test_thousands_of_kills_on_postgresql_at_random_places_of_submits(
    on_postgresql: Nursery, database: URL, seed: int
) -> None:
    order = random.Random(seed)
    kills = [(order.choice(kill_points.POINTS), order.randint(1, 12)) for _ in range(LONG_KILLS // 4)]
    check_store(database, submit_under_kills(on_postgresql, kills))
