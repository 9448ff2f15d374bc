"""Real training that grows, shrinks, gives way and goes on: the bits are the oracle's. On processes of this host and on Ray."""

from pathlib import Path

import pytest
from serving_harness import code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.scheduling import Policy
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState
from gradwire.training import load_job, train_solo

JOB = Path(__file__).with_name("ray_job.py")
POLICY = "preempt_after_s = 0\ngrow_after_s = 0.2\n"
SIX = 6


def has(job: RemoteJob, workers: int) -> None:
    def met() -> bool:
        now = job.get()
        assert not now.state.terminal, f"{now.state.name} after {now.step} steps: {now.error}"
        return (now.state, now.workers) == (JobState.RUNNING, workers)

    wait_until(met, 90, f"{workers} workers")


def through_all(client: Client) -> None:
    """Six workers, two while others need theirs, none while an urgent job runs, six again, and the end."""
    program = code(JOB.read_text(), JOB.name)
    settings = {"epochs": "120", "pause_s": "0.02"}
    job = client.submit(program, overrides=settings, workers=2, min_workers=2, max_workers=SIX)
    has(job, SIX)
    # Their places must really be given back for this one to begin.
    other = client.submit(program, workers=SIX)
    assert other.wait().state == JobState.SUCCEEDED
    has(job, SIX)
    urgent = client.submit(program, workers=8, priority=1)
    assert urgent.wait().state == JobState.SUCCEEDED
    has(job, SIX)
    job.resize(2)
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED, ended.error
    assert ended.parameters_sha256 == train_solo(load_job(JOB, settings)).parameters_sha256
    assert other.get().parameters_sha256 == train_solo(load_job(JOB, {})).parameters_sha256
    events = list(job.watch())
    steps = [e.kind.step for e in events if isinstance(e.kind, r.StepFinished)]
    assert steps == list(range(1, ended.total_steps + 1))
    states = [e.kind.state.name for e in events if isinstance(e.kind, r.StateChanged)]
    assert "RESIZING" in states and "RECOVERING" not in states and states.count("QUEUED") == 2
    sizes = {e.kind.workers for e in events if isinstance(e.kind, r.GroupFormed)}
    assert sizes >= {2, SIX}


@pytest.mark.timeout(300)
def test_processes_of_this_host(tmp_path: Path) -> None:
    policy = Policy(preempt_after_s=0.0, grow_after_s=0.2)
    service = Service(
        tmp_path / "home",
        lambda home: LocalLauncher(Capacity(cpu=8, cuda=0)),
        Address("127.0.0.1", 0),
        policy=policy,
    )
    with Client(str(service.start())) as client:
        try:
            through_all(client)
        finally:
            for job in client.jobs():
                client.job(job.id).cancel()
            service.stop()


@pytest.mark.ray
@pytest.mark.timeout(400)
def test_ray(tmp_path: Path) -> None:
    from test_ray import Served

    (tmp_path / "policy.toml").write_text(POLICY)
    served = Served(tmp_path / "home", "--policy", str(tmp_path / "policy.toml"))
    try:
        through_all(served.client)
    finally:
        served.stop()
