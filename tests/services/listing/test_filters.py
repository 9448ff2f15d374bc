"""ListJobs' filter beside a model of it in Python, on a real store; what it says of filters that are none."""

import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_harness import spec
from sqlalchemy import update

from gradwire.services import records as r
from gradwire.services import schema
from gradwire.services.connections import Where
from gradwire.services.errors import InvalidRequestError
from gradwire.services.listing.language import parse
from gradwire.services.listing.pages import Query
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["digits", "Digits", "a b", "it's", "x_%", "é", 'say "hi"']
VALUES = ["vision", "text", "", "a b", "*", "AND"]
KEYS = ["team", "a.b/c-d", "x"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[r.Job]]]:
    """A store of some jobs that differ in everything that filters see."""
    times = iter(BEGAN + timedelta(minutes=k) for k in range(10_000))
    store = Store(tmp_path_factory.mktemp("filters") / "jobs.db", lambda: next(times))
    for k in range(24):
        labels = {key: VALUES[(k * (i + 3)) % len(VALUES)] for i, key in enumerate(KEYS) if (k >> i) % 2}
        wanted = replace(spec(NAMES[k % len(NAMES)]), labels=labels, priority=k % 5 - 2)
        by = Caller(("ann", "bob")[k % 2], Scope.SUBMIT)
        store.submit(NewJob(f"job-{k}", wanted, by=by)).result()
        if k % 3 == 0:
            store.request_cancel(f"job-{k}").result()
        # Steps and workers come of training; here they are made up.
        row = update(schema.jobs).where(schema.jobs.c.id == f"job-{k}").values(step=k * k, workers=k % 4)
        store.write(lambda connection, row=row: connection.execute(row)).result()
    yield store, list(store.page(Query(1000)).jobs)
    store.close()


COMPARE: dict[str, Callable[[object, object], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Model = Callable[[r.Job], bool]
Filter = tuple[str, Model]
"""A filter's text, and what it is to mean."""


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def holds(get: Callable[[r.Job], object], sign: str, value: object) -> Model:
    if sign == "!=":
        return lambda job: get(job) != value
    return lambda job: get(job) is not None and bool(COMPARE[sign](get(job), value))


TEXTS: dict[str, Callable[[r.Job], str]] = {
    "id": lambda job: job.id,
    "name": lambda job: job.spec.name,
    "owner": lambda job: job.owner,
    "device": lambda job: job.spec.device,
}
NUMBERS: dict[str, Callable[[r.Job], int]] = {
    "priority": lambda job: job.spec.priority,
    "workers": lambda job: job.workers,
    "step": lambda job: job.step,
}
TIMES: dict[str, Callable[[r.Job], datetime | None]] = {
    "create_time": lambda job: job.create_time,
    "end_time": lambda job: job.end_time,
}


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    kind = draw(st.sampled_from(["text", "number", "time", "state", "label", "set"]))
    space = draw(st.sampled_from(["", " "]))

    def written(field: str, sign: str, value: str) -> str:
        return f"{field}{space}{sign}{space}{value}"

    if kind == "text":
        field = draw(st.sampled_from(sorted(TEXTS)))
        sign = draw(st.sampled_from(["=", "!=", ":"]))
        value = draw(st.sampled_from([*NAMES, "job-3", "ann", "cpu", "i", "_", ""]))
        if sign == ":":
            return written(field, sign, quoted(value)), lambda job: value in TEXTS[field](job)
        return written(field, sign, quoted(value)), holds(TEXTS[field], sign, value)
    if kind == "number":
        field = draw(st.sampled_from(sorted(NUMBERS)))
        sign = draw(st.sampled_from([*COMPARE, "!="]))
        number = draw(st.integers(-3, 30) | st.just(10**18 - 1))
        return written(field, sign, str(number)), holds(NUMBERS[field], sign, number)
    if kind == "time":
        field = draw(st.sampled_from(sorted(TIMES)))
        sign = draw(st.sampled_from([*COMPARE, "!="]))
        time = BEGAN + timedelta(minutes=draw(st.integers(-1, 40)))
        text = draw(
            st.sampled_from([f"{time:%Y-%m-%dT%H:%M:%SZ}", quoted(f"{time:%Y-%m-%dT%H:%M:%S.000}+00:00")])
        )
        return written(field, sign, text), holds(TIMES[field], sign, time)
    if kind == "state":
        state = draw(st.sampled_from([JobState.QUEUED, JobState.CANCELLED, JobState.FAILED]))
        sign = draw(st.sampled_from(["=", "!=", ":"]))
        prefix = draw(st.sampled_from(["", "JOB_STATE_"]))
        return written("state", sign, prefix + state.name), lambda job: (job.state == state) != (sign == "!=")
    if kind == "set":
        key = draw(st.sampled_from([*KEYS, "none"]))
        return draw(
            st.sampled_from(
                [
                    ("end_time:*", lambda job: job.end_time is not None),
                    (f"labels:{key}", lambda job: key in job.spec.labels),
                    (f"labels.{quoted(key)}:*", lambda job: key in job.spec.labels),
                ]
            )
        )
    key, value = draw(st.sampled_from([*KEYS, "none"])), draw(st.sampled_from(VALUES))
    sign = draw(st.sampled_from(["=", "!=", ":"]))
    name = draw(st.sampled_from([key, quoted(key)]))
    return (
        written(f"labels.{name}", sign, quoted(value)),
        lambda job: (job.spec.labels.get(key) == value) != (sign == "!="),
    )


def joined(parts: list[Filter], word: str) -> Filter:
    of = all if word != " OR " else any
    return word.join(text for text, _ in parts), lambda job: of(model(job) for _, model in parts)


def negated(part: Filter, how: str) -> Filter:
    return f"{how}({part[0]})", lambda job: not part[1](job)


def grown(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    """Filters made of others; every part in parentheses, so that the model need not know what binds closer."""
    boxed = inner.map(lambda part: (f"({part[0]})", part[1]))
    several = st.lists(boxed, min_size=2, max_size=3)
    return st.one_of(
        st.builds(joined, several, st.sampled_from([" AND ", " OR ", " ", "  AND\n"])),
        st.builds(negated, inner, st.sampled_from(["NOT ", "-"])),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filter=st.recursive(comparisons(), grown, max_leaves=6))
def test_a_filter_finds_what_a_model_of_it_finds(filled: tuple[Store, list[r.Job]], filter: Filter) -> None:
    store, jobs = filled
    text, model = filter
    found = [job.id for job in store.page(Query(1000, filter=text)).jobs]
    assert found == [job.id for job in jobs if model(job)], text


def ids(filled: tuple[Store, list[r.Job]], text: str) -> set[int]:
    return {int(job.id[4:]) for job in filled[0].page(Query(1000, filter=text)).jobs}


def test_or_binds_closer_than_and(filled: tuple[Store, list[r.Job]]) -> None:
    assert ids(filled, "step = 0 AND step = 1 OR step = 4") == set()
    assert ids(filled, "step = 4 OR step = 1 AND step = 1") == {1}
    assert ids(filled, "step = 1 OR step = 4 NOT step = 1") == {2}
    assert ids(filled, "") == ids(filled, "  ") == set(range(24))


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("stat = RUNNING", 1, "no field 'stat'"),
        ("state = RUNING", 9, "no state 'RUNING'"),
        ("state ~ RUNNING", 7, "expected one of = != :"),
        ("state < RUNNING", 7, "can't be compared by <"),
        ("step > 1.5", 8, "a whole number"),
        ("step > x", 8, "a whole number"),
        ("step = 12345678901234567890", 8, "a whole number"),
        ("create_time > 2026-01-31", 15, "a time like"),
        ("create_time > 2026-13-01T00:00:00Z", 15, "a time like"),
        ("create_time > 2026-01-01T00:00:00", 15, "a time like"),
        ("(state = RUNNING", 1, "not closed"),
        ("state = RUNNING)", 16, "without an opening one"),
        ("state = RUNNING AND", 20, "expected a comparison"),
        ("AND state = RUNNING", 1, "not AND"),
        ("NOT", 4, "expected a comparison"),
        ('name = "x', 8, "quote is not closed"),
        ("name =", 7, "expected a value"),
        ("name", 5, "after 'name'"),
        ("labels = x", 8, "expected one of :"),
        ("labels. = x", 1, "the key of a label"),
        ("name.first = x", 1, "no field 'name.first'"),
        ("= 1", 1, "the name of a field"),
        ("(" * 40 + "step=1" + ")" * 40, 34, "levels of parentheses"),
        ("step=1 " * 101, 701, "more than 100 comparisons"),
        ('name = "a\0b"', 8, "NUL"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_place(text: str, place: int, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse(text)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    assert violation.description.startswith(f"at character {place}: "), violation.description
    assert said in violation.description


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text("()-.=:<>!\"' ANDORTstaelb1*\\", max_size=40))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidRequestError as error:
        assert error.violations[0].field == "filter"


def test_a_token_opens_the_list_that_it_came_from_alone(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.db")
    for k in range(6):
        store.submit(NewJob(f"job-{k}", replace(spec(), priority=k % 2))).result()
    first = Query(2, filter="priority = 1")
    page = store.page(first)
    store.submit(NewJob("late", replace(spec(), priority=1))).result()
    rest = store.page(replace(first, token=page.next_token))
    assert [job.id for job in (*page.jobs, *rest.jobs)] == ["job-5", "job-3", "job-1"]
    assert rest.next_token == ""
    for other in (Query(2), Query(2, filter="priority=1"), replace(first, show_deleted=True)):
        with pytest.raises(InvalidRequestError, match="page_token"):
            store.page(replace(other, token=page.next_token))
    store.close()


def test_both_kinds_of_database_find_the_same(where: Where) -> None:
    store = Store(where, lambda: BEGAN)
    texts = ["a_b", "a%b", "A_B", "", "it's"]
    for k, text in enumerate(texts):
        store.submit(NewJob(f"job-{k}", replace(spec(), name=text or "x", labels={"t": text}))).result()
    store.request_cancel("job-4").result()
    store.request_update("job-3", r.Update(labels={"t": "new", "u": "v"})).result()
    for text, wanted in (
        ('name:"_"', {0, 2}),
        ('name:"%"', {1}),
        ("name = a_b", {0}),
        ('name = A_B OR name = "it\'s"', {2, 4}),
        ("labels.t = new", {3}),
        ('labels.t = ""', set()),
        ("labels:u", {3}),
        ("-labels:u end_time:*", {4}),
        ("NOT end_time > 2020-01-01T00:00:00Z", {0, 1, 2, 3}),
        ("create_time = 2026-01-01T00:00:00Z state = CANCELLED", {4}),
        ("step < 999999999999999999 AND priority >= -999999999999999999", {0, 1, 2, 3, 4}),
    ):
        found = {int(job.id[4:]) for job in store.page(Query(9, filter=text)).jobs}
        assert found == wanted, text
    store.close()
