"""A service that knows 100,000 jobs: `python benchmarks/service/many.py [--jobs 100000]`.

How long it takes to serve after a start, to list 50 of them (the newest, by state, by label, the last page), and to cancel 2,000
that wait, `--in-flight` at a time. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import grpc
from harness.served import arguments, at, machine, new_home, request_of, served

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import messages
from gradwire.services.launcher import Capacity
from gradwire.services.store import NewJob, Store
from gradwire.services.validation import checked_spec


def fill(path: Path, jobs: int, waiting: int) -> None:
    """A store with so many jobs, all but the last `waiting` of them cancelled."""
    store = Store(path)
    under_way: deque[Future[object]] = deque()

    def change(begin: Callable[[], Future[object]]) -> None:
        if len(under_way) > 10_000:
            under_way.popleft().result()
        under_way.append(begin())

    spec = checked_spec(messages.spec_from_message(request_of(b"#", "").spec), "", Capacity(8, 0))
    for k in range(jobs):
        job = replace(spec, labels={"team": f"t{k % 50}"})
        change(lambda k=k, job=job: store.submit(NewJob(f"job-{k:07}", job, str(uuid.uuid4()))))  # type: ignore[misc]
        if k < jobs - waiting:
            change(lambda k=k: store.request_cancel(f"job-{k:07}"))  # type: ignore[misc]
    for future in under_way:
        future.result()
    store.close()


async def list_ms(stub: jobs_pb2_grpc.JobsStub, request: pb.ListJobsRequest, times: int = 40) -> list[float]:
    """Milliseconds of one list, so many times, sorted."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        answer = await stub.ListJobs(request)
        found.append(1000 * (time.perf_counter() - began))
        assert len(answer.jobs) == 50, len(answer.jobs)
    return sorted(found)


async def measure(address: str, jobs: int, waiting: int, in_flight: int) -> dict[str, float]:
    """Lists, then cancels."""
    told: dict[str, float] = {}
    async with grpc.aio.insecure_channel(address) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        lists = {
            "newest": pb.ListJobsRequest(page_size=50),
            "by_state": pb.ListJobsRequest(page_size=50, states=[pb.JOB_STATE_CANCELLED]),
            "by_label": pb.ListJobsRequest(page_size=50, filter='labels.team = "t7"'),
        }
        for name, request in lists.items():
            found = await list_ms(stub, request)
            told[f"list_{name}_p50_ms"] = round(at(found, 0.5), 2)
            told[f"list_{name}_p99_ms"] = round(at(found, 0.99), 2)
        ids = [f"job-{k:07}" for k in range(jobs - waiting + 1, jobs)][:2000]
        limit = asyncio.Semaphore(in_flight)

        async def cancel(job_id: str) -> None:
            async with limit:
                await stub.CancelJob(pb.CancelJobRequest(job_id=job_id))

        began = time.perf_counter()
        await asyncio.gather(*(cancel(job_id) for job_id in ids))
        told[f"cancel_{len(ids)}_s"] = round(time.perf_counter() - began, 2)
    return told


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=2_200)
    parser.add_argument("--in-flight", type=int, default=64)
    options = parser.parse_args()
    with new_home(options) as home:
        fill(home / "jobs.db", options.jobs, options.waiting)
        starts = []
        for _ in range(3):
            began = time.perf_counter()
            with served(home) as service:
                channel = grpc.insecure_channel(service.address)
                jobs_pb2_grpc.JobsStub(channel).GetJob(pb.GetJobRequest(job_id="job-0000007"))  # type: ignore[no-untyped-call]
                starts.append(time.perf_counter() - began)
                channel.close()
        with served(home) as service:
            told = asyncio.run(measure(service.address, options.jobs, options.waiting, options.in_flight))
            rss = round(service.rss_bytes / 1e6)
        start = {"jobs": options.jobs, "start_to_serving_s": round(sorted(starts)[1], 2), "rss_mb": rss}
        print(json.dumps({**start, **told, **machine(home)}))


if __name__ == "__main__":
    main()
