"""Durable submits per second over gRPC, and their latency: `python benchmarks/service/submit.py [--in-flight 64]`.

Client and service are two processes on loopback; every answer is on disk (SQLite, synchronous=FULL). Jobs wait in the queue:
one that does nothing holds all the workers. First so many calls in flight as `--in-flight` says, one after the other;
then calls that begin at fixed times, `--rate` a second, whose latency counts from the time at which they should have begun.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Awaitable, Callable

import grpc
from harness.served import arguments, at, machine, new_home, request_of, served

from gradwire.proto.v1 import jobs_pb2_grpc

Submit = Callable[[], Awaitable[object]]


async def closed(submit: Submit, in_flight: int, seconds: float) -> list[float]:
    """Latencies of calls of which `in_flight` are always under way."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        while (began := time.perf_counter()) < end:
            await submit()
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    return sorted(latencies)


async def opened(submit: Submit, rate: float, seconds: float) -> list[float]:
    """Latencies of calls that begin `rate` times a second whatever became of those before."""
    latencies: list[float] = []

    async def call(due: float) -> None:
        await submit()
        latencies.append(time.perf_counter() - due)

    began = time.perf_counter()
    calls = []
    for k in range(int(rate * seconds)):
        due = began + k / rate
        if (ahead := due - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        calls.append(asyncio.create_task(call(due)))
    await asyncio.gather(*calls)
    return sorted(latencies)


async def measure(address: str, in_flight: int, rate: float, seconds: float, code: bytes) -> dict[str, float]:
    """Both ways, one after the other."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]

        async def submit() -> None:
            await stub.SubmitJob(request_of(code, str(uuid.uuid4())))

        await stub.SubmitJob(request_of(code, str(uuid.uuid4()), workers=8))
        await closed(submit, in_flight, 1.0)
        busy = await closed(submit, in_flight, seconds)
        steady = await opened(submit, rate, seconds)
    return {
        "in_flight": in_flight,
        "submits_per_second": round(len(busy) / seconds, 1),
        "p50_ms": round(1000 * at(busy, 0.5), 2),
        "p99_ms": round(1000 * at(busy, 0.99), 2),
        "open_loop_rate": rate,
        "open_loop_p50_ms": round(1000 * at(steady, 0.5), 2),
        "open_loop_p99_ms": round(1000 * at(steady, 0.99), 2),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1000.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--code-bytes", type=int, default=2000)
    options = parser.parse_args()
    with new_home(options) as home, served(home) as service:
        code = b"#" * options.code_bytes
        before = service.cpu_s
        told = asyncio.run(measure(service.address, options.in_flight, options.rate, options.seconds, code))
        calls = told["submits_per_second"] * (options.seconds + 1) + options.rate * options.seconds
        told["service_cpu_ms_a_submit"] = round(1000 * (service.cpu_s - before) / calls, 3)
        print(json.dumps({**told, **machine(home)}))


if __name__ == "__main__":
    main()
