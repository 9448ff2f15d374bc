"""A Ray head on one host and a node on another, a job over both, and the cable between them pulled in the middle of a step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gradwire.training import load_job, train_solo
from tests.deploy.test_ray_scripts import SCRIPTS, until
from tests.services.test_ray import JOB
from tests.survival.two_hosts import TwoHosts, two_hosts, why_not

REASON = why_not()
pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(REASON != "", reason=REASON),
    pytest.mark.timeout(280),
]
PORT = 6391
CUT_S = 1.5
GRADWIRE = (sys.executable, "-m", "gradwire")


class Cluster:
    """The head and the service on host "a", a node on host "b", each with room for one worker."""

    def __init__(self, hosts: TwoHosts, folder: Path) -> None:
        self.hosts, self.folder = hosts, folder
        self.head = f"{hosts.address('a')}:{PORT}"
        self.environment = {
            **os.environ,
            "PYTHON": sys.executable,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "cluster" / "token"),
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, host: str, log: str, *command: str) -> None:
        with open(self.folder / log, "wb") as out:
            self._started.append(
                subprocess.Popen(
                    [*self.hosts.command(host), *command],
                    env=self.environment,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            )

    def client(self, *arguments: str) -> subprocess.Popen[str]:
        """A command of a user who sits on host "a"."""
        command = [*self.hosts.command("a"), *GRADWIRE, *arguments]
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True)

    def answers(self, *arguments: str) -> bool:
        with self.client(*arguments) as asked:
            assert asked.stdout is not None
            asked.stdout.read()
            return asked.wait() == 0

    def close(self) -> None:
        for process in reversed(self._started):
            process.terminate()
            process.wait(60)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with two_hosts() as hosts:
        made = Cluster(hosts, tmp_path)
        try:
            rest = ("--home", str(tmp_path / "cluster"), "--num-cpus", "1")
            here, there = hosts.address("a"), hosts.address("b")
            made.start(
                "a", "head.log", str(SCRIPTS / "head.sh"), "--address", here, "--port", str(PORT), *rest
            )
            until(lambda: "Ray runtime started" in (tmp_path / "head.log").read_text(), "the head is there")
            made.start("b", "node.log", str(SCRIPTS / "node.sh"), made.head, "--address", there, *rest)
            until(lambda: "Ray runtime started" in (tmp_path / "node.log").read_text(), "the node has joined")
            made.start(
                "a", "serve.log", *GRADWIRE, "serve", "--ray", made.head, "--home", str(tmp_path / "home")
            )
            until(lambda: made.answers("jobs", "--json"), "the service answers")
            yield made
        finally:
            made.close()


def test_a_job_over_both_survives_a_pulled_cable_with_the_same_bits(cluster: Cluster) -> None:
    settings = ("--set", "epochs=12", "--set", "pause_s=0.02")
    asked = cluster.client("submit", str(JOB), "--workers", "2", "--detach", "--json", *settings)
    job = json.loads(asked.communicate(timeout=60)[0])["job"]
    steps: list[dict[str, Any]] = []
    mending: threading.Timer | None = None
    with cluster.client("watch", job, "--json") as watching:
        assert watching.stdout is not None
        for line in watching.stdout:
            event = json.loads(line)
            steps += [event] if event["kind"] == "StepFinished" else []
            if mending is None and len(steps) == 20:
                cluster.hosts.cut()
                mending = threading.Timer(CUT_S, cluster.hosts.mend)
                mending.start()
        assert watching.wait() == 0
    assert mending is not None
    mending.join()
    assert [each["step"] for each in steps] == list(range(1, 49))
    assert {each["workers"] for each in steps[:20]} == {2}
    # A step waited for the cable, or was made anew without the host that was cut off.
    assert max(each["seconds"] for each in steps[20:]) > 0.5 * CUT_S
    shown = json.loads(cluster.client("show", job, "--json").communicate(timeout=60)[0])
    assert shown["parameters_sha256"] == train_solo(load_job(JOB, {"epochs": "12"})).parameters_sha256
