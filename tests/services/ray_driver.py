"""Follows one job on an embedded Ray cluster, in a process of its own, and prints what it reported as lines of JSON.

A process can use one Ray cluster in its life, and Ray leaves threads and handlers behind: so not in pytest's process.
Arguments: folder, job file, and a JSON object with `runs`: each {"workers", "overrides", "harm", "at", "deadline_s",
"losses_limit", "job"}.
harm: "kill", "stop" (SIGSTOP) or "cancel", done when step `at` is reported.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main() -> None:
    folder, job_file, options = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    from gradwire.services.ray_environment import prepare_for_cluster_of_our_own

    folder.mkdir(parents=True, exist_ok=True)
    prepare_for_cluster_of_our_own(folder)
    import ray

    from gradwire.services.cluster import EmbeddedRay
    from gradwire.services.controller import Controller
    from gradwire.workers.member import MemberSpec

    began = time.perf_counter()
    cluster = EmbeddedRay(folder)
    say(kind="Cluster", seconds=time.perf_counter() - began)
    for number, run in enumerate(options["runs"]):
        checkpoints = folder / f"run-{number}" / "checkpoints"
        checkpoints.mkdir(parents=True)
        spec = MemberSpec(
            job_file=run.get("job", str(job_file)),
            overrides=run.get("overrides", {}),
            shards=8,
            device="cpu",
            threads_per_worker=1,
            checkpoints=str(checkpoints),
            directory=str(folder),
            deadline_s=run.get("deadline_s", 60.0),
        )
        began = time.perf_counter()
        actor: Any = ray.remote(Controller).options(num_cpus=0, max_concurrency=4)
        limit = {"losses_limit": run["losses_limit"]} if "losses_limit" in run else {}
        actor = actor.remote(spec, run["workers"], cluster.slots, **limit)
        follow(ray, actor, run, began)
        ray.get(actor.stop.remote("it is over"), timeout=60)  # returns when the places are given back
        ray.kill(actor)
        say(kind="Left", files=sorted({p.name for p in checkpoints.iterdir()} - {"receipt.json"}))
    cluster.close()


def follow(ray: Any, actor: Any, run: dict[str, Any], began: float) -> None:
    """Prints reports until the last, harming a worker on the way where that is asked for."""
    after, pids, harmed, harm = 0, {}, False, run.get("harm")
    while True:
        _, found = ray.get(actor.reports.remote(after, 0.5), timeout=60)
        for number, report in found:
            after = number
            fields = {"kind": type(report).__name__, **asdict(report)}
            say(**fields, at=time.perf_counter() - began)
            if fields["kind"] == "LogLine" and fields["text"].startswith("pid "):
                pids[fields["rank"]] = int(fields["text"].split()[1])
            reached = fields["kind"] == "StepFinished" and fields["step"] >= run.get("at", 0)
            if harm and reached and not harmed:
                harmed = True
                say(kind="Harm", at=time.perf_counter() - began)
                if harm == "cancel":
                    ray.get(actor.stop.remote("cancelled"), timeout=60)
                    say(kind="Stopped", at=time.perf_counter() - began)
                else:
                    os.kill(pids[run.get("rank", 1)], signal.SIGKILL if harm == "kill" else signal.SIGSTOP)
            if fields["kind"] in ("Finished", "Failed"):
                return
        if not found and ray.get(actor.over.remote(), timeout=60):
            return


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


if __name__ == "__main__":
    main()
