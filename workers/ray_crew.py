"""Members as Ray actors, in places that are given whole or not at all. See crew.Crew. Used by the controller.

A **place** is a bundle of a placement group. The first `gang` places are one group: they are given and kept together, and
outlive the members in them: who replaces a lost member takes its place. Each further one is a group of its own, and is given
back with the member in it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError
from ray.util.placement_group import placement_group, placement_group_table, remove_placement_group

from gradwire.workers.actor import start_actor
from gradwire.workers.crew import CALL_S, MemberLostError, News, NoRoomError
from gradwire.workers.formation import Formation
from gradwire.workers.member import MemberSpec, Progress
from gradwire.workers.step import OwnerFactory

__all__ = ["RayCrew", "Slots"]

REPORTS_S = 2.0
BEGIN_S = 120.0
JOIN_WITHIN_S = 30.0


@dataclass(frozen=True)
class Slots:
    """What a place is: CPUs of one worker, the address its host listens on ('' means the node's own), and whether its
    node was started with the environment that workers need."""

    cpus_per_worker: float
    host: str = ""
    prepared: bool = True


@dataclass(eq=False)
class _Place:
    group: Any
    bundle: int
    lent: bool = False
    member: int | None = None


class RayCrew:
    """Hires actors. `name`: what its placement groups are called, so that they can be found and swept."""

    def __init__(
        self,
        spec: MemberSpec,
        make_owner: OwnerFactory,
        slots: Slots,
        name: str = "",
        place_within_s: float = 60.0,
        gang: int = 0,
        one_host: bool = False,
    ) -> None:
        """gang: 0 means all that are hired first. one_host: all members on the host of the first."""
        self._spec, self._make_owner, self._slots, self._name = spec, make_owner, slots, name
        self._place_within_s, self._gang, self._one_host = place_within_s, gang, one_host
        self._places: list[_Place] = []
        self._actors: dict[int, Any] = {}
        self._hosts: dict[int, str] = {}
        self._taken: dict[int, int] = {}
        self._pending: dict[Any, int] = {}
        self._groups = 0

    def hire(self, members: Sequence[int]) -> None:
        """See crew.Crew."""
        free = [place for place in self._places if place.member is None]
        if len(free) < len(members):
            free += self._more_places(len(members) - len(free))
        spec, slots = self._spec, self._slots
        cpus = bundle_of(spec.device, slots).get("CPU", 0.0)
        for member, place in zip(members, free, strict=False):
            place.member = member
            self._actors[member] = start_actor(
                spec,
                member,
                self._make_owner,
                place.group,
                place.bundle,
                cpus,
                slots.host,
                slots.prepared,
            )
            self._taken[member] = 0

    def _more_places(self, count: int) -> list[_Place]:
        bundle = bundle_of(self._spec.device, self._slots)
        together = min(self._gang or count, count) if not self._places else 0
        sizes = [together] * (together > 0) + [1] * (count - together)
        # Who joins is waited for while others train: nobody looks after them meanwhile.
        within_s = min(self._place_within_s, JOIN_WITHIN_S) if self._places else self._place_within_s
        deadline = time.monotonic() + within_s
        groups = [self._new_group(bundle, size) for size in sizes]
        places: list[_Place] = []
        for group, size in zip(groups, sizes, strict=True):
            if not group.wait(max(deadline - time.monotonic(), 0.0)):
                for each in groups:
                    with contextlib.suppress(RayError):
                        remove_placement_group(each)
                words = " and ".join(f"{amount:g} {kind}" for kind, amount in bundle.items())
                raise NoRoomError(
                    f"the cluster had no room for {count} workers ({words} each) within {within_s:.0f} s"
                )
            lent = together == 0 or group is not groups[0]
            places += [_Place(group, k, lent) for k in range(size)]
        self._places += places
        return places

    def _new_group(self, bundle: Mapping[str, float], size: int) -> Any:
        self._groups += 1
        name = f"{self._name}-{self._groups}" if self._name else ""
        strategy, where = "PACK", None
        if self._one_host:
            strategy = "STRICT_PACK"
            if self._places:
                told = placement_group_table(self._places[0].group)
                where = [{"ray.io/node-id": told["bundles_to_node_id"][0]}] * size
        return placement_group(
            [dict(bundle)] * size, strategy=strategy, name=name, bundle_label_selector=where
        )

    def host(self, member: int) -> str:
        """See crew.Crew."""
        return self._hosts.get(member, "")

    def pid(self, member: int) -> int:
        """The process of a member, on its host. Raises MemberLostError."""
        return int(self._answer(member, self._actors[member].__ray_call__.remote(_pid), CALL_S))

    def prepare(self, members: Sequence[int], generation: int) -> list[Any]:
        """See crew.Crew."""
        calls = [(m, self._actors[m].prepare.remote(generation), self._host_of(m)) for m in members]
        answers = []
        for member, address, host in calls:
            within_s = CALL_S if member in self._hosts else BEGIN_S
            answers.append(self._answer(member, address, within_s))
            if host is not None:
                self._hosts[member] = str(self._answer(member, host, within_s))
        return answers

    def _host_of(self, member: int) -> Any:
        return None if member in self._hosts else self._actors[member].host.remote()

    @staticmethod
    def _answer(member: int, call: Any, within_s: float) -> Any:
        try:
            return ray.get(call, timeout=within_s)
        except GetTimeoutError:
            raise MemberLostError(member, "it does not answer") from None
        except RayError as error:
            raise MemberLostError(member, _in_short(error)) from error

    def form(self, formations: Mapping[int, Formation]) -> None:
        """See crew.Crew."""
        for member, formation in formations.items():
            self._actors[member].form.remote(formation)

    def order(self, member: int, number: int, what: Mapping[str, Any]) -> None:
        """See crew.Crew."""
        if (actor := self._actors.get(member)) is not None:
            actor.order.remote(number, dict(what))

    def follow(self, wait_s: float) -> Iterator[News]:
        """See crew.Crew."""
        asked = set(self._pending.values())
        for member, actor in self._actors.items():
            if member not in asked and self._taken[member] >= 0:
                self._pending[actor.reports.remote(self._taken[member], REPORTS_S)] = member
        if not self._pending:
            return
        ready, _ = ray.wait(list(self._pending), num_returns=len(self._pending), timeout=0)
        if not ready:
            ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=wait_s)
        for answer in ready:
            member = self._pending.pop(answer)
            if member not in self._actors:
                continue
            try:
                reports, ended = ray.get(answer)
            except RayActorError as error:
                self._taken[member] = -1
                yield News(member, lost=_in_short(error))
                continue
            self._taken[member] = len(reports) if ended is None else -1
            yield News(member, reports, ended)

    def progress(self, member: int, within_s: float) -> Progress | None:
        """See crew.Crew."""
        actor = self._actors.get(member)
        if actor is None:
            return None
        try:
            result: Progress = ray.get(actor.progress.remote(), timeout=within_s)
            return result
        except RayError:
            return None

    def stop(self, member: int, reason: str) -> None:
        """See crew.Crew."""
        if (actor := self._actors.get(member)) is not None:
            actor.stop.remote(reason)

    def dismiss(self, member: int) -> None:
        """See crew.Crew."""
        actor = self._actors.pop(member, None)
        if actor is not None:
            with contextlib.suppress(RayError):
                ray.kill(actor, no_restart=True)
        for place in [place for place in self._places if place.member == member]:
            place.member = None
            if place.lent:
                self._places.remove(place)
                with contextlib.suppress(RayError):
                    remove_placement_group(place.group)

    def release(self) -> None:
        """Gives back the placement groups in which nobody is."""
        for group in {place.group.id: place.group for place in self._places}.values():
            places = [place for place in self._places if place.group.id == group.id]
            if all(place.member is None for place in places):
                with contextlib.suppress(RayError):
                    remove_placement_group(group)
                self._places = [place for place in self._places if place not in places]

    def close(self) -> None:
        """See crew.Crew."""
        for member in list(self._actors):
            self.dismiss(member)
        self.release()


def _pid(_actor: object) -> int:
    return os.getpid()


def bundle_of(device: str, slots: Slots) -> dict[str, float]:
    """What one worker takes in Ray's books: a GPU, or a CPU's share."""
    return {"GPU": 1.0} if device.startswith("cuda") else {"CPU": slots.cpus_per_worker}


def _in_short(error: BaseException) -> str:
    """What a Ray error means, in few words."""
    text = str(error)
    if "SYSTEM_ERROR" in text or "connection error code" in text:
        return "its process was killed or crashed"
    if "node" in text.lower() and "died" in text.lower():
        return "its node is gone"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]
