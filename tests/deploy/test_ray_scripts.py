"""deploy/ray: two nodes on this machine, a job whose workers run on both, and nothing left when they are ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import InvalidRequestError
from gradwire.services.records import Code, SourceFile
from gradwire.services.states import JobState
from gradwire.training import load_job, train_solo
from tests.services.test_ray import Served

SCRIPTS = Path(__file__).parents[2] / "deploy" / "ray"
WAIT_S = 60.0
JOB = b"""
import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset


class Small(Job):
    epochs = 3
    batch_size = 16
    say_node = False

    def model(self):
        if self.say_node:
            import ray

            print("node", ray.get_runtime_context().get_node_id())
        return nn.Linear(3, 1)

    def train_data(self):
        x = torch.randn(50, 3)
        return TensorDataset(x, x.sum(dim=1, keepdim=True))

    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def loss(self, model, batch):
        x, y = batch
        return ((model(x) - y) ** 2).mean()
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def until(what: Callable[[], bool], promise: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {promise}"
        time.sleep(0.1)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def submitted_once_there_is_room(client: Client) -> RemoteJob:
    """More workers than the cluster has are refused at once, so this is asked again until the second node has joined."""
    jobs: list[RemoteJob] = []

    def accepted() -> bool:
        code = Code("small.py", (SourceFile("small.py", JOB),))
        try:
            jobs.append(client.submit(code, workers=2, overrides={"say_node": "true"}))
        except InvalidRequestError:
            return False
        return True

    until(accepted, "the second node has joined")
    return jobs[0]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(170)
def test_two_nodes_train_one_job_together_and_leave_nothing(tmp_path: Path) -> None:
    port = free_port()
    cluster = tmp_path / "cluster"
    environment = {**os.environ, "PYTHON": sys.executable}
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, *arguments: str) -> None:
        command = [str(SCRIPTS / script), *arguments, "--home", str(cluster), "--num-cpus", "1"]
        with open(tmp_path / f"{script}.log", "wb") as log:
            started.append(
                subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            )

    try:
        start("head.sh", "--address", "127.0.0.1", "--port", str(port))
        until(lambda: answers(port), "the head answers")
        start("node.sh", f"127.0.0.1:{port}", "--address", "127.0.0.2")
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(cluster / "token")}
        service = Served(tmp_path / "home", "--ray", f"127.0.0.1:{port}", **token)
        try:
            job = submitted_once_there_is_room(service.client)
            ended = job.wait()
            assert ended.state == JobState.SUCCEEDED, ended.error
            said = {e.kind.text for e in job.watch() if type(e.kind).__name__ == "LogLine"}
            assert len({s for s in said if s.startswith("node ")}) == 2, said
        finally:
            assert service.stop() == 0
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait(30)
    small = tmp_path / "small.py"
    small.write_bytes(JOB)
    assert ended.parameters_sha256 == train_solo(load_job(small)).parameters_sha256
    left = subprocess.run(["pgrep", "-fa", f"127.0.0.1:{port}"], capture_output=True, text=True).stdout
    assert left == "", f"still running: {left}"
