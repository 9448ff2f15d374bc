"""The scheduler's policy by small cases with answers worked out by hand, and over time: bounded waits and fair shares."""

from __future__ import annotations

import doctest
import random
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradwire.services.scheduling import (
    Account,
    Code,
    Decision,
    Grow,
    Holder,
    Inventory,
    Limit,
    Node,
    Pause,
    Policy,
    Quota,
    Running,
    Shape,
    Shrink,
    Start,
    Stop,
    Wait,
    Waiting,
    decide,
    never,
)
from gradwire.services.scheduling.limits import Again, Cause, GiveUp, Limits, Spent, after_end, longest_s
from gradwire.services.scheduling.placement import place
from gradwire.services.scheduling.shares import charged, decayed
from gradwire.services.scheduling.simulation import Submission, simulate

GPU = Shape(1, 0)
ONE = Inventory((Node("n", 8, 64),))
TWO = Inventory((Node("a", 4, 32), Node("b", 4, 32)))


def job(job_id: str, order: int, least: int = 1, most: int = 0, **changes: object) -> Waiting:
    values: dict[str, object] = {"owner": "ann", "shape": GPU, **changes}
    return Waiting(job_id=job_id, order=order, minimum=least, maximum=most or least, **values)  # type: ignore[arg-type]


def busy(job_id: str, order: int, nodes: str, least: int = 0, most: int = 0, **changes: object) -> Running:
    """`nodes` has one letter for each rank."""
    values: dict[str, object] = {"owner": "ann", "shape": GPU, **changes}
    return Running(
        job_id=job_id,
        order=order,
        nodes=tuple(nodes),
        minimum=least or len(nodes),
        maximum=max(most, len(nodes)),
        **values,  # type: ignore[arg-type]
    )


def of(decisions: Sequence[Decision], job_id: str) -> Decision:
    return next(each for each in decisions if each.job_id == job_id)


# Placement


@given(st.lists(st.integers(0, 8), max_size=6), st.integers(1, 30), st.booleans())
@settings(deadline=None, derandomize=True, database=None)
def test_a_placement_is_whole_within_the_slots_and_on_the_fewest_nodes(
    slots: list[int], workers: int, one_host: bool
) -> None:
    placement = place(slots, workers, one_host)
    possible = workers <= (max(slots, default=0) if one_host else sum(slots))
    assert (placement is not None) == possible
    if placement is None:
        return
    assert sum(count for _, count in placement) == workers
    assert all(0 < count <= slots[node] for node, count in placement)
    assert len({node for node, _ in placement}) == len(placement)
    ordered = sorted(slots, reverse=True)
    assert len(placement) == next(k for k in range(1, 7) if sum(ordered[:k]) >= workers)


def test_a_small_job_goes_where_it_leaves_the_large_gap_whole() -> None:
    running = [busy("r", 0, "bb")]
    assert of(decide([job("w", 1, 2)], running, TWO, Policy(), 0.0), "w").nodes == ("b", "b")


def test_a_gang_on_one_node_is_strictly_packed_and_one_on_several_is_packed() -> None:
    (small,) = decide([job("w", 1, 4)], [], TWO, Policy(), 0.0)
    (large,) = decide([job("w", 1, 6)], [], TWO, Policy(), 0.0)
    assert isinstance(small, Start) and isinstance(large, Start)
    assert (small.strategy, large.strategy) == ("STRICT_PACK", "PACK")
    assert large.nodes == ("a",) * 4 + ("b",) * 2


# Elastic jobs


def test_an_elastic_job_starts_with_what_is_free_and_no_less_than_its_minimum() -> None:
    running = [busy("r", 0, "nnnnn")]
    assert of(decide([job("w", 1, 2, 8)], running, ONE, Policy(), 0.0), "w").nodes == ("n",) * 3
    assert isinstance(of(decide([job("w", 1, 4, 8)], running, ONE, Policy(), 0.0), "w"), Wait)


def test_idle_workers_are_lent_and_taken_back_when_a_job_comes() -> None:
    running = [busy("e", 0, "nnnn", 2, 8, resized_at=0.0)]
    assert decide([], running, ONE, Policy(), 100.0) == [Grow("e", ("n",) * 8)]
    grown = [busy("e", 0, "nnnnnnnn", 2, 8)]
    shrink, start = decide([job("w", 1, 3)], grown, ONE, Policy(), 200.0)
    assert shrink == Shrink("e", ("n",) * 5, (5, 6, 7), "w")
    assert isinstance(start, Start) and start.nodes == ("n",) * 3


def test_a_job_that_was_resized_a_moment_ago_does_not_grow() -> None:
    running = [busy("e", 0, "nn", 2, 8, resized_at=50.0)]
    assert decide([], running, ONE, Policy(grow_after_s=60.0), 109.0) == []
    assert decide([], running, ONE, Policy(grow_after_s=60.0), 110.0) == [Grow("e", ("n",) * 8)]


def test_a_job_whose_range_was_changed_is_brought_into_it() -> None:
    above = [replace(busy("e", 0, "nnnnnn", 1), maximum=4)]
    assert decide([], above, ONE, Policy(), 0.0) == [Shrink("e", ("n",) * 4, (4, 5), "")]
    start = of(decide([job("w", 1, 4)], above, ONE, Policy(), 0.0), "w")
    assert isinstance(start, Start) and len(start.nodes) == 4
    below = [busy("e", 0, "nn", 5, 5), busy("f", 1, "n", 1, 8, level=9, resized_at=-1000.0)]
    grown = {each.job_id: each for each in decide([], below, ONE, Policy(), 0.0)}
    assert grown == {"e": Grow("e", ("n",) * 5), "f": Grow("f", ("n",) * 3)}


def test_a_group_that_is_being_changed_is_left_alone() -> None:
    running = [busy("e", 0, "nnnnnnnn", 2, 8, settled=False)]
    (wait,) = decide([job("w", 1, 3)], running, ONE, Policy(), 200.0)
    assert isinstance(wait, Wait) and wait.code == Code.NO_CAPACITY


def test_lower_priority_takes_lent_workers_only_once_its_wait_has_raised_it() -> None:
    running = [busy("e", 0, "nnnnnnnn", 2, 8, priority=2, level=2)]
    policy = Policy(aging_s=100.0)
    assert isinstance(of(decide([job("w", 1, 3)], running, ONE, policy, 199.0), "w"), Wait)
    assert isinstance(of(decide([job("w", 1, 3)], running, ONE, policy, 200.0), "w"), Start)


# Preemption


def test_workers_are_taken_one_by_one_before_any_job_is_paused() -> None:
    running = [busy("e", 0, "nnnn", 2, 4), busy("r", 1, "nnnn")]
    urgent = job("u", 2, 2, priority=5)
    assert [type(each) for each in decide([urgent], running, ONE, Policy(), 1000.0)] == [Shrink, Start]
    urgent = job("u", 2, 4, priority=5)
    decisions = decide([urgent], running, ONE, Policy(), 1000.0)
    # Pausing the younger one is enough: then the elastic one keeps all it has.
    assert [type(each) for each in decisions] == [Pause, Start] and decisions[0] == Pause("r", "u")


def test_the_lowest_level_is_paused_first_and_an_equal_one_never() -> None:
    running = [busy("old", 0, "nnnn", level=1, priority=1), busy("low", 1, "nnnn", level=0)]
    assert decide([job("u", 2, 2, priority=2)], running, ONE, Policy(), 1000.0)[0] == Pause("low", "u")
    same = [busy("a", 0, "nnnnnnnn", level=2, priority=2)]
    assert isinstance(of(decide([job("u", 2, 2, priority=2)], same, ONE, Policy(), 1000.0), "u"), Wait)


def test_nobody_is_paused_for_a_job_that_would_still_not_fit() -> None:
    running = [busy("low", 0, "nnnn"), busy("high", 1, "nnnn", priority=9, level=9)]
    decisions = decide([job("u", 2, 6, priority=5)], running, ONE, Policy(), 1000.0)
    assert [type(each) for each in decisions] == [Wait]


def test_what_has_just_started_is_not_paused() -> None:
    running = [busy("low", 0, "nnnnnnnn", started_at=950.0)]
    urgent = [job("u", 1, 2, priority=5)]
    assert isinstance(decide(urgent, running, ONE, Policy(preempt_after_s=100.0), 1000.0)[0], Wait)
    assert isinstance(decide(urgent, running, ONE, Policy(preempt_after_s=50.0), 1000.0)[0], Pause)


def test_a_wait_that_raised_a_job_protects_it_when_it_runs() -> None:
    policy = Policy(aging_s=100.0)
    start = decide([job("w", 0, 8)], [], ONE, policy, 700.0)[0]
    assert isinstance(start, Start) and start.level == 7
    running = [busy("w", 0, "nnnnnnnn", level=start.level, started_at=700.0)]
    assert isinstance(
        decide([job("u", 1, 2, priority=5, since=900.0)], running, ONE, policy, 1000.0)[0], Wait
    )


# Order, quotas, reservations


def test_priority_comes_before_share_and_share_before_submission() -> None:
    running = [busy("r", 0, "nnnn", owner="bob")]
    queue = [
        job("b", 1, 4, owner="bob"),
        job("a", 2, 4, owner="ann"),
        job("c", 3, 4, owner="bob", priority=1),
    ]
    policy = Policy(preempt=False)
    assert [each.job_id for each in decide(queue, running, ONE, policy, 0.0)] == ["c", "a", "b"]


def test_past_use_counts_and_fades() -> None:
    queue = [job("b", 1, 8, owner="bob"), job("a", 2, 8, owner="ann")]
    used = Inventory(ONE.nodes, {"bob": Account(usage=0.5)})
    assert decide(queue, [], used, Policy(), 0.0)[0].job_id == "a"
    weighty = Inventory(ONE.nodes, {"bob": Account(usage=0.5, weight=4), "ann": Account(usage=0.2)})
    assert decide(queue, [], weighty, Policy(), 0.0)[0].job_id == "b"
    assert charged(0.0, 1.0, 100.0, 100.0) == pytest.approx(0.5)
    assert decayed(0.5, 200.0, 100.0) == pytest.approx(0.125)
    in_two = charged(charged(0.3, 0.6, 40.0, 100.0), 0.6, 60.0, 100.0)
    assert in_two == pytest.approx(charged(0.3, 0.6, 100.0, 100.0))


def test_a_quota_holds_back_its_owner_alone_and_names_what_is_in_the_way() -> None:
    stock = Inventory(ONE.nodes, {"ann": Account(quota=Quota(gpus=4))})
    running = [busy("r", 0, "nnn")]
    queue = [job("w", 1, 2), job("x", 2, 2, owner="bob")]
    decisions = decide(queue, running, stock, Policy(), 0.0)
    assert isinstance(of(decisions, "x"), Start)
    assert of(decisions, "w") == Wait("w", Code.QUOTA, "gpus", 2, 1, (Holder("r", "ann", 3),), 1, None)
    jobs = Inventory(ONE.nodes, {"ann": Account(quota=Quota(jobs=1))})
    wait = of(decide(queue, running, jobs, Policy(), 0.0), "w")
    assert isinstance(wait, Wait) and (wait.code, wait.resource) == (Code.QUOTA, "jobs")


def test_an_owner_s_large_job_is_not_starved_of_its_quota_by_the_owner_s_small_ones() -> None:
    stock = Inventory(ONE.nodes, {"ann": Account(quota=Quota(gpus=4))})
    queue = [job("large", 1, 4), job("small", 2, 1)]
    small = of(decide(queue, [busy("r", 0, "nnn")], stock, Policy(), 0.0), "small")
    assert isinstance(small, Wait) and small.code == Code.BEHIND and small.holders[0].job_id == "large"


def test_a_full_store_stops_new_jobs_and_names_no_job() -> None:
    stock = Inventory(ONE.nodes, {"ann": Account(quota=Quota(storage_bytes=100), stored_bytes=90)})
    queue = [job("w", 1, storage_bytes=20), job("x", 2, storage_bytes=10)]
    wait, start = sorted(decide(queue, [], stock, Policy(), 0.0), key=lambda each: each.job_id)
    assert wait == Wait("w", Code.QUOTA, "storage_bytes", 20, 10)
    assert isinstance(start, Start)


def test_what_can_never_run_is_said_at_once_and_why() -> None:
    stock = Inventory(TWO.nodes, {"bob": Account(quota=Quota(gpus=2))})
    for each, resource, needed, available in (
        (job("w", 1, 9), "gpus", 9, 8),
        (job("w", 1, 5, one_host=True), "workers", 5, 4),
        (job("w", 1, 2, shape=Shape(1, 40)), "cpus", 80, 64),
        (job("w", 1, 1, shape=Shape(1, 40)), "workers", 1, 0),
        (job("w", 1, 3, owner="bob"), "gpus", 3, 2),
        (job("w", 1, 1, longest_s=0.0), "seconds", 1, 0),
    ):
        reason = never(each, stock)
        assert reason == Wait("w", Code.NEVER, resource, needed, available)
        assert decide([each], [], stock, Policy(), 0.0) == [reason]
    assert never(job("w", 1, 8), stock) is None


def test_a_job_that_can_never_run_holds_nobody_back() -> None:
    decisions = decide([job("w", 1, 9), job("x", 2, 8)], [], ONE, Policy(), 0.0)
    assert isinstance(of(decisions, "x"), Start)


def test_fragments_are_told_apart_from_too_little() -> None:
    running = [busy("r", 0, "aa", shape=Shape(1, 1)), busy("s", 1, "bb")]
    wait = of(decide([job("w", 2, 3, one_host=True)], running, TWO, Policy(), 0.0), "w")
    assert isinstance(wait, Wait)
    assert (wait.code, wait.resource, wait.needed, wait.available) == (Code.FRAGMENTED, "workers", 3, 2)
    assert wait.sentence == "needs 3 workers together, and 2 are free in pieces; held by r"


def test_a_small_job_goes_before_a_large_one_that_waits_only_if_it_is_gone_in_time() -> None:
    running = [busy("r", 0, "nnnnnn", ends_by=1000.0)]
    large = job("large", 1, 8)
    for seconds, starts in ((900.0, True), (1000.0, True), (1001.0, False), (None, False)):
        decisions = decide([large, job("small", 2, 2, longest_s=seconds)], running, ONE, Policy(), 0.0)
        small = of(decisions, "small")
        assert isinstance(small, Start) == starts
        if isinstance(small, Wait):
            assert (small.code, small.place) == (Code.BEHIND, 2)
            assert small.holders == (Holder("large", "ann", 8),)
        wait = of(decisions, "large")
        assert isinstance(wait, Wait) and (wait.place, wait.by) == (1, 1000.0)


def test_what_a_waiting_job_leaves_is_free_for_others_for_ever() -> None:
    running = [busy("r", 0, "aaaa", ends_by=1000.0), busy("s", 1, "bb")]
    queue = [job("large", 2, 4, one_host=True), job("small", 3, 2)]
    assert isinstance(of(decide(queue, running, TWO, Policy(), 0.0), "small"), Start)


def test_without_limits_the_nodes_of_the_longest_running_are_kept_as_they_fall_free() -> None:
    running = [busy("r", 0, "aaa"), busy("s", 1, "bbb", started_at=10.0)]
    queue = [job("large", 2, 4, one_host=True), job("small", 3, 1, longest_s=1.0), job("other", 4, 1)]
    decisions = decide(queue, running, TWO, Policy(), 100.0)
    small = of(decisions, "small")
    assert isinstance(small, Start) and small.nodes == ("b",)  # not where `large` waits for `r`
    wait = of(decisions, "large")
    assert isinstance(wait, Wait) and wait.by is None and wait.holders == (Holder("r", "ann", 3),)
    assert isinstance(of(decisions, "other"), Wait)


def test_backfill_can_be_turned_off() -> None:
    running = [busy("r", 0, "nnnnnn", ends_by=1000.0)]
    queue = [job("large", 1, 8), job("small", 2, 2, longest_s=5.0)]
    small = of(decide(queue, running, ONE, Policy(backfill=False), 0.0), "small")
    assert isinstance(small, Wait) and small.code == Code.BEHIND


def test_a_pause_after_a_loss_ends_at_its_time() -> None:
    waiting = [job("w", 1, not_before=10.0)]
    assert decide(waiting, [], ONE, Policy(), 9.0) == [Wait("w", Code.BACKOFF, "seconds", 0, 0, by=10.0)]
    assert isinstance(decide(waiting, [], ONE, Policy(), 10.0)[0], Start)


# Limits


def test_an_attempt_beyond_its_wall_time_is_stopped() -> None:
    running = [busy("r", 0, "nn", ends_by=50.0)]
    assert decide([], running, ONE, Policy(), 49.0) == []
    assert decide([], running, ONE, Policy(), 50.0) == [Stop("r", Limit.WALL_TIME)]


def test_a_gang_that_does_not_stand_by_its_deadline_is_withdrawn_whole() -> None:
    running = [busy("r", 0, "nn", settled=False, place_by=50.0)]
    assert decide([], running, ONE, Policy(), 49.0) == []
    assert decide([], running, ONE, Policy(), 50.0) == [Stop("r", Limit.GANG_DEADLINE)]
    # Until it is gone its workers are taken.
    assert isinstance(of(decide([job("w", 1, 7)], running, ONE, Policy(), 50.0), "w"), Wait)


def test_retries_are_counted_by_cause() -> None:
    def then(cause: Cause, times: int, **limits: object) -> Again | GiveUp:
        return after_end(Limits(**limits), Spent(ends={cause: times}), cause, 100.0)  # type: ignore[arg-type]

    assert isinstance(then(Cause.USER_ERROR, 1), GiveUp)
    assert then(Cause.USER_ERROR, 1, retries={Cause.USER_ERROR: 1}) == Again(101.0)
    assert then(Cause.WORKER_LOSS, 10) == Again(100.0 + 300.0)
    assert isinstance(then(Cause.WORKER_LOSS, 11), GiveUp)
    assert then(Cause.PREEMPTION, 10_000) == Again(100.0)
    assert [then(Cause.WORKER_LOSS, k, pause_s=2.0) for k in (1, 2, 3)] == [
        Again(102.0),
        Again(104.0),
        Again(108.0),
    ]
    assert isinstance(then(Cause.WALL_TIME, 1, attempt_s=5.0), GiveUp)
    spent = Spent(run_s=60.0, ends={Cause.WORKER_LOSS: 1})
    given_up = after_end(Limits(job_s=60.0), spent, Cause.WORKER_LOSS, 100.0)
    assert isinstance(given_up, GiveUp) and given_up.cause == Cause.WALL_TIME


def test_the_shorter_limit_on_wall_time_counts() -> None:
    assert longest_s(Limits(), Spent(run_s=1e9)) is None
    assert longest_s(Limits(attempt_s=100.0), Spent(run_s=70.0)) == 100.0
    assert longest_s(Limits(job_s=100.0), Spent(run_s=70.0)) == 30.0
    with pytest.raises(ValueError, match="attempt_s must be positive"):
        Limits(attempt_s=0.0)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="1 <= minimum <= maximum"):
        job("w", 1, 3, 2)
    with pytest.raises(ValueError, match="at least one GPU or CPU"):
        job("w", 1, shape=Shape(0, 0))
    with pytest.raises(ValueError, match="a job is given twice"):
        decide([job("w", 1)], [busy("w", 1, "n")], ONE, Policy(), 0.0)
    with pytest.raises(ValueError, match="two nodes"):
        decide([], [], Inventory((*ONE.nodes, *ONE.nodes)), Policy(), 0.0)
    with pytest.raises(ValueError, match="weight"):
        Account(weight=0.0)
    with pytest.raises(ValueError, match="aging_s"):
        Policy(aging_s=0.0)


def test_workers_on_a_node_that_is_gone_count_for_nothing() -> None:
    running = [busy("r", 0, "nx", 1, 4)]
    start = decide([job("w", 1, 7)], running, ONE, Policy(), 1000.0)[0]
    assert isinstance(start, Start) and len(start.nodes) == 7


# Over time


def stream(dice: random.Random, count: int, every_s: float, longest: float | None) -> list[Submission]:
    """Small jobs that never let the cluster run empty, of two other owners, with priorities 0 and 1."""
    return [
        Submission(
            job(
                f"s{k}",
                10 + k,
                dice.choice((1, 2)),
                owner=dice.choice(("bob", "cy")),
                since=k * every_s,
                longest_s=longest,
                priority=dice.choice((0, 0, 1)),
            ),
            dice.uniform(200.0, 600.0),
        )
        for k in range(count)
    ]


@pytest.mark.parametrize("limited", [True, False], ids=["with limits", "without limits"])
@pytest.mark.parametrize("seed", range(4))
def test_a_job_that_needs_the_whole_cluster_waits_no_longer_than_the_bound(seed: int, limited: bool) -> None:
    """Its wait for a level of its own, then the work that stood before it, then the longest job that began meanwhile."""
    dice = random.Random(seed)
    tick, aging = 20.0, 600.0
    longest = 700.0 if limited else None
    big = job("big", 0, 8, since=500.0)
    small = stream(dice, 200, 40.0, longest)
    policy = Policy(aging_s=aging, preempt_after_s=0.0)
    outcome = simulate([Submission(big, 100.0), *small], TWO, policy, tick, restart_s=0.0, until=7000.0)
    started = outcome.fates["big"].started
    assert started is not None
    raised = aging * (1 - big.priority + 1)
    before = [each for each in small if each.job.since <= big.since + raised]
    bound = raised + sum(each.work for each in before) / 8 + 700.0 + 2 * tick
    assert 0 < started - big.since <= bound
    # The small ones did not all wait for it, nor did the stream end.
    times = [
        fate.started for fate in outcome.fates.values() if fate.job is not big and fate.started is not None
    ]
    assert any(big.since < time < started for time in times) and max(times) > started


def test_without_a_reservation_the_same_stream_would_starve_it() -> None:
    """The bound above is not kept by chance: a queue that starts whatever fits never starts the large job."""
    dice = random.Random(0)
    free, running, queue, starved = 8, [], stream(dice, 1500, 20.0, None), True
    now = 0.0
    waiting: list[Submission] = []
    while queue or waiting:
        now += 10.0
        ended = [each for each in running if each[0] <= now]
        running = [each for each in running if each[0] > now]
        free += sum(count for _, count in ended)
        while queue and queue[0].job.since <= now:
            waiting.append(queue.pop(0))
        if now >= 500.0 and free == 8:
            starved = False
            break
        for each in list(waiting):
            if each.job.minimum <= free:
                waiting.remove(each)
                free -= each.job.minimum
                running.append((now + each.work / each.job.minimum, each.job.minimum))
        if not queue:
            break
    assert starved


@pytest.mark.parametrize("seed", range(6))
def test_the_promised_time_only_comes_nearer(seed: int) -> None:
    dice = random.Random(seed)
    promises: list[float] = []

    def watch(
        now: float, queue: Sequence[Waiting], running: Sequence[Running], decisions: Sequence[Decision]
    ) -> None:
        for each in decisions:
            if isinstance(each, Wait) and each.job_id == "big" and each.place == 1:
                assert each.by is not None
                promises.append(each.by)

    submissions = [
        Submission(job("big", 0, 8, since=500.0, priority=3), 100.0),
        *stream(dice, 300, 20.0, 700.0),
    ]
    outcome = simulate(submissions, TWO, Policy(preempt=False), 10.0, 0.0, watch=watch)
    assert promises and all(later <= earlier for earlier, later in pairwise(promises))
    started = outcome.fates["big"].started
    assert started is not None and started <= promises[0] + 10.0


@given(
    st.lists(st.tuples(st.sampled_from((0.5, 1.0, 2.0, 3.0)), st.integers(1, 30)), min_size=2, max_size=5),
    st.integers(4, 40),
)
@settings(deadline=None, derandomize=True, database=None)
def test_no_owner_gets_a_worker_that_one_with_a_smaller_share_waits_for(
    owners: list[tuple[float, int]], gpus: int
) -> None:
    """Weighted max-min to half a job: nobody's last worker came before one for an owner who still waits and has less by weight."""
    accounts = {f"o{k}": Account(weight) for k, (weight, _) in enumerate(owners)}
    queue = [
        job(f"o{k}-{n}", 100 * n + k, owner=f"o{k}")
        for k, (_, count) in enumerate(owners)
        for n in range(count)
    ]
    inventory = Inventory((Node("n", gpus, 0),), accounts)
    decisions = decide(queue, [], inventory, Policy(), 0.0)
    got = dict.fromkeys(accounts, 0)
    for each in decisions:
        if isinstance(each, Start):
            got[each.job_id.split("-")[0]] += 1
    waiting = {each.job_id.split("-")[0] for each in decisions if isinstance(each, Wait)}
    assert sum(got.values()) == min(gpus, len(queue))
    for owner in accounts:
        for other in waiting - {owner}:
            if got[owner]:
                assert (got[owner] - 0.5) / accounts[owner].weight <= (got[other] + 0.5) / accounts[
                    other
                ].weight + 1e-9


def test_owners_with_endless_queues_get_gpu_time_by_their_weights() -> None:
    dice = random.Random(3)
    accounts = {"ann": Account(1.0), "bob": Account(2.0), "cy": Account(5.0)}
    submissions = [
        Submission(
            job(f"{owner}{k}", 3 * k + n, dice.choice((1, 1, 2)), owner=owner), dice.uniform(100.0, 900.0)
        )
        for k in range(260)
        for n, owner in enumerate(accounts)
    ]
    inventory = Inventory((Node("a", 8, 8), Node("b", 8, 8)), accounts)
    outcome = simulate(submissions, inventory, Policy(aging_s=inf), 20.0, 0.0, until=9000.0)
    total = sum(outcome.gpu_s.values())
    for owner, account in accounts.items():
        assert outcome.gpu_s[owner] / total == pytest.approx(account.weight / 8, abs=0.02)


def test_who_was_away_is_served_first_and_not_for_ever() -> None:
    """An owner that comes late gets more than its part until the past has faded, and then its part."""
    submissions = [Submission(job(f"a{k}", k), 300.0) for k in range(260)]
    submissions += [Submission(job(f"b{k}", 1000 + k, owner="bob", since=2000.0), 300.0) for k in range(260)]
    shares: list[tuple[float, float]] = []

    def watch(
        now: float, queue: Sequence[Waiting], running: Sequence[Running], decisions: Sequence[Decision]
    ) -> None:
        held = sum(len(each.nodes) for each in running if each.owner == "bob")
        shares.append((now, held / 8))

    simulate(
        submissions, ONE, Policy(half_life_s=1000.0, aging_s=inf), 20.0, 0.0, until=16_000.0, watch=watch
    )
    soon = [share for now, share in shares if 2300.0 < now < 2700.0]
    late = [share for now, share in shares if 5000.0 < now < 8000.0]
    assert sum(soon) / len(soon) > 0.6
    assert sum(late) / len(late) == pytest.approx(0.5, abs=0.07)


def test_a_simulated_cluster_loses_no_work_and_no_job() -> None:
    dice = random.Random(5)
    submissions = [
        Submission(
            job(
                f"j{k}",
                k,
                least := dice.choice((1, 2, 4)),
                least * dice.choice((1, 2)),
                owner=dice.choice("abc"),
                priority=dice.choice((0, 0, 0, 2)),
                since=40.0 * k,
            ),
            dice.uniform(100.0, 2000.0),
        )
        for k in range(150)
    ]
    outcome = simulate(submissions, TWO, Policy(preempt_after_s=30.0), 20.0, 0.0)
    assert all(fate.ended is not None and not fate.stopped for fate in outcome.fates.values())
    done = sum(outcome.gpu_s.values())
    assert done == pytest.approx(sum(each.work for each in submissions), rel=1e-9)
    assert any(fate.pauses for fate in outcome.fates.values())
    assert any(fate.changes for fate in outcome.fates.values())


def test_every_job_that_is_paused_makes_way_for_a_higher_one() -> None:
    """No loop: each pause is paid for by a start of a higher level, so there are no more pauses than such starts."""
    dice = random.Random(9)
    submissions = [
        Submission(
            job(f"j{k}", k, dice.choice((1, 2, 4)), since=30.0 * k, priority=dice.choice((0, 1, 2))), 900.0
        )
        for k in range(120)
    ]
    levels: dict[str, int] = {}
    pauses = 0

    def watch(
        now: float, queue: Sequence[Waiting], running: Sequence[Running], decisions: Sequence[Decision]
    ) -> None:
        nonlocal pauses
        priority = {each.job_id: each.priority for each in queue}
        for each in decisions:
            if isinstance(each, Pause):
                pauses += 1
                assert levels[each.job_id] < priority[each.starts]
            elif isinstance(each, Start):
                levels[each.job_id] = each.level

    simulate(submissions, TWO, Policy(preempt_after_s=0.0), 10.0, 0.0, watch=watch)
    assert 0 < pauses < 400


def test_the_examples_in_the_docstrings_hold() -> None:
    for name in ("passes", "placement", "ranking", "reasons", "shares", "limits"):
        result = doctest.testmod(import_module(f"gradwire.services.scheduling.{name}"))
        assert result.failed == 0 and result.attempted > 0


def test_blockers_are_removed_one_round_after_another_until_the_last_in_the_queue_starts() -> None:
    running = [busy("r", 0, "aaaa", ends_by=500.0), busy("s", 1, "bbbb")]
    queue = [job("first", 2, 8), job("second", 3, 6), job("last", 4, 3)]
    rounds = []
    for _ in range(6):
        answer = of(decide(queue, running, TWO, Policy(), 100.0), "last")
        if isinstance(answer, Start):
            break
        assert isinstance(answer, Wait) and answer.holders
        named = {holder.job_id for holder in answer.holders}
        rounds.append((answer.code, named))
        queue = [each for each in queue if each.job_id not in named]
        running = [each for each in running if each.job_id not in named]
    assert isinstance(answer, Start)
    assert rounds == [
        (Code.NO_CAPACITY, {"r"}),
        (Code.BEHIND, {"first"}),
        (Code.BEHIND, {"second"}),
    ]


def test_quota_that_an_owner_has_on_loan_itself_does_not_cost_its_job_the_reservation() -> None:
    stock = Inventory((Node("n", 8, 64), Node("c", 0, 8)), {"ann": Account(quota=Quota(gpus=8))})
    running = [busy("e", 0, "nnnn", 1, 8), busy("r", 1, "nnnn", owner="bob", ends_by=500.0)]
    queue = [job("large", 2, 7, priority=1), job("small", 3, 1, owner="bob")]
    decisions = decide(queue, running, stock, Policy(preempt=False), 100.0)
    large, small = of(decisions, "large"), of(decisions, "small")
    assert isinstance(large, Wait) and (large.code, large.by) == (Code.NO_CAPACITY, 500.0)
    assert large.holders == (Holder("r", "bob", 4),)
    # All but the one worker that `e` keeps is for `large`, lent ones too.
    assert isinstance(small, Wait) and small.code == Code.BEHIND and small.holders[0].job_id == "large"
