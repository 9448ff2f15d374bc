"""The scheduler at size: one pass over 10,000 queued jobs, and 10,000 jobs on 1,000 GPUs simulated with the same code.

`python benchmarks/service/schedule.py [--jobs 10000] [--load 0.95] [--seed 1] [--only pass|simulation]` prints a table for people
and one line of JSON with the machine.
"""

import argparse
import json
import os
import platform
import random
import statistics
import time
from dataclasses import replace
from math import log

from gradwire.services.scheduling import (
    Account,
    Code,
    Inventory,
    Node,
    Pause,
    Policy,
    Quota,
    Running,
    Shape,
    Shrink,
    Start,
    Wait,
    Waiting,
    decide,
)
from gradwire.services.scheduling.simulation import Outcome, Submission, simulate

NODES = tuple(Node(f"node-{k:03}", gpus=8, cpus=96) for k in range(125))
GPUS = sum(node.gpus for node in NODES)
SIZES = ((1, 35), (2, 15), (4, 15), (8, 20), (16, 7), (32, 4), (64, 2.5), (128, 1), (256, 0.4), (512, 0.1))
SHAPES = (Shape(1, 8), Shape(1, 8), Shape(1, 8), Shape(1, 12), Shape(0, 4))
OWNERS = {f"owner-{k:02}": Account(weight=2.0 if k < 4 else 1.0) for k in range(20)}


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, load average {load:.1f} at the start"


def made(count: int, dice: random.Random, since: float | None, owners: list[str]) -> list[Submission]:
    """Jobs of 1 to 512 GPUs for minutes to a day; a third elastic, a tenth urgent; half say how long they take at most."""
    submissions = []
    sizes, weights = zip(*SIZES, strict=True)
    for k in range(count):
        size = dice.choices(sizes, weights)[0]
        elastic = size > 1 and dice.random() < 0.35
        seconds = min(max(dice.lognormvariate(log(2400), 1.2), 120), 86_400)
        shape = dice.choice(SHAPES)
        job = Waiting(
            job_id=f"job-{k:05}",
            owner=dice.choices(owners, [1 / (1 + index) ** 0.7 for index in range(len(owners))])[0],
            order=k,
            shape=shape,
            minimum=max(size // 4, 1) if elastic else size,
            maximum=size,
            priority=dice.choices((0, 1, 5), (80, 15, 5))[0],
            since=0.0 if since is None else -dice.random() * since,
            # An elastic job may run on a quarter of its workers all the time.
            longest_s=None if dice.random() < 0.5 else (5 if elastic else 2) * seconds + 600,
            one_host=1 < size <= 8 and dice.random() < 0.5,
        )
        submissions.append(Submission(job, seconds * size))
    return submissions


def one_pass(count: int, seed: int) -> dict[str, float]:
    """Seconds of one pass over `count` waiting jobs: on a full cluster, on an empty one, and with a quota for every owner."""
    dice = random.Random(seed)
    queue = [each.job for each in made(count, dice, 20_000.0, list(OWNERS))]
    policy = Policy()
    inventory = Inventory(NODES, OWNERS)
    limited = Inventory(
        NODES, {owner: Account(account.weight, Quota(gpus=60, jobs=40)) for owner, account in OWNERS.items()}
    )
    waiting = {job.job_id: job for job in queue}
    full: list[Running] = []
    for each in decide(queue, [], inventory, policy, 0.0):
        if isinstance(each, Start):
            job = waiting.pop(each.job_id)
            ends = None if job.longest_s is None else job.longest_s
            full.append(
                Running(
                    f"running-{job.job_id}", job.owner, -1 - job.order, job.shape, each.nodes, job.minimum, job.maximum,
                    job.priority, each.level, -1000.0, -1000.0, ends,
                )
            )  # fmt: skip
    figures = {}
    for name, running, stock in (
        ("empty cluster", [], inventory),
        ("full cluster", full, inventory),
        ("full cluster, quotas", full, limited),
        ("full of lower levels", [replace(job, priority=0, level=0) for job in full], inventory),
    ):
        times, cpu = [], []
        for _ in range(5):
            began, began_cpu = time.perf_counter(), time.process_time()
            decisions = decide(queue, running, stock, policy, 0.0)
            times.append(time.perf_counter() - began)
            cpu.append(time.process_time() - began_cpu)
        codes = {code: sum(isinstance(e, Wait) and e.code == code for e in decisions) for code in Code}
        shown = ", ".join(f"{number} {code}" for code, number in codes.items() if number)
        started = sum(isinstance(each, Start) for each in decisions)
        taken = sum(isinstance(each, Pause | Shrink) for each in decisions)
        figures[name] = round(statistics.median(times), 4)
        print(
            f"  {name:22} {figures[name] * 1000:7.1f} ms (median of 5; CPU {statistics.median(cpu) * 1000:.1f})   "
            f"{started} start, {taken} give way, {shown}"
        )
    return figures


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(int(part * len(values)), len(values) - 1)] if values else float("nan")


def hours(seconds: float) -> str:
    return f"{seconds / 60:8.1f} min" if seconds < 36_000 else f"{seconds / 3600:8.1f} h  "


def fairness(outcome: Outcome, weights: dict[str, float]) -> float:
    """Jain's index of GPU time by weight: 1 where every owner had its part."""
    parts = [outcome.gpu_s.get(owner, 0.0) / weight for owner, weight in weights.items()]
    return sum(parts) ** 2 / (len(parts) * sum(part**2 for part in parts))


def simulated(count: int, load: float, seed: int) -> dict[str, float]:
    """A stream of jobs that asks for `load` of all GPUs, from first to last."""
    dice = random.Random(seed)
    submissions = made(count, dice, None, list(OWNERS))
    work = sum(each.work * each.job.shape.gpus for each in submissions)
    span = work / (GPUS * load)
    times = sorted(dice.random() * span for _ in submissions)
    submissions = [
        Submission(Waiting(**{**fields(each.job), "since": at}), each.work)
        for each, at in zip(submissions, times, strict=True)
    ]
    began = time.perf_counter()
    outcome = simulate(submissions, Inventory(NODES, OWNERS), Policy(), tick_s=60.0)
    took = time.perf_counter() - began
    fates = outcome.fates.values()
    assert all(fate.ended is not None for fate in fates)
    print(f"  {count} jobs in {span / 3600:.0f} h of submissions, {outcome.passes} passes in {took:.0f} s")
    print(
        f"  GPUs busy while jobs wait for room: {100 * outcome.pressed_gpu_s / (GPUS * outcome.pressed_s):.1f} %"
    )
    print(f"  paused {sum(fate.pauses for fate in fates)} times ({sum(fate.pauses > 0 for fate in fates)} jobs, at most "
          f"{max(fate.pauses for fate in fates)} times each), resized {sum(fate.changes for fate in fates)} times, "
          f"stopped by a limit {sum(fate.stopped for fate in fates)}")  # fmt: skip
    print("  waits before the first start, by GPUs (largest):      jobs      median         p95        most")
    for low, high in ((1, 1), (2, 8), (16, 64), (128, 512)):
        waits = [
            fate.started - fate.job.since
            for fate in fates
            if fate.started is not None and fate.job.shape.gpus and low <= fate.job.maximum <= high
        ]
        print(f"    {low:>3} to {high:<3} {len(waits):>48} {hours(quantile(waits, 0.5))} {hours(quantile(waits, 0.95))} "
              f"{hours(max(waits))}")  # fmt: skip
    waits = [fate.started - fate.job.since for fate in fates if fate.started is not None]
    return {
        "busy_while_waiting": round(outcome.pressed_gpu_s / (GPUS * outcome.pressed_s), 4),
        "wait_median_s": round(quantile(waits, 0.5)),
        "wait_p95_s": round(quantile(waits, 0.95)),
        "wait_most_s": round(max(waits)),
        "pauses": sum(fate.pauses for fate in fates),
        "changes": sum(fate.changes for fate in fates),
        "simulation_s": round(took, 1),
    }


def fields(job: Waiting) -> dict[str, object]:
    return {name: getattr(job, name) for name in Waiting.__slots__}


def shared(seed: int) -> dict[str, float]:
    """Four owners of weights 1, 1, 2 and 4, each with more work than there are GPUs: what part each gets in two days."""
    dice = random.Random(seed)
    weights = {"a": 1.0, "b": 1.0, "c": 2.0, "d": 4.0}
    submissions = [
        Submission(
            Waiting(f"{owner}{k}", owner, order, Shape(1, 8), size, size, since=0.0),
            size * dice.uniform(1800, 7200),
        )
        for k in range(2500)
        for index, owner in enumerate(weights)
        if (order := k * 4 + index) >= 0 and (size := dice.choice((1, 2, 4, 8, 16)))
    ]
    accounts = {owner: Account(weight) for owner, weight in weights.items()}
    outcome = simulate(
        submissions, Inventory(NODES[:25], accounts), Policy(), tick_s=300.0, until=48 * 3600.0
    )
    total = sum(outcome.gpu_s.values())
    parts = {owner: outcome.gpu_s[owner] / total for owner in weights}
    index = fairness(outcome, weights)
    print(
        "  weights 1 1 2 4, all with endless queues: "
        + ", ".join(f"{100 * part:.1f} %" for part in parts.values())
    )
    print(f"  Jain's index of GPU time by weight: {index:.4f}")
    return {"jain": round(index, 4), **{f"part_{owner}": round(part, 4) for owner, part in parts.items()}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--load", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("pass", "simulation", "shares"))
    options = parser.parse_args()
    print(machine())
    figures: dict[str, object] = {"machine": machine(), "jobs": options.jobs, "gpus": GPUS}
    if options.only in (None, "pass"):
        print(f"one pass over {options.jobs} queued jobs, {GPUS} GPUs on {len(NODES)} nodes")
        figures["pass_s"] = one_pass(options.jobs, options.seed)
    if options.only in (None, "shares"):
        print("shares")
        figures["shares"] = shared(options.seed)
    if options.only in (None, "simulation"):
        print(f"simulation, load {options.load}")
        figures["simulation"] = simulated(options.jobs, options.load, options.seed)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
