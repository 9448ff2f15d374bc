"""What workers print comes out byte for byte, from any byte on, however often they or the service die."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from serving_harness import ServerProcess, code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.errors import CursorAheadError, InvalidRequestError
from gradwire.services.states import JobState

SAID = "é€\r\n[bold]text[/bold]\n\n\ttab\rover\n@long@\nno end"


def test_output_is_read_from_any_byte_on(client: Client) -> None:
    job = client.submit(code(), overrides={"say": SAID})
    job.wait()
    whole = SAID.replace("@long@", "€" * 12_000).encode()
    assert b"".join(job.read_logs()) == whole
    for offset in (*range(60), len(whole) - 7, len(whole)):
        assert b"".join(job.read_logs(offset=offset)) == whole[offset:]
        assert b"".join(job.read_logs(offset=offset, follow=True)) == whole[offset:]
    assert b"".join(job.read_logs(stream="stderr")) == b""
    assert b"".join(job.read_logs(3)) == b""
    with pytest.raises(CursorAheadError, match=f"has printed {len(whole)} bytes"):
        list(job.read_logs(offset=len(whole) + 1, follow=True))
    with pytest.raises(InvalidRequestError) as caught:
        list(job.read_logs(-1, "out", -1))
    assert [v.field for v in caught.value.violations] == ["rank", "stream", "offset"]
    # The events have the same, in lines for people.
    lines = list(job.logs())
    assert b"".join(line.written for line in lines) == whole
    assert lines[0].text == "é€" and lines[1].text == "[bold]text[/bold]" and lines[-1].text == "no end"
    assert [line.offset for line in lines] == [
        sum(len(line.written) for line in lines[:k]) for k in range(len(lines))
    ]


def test_output_is_followed_from_before_the_job_has_started(client: Client) -> None:
    first = client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
    wait_until(lambda: first.get().state == JobState.RUNNING)
    job = client.submit(code(), workers=8, overrides={"lines": "3", "steps": "3"})
    got: list[bytes] = []
    follower = threading.Thread(target=lambda: got.extend(job.read_logs(follow=True)))
    follower.start()
    assert job.get().state == JobState.QUEUED
    first.cancel()
    follower.join(60)
    assert not follower.is_alive()
    assert job.get().state == JobState.SUCCEEDED
    assert b"".join(got) == b"".join(b"line %d of [bold]text[/bold]\n" % k for k in range(3))


def test_a_new_attempt_prints_after_the_one_that_was_lost(client: Client) -> None:
    job = client.submit(code(), overrides={"say": "begins\n", "steps": "4", "die_at": "3"})
    assert b"".join(job.read_logs(follow=True)) == b"begins\nbegins\n"
    assert job.get().attempt == 2


PRINTING = """
import os, time
import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset

def say(data):
    # The worker's own file and its output, in one go each.
    with open("FILE", "ab") as file:
        file.write(data)
    os.write(1, data)

class Small(Job):
    epochs = 60
    batch_size = 16
    checkpoint_every = 3

    def model(self):
        say("loading é\\n".encode())
        return nn.Linear(4, 2)

    def train_data(self):
        return TensorDataset(torch.randn(32, 4), torch.zeros(32).long())

    def eval_data(self):
        return self.train_data()

    def optimizer(self, model):
        return torch.optim.SGD(model.parameters(), lr=0.1)

    def loss(self, model, batch):
        x, y = batch
        say("pid %d: € [red]".encode() % os.getpid())
        time.sleep(0.02)
        say(b"\\xff end\\n")
        if os.path.exists("KILL"):
            os.unlink("KILL")
            say(b"last words")
            os.kill(os.getpid(), 9)
        return nn.functional.cross_entropy(model(x), y)
"""


def test_the_output_is_the_worker_s_own_file_byte_for_byte_through_deaths_and_restarts(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    file, kill = tmp_path / "printed", tmp_path / "kill"
    text = PRINTING.replace("FILE", str(file)).replace("KILL", str(kill))
    server = serve(training=True)
    got: list[bytes] = []
    with Client(server.address, retry_for_s=30) as client:
        job = client.submit(code(text), shards=1)
        follower = threading.Thread(target=lambda: got.extend(job.read_logs(follow=True)))
        follower.start()
        for step in (5, 30):
            wait_until(lambda step=step: job.get().step >= step)
            kill.touch()
            wait_until(lambda: not kill.exists())
            server.kill()
            server = serve(server.port, training=True)
        ended = job.wait()
        follower.join(60)
        assert not follower.is_alive()
        whole = file.read_bytes()
        assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
        assert b"".join(got) == whole
        assert whole.count(b"last words") == 2
        middle = whole.index("€".encode(), len(whole) // 2) + 1
        assert b"".join(job.read_logs(offset=middle, follow=True)) == whole[middle:]
        losses = [e for e in job.watch() if isinstance(e.kind, r.Warned) and e.kind.reason == "WORKER_LOST"]
        assert len(losses) == 2
