"""PyTorch's side of data_parallel.py: `ddp.py JOB PROCESSES` prints the milliseconds of a step over gloo.

The models of jobs/, written with PyTorch; each process gets its part of the same global batch.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import time
import types
from pathlib import Path
from typing import Any

STEPS, WARM_UP = 20, 3


def model_and_job(name: str) -> tuple[Any, Any]:
    """The job file's own model, under PyTorch: it uses nothing but names that both have."""
    import torch

    import gradwire

    stand_in = types.SimpleNamespace(
        **{k: getattr(torch, k) for k in ("nn", "optim", "randn", "randint", "arange")}
    )
    path = Path(__file__).parents[1] / "jobs" / f"{name}.py"
    source = (
        path.read_text().replace("import gradwire as torch", "").replace("from gradwire import Job, nn", "")
    )
    source = source.replace("from gradwire.nn import functional as F", "").replace(
        "from gradwire.utils.data import TensorDataset", ""
    )
    module = types.ModuleType(name)
    module.__dict__.update(
        torch=stand_in,
        Job=gradwire.Job,
        nn=torch.nn,
        F=torch.nn.functional,
        TensorDataset=torch.utils.data.TensorDataset,
    )
    exec(compile(source, str(path), "exec"), module.__dict__)
    kinds = [k for k in vars(module).values() if isinstance(k, type) and issubclass(k, gradwire.Job)]
    job = next(k for k in kinds if k is not gradwire.Job)()
    return job.model(), job


def run(name: str, rank: int, world: int, port: int) -> None:
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    distributed.init_process_group("gloo", rank=rank, world_size=world)
    model, job = model_and_job(name)
    trained = DistributedDataParallel(model) if world > 1 else model
    optimizer = job.optimizer(model)
    data = job.train_data()
    part = job.batch_size // world
    times = []
    for step in range(STEPS):
        first = step * job.batch_size + rank * part
        start = time.perf_counter()
        batch = data[first : first + part]
        optimizer.zero_grad()
        job.loss(trained, batch).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    if rank == 0:
        print(1e3 * statistics.median(times[WARM_UP:]), flush=True)
    distributed.destroy_process_group()


def main() -> None:
    import multiprocessing

    name, world = sys.argv[1], int(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=run, args=(name, rank, world, port)) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
