"""WorkerGroup: all ranks of one generation as Ray actors, started whole or not at all. Used by the controller."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.placement_group import placement_group, remove_placement_group

from gradwire.workers.actor import start_actor
from gradwire.workers.handshake import SECRET_BYTES
from gradwire.workers.reports import Report
from gradwire.workers.step import OwnerFactory
from gradwire.workers.worker import RankEnded, WorkerSpec

__all__ = ["GroupLostError", "NoRoomError", "Slots", "WorkerGroup"]

STOP_GRACE_S = 3.0


class NoRoomError(Exception):
    """The cluster did not give the group its places in time."""


class GroupLostError(Exception):
    """A rank's process is gone or does not answer. `rank` says which, where that is known."""

    def __init__(self, rank: int | None, detail: str) -> None:
        super().__init__(rank, detail)
        self.rank, self.detail = rank, detail

    def __str__(self) -> str:
        which = "a worker" if self.rank is None else f"worker {self.rank}"
        return f"{which} was lost: {self.detail}"


@dataclass(frozen=True)
class Slots:
    """What a place is: CPUs of one worker, and the address its host listens on ('' means the node's own)."""

    cpus_per_worker: float
    host: str = ""


class WorkerGroup:
    """`world_size` live ranks that have begun. Making one returns them or raises after giving everything back."""

    def __init__(
        self,
        spec: WorkerSpec,
        world_size: int,
        generation: int,
        make_owner: OwnerFactory,
        resume: str | None,
        slots: Slots,
        place_within_s: float = 60.0,
        begin_within_s: float = 120.0,
    ) -> None:
        """Raises NoRoomError where the places are not free in time, GroupLostError where a rank does not begin."""
        self.world_size = world_size
        self._actors: list[Any] = []
        bundle: dict[str, float] = {"CPU": slots.cpus_per_worker}
        if spec.device.startswith("cuda"):
            bundle["GPU"] = 1
        self._places = placement_group([bundle] * world_size, strategy="PACK")
        try:
            if not self._places.wait(place_within_s):
                raise NoRoomError(
                    f"the cluster had no room for {world_size} workers ({_in_words(bundle)} each) within {place_within_s:.0f} s"
                )
            for rank in range(world_size):
                self._actors.append(
                    start_actor(
                        spec, rank, world_size, make_owner, self._places, slots.cpus_per_worker, slots.host
                    )
                )
            addresses = self._ask(lambda actor: actor.address.remote(), begin_within_s)
            secret = secrets.token_bytes(SECRET_BYTES)
            self._ask(lambda actor: actor.begin.remote(addresses, generation, secret, resume), begin_within_s)
        except BaseException:
            self.close()
            raise
        self._taken = [0] * world_size
        self._pending: dict[Any, int] = {}

    def _ask(self, call: Callable[[Any], Any], within_s: float) -> list[Any]:
        """The answers of all ranks, in order."""
        calls = [call(actor) for actor in self._actors]
        answers = []
        for rank, answer in enumerate(calls):
            try:
                answers.append(ray.get(answer, timeout=within_s))
            except RayError as error:
                raise GroupLostError(rank, _in_short(error)) from error
        return answers

    def follow(self, wait_s: float) -> Iterator[tuple[int, list[Report], RankEnded | None]]:
        """What came from any rank within `wait_s`: rank, its next reports, and how it ended where it did.

        Raises GroupLostError as soon as a rank's process is gone.
        """
        for rank, actor in enumerate(self._actors):
            if rank not in self._pending.values() and self._taken[rank] >= 0:
                self._pending[actor.reports.remote(self._taken[rank], 2.0)] = rank
        ready, _ = ray.wait(list(self._pending), num_returns=1, timeout=wait_s)
        for answer in ready:
            rank = self._pending.pop(answer)
            try:
                reports, ended = ray.get(answer)
            except RayActorError as error:
                raise GroupLostError(rank, _in_short(error)) from error
            self._taken[rank] = len(reports) if ended is None else -1
            yield rank, reports, ended

    def stop(self, reason: str) -> None:
        """Asks every rank to stop; `follow` tells how they ended."""
        for actor in self._actors:
            actor.stop.remote(reason)

    def close(self) -> None:
        """Ends the processes and gives the places back. May be called more than once."""
        for actor in self._actors:
            with contextlib.suppress(RayError):
                ray.kill(actor, no_restart=True)
        self._actors = []
        if self._places is not None:
            with contextlib.suppress(RayError):
                remove_placement_group(self._places)
            self._places = None

    def __enter__(self) -> WorkerGroup:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _in_words(bundle: dict[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in bundle.items())


def _in_short(error: BaseException) -> str:
    """What a Ray error means, in few words."""
    text = str(error)
    if "SYSTEM_ERROR" in text or "connection error code" in text:
        return "its process was killed or crashed"
    if "node" in text.lower() and "died" in text.lower():
        return "its node is gone"
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:300]
