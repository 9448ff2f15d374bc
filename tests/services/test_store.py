"""The job store, on a real file and on a real PostgreSQL server: the same promises on both."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from serving_harness import spec

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import records as r
from gradwire.services.connections import Where, open_engine, transaction
from gradwire.services.errors import (
    CursorAheadError,
    InvalidRequestError,
    JobNotFoundError,
    RequestReusedError,
)
from gradwire.services.lease import Lease, LeaseHolder, lease_holder
from gradwire.services.listing.pages import Query
from gradwire.services.states import IllegalMoveError, JobState
from gradwire.services.store import Change, NewJob, StaleAttemptError, StaleLeaseError, Store
from gradwire.workers import reports as w


@pytest.fixture
def store(where: Where) -> Iterator[Store]:
    opened = Store(where)
    yield opened
    opened.close()


def test_what_was_answered_is_there_after_opening_again(where: Where) -> None:
    first = Store(where)
    job = replace(spec("x", lr="0.1"), labels={"team": "a"}, priority=3)
    first.submit(NewJob("a", job)).result()
    first.begin_attempt("a", "room", 8).result()
    first.take_reports(
        "a", 1, 1, [(1, w.Started(4, 2)), (2, w.StepFinished(1, 1, {"loss": float("inf")}, 8, 0.5))]
    ).result()
    expected, events = first.get("a"), first.events("a", 0)
    first.close()
    second = Store(where)
    assert second.get("a") == expected
    assert second.events("a", 0) == events
    assert second.code("a") == job.code
    assert expected.metrics == {"loss": float("inf")}
    assert replace(expected.spec, code=job.code) == job
    second.close()


def test_a_request_id_names_one_job_however_many_race(store: Store) -> None:
    answers: list[Change] = []

    def submit(k: int) -> None:
        answers.append(store.submit(NewJob(f"j{k}", spec(), "request")).result())

    threads = [threading.Thread(target=submit, args=(k,)) for k in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.job.id for answer in answers}) == 1
    assert sum(bool(answer.events) for answer in answers) == 1
    assert len(store.page(Query(50)).jobs) == 1


def test_a_request_id_with_another_spec_is_refused(store: Store) -> None:
    store.submit(NewJob("a", spec(lr="1"), "request")).result()
    with pytest.raises(RequestReusedError, match="for job a with another spec"):
        store.submit(NewJob("b", spec(lr="2"), "request")).result()
    assert [job.id for job in store.page(Query(50)).jobs] == ["a"]


def test_a_change_that_fails_undoes_itself_and_not_its_neighbours(store: Store) -> None:
    futures = [store.submit(NewJob("same" if k % 3 == 0 else f"j{k}", spec())) for k in range(12)]
    failed = [k for k, future in enumerate(futures) if future.exception() is not None]
    assert failed == [3, 6, 9]
    assert len(store.page(Query(50)).jobs) == 9


def test_a_change_that_fails_when_it_has_written_leaves_nothing(store: Store) -> None:
    def own_code(k: int) -> r.JobSpec:
        return replace(spec(), code=r.Code("job.py", (r.SourceFile("job.py", b"# %d" % k),)))

    futures = [store.submit(NewJob("same" if k % 3 == 0 else f"j{k}", own_code(k))) for k in range(12)]
    assert [k for k, future in enumerate(futures) if future.exception() is not None] == [3, 6, 9]
    assert len(store.page(Query(50)).jobs) == 9
    assert store.code("same") == own_code(0).code
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM code").scalar() == 9
    assert [event.number for event in store.events("j10", 0)[0]] == [1]


def test_pages_do_not_move_while_jobs_are_added(store: Store) -> None:
    for k in range(7):
        store.submit(NewJob(f"j{k}", spec())).result()
    first = store.page(Query(3))
    store.submit(NewJob("new", spec())).result()
    second = store.page(Query(3, first.next_token))
    third = store.page(Query(3, second.next_token))
    assert [job.id for page in (first, second, third) for job in page.jobs] == [
        f"j{k}" for k in range(6, -1, -1)
    ]
    assert third.next_token == ""


@pytest.mark.parametrize("token", ["x", "W10", "é", "W251bGwsIFtdXQ"])
def test_a_page_token_that_is_none_is_refused(store: Store, token: str) -> None:
    with pytest.raises(InvalidRequestError, match="page_token"):
        store.page(Query(3, token))


def test_a_page_token_of_other_states_is_refused(store: Store) -> None:
    for k in range(3):
        store.submit(NewJob(f"j{k}", spec())).result()
    token = store.page(Query(1, "", (JobState.QUEUED,))).next_token
    with pytest.raises(InvalidRequestError):
        store.page(Query(1, token, (JobState.FAILED,)))


def test_cancelling_is_idempotent_and_ends_a_waiting_job_at_once(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    first = store.request_cancel("a").result()
    assert first.job.state == JobState.CANCELLED
    assert store.request_cancel("a").result() == Change(first.job, ())


def test_a_running_job_is_marked_and_not_ended_by_a_cancellation(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    store.begin_attempt("a", "room", 8).result()
    job = store.request_cancel("a").result().job
    assert (job.state, job.cancel_requested) == (JobState.STARTING, True)


def test_reports_of_an_older_attempt_are_refused(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    store.begin_attempt("a", "room", 8).result()
    store.lose_attempt("a", 1, "killed").result()
    store.begin_attempt("a", "again", 8).result()
    with pytest.raises(StaleAttemptError):
        store.take_reports("a", 1, 1, [(1, w.Finished("x", "y"))]).result()
    assert store.get("a").state == JobState.RECOVERING


def test_no_change_goes_round_the_table_of_moves(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    ended = store.request_cancel("a").result().job
    for state in JobState:
        for change in (
            lambda history, state=state: history.move(state, "anew"),
            lambda history, state=state: history.set(state=state),
        ):
            if state != JobState.CANCELLED or change.__code__.co_names == ("move",):
                with pytest.raises(IllegalMoveError, match="from CANCELLED to"):
                    store._change("a", change).result()
    assert store.get("a") == ended
    assert store.events("a", 0)[0][-1].number == ended.last_event


def test_event_numbers_have_no_gaps_and_the_listener_sees_them_in_order(store: Store) -> None:
    heard: list[int] = []
    store.listen(lambda changes: heard.extend(e.number for c in changes for e in c.events))
    store.submit(NewJob("a", spec())).result()
    store.begin_attempt("a", "room", 8).result()
    futures = [store.take_reports("a", 1, 1, [(k, w.LogLine(0, "stdout", str(k)))]) for k in range(1, 200)]
    for future in futures:
        future.result()
    deadline = time.monotonic() + 30
    while len(heard) < 201 and time.monotonic() < deadline:
        time.sleep(
            0.01
        )  # the listener of a store that others write too hears of a commit a moment after its answer
    numbers = []
    after, ended = 0, False
    while found := store.events("a", after, 50)[0]:
        numbers += [event.number for event in found]
        after = numbers[-1]
    assert numbers == heard == list(range(1, 202))
    assert not ended
    assert pb.Event.FromString(store.events("a", 200)[0][0].body).log_line.text == "199"


def test_events_end_with_the_terminal_state(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    assert store.events("a", 1) == ([], False)
    store.request_cancel("a").result()
    assert store.events("a", 0)[1]
    assert store.events("a", 0, 1)[1] is False
    assert store.events("a", 2) == ([], True)


def test_unknown_jobs_and_cursors_are_named(store: Store) -> None:
    store.submit(NewJob("a", spec())).result()
    with pytest.raises(JobNotFoundError, match="no job 'b'"):
        store.get("b")
    with pytest.raises(JobNotFoundError):
        store.request_cancel("b").result()
    with pytest.raises(CursorAheadError, match="has 1 events, none after number 9"):
        store.events("a", 9)


def test_a_store_of_a_newer_version_is_refused(where: Where) -> None:
    Store(where).close()
    engine = open_engine(where)
    with transaction(engine) as connection:
        connection.exec_driver_sql("update store_version set version = 99")
    engine.dispose()
    with pytest.raises(RuntimeError, match="version 99"):
        Store(where)


def test_equal_code_is_kept_once(store: Store) -> None:
    big = r.Code("job.py", (r.SourceFile("job.py", b"#" * 500_000),))
    for k in range(20):
        store.submit(NewJob(f"j{k}", replace(spec(), code=big))).result()
    with store.engine.connect() as connection:
        sizes = connection.exec_driver_sql("SELECT length(body) FROM code").scalars().all()
    assert len(sizes) == 1
    assert sizes[0] > 500_000


def test_the_writes_of_a_scheduler_are_refused_once_another_has_the_lease(store: Store) -> None:
    mine, other = Lease(store.engine, "a", "at a", 600), Lease(store.engine, "b", "at b", 600)
    token = mine.take()
    assert token is not None
    assert other.take() is None
    assert lease_holder(store.engine) == LeaseHolder("a", "at a", token)
    view = store.under(token)
    for name in ("a", "b"):
        store.submit(NewJob(name, spec())).result()
        view.begin_attempt(name, "room", 8).result()
    later = other.take(dead="a")
    assert later == token + 1
    assert not mine.renew(token)
    before = store.get("a"), store.events("a", 0)
    started = [(1, w.Started(4, 2))]
    writes = [
        lambda s: s.take_reports("a", 1, 1, started),
        lambda s: s.lose_attempt("a", 1, "gone"),
        lambda s: s.begin_attempt("a", "again", 8),
        lambda s: s.end("a", 1, JobState.FAILED, "why"),
        # One that would change nothing is told as well.
        lambda s: s.take_reports("a", 1, 0, []),
    ]
    for write in writes:
        with pytest.raises(StaleLeaseError, match=f"lease {token} of the scheduler"):
            write(view).result()
    assert (store.get("a"), store.events("a", 0)) == before
    # Owners' requests need no lease, and the new holder's writes pass.
    assert store.request_cancel("a").result().job.cancel_requested
    assert store.under(later).take_reports("b", 1, 1, started).result().job.state == JobState.RUNNING
    other.release(later)
    assert lease_holder(store.engine) is None
    assert mine.take() == later + 1


def test_a_lease_ends_by_the_clock_of_the_database(store: Store) -> None:
    short, other = Lease(store.engine, "a", "", 0.3), Lease(store.engine, "b", "", 600)
    token = short.take()
    assert token is not None
    assert other.take() is None
    assert short.renew(token)
    deadline = time.monotonic() + 30
    while (later := other.take()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert later == token + 1
    assert not short.renew(token)
