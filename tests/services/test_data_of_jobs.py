"""Jobs whose data is named with them: through a real service and the command line, with the bits of the data in memory."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from serving_harness import run_cli

from gradwire.services.client import Client
from gradwire.services.data_rules import DataRules
from gradwire.services.errors import InvalidRequestError, RequestReusedError
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState
from gradwire.training import load_job, train_solo

JOB = """\
import gradwire as torch
from gradwire import nn, optim
from gradwire.data import TensorDataset


class Fit(torch.Job):
    epochs = 2
    batch_size = 16

    def model(self):
        return nn.Linear(4, 1)

    def train_data(self):
        x = torch.arange(40 * 4).reshape(40, 4) / 100
        return TensorDataset(x, x.sum(1, keepdim=True))

    def eval_data(self):
        return None

    def optimizer(self, model):
        return optim.Adam(model.parameters())

    def loss(self, model, batch):
        x, y = batch
        return ((model(x) - y) ** 2).mean()
"""
COLUMNS = "#columns=x,y"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the job file, its data in another scale, and `own.npz`, which is what the job makes itself."""
    folder = tmp_path_factory.mktemp("there")
    (folder / "fit.py").write_text(JOB)
    x = (np.arange(40 * 4).reshape(40, 4) / 100).astype(np.float32)
    y = x.sum(1, keepdims=True)
    np.savez(folder / "own.npz", x=x, y=y)
    np.savez(folder / "half.npz", x=x / 2, y=y)
    return folder


@pytest.fixture(scope="module")
def service(there: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("serving") / "home"
    running = Service(
        home,
        lambda home: LocalLauncher(Capacity(cpu=4, cuda=0)),
        Address("127.0.0.1", 0),
        data=DataRules([there]),
    )
    running.start()
    yield running
    running.stop()


def bits(there: Path, data: dict[str, str] | None = None) -> str:
    return train_solo(load_job(there / "fit.py", data=data)).parameters_sha256


def test_jobs_train_on_the_data_that_is_named(service: Service, there: Path) -> None:
    half = f"file://{there}/half.npz{COLUMNS}"
    with Client(str(service.address)) as client:
        jobs = [
            client.submit(
                there / "fit.py", workers=2, data={"train_data": f"file://{there}/o*.npz{COLUMNS}"}
            ),
            client.submit(there / "fit.py", data={"train_data": half, "eval_data": half}),
        ]
        same, other = (job.wait() for job in jobs)
    assert same.state == other.state == JobState.SUCCEEDED
    assert same.parameters_sha256 == bits(there)
    assert other.parameters_sha256 == bits(there, {"train_data": half}) != bits(there)
    assert other.spec.data == {"train_data": half, "eval_data": half}
    assert other.evaluation_metrics.keys() == {"loss"}


def test_data_of_a_web_server_is_read_by_a_job(service: Service, there: Path) -> None:
    pytest.importorskip("aiohttp")
    handler = partial(Quiet, directory=str(there))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}/own.npz?signature=s3cr3t{COLUMNS}"
            with Client(str(service.address)) as client:
                ended = client.submit(there / "fit.py", data={"train_data": url}).wait()
                events = str([event.kind for event in client.job(ended.id).watch()])
        finally:
            server.shutdown()
    assert ended.state == JobState.SUCCEEDED, ended.error
    assert ended.parameters_sha256 == bits(there)
    receipt = (service._home.checkpoints(ended.id) / "receipt.json").read_text()
    assert "own.npz?***#columns=x,y" in receipt
    assert "s3cr3t" not in receipt + events


class Quiet(SimpleHTTPRequestHandler):
    """Gives whole files alone, as Python's own server does."""

    def log_message(self, *args: object) -> None:
        pass


def test_data_that_is_not_there_fails_the_job_with_one_sentence(service: Service, there: Path) -> None:
    with Client(str(service.address)) as client:
        job = client.submit(there / "fit.py", data={"train_data": f"file://{there}/none.npz"})
        ended = job.wait()
    assert ended.state == JobState.FAILED and ended.error is not None
    assert ended.error.reason == "DATA_UNAVAILABLE" and not ended.error.traceback
    assert ended.error.message == f"file://{there}/none.npz: No such file or directory"


def test_other_data_is_another_request(service: Service, there: Path) -> None:
    with Client(str(service.address)) as client:
        url = f"file://{there}/none.npz"
        first = client.submit(there / "fit.py", data={"train_data": url}, request_id="one-and-only")
        again = client.submit(there / "fit.py", data={"train_data": url}, request_id="one-and-only")
        assert again.id == first.id
        with pytest.raises(RequestReusedError):
            client.submit(there / "fit.py", data={"train_data": url + COLUMNS}, request_id="one-and-only")


def test_a_file_of_ones_own_is_uploaded_and_trained_on(service: Service, there: Path) -> None:
    with Client(str(service.address)) as client:
        job = client.submit(there / "fit.py", workers=2, data={"train_data": f"{there}/own.npz{COLUMNS}"})
        ended = job.wait()
    assert ended.state == JobState.SUCCEEDED, ended.error
    assert ended.parameters_sha256 == bits(there)
    assert ended.spec.data["train_data"].startswith("blob:")


@pytest.mark.parametrize("url", ["file:///etc/own.npz", f"blob:{'0' * 64}#npz", "ftp://host/a.npz"])
def test_data_that_a_service_does_not_read_is_refused_at_once(
    service: Service, there: Path, url: str
) -> None:
    with Client(str(service.address)) as client:
        before = len(list(client.jobs()))
        with pytest.raises(InvalidRequestError) as caught:
            client.submit(there / "fit.py", data={"train_data": url})
        assert [violation.field for violation in caught.value.violations] == ["spec.data['train_data']"]
        assert len(list(client.jobs())) == before


@pytest.mark.slow
def test_the_command_line_trains_on_a_path_verifies_and_does_the_same_by_the_reference(
    there: Path, tmp_path: Path
) -> None:
    home = str(tmp_path / "home")
    half = ("--data", f"train_data=half.npz{COLUMNS}")
    done = run_cli("train", "fit.py", *half, "--workers", "2", "--json", "--home", home, cwd=there)
    told = json.loads(done.stdout)
    assert (done.returncode, told["state"]) == (0, "SUCCEEDED"), done.stderr
    assert told["data"] == {"train_data": f"file://{there}/half.npz{COLUMNS}"}
    assert told["parameters_sha256"] == bits(there, {"train_data": f"{there}/half.npz{COLUMNS}"})
    again = run_cli("train", "fit.py", *half, "--json", "--reference", cwd=there)
    assert json.loads(again.stdout)["parameters_sha256"] == told["parameters_sha256"]
    verified = run_cli("verify", told["job"], "--home", home, "--json", cwd=tmp_path)
    assert json.loads(verified.stdout)["same"] is True, verified.stderr
    assert json.loads(verified.stdout)["because"] == []


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (("--data", "train_data"), 2, "expected NAME=VALUE, like train_data=s3://bucket/train.npz"),
        (("--data", "train_data=x"), 2, "the name tells no format: end it with #npz"),
        (
            ("--data", "train=own.npz"),
            2,
            "data 'train': expected the name of a method that returns a data set",
        ),
        (("--data", "train_data=none.npz"), 1, "none.npz: No such file or directory"),
    ],
)
def test_wrong_data_gives_one_clear_message(
    there: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = run_cli("train", "fit.py", "--reference", *arguments, cwd=there)
    assert message in " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == code and "Traceback" not in done.stderr


def test_serve_takes_data_below_the_folders_it_is_told(there: Path, tmp_path: Path) -> None:
    missing = run_cli("serve", "--data-root", str(tmp_path / "none"), "--home", str(tmp_path / "home"))
    assert missing.returncode == 2 and "does not exist" in " ".join(missing.stderr.replace("│", " ").split())
    options = (
        "--address",
        "127.0.0.1:0",
        "--home",
        str(tmp_path / "home"),
        "--data-root",
        str(there),
        "--json",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "gradwire", "serve", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRADWIRE_RUNTIME": "process"},
    )
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told["data_roots"] == [str(there)]
        data = f"train_data=file://{there}/own.npz{COLUMNS}"
        done = run_cli(
            "submit", str(there / "fit.py"), "--address", told["address"], "--json", "--data", data
        )
        assert json.loads(done.stdout)["parameters_sha256"] == bits(there), done.stderr
        done = run_cli(
            "submit",
            str(there / "fit.py"),
            "--address",
            told["address"],
            "--data",
            "train_data=file:///etc/x.npz",
        )
        assert done.returncode == 2 and "not below one of the folders" in " ".join(done.stderr.split())
    finally:
        process.terminate()
        process.communicate(timeout=30)
