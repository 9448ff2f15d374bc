"""What every decision of the scheduler promises, on generated worlds: a few thousand here, a hundred thousand in the long run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from scheduling_worlds import World, after, fits, free, make, owned, room, within_quota, worlds

from gradwire.services.scheduling import (
    Account,
    Code,
    Grow,
    Pause,
    Shrink,
    Start,
    Stop,
    Wait,
    Waiting,
    decide,
    never,
)
from gradwire.services.scheduling.ranking import level

Check = Callable[[World], None]
CHECKS: list[Check] = []
LONG_RUN, PARTS = 100_000, 20


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@check
def every_job_gets_one_answer(world: World) -> None:
    decisions = world.decide()
    answered = [each.job_id for each in decisions]
    assert len(set(answered)) == len(answered)
    waiting = {job.job_id for job in world.queue}
    assert waiting == {each.job_id for each in decisions if isinstance(each, Start | Wait)}
    running = {job.job_id for job in world.running}
    assert running >= {each.job_id for each in decisions if isinstance(each, Grow | Shrink | Pause | Stop)}


@check
def no_node_is_given_twice(world: World) -> None:
    for gpus, cpus in free(after(world, world.decide())).values():
        assert gpus >= 0 and cpus >= 0


@check
def gangs_are_whole_and_nothing_is_held_for_a_part_of_one(world: World) -> None:
    decisions = world.decide()
    queue = {job.job_id: job for job in world.queue}
    running = {job.job_id: job for job in world.running}
    for each in decisions:
        if isinstance(each, Start):
            job = queue[each.job_id]
            assert job.minimum <= len(each.nodes) <= job.maximum
            assert not job.one_host or len(set(each.nodes)) == 1
            assert each.place_by == world.now + world.policy.gang_deadline_s
        elif isinstance(each, Grow):
            before = running[each.job_id]
            assert each.nodes[: len(before.nodes)] == before.nodes
            assert len(before.nodes) < len(each.nodes) <= before.maximum
            assert not before.one_host or len(set(each.nodes)) == 1
        elif isinstance(each, Shrink):
            before = running[each.job_id]
            assert each.ranks and min(each.ranks) >= before.minimum
            assert each.nodes == tuple(
                name for rank, name in enumerate(before.nodes) if rank not in each.ranks
            )
    # What waits holds nothing: whatever is not free belongs to a job that runs with all it needs.
    then = after(world, decisions)
    lacked = {job.job_id for job in world.running if len(job.nodes) < job.minimum}
    assert all(len(job.nodes) >= job.minimum or job.job_id in lacked for job in then.running)


@check
def a_gang_stands_on_as_few_nodes_as_what_is_free_allows(world: World) -> None:
    """For the first job that starts, where nobody is disturbed for it."""
    decisions = world.with_(policy=replace(world.policy, preempt=False)).decide()
    starts = [each for each in decisions if isinstance(each, Start)]
    if len(starts) != 1 or any(isinstance(each, Shrink) for each in decisions):
        return
    job = next(job for job in world.queue if job.job_id == starts[0].job_id)
    counts = sorted(room(free(world), job.shape), reverse=True)
    fewest = next(k for k in range(1, len(counts) + 1) if sum(counts[:k]) >= job.minimum)
    assert (
        len(set(starts[0].nodes[: job.minimum])) == fewest
        or any(isinstance(each, Wait) and each.code == Code.BEHIND for each in decisions)
        or _reserved(decisions)
    )


def _reserved(decisions: list[object]) -> bool:
    waits = [each for each in decisions if isinstance(each, Wait)]
    return any(each.code in (Code.NO_CAPACITY, Code.FRAGMENTED) for each in waits)


@check
def quotas_are_kept(world: World) -> None:
    decisions = world.decide()
    then = after(world, decisions)
    for owner, account in world.inventory.accounts.items():
        before, held = owned(world, owner), owned(then, owner)
        for resource in ("gpus", "cpus", "jobs"):
            limit = getattr(account.quota, resource)
            if limit is not None:
                assert held[resource] <= max(limit, before[resource])
        if account.quota.storage_bytes is not None and held["storage_bytes"] > before["storage_bytes"]:
            assert held["storage_bytes"] + account.stored_bytes <= account.quota.storage_bytes


@check
def the_order_of_the_input_changes_nothing(world: World) -> None:
    dice = random.Random(7)
    queue, running = list(world.queue), list(world.running)
    nodes, accounts = list(world.inventory.nodes), list(world.inventory.accounts.items())
    for each in (queue, running, nodes, accounts):
        dice.shuffle(each)
    inventory = replace(world.inventory, nodes=tuple(nodes), accounts=dict(accounts))
    assert decide(queue, running, inventory, world.policy, world.now) == world.decide()


@check
def nothing_idles_that_a_waiting_job_could_use(world: World) -> None:
    decisions = world.decide()
    then = after(world, decisions)
    left = free(then)
    reasons = {each.job_id: each for each in decisions if isinstance(each, Wait)}
    for job in then.queue:
        reason = reasons.get(job.job_id)
        if reason is None or reason.code in (Code.NEVER, Code.BACKOFF):
            continue
        if reason.code == Code.QUOTA:
            assert not within_quota(without_loans(world, then, job), job)
        elif reason.code == Code.BEHIND:
            for holder in reason.holders:
                ahead = reasons[holder.job_id]
                # For room, or for quota of the same owner.
                assert ahead.code in (Code.NO_CAPACITY, Code.FRAGMENTED) or (
                    ahead.code == Code.QUOTA and holder.owner == job.owner
                )
                assert 0 < ahead.place < reason.place
        else:
            assert not fits(left, job) and within_quota(without_loans(world, then, job), job)


@check
def what_still_idles_is_lent_to_jobs_that_can_grow(world: World) -> None:
    decisions = world.decide()
    if any(isinstance(each, Wait) and each.place for each in decisions):
        return  # a reservation may hold it
    then = after(world, decisions)
    shrunk = {each.job_id for each in decisions if isinstance(each, Shrink)}
    stopped = {each.job_id for each in decisions if isinstance(each, Stop)}
    fresh = {each.job_id for each in decisions if isinstance(each, Start)}
    before = {job.job_id: job for job in world.running}
    for job in then.running:
        if len(job.nodes) >= job.maximum or job.job_id in shrunk | stopped:
            continue
        known = before.get(job.job_id)
        if job.job_id not in fresh and (
            known is None or not known.settled or world.now - known.resized_at < world.policy.grow_after_s
        ):
            continue
        left = free(then)
        if job.one_host:
            left = {name: left[name] for name in set(job.nodes)}
        one = Waiting("one", job.owner, -1, job.shape)
        account = world.inventory.accounts.get(job.owner, Account())
        more = owned(then, job.owner)
        blocked = any(
            limit is not None and need and more[name] + need > limit
            for name, limit, need in (
                ("gpus", account.quota.gpus, job.shape.gpus),
                ("cpus", account.quota.cpus, job.shape.cpus),
            )
        )
        assert blocked or not fits(left, one)


@check
def only_what_starts_a_job_is_taken_and_only_from_those_below_it(world: World) -> None:
    decisions = world.decide()
    starts = {each.job_id: each for each in decisions if isinstance(each, Start)}
    queue = {job.job_id: job for job in world.queue}
    running = {job.job_id: job for job in world.running}
    for each in decisions:
        if isinstance(each, Pause):
            victim, by = running[each.job_id], queue[each.starts]
            assert each.starts in starts and world.policy.preempt
            assert victim.level < by.priority
            assert world.now - victim.started_at >= world.policy.preempt_after_s
        elif isinstance(each, Shrink):
            victim = running[each.job_id]
            if each.starts == "":
                assert len(victim.nodes) > victim.maximum == len(each.nodes)
                continue
            assert each.starts in starts
            assert victim.priority <= starts[each.starts].level
    # A job that starts alone, by what is taken for it alone, and with no reservation to leave alone, needs all of that.
    takers = {each.starts for each in decisions if isinstance(each, Pause | Shrink)}
    if len(starts) == 1 and len(takers) == 1 and takers <= set(starts) and not _reserved(decisions):
        (job_id,) = takers
        for spared in decisions:
            if isinstance(spared, Pause):
                others = [each for each in decisions if each != spared and not isinstance(each, Grow)]
                core = [
                    replace(each, nodes=each.nodes[: queue[job_id].minimum])
                    if isinstance(each, Start)
                    else each
                    for each in others
                ]
                then = after(
                    world.with_(queue=(queue[job_id],)), [e for e in core if not isinstance(e, Wait)]
                )
                over = any(gpus < 0 or cpus < 0 for gpus, cpus in free(then).values())
                quota = within_quota(
                    then.with_(running=tuple(job for job in then.running if job.job_id != job_id)),
                    queue[job_id],
                )
                assert over or not quota


@check
def what_can_never_run_is_told_apart_from_what_waits(world: World) -> None:
    empty = world.with_(running=())
    reasons = {each.job_id: each for each in world.decide() if isinstance(each, Wait)}
    for job in world.queue:
        stored = replace(world.inventory.accounts.get(job.owner, Account()), stored_bytes=0)
        bare = empty.with_(
            inventory=replace(world.inventory, accounts={**world.inventory.accounts, job.owner: stored})
        )
        possible = (
            fits(free(empty), job)
            and within_quota(bare, job)
            and (job.longest_s is None or job.longest_s > 0)
        )
        assert (never(job, world.inventory) is None) == possible
        reason = reasons.get(job.job_id)
        assert (reason is not None and reason.code == Code.NEVER) == (not possible)


@check
def whoever_is_named_as_the_blocker_is_it(world: World) -> None:
    """Without the named jobs the waiting one starts; without all but one of them it does not have the room."""
    decisions = world.decide()
    for reason in decisions:
        if not isinstance(reason, Wait) or reason.code in (Code.NEVER, Code.BACKOFF):
            continue
        job = next(each for each in world.queue if each.job_id == reason.job_id)
        account = world.inventory.accounts.get(job.owner, Account())
        if reason.code == Code.QUOTA and reason.resource == "storage_bytes" and not reason.holders:
            assert account.stored_bytes > 0  # files hold it, no job
            continue
        assert reason.holders
        named = {holder.job_id for holder in reason.holders}
        then = after(world, [each for each in decisions if not isinstance(each, Wait)])
        alone = then.with_(queue=(job,))
        if reason.code == Code.BEHIND:
            assert named <= {each.job_id for each in then.queue}
            if not _settling(alone):
                assert any(isinstance(each, Start) for each in alone.decide())
            continue
        assert named <= {each.job_id for each in then.running}
        without = alone.with_(running=tuple(each for each in then.running if each.job_id not in named))
        started = any(isinstance(each, Start) for each in without.decide())
        if reason.code == Code.QUOTA:
            assert within_quota(without_loans(world, without, job), job)
            for spared in named:
                kept = alone.with_(
                    running=tuple(
                        each for each in then.running if each.job_id not in named or each.job_id == spared
                    )
                )
                assert not within_quota(without_loans(world, kept, job), job)
            continue
        if not _settling(without):
            assert started


def without_loans(before: World, world: World, job: Waiting) -> World:
    """The world without what its running jobs have on loan from this job: it takes that back when there is room."""
    lenders = {each.job_id for each in world.running if each.priority <= level(job, world.policy, world.now)}
    lenders -= {each.job_id for each in before.running}
    lenders |= {
        each.job_id
        for each in before.running
        if each.settled
        and each.priority <= level(job, world.policy, world.now)
        and not (each.ends_by is not None and each.ends_by <= world.now)
    }
    return world.with_(
        running=tuple(
            replace(each, nodes=each.nodes[: each.minimum]) if each.job_id in lenders else each
            for each in world.running
        )
    )


def _settling(world: World) -> bool:
    """Changes of workers that are under way come first."""
    return any(
        not job.settled or (job.ends_by is not None and job.ends_by <= world.now) for job in world.running
    )


@check
def decisions_come_to_rest(world: World) -> None:
    """Nobody comes, nobody ends: then nobody is paused for ever in turn, however time and levels rise."""
    world = world.with_(
        queue=tuple(replace(job, longest_s=None) for job in world.queue),
        running=tuple(replace(job, ends_by=None, place_by=None) for job in world.running),
    )
    quiet = 0
    for _ in range(60):
        decisions = world.decide()
        acts = [each for each in decisions if not isinstance(each, Wait | Stop)]
        world = after(world, decisions).with_(now=world.now + 700.0)
        world = world.with_(running=tuple(replace(job, settled=True) for job in world.running))
        quiet = 0 if acts else quiet + 1
        if quiet == 12:
            return
    raise AssertionError("still moving after 60 passes")


@check
def a_decision_carried_out_at_once_needs_no_second(world: World) -> None:
    policy = replace(world.policy, preempt_after_s=120.0, grow_after_s=60.0)
    world = world.with_(policy=policy)
    then = after(world, world.decide())
    again = [each for each in then.decide() if not isinstance(each, Wait | Stop)]
    # What was paused now has no claim on what paused it; it may take what that left, and lent workers of its equals.
    assert not any(isinstance(each, Pause) and each.job_id in _fresh(world, then) for each in again)


def _fresh(before: World, then: World) -> set[str]:
    return {job.job_id for job in then.running} - {job.job_id for job in before.running}


@check
def the_level_of_a_start_is_its_priority_and_its_wait(world: World) -> None:
    queue = {job.job_id: job for job in world.queue}
    for each in world.decide():
        if isinstance(each, Start):
            job = queue[each.job_id]
            waited = 0 if world.policy.aging_s == inf else (world.now - job.since) // world.policy.aging_s
            assert each.level == job.priority + waited == level(job, world.policy, world.now)


@pytest.mark.parametrize("promise", CHECKS, ids=lambda each: each.__name__)
@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(world=worlds)
def test_every_decision_keeps(promise: Check, world: World) -> None:
    promise(world)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_hundred_thousand_worlds_keep_every_promise(part: int) -> None:
    """`make test-long ARGS="-k hundred_thousand"`: the parts are for several cores."""
    for seed in range(part * LONG_RUN // PARTS, (part + 1) * LONG_RUN // PARTS):
        dice = random.Random(seed)
        world = make(seed, dice.randint(1, 6), dice.randint(0, 12), dice.randint(0, 12))
        for promise in CHECKS:
            try:
                promise(world)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {promise.__name__}: {error}") from error
