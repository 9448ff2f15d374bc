"""A thousand watchers of one job: `python benchmarks/service/watch.py [--watchers 1000]`.

The job says ten steps a second; each watcher gets every event. Delays are from the time that stands in the event, which is that of its commit, to
its arrival at the watcher. Before and meanwhile jobs are submitted, `--in-flight` at a time, to see what the watchers cost
them. Prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid

import grpc
from harness.served import Served, arguments, at, machine, new_home, request_of, served, tick
from submit import closed

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc

EVENTS_PER_SECOND = 10


async def watch(stub: jobs_pb2_grpc.JobsStub, job_id: str, until: float, delays: list[float]) -> int:
    """Events that one watcher got. Raises ValueError where one is missing or comes twice."""
    stream = stub.WatchJob(pb.WatchJobRequest(job_id=job_id))
    number, began = 0, time.time()
    while time.time() < until:
        answer = await stream.read()
        if not answer.HasField("event"):
            continue
        number += 1
        if answer.event.number != number:
            raise ValueError(f"event {answer.event.number} came after {number - 1}")
        happened = answer.event.time.seconds + answer.event.time.nanos / 1e9
        # What was before it began is late for everyone; so is what comes while all begin.
        if happened > began + 2:
            delays.append(time.time() - happened)
    stream.cancel()
    return number


async def measure(service: Served, watchers: int, in_flight: int, seconds: float) -> dict[str, object]:
    """Submits alone, watchers alone, both."""
    async with (
        grpc.aio.insecure_channel(service.address) as channel,
        grpc.aio.insecure_channel(service.address, [("grpc.use_local_subchannel_pool", 1)]) as other,
    ):
        stub, submitter = jobs_pb2_grpc.JobsStub(channel), jobs_pb2_grpc.JobsStub(other)  # type: ignore[no-untyped-call]

        async def submit() -> None:
            await submitter.SubmitJob(request_of(b"#" * 2000, str(uuid.uuid4())))

        first = await stub.SubmitJob(request_of(b"#", str(uuid.uuid4()), workers=8))
        await closed(submit, in_flight, 1.0)
        alone = await closed(submit, in_flight, seconds)
        rss_before = service.rss_bytes
        until = time.time() + seconds + 3
        delays: list[float] = []
        watching = [watch(stub, first.job.id, until, delays) for _ in range(watchers)]
        counts = await asyncio.gather(*watching)
        rss_watched = service.rss_bytes
        until = time.time() + seconds + 3
        late: list[float] = []
        beside, *_ = await asyncio.gather(
            closed(submit, in_flight, seconds),
            *(watch(stub, first.job.id, until, late) for _ in range(watchers)),
        )
    delays.sort()
    late.sort()
    return {
        "watchers": watchers,
        "events_seen": sum(counts),
        "p50_ms": round(1000 * at(delays, 0.5), 1),
        "p99_ms": round(1000 * at(delays, 0.99), 1),
        "rss_mb": round(rss_watched / 1e6),
        "rss_mb_before": round(rss_before / 1e6),
        "submits_per_second_alone": round(len(alone) / seconds, 1),
        "submits_per_second_beside": round(len(beside) / seconds, 1),
        "p99_ms_beside_submits": round(1000 * at(late, 0.99), 1),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--watchers", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    program = tick(1 / EVENTS_PER_SECOND, 100_000)
    with new_home(options) as home, served(home, program) as service:
        told = asyncio.run(measure(service, options.watchers, options.in_flight, options.seconds))
        print(json.dumps({**told, **machine(home)}))


if __name__ == "__main__":
    main()
