"""Metrics over ranges of steps, put together into few points."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_harness import code

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import metrics as sampling
from gradwire.services.client import Client
from gradwire.services.errors import InvalidRequestError, JobNotFoundError
from gradwire.services.metrics import Sampler

NAN, INF = math.nan, math.inf
Steps = dict[int, dict[str, float]]


def sampled(steps: Steps, points: int, names: tuple[str, ...] = ()) -> list[pb.MetricSeries]:
    sampler = Sampler(names, points)
    for step, values in steps.items():
        sampler.take(step, (step, 5), values)
    return list(sampler.series())


def expected(steps: Steps, points: int) -> dict[str, list[tuple[int, float, float, float, int]]]:
    """The same by the words of the promise: try lengths 1, 2, 4, … until the blocks are few enough."""
    length = 1
    while len({(step - 1) // length for step in steps}) > points:
        length *= 2
    found: dict[str, list[tuple[int, float, float, float, int]]] = {}
    for block in sorted({(step - 1) // length for step in steps}):
        inside = {step: values for step, values in steps.items() if (step - 1) // length == block}
        for name in sorted({name for values in inside.values() for name in values}):
            values = [v[name] for v in inside.values() if name in v]
            numbers = [v for v in values if not math.isnan(v)] or [NAN]
            total = 0.0
            for value in values:
                total += value
            found.setdefault(name, []).append(
                (max(inside), total / len(values), min(numbers), max(numbers), len(values))
            )
    return dict(sorted(found.items()))


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


values = st.floats(-1e6, 1e6) | st.sampled_from([NAN, INF, -INF])


@settings(max_examples=200, deadline=None)
@given(
    steps=st.dictionaries(
        st.integers(1, 500),
        st.dictionaries(st.sampled_from(["loss", "accuracy"]), values, min_size=1),
        max_size=60,
    ),
    points=st.integers(1, 40),
)
def test_points_are_those_of_aligned_blocks(steps: Steps, points: int) -> None:
    ordered = dict(sorted(steps.items()))
    found = {series.name: series.points for series in sampled(ordered, points)}
    wanted = expected(ordered, points)
    assert list(found) == list(wanted)
    for name, series in wanted.items():
        assert len(series) <= points
        for point, (step, mean, smallest, largest, count) in zip(found[name], series, strict=True):
            assert (point.step, point.count, point.time.seconds, point.time.nanos) == (step, count, step, 5)
            assert same(point.mean, mean) and same(point.min, smallest) and same(point.max, largest)


def test_a_point_stays_as_it_is_while_a_job_goes_on() -> None:
    steps = {step: {"loss": 1 / step} for step in range(1, 1001)}
    whole = sampled(steps, 250)[0].points
    assert [p.step for p in whole] == list(range(4, 1001, 4))
    part = sampled({s: v for s, v in steps.items() if 401 <= s <= 902}, 250)[0].points
    kept = [p for p in whole if 404 <= p.step <= 900]
    for now, then in zip(part[:-1], kept, strict=True):
        assert (now.step, now.time, now.min, now.max, now.count) == (
            then.step,
            then.time,
            then.min,
            then.max,
            then.count,
        )
        # But for rounding: how values were added up depends on the range.
        assert now.mean == pytest.approx(then.mean, rel=1e-14)


def test_many_series_together_fit_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "POINTS_IN_ALL", 100)
    steps = {step: {f"m{k}": float(step) for k in range(10)} for step in range(1, 65)}
    found = sampled(steps, 1000)
    assert [len(series.points) for series in found] == [8] * 10


def test_metrics_come_by_range_and_name_and_over_evaluations(client: Client) -> None:
    job = client.submit(code(), overrides={"steps": "20"})
    began = datetime.now(UTC)
    job.wait()
    (loss,) = job.metrics()
    assert loss.name == "loss"
    assert [(p.step, p.mean, p.min, p.max, p.count) for p in loss.points] == [
        (step, 1 / step, 1 / step, 1 / step, 1) for step in range(1, 21)
    ]
    assert all(0 <= (p.time - began).total_seconds() + 60 < 120 for p in loss.points)
    (part,) = job.metrics(["loss"], first_step=5, last_step=12, max_points=3)
    assert [(p.step, p.count) for p in part.points] == [(8, 4), (12, 4)]
    assert part.points[0].mean == pytest.approx(sum(1 / s for s in range(5, 9)) / 4)
    assert [(s.name, len(s.points)) for s in job.metrics(["none", "loss"], last_step=2)] == [
        ("loss", 2),
        ("none", 0),
    ]
    evaluated = job.metrics(evaluation=True)
    assert [(s.name, [(p.step, p.mean) for p in s.points]) for s in evaluated] == [
        ("accuracy", [(20, 0.5)]),
        ("loss", [(20, 1 / 20)]),
    ]
    assert job.metrics(first_step=21) == []
    assert job.metrics(evaluation=True, last_step=19) == []


def test_what_is_no_number_is_told_as_it_is(client: Client) -> None:
    job = client.submit(code(), overrides={"steps": "3", "lr_at_start": "nan"})
    job.wait()
    (loss,) = job.metrics(max_points=1)
    (point,) = loss.points
    assert math.isnan(point.mean) and math.isnan(point.min) and math.isnan(point.max)
    assert point.count == 3


def test_wrong_ranges_are_refused_all_at_once(client: Client, tmp_path: Path) -> None:
    job = client.submit(code(), overrides={"steps": "1"})
    with pytest.raises(InvalidRequestError) as caught:
        job.metrics(first_step=-1, last_step=-2, max_points=-3)
    assert [v.field for v in caught.value.violations] == ["first_step", "last_step", "max_points"]
    with pytest.raises(InvalidRequestError, match="expected 7 or more, or 0, not 6"):
        job.metrics(first_step=7, last_step=6)
    with pytest.raises(JobNotFoundError):
        client.job("none").metrics()
    job.wait()
