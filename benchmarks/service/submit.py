"""Durable submits per second over gRPC, and their latency: `python benchmarks/service/submit.py [--in-flight 64]`.

The service runs in a process of its own on loopback; every answer is on disk (SQLite, synchronous=FULL). Jobs wait
in the queue: there is nothing that could run them. Prints one line of JSON with the disk.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import grpc

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc

SERVER = """
import sys, threading
from pathlib import Path
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.service import Address, Service
# A program that does nothing holds all the room, so that what is measured is the submit alone.
launcher = lambda home: LocalLauncher(Capacity(8, 0), (sys.executable, "-c", "import sys; sys.stdin.read()"), outlive=False)
service = Service(Path(sys.argv[1]), launcher, Address("127.0.0.1", 0))
print(service.start(), flush=True)
threading.Event().wait()
"""


def request(code: bytes, workers: int = 1) -> pb.SubmitJobRequest:
    made = pb.SubmitJobRequest(request_id=str(uuid.uuid4()))
    made.spec.code.entrypoint = "job.py"
    made.spec.workers = workers
    made.spec.code.files.add(path="job.py", content=code)
    return made


async def load(address: str, seconds: float, in_flight: int, code: bytes) -> list[float]:
    latencies: list[float] = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)
        await stub.SubmitJob(request(code, workers=8))
        end = time.perf_counter() + seconds

        async def submit() -> None:
            while (began := time.perf_counter()) < end:
                await stub.SubmitJob(request(code))
                latencies.append(time.perf_counter() - began)

        await asyncio.gather(*(submit() for _ in range(in_flight)))
    return sorted(latencies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--code-bytes", type=int, default=2000)
    parser.add_argument("--folder", type=Path, default=None, help="where the store lies")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as home:
        server = subprocess.Popen([sys.executable, "-c", SERVER, home], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            code = b"#" * options.code_bytes
            latencies = asyncio.run(load(address, options.seconds, options.in_flight, code))
        finally:
            server.kill()
            server.wait()
        disk = subprocess.run(["df", "--output=source,fstype", home], capture_output=True, text=True)
    count = len(latencies)
    told = {
        "submits_per_second": round(count / options.seconds, 1),
        "p50_ms": round(1000 * latencies[count // 2], 2),
        "p99_ms": round(1000 * latencies[int(count * 0.99)], 2),
        "in_flight": options.in_flight,
        "disk": disk.stdout.splitlines()[-1].split(),
        "cpus": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
