"""deploy/ray: two nodes on this machine, a job whose workers run on both, and nothing left when they are ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gradwire.training import load_job, train_solo

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy" / "ray"
JOB = """
import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset


class Small(Job):
    epochs = 3
    batch_size = 16

    def model(self):
        try:
            import ray
            print("node", ray.get_runtime_context().get_node_id())
        except Exception:
            pass
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


@contextmanager
def running(
    command: Sequence[str], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; SIGTERM at the end, and nothing of its session may be left then."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
        process.terminate()
        process.wait(30)
        deadline = time.monotonic() + 15
        while session_of(process.pid) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert session_of(process.pid) == [], log.read_text()
    finally:
        for pid in session_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait(10)


def session_of(leader: int) -> list[int]:
    """Processes of a session that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def until_listening(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(sys.platform != "linux", reason="two nodes on one machine need Linux's 127.0.0.0/8")
def test_two_nodes_train_one_job_together_and_leave_nothing(tmp_path: Path) -> None:
    job = tmp_path / "small.py"
    job.write_text(JOB)
    cluster, home = tmp_path / "cluster", tmp_path / "home"
    port = free_port()
    address = f"127.0.0.2:{port}"
    scripts = {**os.environ, "PYTHON": sys.executable, "RAY_gcs_server_request_timeout_seconds": "20"}
    # Ray puts sockets below its folder, and their paths are limited to about a hundred characters.
    with tempfile.TemporaryDirectory(prefix="gw-", ignore_cleanup_errors=True) as temp:
        head = [
            *(
                str(SCRIPTS / "head.sh"),
                "--address",
                "127.0.0.2",
                "--port",
                str(port),
                "--home",
                str(cluster),
            ),
            *("--num-cpus", "2", "--temp-dir", temp, "--ray-client-server-port", str(free_port())),
        ]
        node = [
            *(str(SCRIPTS / "node.sh"), address, "--address", "127.0.0.3", "--home", str(cluster)),
            *("--num-cpus", "2"),
        ]
        client = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(cluster / "token")}
        with running(head, scripts, tmp_path / "head.log") as first:
            until_listening(address, first, tmp_path / "head.log")
            with running(node, scripts, tmp_path / "node.log"):
                wait_for_nodes(2, address, client)
                serve = [
                    *(
                        sys.executable,
                        "-m",
                        "gradwire",
                        "serve",
                        "--address",
                        f"127.0.0.1:{(front := free_port())}",
                    ),
                    *("--home", str(home), "--ray", address),
                ]
                with running(serve, client, tmp_path / "serve.log") as service:
                    until_listening(f"127.0.0.1:{front}", service, tmp_path / "serve.log")
                    result, nodes = submitted(job, f"127.0.0.1:{front}")
    assert result["state"] == "SUCCEEDED"
    assert result["parameters_sha256"] == train_solo(load_job(job)).parameters_sha256
    assert len(nodes) == 4  # one for each rank, …
    assert len(set(nodes.values())) == 2  # … on both nodes


def wait_for_nodes(count: int, address: str, environment: dict[str, str]) -> None:
    """Asks the cluster in a process of its own: a process has one cluster in its life."""
    program = f"""
import logging, time, ray
ray.init(address={address!r}, log_to_driver=False, logging_level=logging.ERROR)
deadline = time.monotonic() + 60
while sum(n["Alive"] for n in ray.nodes()) < {count} and time.monotonic() < deadline:
    time.sleep(0.1)
nodes = [n for n in ray.nodes() if n["Alive"]]
assert len(nodes) == {count}, nodes
assert all("gradwire_node" in n["Resources"] for n in nodes), nodes
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr


def submitted(job: Path, address: str) -> tuple[dict[str, object], dict[int, str]]:
    """The result of the job, and the Ray node of each rank, which its model prints."""
    command = [
        sys.executable,
        "-m",
        "gradwire",
        "submit",
        str(job),
        "--workers",
        "4",
        "--address",
        address,
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    watch = [sys.executable, "-m", "gradwire", "watch", result["job"], "--address", address, "--json"]
    events = subprocess.run(watch, capture_output=True, text=True, timeout=60).stdout
    nodes = {}
    for line in events.splitlines():
        found = find_log_line(json.loads(line))
        if found is not None and str(found["text"]).startswith("node "):
            nodes[int(found.get("rank", 0))] = str(found["text"]).split()[1]
    return result, nodes


def find_log_line(value: object) -> dict[str, object] | None:
    """The part of an event that has a text, however deep."""
    if isinstance(value, dict):
        if "text" in value:
            return value
        for inner in value.values():
            if (found := find_log_line(inner)) is not None:
                return found
    return None


def test_a_node_without_a_head_or_a_token_says_what_is_missing(tmp_path: Path) -> None:
    for arguments, words in (
        ([], "expected the head's address as HOST:PORT"),
        (["10.0.0.1"], "expected the head's address as HOST:PORT, got '10.0.0.1'"),
        (["10.0.0.1:6379", "--home", str(tmp_path)], f"{tmp_path}/token is not there: copy it from the head"),
    ):
        done = subprocess.run(
            [str(SCRIPTS / "node.sh"), *arguments], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 2
        assert words in done.stderr
