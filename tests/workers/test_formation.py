"""How a group goes on: decisions for every combination of where its members stand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwire.training import BLOCK, owned_range
from gradwire.workers.formation import (
    StateLostError,
    Status,
    assigned_leaves,
    balanced,
    neighbours,
    resolve,
    transfers,
)

HALVES = ((0, 5), (5, 10))


def test_members_without_state_begin_anew() -> None:
    assert resolve([Status(), Status()], 10).step is None


def test_a_step_that_nobody_passed_is_made_again() -> None:
    found = resolve([Status(3, slices=HALVES), Status(3, slices=HALVES)], 10)
    assert (found.step, found.settle, found.behind, found.fresh) == (3, False, (), ())


def test_a_step_that_one_passed_is_finished_by_all() -> None:
    found = resolve([Status(3, slices=HALVES), Status(3, True, slices=HALVES)], 10)
    assert (found.step, found.settle, found.behind) == (4, True, (0, 1))


def test_who_is_behind_catches_up_and_gets_the_rest_from_who_is_not() -> None:
    found = resolve([Status(), Status(3, slices=HALVES), Status(4, slices=HALVES)], 10)
    assert (found.step, found.behind, found.fresh, found.donor) == (4, (1,), (0,), 2)


def test_what_was_to_follow_a_step_is_done_again_where_one_had_not_done_it() -> None:
    assert resolve([Status(4, settled=False, slices=HALVES), Status(4, slices=HALVES)], 10).settle


@pytest.mark.parametrize("held", [((0, 5),), ((5, 10),), ((0, 4), (5, 10)), ()])
def test_a_slice_that_nobody_holds_is_lost(held: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(StateLostError, match="both copies"):
        resolve([Status(2, slices=held), Status()], 10)


def test_ranks_further_apart_than_a_step_can_t_be() -> None:
    with pytest.raises(StateLostError, match="more than one step apart"):
        resolve([Status(2, slices=HALVES), Status(4, slices=HALVES)], 10)


def test_a_status_survives_its_way_as_bytes() -> None:
    status = Status(7, True, False, ((2, 0), (0, 4)), HALVES)
    assert Status.decoded(status.encoded()) == status


@given(st.integers(1, 12), st.integers(1, 40), st.data())
def test_every_leaf_is_computed_once_and_those_that_are_there_stay(
    workers: int, leaves: int, data: st.DataObject
) -> None:
    workers = min(workers, leaves)
    owner = data.draw(st.lists(st.integers(-1, workers - 1), min_size=leaves, max_size=leaves))
    done = [[(0, leaf) for leaf in range(leaves) if owner[leaf] == rank] for rank in range(workers)]
    todo = assigned_leaves(done, workers, leaves)
    there = sorted(leaf for nodes in done for _, leaf in nodes)
    assert sorted([*there, *(leaf for leaves_of in todo for leaf in leaves_of)]) == list(range(leaves))
    loads = [len(d) + len(t) for d, t in zip(done, todo, strict=True)]
    given_to = [load for load, t in zip(loads, todo, strict=True) if t]
    assert max(given_to, default=0) <= min(loads) + 1 or not any(done)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=12))
def test_each_rank_keeps_the_copy_of_one_other_on_another_host_where_there_is_room(hosts: list[str]) -> None:
    keepers = neighbours(hosts)
    assert sorted(keepers) == list(range(len(hosts)))
    assert all(keeper != rank for rank, keeper in enumerate(keepers))
    for host in set(hosts):
        others = len(hosts) - hosts.count(host)
        kept_elsewhere = sum(h == host != hosts[keeper] for h, keeper in zip(hosts, keepers, strict=True))
        assert kept_elsewhere == min(hosts.count(host), others)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30))
def test_from_any_number_of_owners_to_any_other_each_element_goes_once(
    before: int, after: int, blocks: int
) -> None:
    def slices(workers: int) -> list[list[tuple[int, int]]]:
        parts = [owned_range(r, workers, blocks) for r in range(workers)]
        return [[(p.start * BLOCK, p.stop * BLOCK)] if len(p) else [] for p in parts]

    size = max(before, after)
    needs = slices(after) + [[]] * (size - after)
    holds = slices(before) + [[]] * (size - before)
    moves = transfers(needs, holds)
    taken = sorted((m.start, m.stop) for m in moves)
    assert taken[0][0] == 0
    assert taken[-1][1] == blocks * BLOCK
    assert all(a[1] == b[0] for a, b in pairwise(taken))
    for m in moves:
        assert any(a <= m.start and m.stop <= b for a, b in holds[m.source])
        assert any(a <= m.start and m.stop <= b for a, b in needs[m.dest])


def test_a_slow_rank_gets_fewer_leaves_where_it_pays() -> None:
    assert balanced([1.0, 1.1, 0.9, 1.0], 8) == [2, 2, 2, 2]
    assert balanced([1.0, 2.0], 8) == [
        6,
        2,
    ]  # the slower one takes 4 s, the faster one 6; (5, 3) would be no faster
    assert balanced([1.0, 50.0, 1.0], 8) == [4, 1, 3]
    assert balanced([0.1], 8) == [8]


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=8), st.integers(8, 64))
def test_leaves_are_dealt_to_all_and_no_deal_is_slower_than_equal_parts(
    seconds: list[float], leaves: int
) -> None:
    counts = balanced(seconds, leaves)
    even = [len(owned_range(r, len(seconds), leaves)) for r in range(len(seconds))]
    assert sum(counts) == leaves
    assert min(counts) >= 1

    def slowest(numbers: list[int]) -> float:
        return max(n * t for n, t in zip(numbers, seconds, strict=True))

    assert slowest(counts) <= slowest(even)


def test_who_holds_it_already_gets_it_from_itself() -> None:
    (move,) = transfers([[], [(0, 5)]], [[(0, 5)], [(0, 5)]])
    assert move.source == move.dest == 1
