"""Keeps a job's group alive: forms it, forms it again after a death, grows and shrinks it, and tells what happened.

Every decision is here; how members are made and called is the `Crew`'s (threads, processes, Ray actors: siblings of this
file). One thread runs `run`; the requests come from any other.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.crew import Crew, MemberLostError, News, NoRoomError
from gradwire.workers.faults import WAITING_AFTER
from gradwire.workers.formation import Formation
from gradwire.workers.handshake import SECRET_BYTES
from gradwire.workers.member import End, MemberEnded, MemberSpec
from gradwire.workers.output import RankedOutput
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Failed,
    Finished,
    Formed,
    LogLine,
    OptionsChanged,
    Parked,
    Paused,
    Ready,
    Report,
    StepFinished,
    Warned,
    report_of_step,
)

__all__ = ["Supervisor"]

LOSSES_LIMIT = 10
"""Losses without a new step between them, after which a job is given up."""
STOP_GRACE_S = 3.0
FOLLOW_S = 0.25
JUDGE_S = 1.0
"""Between the first word that ranks do not hear each other and what is done about it: others have a say, or a link is back."""


@dataclass
class _Order:
    number: int
    what: Mapping[str, Any]


@dataclass
class _Group:
    """The present generation: members in rank order, the first `workers` of them workers."""

    generation: int = 0
    members: list[int] = field(default_factory=list)
    workers: int = 0
    formed: bool = False


class Supervisor:
    """Brings one attempt of a job to its end with about `workers` workers. `tell` takes its reports, in order."""

    def __init__(
        self,
        spec: MemberSpec,
        workers: int,
        crew: Crew,
        tell: Callable[[Report], None],
        history: Sequence[OptionsChanged] = (),
        spares: int = 0,
        losses_limit: int = LOSSES_LIMIT,
        heartbeat_s: float = 30.0,
        begin_s: float = 120.0,
    ) -> None:
        """spares: members kept loaded beside the workers, to take a lost one's place at once.

        heartbeat_s: after so long a silence members are asked whether they live; begin_s: what a new one has before that.
        """
        self._spec, self._crew, self._tell_outside = spec, crew, tell
        self._spares, self._losses_limit = spares, losses_limit
        self._heartbeat_s, self._begin_s = heartbeat_s, begin_s
        self._lock = threading.Lock()
        self._wanted = workers
        self._asked: list[_Order] = []
        self._stop_reason: str | None = None
        self._order_number = max((change.order for change in history), default=0)
        self._pauses = 0
        self._history = list(history)
        self._group = _Group()
        self._next_member = 0
        self._ready: set[int] = set()
        self._hired: set[int] = set()
        self._stateful: set[int] = set()
        self._accused: set[tuple[int, int]] = set()
        """(who heard nothing, from whom) in this generation."""
        self._apart: set[frozenset[int]] = set()
        """Who did not reach whom since the last step."""
        self._judge_at: float | None = None
        self._complaint = ""
        self._told: dict[type[Any], int] = {}
        self._losses = 0
        self._step_at_loss = -1
        self._pending: _Group | None = None
        """A formation that waits for a step boundary."""
        self._leaving: set[int] = set()
        self._ended: dict[int, MemberEnded] = {}
        self._failure: Failed | None = None
        self._result: Finished | Paused | None = None
        self._result_at = 0.0
        self._heard = self._looked_at = time.monotonic()
        self._hired_at: dict[int, float] = {}
        self._room_at = 0.0
        self._output = RankedOutput(self._tell, workers)

    @property
    def workers(self) -> list[int]:
        """The members that train now, in rank order."""
        group = self._group
        return group.members[: group.workers] if group.formed else []

    # Requests, from any thread.

    def resize(self, workers: int) -> None:
        """Goes on with that many workers from the next step boundary on, as soon as they are there."""
        with self._lock:
            self._wanted = workers

    def pause(self) -> None:
        """Ends with a checkpoint at the next step boundary."""
        with self._lock:
            self._pauses += 1
            order = _Order(-self._pauses, {"pause": True})
        self._ask(order)

    def update(self, options: Mapping[str, float], number: int = 0) -> None:
        """Changes options of all parameter groups at the next step boundary.

        number: grows with each request; one that came before is not carried out again. 0: the next number.
        """
        with self._lock:
            if 0 < number <= self._order_number:
                return
            self._order_number = number or self._order_number + 1
            order = _Order(self._order_number, {"options": dict(options)})
        self._ask(order)

    def stop(self, reason: str) -> None:
        """Ends the members; `run` returns soon."""
        with self._lock:
            self._stop_reason = reason

    def _ask(self, order: _Order) -> None:
        with self._lock:
            self._asked.append(order)
            group = self._group
        if group.formed:
            self._crew.order(group.members[0], order.number, order.what)

    # The loop.

    def run(self) -> None:
        """Returns when the job has ended, is paused, or was stopped. Members are gone then."""
        try:
            self._begin()
            while not self._over():
                for news in self._crew.follow(FOLLOW_S):
                    self._take(news)
                self._look_after()
        except NoRoomError as error:
            self._failure = self._failure or Failed("CANNOT_PLACE", str(error), "")
        finally:
            self._end_members()
            self._crew.close()
        last = self._failure or self._result
        if last is not None and self._stop_reason is None:
            self._tell_outside(last)

    def _over(self) -> bool:
        if self._stop_reason is not None or self._failure is not None:
            return True
        if self._result is None:
            return False
        if time.monotonic() - self._result_at >= STOP_GRACE_S:
            return True
        return not self._present(self._group.members[: self._group.workers])

    def _begin(self) -> None:
        """The first group: whole or not at all."""
        members = self._hire(self._wanted)
        self._form(members, len(members), "", restart=True)

    def _hire(self, count: int) -> list[int]:
        members = [self._next_member + k for k in range(count)]
        self._next_member += count
        self._crew.hire(members)
        self._hired.update(members)
        self._hired_at.update(dict.fromkeys(members, time.monotonic()))
        return members

    def _form(
        self, members: list[int], workers: int, reason: str, restart: bool = False, at_boundary: bool = False
    ) -> None:
        """Has `members` form the next generation. Who is lost meanwhile is taken out, and it is tried again."""
        while members and workers:
            generation = max(self._group.generation, self._pending.generation if self._pending else 0) + 1
            try:
                addresses = self._crew.prepare(members, generation)
            except MemberLostError as error:
                lost = int(error.args[0])
                workers -= members.index(lost) < workers
                members = [m for m in members if m != lost]
                self._note_loss(lost, str(error.args[1]))
                at_boundary = False
                continue
            # Where nobody has been in a whole group, nobody has state: that of the job so far is in its checkpoints.
            anew = restart or not self._stateful.intersection(members)
            resume = None
            if anew:
                resume, self._stateful = self._newest_checkpoint(), set()
                step = self._told.get(CheckpointWritten, 0)
                reason = f"going on from the checkpoint of step {step}" if resume else "the job begins"
            secret = secrets.token_bytes(SECRET_BYTES)
            hosts = tuple(self._crew.host(member) for member in members)
            self._accused, self._judge_at = set(), None
            group = _Group(generation, members, workers)
            if at_boundary:
                self._pending = group
            else:
                self._pending, self._group = None, group
            self._crew.form(
                {
                    member: Formation(
                        generation,
                        rank,
                        workers,
                        tuple(addresses),
                        hosts,
                        secret,
                        reason,
                        at_boundary,
                        anew,
                        resume,
                        self._told.get(StepFinished, 0),
                        self._told.get(CheckpointWritten, 0),
                        tuple(self._history),
                    )
                    for rank, member in enumerate(members)
                }
            )
            self._heard = time.monotonic()
            return
        self._restart("no worker was left")

    def _restart(self, reason: str) -> None:
        """From the newest checkpoint, with whoever lives and new members for the rest."""
        if self._failure is not None or self._stop_reason is not None:
            return
        alive = [m for m in self._group.members if m in self._hired and m not in self._ended]
        alive += [m for m in sorted(self._ready & self._hired) if m not in alive and m not in self._ended]
        alive = alive[: self._wanted]
        members = alive + self._hire(self._wanted - len(alive))
        self._tell(Warned("STATE_LOST", f"{reason}; going on from the newest checkpoint"))
        self._form(members, len(members), "", restart=True)

    # What came.

    def _take(self, news: News) -> None:
        member = news.member
        for report in news.reports:
            self._take_report(member, report)
        if news.ended is not None:
            self._ended[member] = news.ended
            self._ready.discard(member)
            if news.ended.end is End.LEFT:
                self._take_left(member, news.ended.generation)
        if news.lost is not None and member in self._hired:
            if self._failure is not None:
                self._hired.discard(member)  # the job is over, and by what was told before
            else:
                self._lose([member], news.lost)

    def _take_left(self, member: int, generation: int) -> None:
        """It gave its state away in `generation`. Who counts on it in a later one is formed anew, without it."""
        self._hired.discard(member)
        self._leaving.discard(member)
        self._crew.dismiss(member)
        newest = self._pending or self._group
        if member in newest.members and newest.generation > generation:
            self._lose([], "a group was formed with one that had just left")

    def _take_report(self, member: int, report: Report) -> None:
        match report:
            case Ready():
                self._ready.add(member)
            case Parked():
                self._take_parked(member, report)
            case Formed():
                self._take_formed(report)
            case Failed():
                if report.reason == "PROCESS_LIMIT":
                    rank = self._rank(member)
                    report = replace(
                        report, message=f"worker {member if rank is None else rank} {report.message}"
                    )
                self._failure = self._failure or report
            case Finished() | Paused():
                self._result, self._result_at = report, time.monotonic()
            case StepFinished() | EvaluationFinished() | CheckpointWritten():
                self._heard = time.monotonic()
                self._apart.clear()
                self._tell_once(report)
            case OptionsChanged():
                if all(change.order != report.order for change in self._history):
                    self._history.append(report)
                    self._tell(report)
                with self._lock:
                    self._asked = [order for order in self._asked if order.number != report.order]
            case Warned() if report.reason == "PAUSE_FAILED":
                with self._lock:
                    self._asked = [order for order in self._asked if "pause" not in order.what]
                self._tell(report)
            case LogLine():
                self._output.take(member, report)
            case _:
                self._tell(report)

    def _take_formed(self, report: Formed) -> None:
        """The group makes steps: what was asked for is told to its first rank."""
        if self._pending is not None and self._pending.generation == report.generation:
            self._leaving.update(self._pending.members[self._pending.workers :])
            self._group, self._pending = self._pending, None
        for rank, member in enumerate(self._group.members[: self._group.workers]):
            self._output.place(member, rank)
        self._stateful = set(self._group.members)
        with self._lock:
            self._group.formed = True
            asked = list(self._asked)
        self._tell(report)
        for order in asked:
            self._crew.order(self._group.members[0], order.number, order.what)

    def _take_parked(self, member: int, report: Parked) -> None:
        if self._result is not None:
            self._crew.stop(member, "the job has ended")  # another died when it had told that it is over
            return
        group = self._group
        if report.generation not in (group.generation, self._pending.generation if self._pending else 0):
            return
        if report.state_lost:
            self._count_loss()
            self._restart(report.message)
            return
        members = group.members if report.generation == group.generation else (self._pending or group).members
        if report.missed is None or report.missed >= len(members):
            return
        live = self._present(members)
        silent = [m for m in live if self._crew.progress(m, 2.0) is None]
        if silent:
            self._lose(silent, f"it does not answer; {report.message}")
            return
        self._accused.add((member, members[report.missed]))
        if self._judge_at is None:
            self._judge_at, self._complaint = time.monotonic() + JUDGE_S, report.message

    def _judge(self) -> None:
        """Some ranks heard nothing from others, and all answer here: who hangs is lost, and who can't be reached again."""
        accused, self._accused, self._judge_at = self._accused, set(), None
        members = (self._pending or self._group).members
        for member in dict.fromkeys(suspect for _, suspect in accused if suspect in self._present(members)):
            progress = self._crew.progress(member, 2.0)
            if progress is None:
                return self._lose([member], f"it does not answer; {self._complaint}")
            waits = progress.point in WAITING_AFTER or any(accuser == member for accuser, _ in accused)
            if not waits and progress.seconds >= self._spec.deadline_s:
                text = (
                    f"it hangs in step {progress.step} after {progress.point!r} for {progress.seconds:.0f} s"
                )
                return self._lose([member], f"{text}; {self._complaint}")
        pairs = {frozenset(pair) for pair in accused}
        again = {member for pair in pairs & self._apart for member in pair if member in members}
        self._apart |= pairs
        if not again:
            return self._lose([], self._complaint)
        # A cut between hosts: the smaller side goes, else who has lost most of the others.
        hosts = {m: self._crew.host(m) for m in members}
        sizes = Counter(hosts.values())
        missed = Counter(m for pair in self._apart for m in pair)
        lost = min(again, key=lambda m: (sizes[hosts[m]], -missed[m], -members.index(m)))
        return self._lose([lost], f"the others can't reach it; {self._complaint}")

    def _lose(self, members: list[int], why: str) -> None:
        """Goes on without these members, and soon with others in their places."""
        in_group = [
            m for m in members if m in self._group.members or (self._pending and m in self._pending.members)
        ]
        for member in members:
            self._note_loss(member, why)
        if members and not in_group:
            return
        if self._failure is not None or self._stop_reason is not None or self._result is not None:
            return
        survivors = self._present(self._group.members)
        spare = [m for m in sorted(self._ready & self._hired) if m not in survivors and m not in self._ended]
        workers = [m for m in survivors if m not in self._leaving]
        if self._given_up():
            return
        if not survivors:
            self._restart(why)
            return
        joining = spare[: max(0, self._wanted - len(workers))]
        leavers = [m for m in survivors if m in self._leaving]
        self._form([*workers, *joining, *leavers], len(workers) + len(joining), why)

    def _note_loss(self, member: int, why: str) -> None:
        rank = self._rank(member)
        if member in self._hired:
            self._hired.discard(member)
            self._crew.dismiss(member)
            self._ready.discard(member)
            if rank is not None:
                self._tell(Warned("WORKER_LOST", f"worker {rank} was lost: {why}"))
                self._count_loss()

    def _count_loss(self) -> None:
        step = max(self._told.values(), default=0)
        self._losses = self._losses + 1 if step <= self._step_at_loss else 1
        self._step_at_loss = step

    def _given_up(self) -> bool:
        if self._losses <= self._losses_limit:
            return False
        text = f"workers were lost {self._losses} times without a new step between"
        self._failure = self._failure or Failed("WORKERS_LOST", text, "")
        return True

    # What is to be done without news.

    def _look_after(self) -> None:
        if self._failure is not None or self._result is not None or self._stop_reason is not None:
            return
        if self._judge_at is not None and time.monotonic() >= self._judge_at:
            self._judge()
        self._watch_heartbeats()
        if not self._group.formed or self._pending is not None:
            return
        with self._lock:
            wanted = self._wanted
        workers = self._group.members[: self._group.workers]
        ready = [m for m in sorted(self._ready) if m not in self._group.members and m not in self._ended]
        coming = len(self._hired) - len([m for m in self._group.members if m in self._hired]) - len(ready)
        lacking = wanted + self._spares - len(workers) - len(ready) - coming
        if lacking > 0 and time.monotonic() >= self._room_at:
            try:
                self._hire(lacking)
            except NoRoomError as error:
                self._room_at = time.monotonic() + 10.0
                self._tell(Warned("NO_ROOM", f"{error}; training goes on with {len(workers)} workers"))
        if wanted < len(workers):
            self._form(workers, wanted, f"resized to {wanted} workers", at_boundary=True)
        elif wanted > len(workers) and len(ready) >= min(wanted - len(workers), len(ready) + coming) > 0:
            joining = ready[: wanted - len(workers)]
            reason = f"{len(joining)} workers join"
            self._form([*workers, *joining], len(workers) + len(joining), reason, at_boundary=True)

    def _watch_heartbeats(self) -> None:
        """Nothing was heard for long: is everyone there? Who only prepares to join has longer to begin."""
        now = time.monotonic()
        group = (self._pending or self._group).members
        if now - self._heard >= self._heartbeat_s:
            self._heard = now
            lost = [m for m in self._present(group) if self._crew.progress(m, 5.0) is None]
            if lost:
                self._lose(lost, "it does not answer")
        if now - self._looked_at >= self._heartbeat_s:
            self._looked_at = now
            for member in [m for m in self._present(sorted(self._hired)) if m not in group]:
                waits = member in self._ready or now - self._hired_at[member] >= self._begin_s
                if waits and self._crew.progress(member, 1.0) is None:
                    self._lose([member], "it does not answer")

    def _present(self, members: Sequence[int]) -> list[int]:
        return [m for m in members if m in self._hired and m not in self._ended]

    def _newest_checkpoint(self) -> str | None:
        """The newest valid checkpoint, when no member writes; what led to it is told if it was not yet."""
        folder = self._spec.checkpoints
        checkpoints.clear_unfinished(folder)
        path = checkpoints.newest_valid(folder, lambda text: self._tell(Warned("CHECKPOINT_DAMAGED", text)))
        if path is None:
            return None
        saved, recent = checkpoints.summary(path)
        for fields in recent:
            report = report_of_step(fields)
            if isinstance(report, OptionsChanged):
                if all(change.order != report.order for change in self._history):
                    self._history.append(report)
                    self._tell(report)
            else:
                self._tell_once(report)
        self._tell_once(CheckpointWritten(saved.step, path, saved.parameters_sha256))
        return path

    def _tell_once(self, report: StepFinished | EvaluationFinished | CheckpointWritten) -> None:
        """Tells it unless it was told: some steps are made again, with the same bits."""
        if report.step > self._told.get(type(report), 0):
            self._told[type(report)] = report.step
            self._tell(report)

    def _tell(self, report: Report) -> None:
        self._tell_outside(report)

    def _rank(self, member: int) -> int | None:
        for group in (self._group, self._pending):
            if group is not None and member in group.members[: group.workers]:
                return group.members.index(member)
        return None

    def _end_members(self) -> None:
        """Lets members end in order where they can, and takes their last lines."""
        reason = self._stop_reason or "the job has ended"
        for member in sorted(self._hired):
            if member not in self._ended:
                self._crew.stop(member, reason)
        deadline = time.monotonic() + STOP_GRACE_S
        while time.monotonic() < deadline and any(m not in self._ended for m in self._hired):
            for news in self._crew.follow(0.1):
                for report in news.reports:
                    # What was made before the end is told before it; what would form groups is of no use any more.
                    if isinstance(
                        report,
                        LogLine | StepFinished | EvaluationFinished | CheckpointWritten | OptionsChanged,
                    ):
                        self._take_report(news.member, report)
                if news.ended is not None:
                    self._ended[news.member] = news.ended
                if news.lost is not None:
                    self._hired.discard(news.member)
        self._output.end()
