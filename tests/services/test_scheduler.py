"""The scheduler's decisions, on generated queues."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from gradwire.services import scheduler
from gradwire.services.launcher import Capacity
from gradwire.services.scheduler import Start, Wait, Waiting, decide

queues = st.lists(
    st.tuples(
        st.integers(-2, 2), st.sampled_from(["cpu", "cuda"]), st.integers(1, 9), st.sampled_from([0, 0, 1, 3])
    ),
    max_size=12,
).map(lambda items: [Waiting(f"j{k}", p, k, d, h + w, h) for k, (p, d, w, h) in enumerate(items)])
"""Jobs that wait to start (they hold nothing) and jobs that wait to grow."""
capacities = st.builds(Capacity, cpu=st.integers(0, 8), cuda=st.integers(0, 8))


@given(queues, capacities, capacities)
def test_every_job_gets_one_decision_and_no_device_is_given_twice(
    queue: list[Waiting], capacity: Capacity, used: Capacity
) -> None:
    decisions = decide(queue, capacity, used)
    assert sorted(d.job_id for d in decisions) == sorted(job.job_id for job in queue)
    by_id = {job.job_id: job for job in queue}
    for device in ("cpu", "cuda"):
        given_ = sum(
            by_id[d.job_id].workers - by_id[d.job_id].held
            for d in decisions
            if isinstance(d, Start) and by_id[d.job_id].device == device
        )
        assert given_ == 0 or given_ + used.of(device) <= capacity.of(device)


@given(queues, capacities, capacities)
def test_no_job_overtakes_an_earlier_one_that_could_run_some_day(
    queue: list[Waiting], capacity: Capacity, used: Capacity
) -> None:
    started = {d.job_id for d in decide(queue, capacity, used) if isinstance(d, Start)}
    for job in queue:
        if job.job_id in started or job.workers > capacity.of(job.device):
            continue
        behind = [
            other.job_id
            for other in queue
            if other.device == job.device
            and (-other.priority, other.sequence) > (-job.priority, job.sequence)
        ]
        assert not started.intersection(behind)


@given(queues, capacities)
def test_the_first_in_line_starts_when_everything_is_free(queue: list[Waiting], capacity: Capacity) -> None:
    possible = [job for job in queue if job.workers <= capacity.of(job.device)]
    if possible:
        first = min(possible, key=lambda job: (-job.priority, job.sequence))
        assert Start(first.job_id) in decide(queue, capacity, Capacity(0, 0))


def test_a_waiting_job_is_told_why() -> None:
    queue = [Waiting("a", 0, 1, "cpu", 3), Waiting("b", 0, 2, "cpu", 1), Waiting("c", 0, 3, "cuda", 1)]
    assert decide(queue, Capacity(4, 0), Capacity(2, 0)) == [
        Wait("a", "needs 3 cpu workers; 2 of 4 are free"),
        Wait("b", "behind job a in the queue"),
        Wait("c", "needs 1 cuda worker; there are 0 in all"),
    ]


def test_a_job_that_grows_takes_only_what_it_lacks_and_waits_like_the_others() -> None:
    grows, starts = Waiting("a", 0, 1, "cpu", 5, held=2), Waiting("b", 0, 2, "cpu", 1)
    assert decide([grows, starts], Capacity(6, 0), Capacity(2, 0)) == [Start("a"), Start("b")]
    assert decide([grows, starts], Capacity(6, 0), Capacity(4, 0)) == [
        Wait("a", "needs 3 more cpu workers; 2 of 6 are free"),
        Wait("b", "behind job a in the queue"),
    ]


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(scheduler).failed == 0
