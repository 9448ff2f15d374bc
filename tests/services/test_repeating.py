"""Jobs are repeated by the service and compared step by step; the first step with other bits is named."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_harness import code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.errors import (
    InvalidRequestError,
    JobNotFoundError,
    JobStateError,
    RequestReusedError,
)
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState

SMALL = Path(__file__).parent / "ray_job.py"


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Client]:
    """A client of a service whose jobs train."""
    service = Service(tmp_path / "home", lambda home: LocalLauncher(), Address("127.0.0.1", 0))
    with Client(str(service.start())) as client:
        yield client
    service.stop()


def test_a_replay_of_real_training_has_the_same_bits_with_the_options_that_were_changed(
    training: Client,
) -> None:
    job = training.submit(SMALL, workers=2, shards=4, overrides={"pause_s": "0.02"}, labels={"team": "a"})
    wait_until(lambda: job.get().step >= 2)
    job.update(lr=0.05)
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED, ended.error
    assert len(ended.options_history) == 1
    replay = job.replay(workers=1)
    again = replay.wait()
    assert again.state == JobState.SUCCEEDED, again.error
    assert (again.replay_of, again.spec.workers, again.spec.labels) == (job.id, 1, {"team": "a"})
    assert again.parameters_sha256 == ended.parameters_sha256
    assert again.chain == ended.chain
    verdict = job.verify()
    assert verdict == r.Comparison(replay.id, True, ended.step, 0, ())
    # Without the change it is another job from that step on.
    plain = training.submit(SMALL, shards=4, overrides={"pause_s": "0.02"})
    plain.wait()
    verdict = job.verify(plain.id)
    assert not verdict.same
    assert verdict.first_different_step == ended.options_history[0].step + 1
    assert verdict.compared_steps == verdict.first_different_step
    assert any(line.startswith("options changed on the way") for line in verdict.differences)
    assert any(
        line.startswith(f"step {verdict.first_different_step}, the hash chain")
        for line in verdict.differences
    )


def finished(client: Client, **overrides: str) -> str:
    job = client.submit(code(), overrides=overrides)
    assert job.wait().state == JobState.SUCCEEDED
    return job.id


def test_the_first_step_that_differs_is_named_with_what_differs(client: Client) -> None:
    one = client.job(finished(client, steps="6"))
    other = client.job(finished(client, steps="6", lr_at_start="2"))
    verdict = one.verify(other.id)
    assert (verdict.against, verdict.same) == (other.id, False)
    assert (verdict.compared_steps, verdict.first_different_step) == (1, 1)
    assert verdict.differences[0].startswith("settings: {'steps': '6'} and {")
    assert verdict.differences[1].startswith("step 1, the hash chain after it: ")
    # One that made fewer steps is compared as far as it went.
    short = client.job(finished(client, steps="4"))
    verdict = one.verify(short.id)
    assert (verdict.same, verdict.compared_steps, verdict.first_different_step) == (True, 4, 0)


def test_a_replay_is_one_job_however_often_it_is_asked_for(client: Client) -> None:
    job = client.job(finished(client, steps="2"))
    with pytest.raises(JobStateError, match="has no replay that has ended"):
        job.verify()
    request_id = str(uuid.uuid4())
    replay = job.replay(request_id=request_id)
    # What has become of the job meanwhile does not make it another request.
    job.update(labels={"team": "b"})
    assert job.replay(request_id=request_id).id == replay.id
    with pytest.raises(RequestReusedError):
        job.replay(2, request_id=request_id)
    replay.wait()
    second = job.replay(4)
    second.wait()
    assert job.verify().against == second.id
    assert job.verify().same
    second.delete()
    assert job.verify().against == replay.id


def test_what_can_t_be_repeated_or_compared_says_why(client: Client) -> None:
    running = client.submit(code(), overrides={"steps": "2", "hold_at": "1"})
    with pytest.raises(JobStateError, match="Replay it when it has ended"):
        running.replay()
    done = client.job(finished(client, steps="2"))
    with pytest.raises(InvalidRequestError) as caught:
        done.replay(9, "not an id!")
    assert [v.field for v in caught.value.violations] == ["workers", "request_id"]
    with pytest.raises(InvalidRequestError, match="expected another job"):
        done.verify(done.id)
    with pytest.raises(JobNotFoundError):
        done.verify("none")
    with pytest.raises(JobStateError, match="have no step with a hash chain in common"):
        done.verify(running.id)
    running.cancel()
