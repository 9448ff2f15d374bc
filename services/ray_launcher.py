"""Runs attempts on Ray: each one a controller actor with a name, so that it can be found again. See launcher.py."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import PlacementGroupID
from ray.exceptions import RayError
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

from gradwire.services.cluster import Cluster, EmbeddedRay, ExistingRay, LocalRay
from gradwire.services.controller import Controller
from gradwire.services.home import Home
from gradwire.services.launcher import ENDINGS, AttemptLostError, Launch
from gradwire.services.scheduling import Node
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits
from gradwire.workers.reports import Report

__all__ = ["RayHandle", "RayLauncher"]

CALLS = 4
ANSWER_S = 15.0
"""A controller that does not answer for so long is taken for lost."""


class RayHandle:
    """A running attempt."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._last: Report | None = None

    def reports(self, after: int, wait_s: float) -> tuple[int, Sequence[tuple[int, Report]]]:
        """See launcher.Handle."""
        try:
            incarnation, found = ray.get(self._actor.reports.remote(after, wait_s), timeout=wait_s + ANSWER_S)
            if not found and not isinstance(self._last, ENDINGS):
                if not ray.get(self._actor.over.remote(), timeout=ANSWER_S):
                    return incarnation, found
                # Its last reports may have come between the two questions.
                incarnation, found = ray.get(self._actor.reports.remote(after, 0.0), timeout=ANSWER_S)
                if not found:
                    raise AttemptLostError("the job's controller ended without a result")
            if found:
                self._last = found[-1][1]
        except RayError as error:
            raise AttemptLostError(f"the job's controller is gone ({type(error).__name__})") from error
        return incarnation, found

    def resize(self, workers: int) -> None:
        """See launcher.Handle."""
        with contextlib.suppress(RayError):
            self._actor.resize.remote(workers)

    def pause(self) -> None:
        """See launcher.Handle."""
        with contextlib.suppress(RayError):
            self._actor.pause.remote()

    def update(self, options: Mapping[str, float], number: int) -> None:
        """See launcher.Handle."""
        with contextlib.suppress(RayError):
            self._actor.update.remote(dict(options), number)

    def stop(self, reason: str) -> None:
        """See launcher.Handle."""
        with contextlib.suppress(RayError):
            ray.get(self._actor.stop.remote(reason), timeout=ANSWER_S)
        # Its workers are its own and end with it.
        with contextlib.suppress(RayError):
            ray.kill(self._actor, no_restart=True)


class RayLauncher:
    """Starts controllers on a Ray cluster. It is made in the thread that outlives it: Ray's processes end with theirs."""

    whole_gangs = True

    def __init__(
        self,
        home: Home,
        embedded: bool,
        address: str | None,
        passed: Sequence[str] = (),
        most: ProcessLimits = NO_LIMITS,
    ) -> None:
        """Connects to `address`, or starts Ray here: in this process (`embedded`) or beside it. Raises ClusterError.

        `most`: what a worker's process may use at most, and does where its job says nothing.
        """
        self._most = most
        self._handles: list[RayHandle] = []
        self._nodes: Sequence[Node] = ()
        self._lock = threading.Lock()
        self._cluster: Cluster
        if address is not None:
            self._cluster = ExistingRay(home.path, address)
        elif embedded:
            self._cluster = EmbeddedRay(home.path)
        else:
            self._cluster = LocalRay(home.path, passed)

    def nodes(self) -> Sequence[Node]:
        """See launcher.Launcher."""
        with contextlib.suppress(RayError):
            self._nodes = self._cluster.nodes()
        return self._nodes

    def placed(self, running: Mapping[str, int]) -> Mapping[str, Sequence[str]]:
        """See launcher.Launcher. From the placement groups, each rank's in order of their making."""
        if len(self._nodes) < 2:
            return {}
        found: dict[str, dict[int, list[str]]] = {}
        with contextlib.suppress(RayError):
            for told in placement_group_table().values():
                namespace, _, name = told["name"].rpartition("/")
                match = _NAME.fullmatch(name)
                if match is None or namespace != self._cluster.namespace or told["state"] != "CREATED":
                    continue
                if running.get(match[1]) == int(match[2]):
                    bundles = told["bundles_to_node_id"]
                    nodes = [bundles[k] for k in sorted(bundles)]
                    found.setdefault(match[1], {})[int(match[3] or 0)] = nodes
        return {
            job: [node for number in sorted(groups) for node in groups[number]]
            for job, groups in found.items()
        }

    def launch(self, launch: Launch) -> RayHandle:
        """See launcher.Launcher."""
        cluster = self._cluster
        self._sweep(lambda job, attempt: job != launch.job_id or attempt >= launch.attempt)
        spec = MemberSpec(
            job_file=str(launch.job_file),
            overrides=dict(launch.overrides),
            shards=launch.shards,
            device=launch.device,
            threads_per_worker=launch.threads_per_worker,
            checkpoints=str(launch.checkpoints),
            directory=str(launch.code),
            temporary=str(launch.temporary),
            data=dict(launch.data),
            blobs=str(launch.blobs),
            limits=launch.process_limits.within(self._most),
        )
        remote: Any = ray.remote(Controller)
        actor = remote.options(
            name=_name(launch.job_id, launch.attempt),
            namespace=cluster.namespace,
            lifetime="detached" if cluster.outlives_service else None,
            num_cpus=0,
            max_restarts=0,
            max_concurrency=CALLS,
        ).remote(
            spec,
            launch.workers,
            cluster.slots,
            f"{cluster.namespace}/{_name(launch.job_id, launch.attempt)}",
            launch.options_history,
            losses_limit=launch.losses_limit,
            place_within_s=launch.place_within_s,
            gang=launch.gang,
            one_host=launch.one_host,
        )
        return self._kept(RayHandle(actor))

    def adopt(self, launch: Launch) -> RayHandle | None:
        """See launcher.Launcher."""
        cluster = self._cluster
        try:
            actor = ray.get_actor(_name(launch.job_id, launch.attempt), cluster.namespace)
            ray.get(actor.over.remote(), timeout=ANSWER_S)
        except (ValueError, RayError):
            return None
        return self._kept(RayHandle(actor))

    def sweep(self, running: Mapping[str, int]) -> None:
        """See launcher.Launcher."""
        self._sweep(lambda job, attempt: running.get(job) == attempt)

    def _sweep(self, stays: Callable[[str, int], bool]) -> None:
        """Ends controllers and gives back placement groups of attempts that do not stay.

        A group ends with the controller that made it; one that was killed while its group was still being placed may leave it.
        """
        cluster = self._cluster
        with contextlib.suppress(RayError):
            for named in ray.util.list_named_actors(all_namespaces=True):
                found = _NAME.fullmatch(named["name"]) if named["namespace"] == cluster.namespace else None
                if found is not None and not stays(found[1], int(found[2])):
                    with contextlib.suppress(ValueError, RayError):
                        ray.kill(ray.get_actor(named["name"], cluster.namespace), no_restart=True)
            for group, told in placement_group_table().items():
                namespace, _, name = told["name"].rpartition("/")
                found = _NAME.match(name)
                if found is None or namespace != cluster.namespace or told["state"] == "REMOVED":
                    continue
                if not stays(found[1], int(found[2])):
                    with contextlib.suppress(RayError):
                        remove_placement_group(PlacementGroup(PlacementGroupID(bytes.fromhex(group))))

    def _kept(self, handle: RayHandle) -> RayHandle:
        with self._lock:
            self._handles.append(handle)
        return handle

    def let_go(self) -> None:
        """See launcher.Launcher. What runs on a cluster that this service started ends with it all the same."""
        if self._cluster.outlives_service:
            with self._lock:
                self._handles.clear()

    def close(self) -> None:
        """See launcher.Launcher."""
        with self._lock:
            handles, self._handles = self._handles, []
        for handle in handles:
            handle.stop("the service stops")
        self._cluster.close()


_NAME = re.compile(r"job-(.+?)-(\d+)(?:-(\d+))?")


def _name(job_id: str, attempt: int) -> str:
    return f"job-{job_id}-{attempt}"
