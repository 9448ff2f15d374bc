"""The command line as a user meets it: real processes, exit codes, standard output and standard error."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serving_harness import run_cli

from gradwire.services.client import Client
from gradwire.services.states import JobState

JOB = """\
import gradwire as torch
from gradwire import nn, optim
from gradwire.data import TensorDataset
import sizes


class Small(torch.Job):
    epochs = 2
    batch_size = 16
    lr = 0.1
    pause_s = 0.0

    def model(self):
        print("a [bold]model[/bold]")
        return nn.Linear(sizes.FEATURES, 1)

    def train_data(self):
        x = torch.randn(64, sizes.FEATURES)
        return TensorDataset(x, x.sum(1, keepdim=True))

    def eval_data(self):
        return self.train_data()

    def optimizer(self, model):
        return optim.SGD(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        import time
        time.sleep(self.pause_s)
        x, y = batch
        return ((model(x) - y) ** 2).mean()
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A small real job with a module beside it."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / "sizes.py").write_text("FEATURES = 4\n")
    (folder / "job.py").write_text(JOB)
    return folder / "job.py"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home, in which nothing runs any more at the end."""
    yield tmp_path / "home"
    assert processes(tmp_path / "home") == []


def processes(home: Path) -> list[str]:
    """Command lines of the processes that have to do with a home."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(home) in command:
                found.append(command)
    return found


class Serving:
    """`gradwire serve` in a process of its own."""

    def __init__(self, home: Path, address: str = "127.0.0.1:0") -> None:
        self.process = start_cli("serve", "--address", address, "--home", str(home), "--json")
        assert self.process.stdout is not None
        self.address: str = json.loads(self.process.stdout.readline())["address"]

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def serving(home: Path) -> Iterator[Serving]:
    server = Serving(home)
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def start_cli(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "gradwire", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRADWIRE_RUNTIME": "process"},
    )


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.02)


def test_train_ends_with_one_object_of_json_and_the_bits_of_a_plain_run(job: Path, home: Path) -> None:
    done = run_cli("train", str(job), "--json", "--home", str(home))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    told = json.loads(lines[0])
    assert {"job", "state", "steps", "seconds", "first_step_seconds", "metrics"} <= told.keys()
    assert (told["state"], told["steps"]) == ("SUCCEEDED", 8)
    assert Path(told["checkpoint"]).is_dir()
    assert Path(told["checkpoint"]).is_relative_to(home / "runs" / told["job"])
    assert "[0] a [bold]model[/bold]" in done.stderr
    text = "import sys; sys.path.insert(0, sys.argv[1]); import job, gradwire; gradwire.run(job.Small, [])"
    plain = subprocess.run(
        [sys.executable, "-c", text, str(job.parent)], capture_output=True, text=True, check=True
    )
    assert told["parameters_sha256"] in plain.stdout


def test_train_shows_a_table_with_the_command_that_makes_the_bits_again(job: Path, home: Path) -> None:
    done = run_cli("train", str(job), "--home", str(home), "--set", "epochs=1", "--shards", "4")
    assert done.returncode == 0, done.stderr
    words = " ".join(done.stdout.replace("│", " ").split())
    for part in ("steps", "parameters sha256", "checkpoint", "--shards 4 --set epochs=1"):
        assert part in words
    assert "\x1b" not in done.stdout + done.stderr


def test_the_reference_gives_the_bits_of_the_workers_in_the_same_form(job: Path, home: Path) -> None:
    arguments = (str(job), "--json", "--shards", "4", "--set", "epochs=1")
    whole = json.loads(run_cli("train", *arguments, "--home", str(home)).stdout)
    done = run_cli("train", *arguments, "--reference", "--home", str(home / "not_made"))
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    told = json.loads(line)
    same = ("state", "steps", "total_steps", "metrics", "train_metrics", "parameters_sha256", "overrides")
    assert {name: told[name] for name in same} == {name: whole[name] for name in same}
    assert told.keys() == whole.keys()
    assert (told["checkpoint"], told["error"]) == ("", None)
    assert "[0] a [bold]model[/bold]" in done.stderr
    assert not (home / "not_made").exists()
    table = run_cli("train", str(job), "--reference", "--set", "epochs=1")
    assert "gradwire train" in table.stdout and "--reference --set epochs=1" in table.stdout
    assert json.loads(run_cli("train", str(job), "--reference", "--json").stdout)["steps"] == 8


def test_an_interrupt_ends_the_reference(job: Path, home: Path) -> None:
    process = start_cli(
        "train", str(job), "--json", "--reference", "--set", "pause_s=0.2", "--set", "epochs=99"
    )
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["state"] == "CANCELLED"
    assert "Traceback" not in err


WRONG = [
    (("class Small", "class Small("), (), 2, "job.py, line 7: "),
    (("import sizes", "import not_there"), (), 2, "No module named 'not_there'"),
    (("def loss", "def lost"), (), 2, "lacks loss"),
    (("** 2).mean()", "** 2)"), (), 2, "mean"),
    (("nn.Linear(sizes.FEATURES, 1)", "7"), (), 2, "expected an nn.Module, got int"),
    (("x, y = batch", "raise KeyError('mine')"), (), 1, "KeyError"),
    (("", ""), ("--workers", "0"), 2, "--workers: expected 1 or more, not 0"),
    (("", ""), ("--workers", "3", "--shards", "2"), 2, "--workers: 3 workers can't share 2 shards"),
    (("", ""), ("--workers", "5000", "--shards", "4096"), 2, "--workers: 5000 workers"),
    (("", ""), ("--workers", "1000", "--shards", "4096"), 2, "can give at most"),
    (("", ""), ("--set", "rl=1"), 2, "unknown setting 'rl'"),
    (("", ""), ("--set", "lr=fast"), 2, "setting lr: expected float"),
    (("", ""), ("--set", "lr"), 2, "expected NAME=VALUE"),
    (("", ""), ("--device", "tpu"), 2, "tpu"),
    (("", ""), ("--device", "cuda"), 2, "no cuda device"),
]


@pytest.mark.parametrize(("change", "arguments", "code", "message"), [*WRONG[1:6], WRONG[8], WRONG[-1]])
def test_the_reference_says_what_is_wrong_in_the_same_words(
    job: Path, home: Path, change: tuple[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    arguments = arguments if "--workers" not in arguments else ("--workers", "2")
    message = message if "--workers" not in arguments else "leave their number out"
    if change[0]:
        job.write_text(JOB.replace(*change))
    done = run_cli("train", str(job), "--json", "--reference", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "/services/" not in done.stderr


@pytest.mark.parametrize(("change", "arguments", "code", "message"), WRONG)
def test_each_wrong_job_gives_one_clear_message_and_its_exit_code(
    job: Path, home: Path, change: tuple[str, str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    if change[0]:
        assert change[0] in JOB
        job.write_text(JOB.replace(*change))
    done = run_cli("train", str(job), "--json", "--home", str(home), *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "/services/" not in done.stderr
    assert not list(home.glob("runs/*/jobs/*/checkpoints/*"))


def test_a_missing_job_file_is_named(home: Path) -> None:
    done = run_cli("train", "nowhere.py", "--json", "--home", str(home))
    assert (done.returncode, done.stdout) == (2, "")
    assert "job file nowhere.py does not exist" in done.stderr


def test_a_users_exception_shows_the_users_own_traceback_and_file(job: Path, home: Path) -> None:
    job.write_text(JOB.replace("x, y = batch", "raise KeyError('mine')"))
    done = run_cli("train", str(job), "--json", "--home", str(home))
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["reason"] == "USER_CODE"
    assert f'File "{job}", line' in done.stderr
    assert "raise KeyError('mine')" in done.stderr
    assert done.stderr.count("  File ") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_a_training_and_leaves_nothing_running(
    job: Path, home: Path, number: int
) -> None:
    process = start_cli(
        "train", str(job), "--json", "--home", str(home), "--set", "pause_s=0.2", "--set", "epochs=99"
    )
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["state"] == "CANCELLED"
    assert "Traceback" not in err
    assert processes(home) == []
    assert not list(home.rglob(".tmp-*"))


def test_kill_9_of_a_training_ends_its_workers_too(job: Path, home: Path) -> None:
    process = start_cli("train", str(job), "--home", str(home), "--set", "pause_s=0.2", "--set", "epochs=99")
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        pass
    process.kill()
    process.communicate()
    until(lambda: processes(home) == [], 10)


def test_a_service_is_used_from_another_terminal(
    job: Path, home: Path, serving: Serving, tmp_path: Path
) -> None:
    at = ("--address", serving.address)
    detached = run_cli("submit", str(job), "--detach", "--json", *at)
    assert detached.returncode == 0, detached.stderr
    (line,) = detached.stdout.splitlines()
    first = json.loads(line)
    assert first.keys() == {"job"}
    watched = run_cli("watch", first["job"], "--json", *at)
    events = [json.loads(each) for each in watched.stdout.splitlines()]
    assert watched.returncode == 0
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    assert (events[-1]["kind"], events[-1]["state"]) == ("StateChanged", "SUCCEEDED")
    rest = run_cli("watch", first["job"], "--json", "--after", str(len(events) - 1), *at)
    assert json.loads(rest.stdout) == events[-1]
    followed = run_cli("submit", str(job), "--json", *at)
    assert followed.returncode == 0
    told = json.loads(followed.stdout)
    (listed,) = [
        each for each in json.loads(run_cli("jobs", "--json", *at).stdout) if each["job"] == told["job"]
    ]
    assert listed["parameters_sha256"] == told["parameters_sha256"] != ""
    assert run_cli("logs", told["job"], "--follow", *at).stdout == "a [bold]model[/bold]\n"
    to = tmp_path / "got"
    got = json.loads(run_cli("download", told["job"], "--to", str(to), "--json", *at).stdout)
    assert got["parameters_sha256"] == told["parameters_sha256"]
    assert {path.name for path in to.iterdir()} >= {"manifest.json", "model.safetensors"}
    table = run_cli("jobs", *at)
    assert told["job"] in table.stdout
    assert "succeeded" in table.stdout


def test_a_job_is_cancelled_and_its_follower_says_so(job: Path, serving: Serving) -> None:
    at = ("--address", serving.address)
    slow = ("--set", "pause_s=0.2", "--set", "epochs=99")
    follower = start_cli("submit", str(job), "--json", *slow, *at)
    assert follower.stderr is not None
    while "running" not in follower.stderr.readline():
        pass
    (now,) = json.loads(run_cli("jobs", "--json", "--state", "running", *at).stdout)
    assert json.loads(run_cli("cancel", now["job"], "--json", *at).stdout)["job"] == now["job"]
    out, _ = follower.communicate(timeout=30)
    assert follower.returncode == 1
    assert json.loads(out)["state"] == "CANCELLED"
    assert run_cli("cancel", now["job"], *at).returncode == 0


def test_a_job_is_paused_resized_updated_and_resumed_and_ends_with_the_bits_of_one_that_was_not(
    job: Path, serving: Serving
) -> None:
    at = ("--address", serving.address)

    def told(*arguments: str) -> Any:
        done = run_cli(*arguments, "--json", *at)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    slow = ("--set", "pause_s=0.05", "--set", "epochs=6")
    name = told("submit", str(job), "--detach", "--max-workers", "3", *slow)["job"]
    with Client(serving.address) as client:
        now = client.job(name).get
        until(lambda: now().step >= 2)
        assert told("resize", name, "--workers", "2")["workers"] == 2
        until(lambda: now().workers == 2)
        assert told("pause", name)["job"] == name
        until(lambda: now().state == JobState.PAUSED)
    paused = told("show", name)
    assert paused["present_workers"] == 0
    assert told("update", name, "--lr", "0.1", "--priority", "2", "--label", "team=a")["priority"] == 2
    shown = run_cli("show", name, *at).stdout
    for text in ("paused", "2 workers, from 1 to 3", "still to change    lr=0.1", "team=a"):
        assert text in shown
    assert "1 to 3 workers, not 4" in run_cli("resize", name, "--workers", "4", *at).stderr
    told("resume", name)
    watched = run_cli("watch", name, *at)
    assert watched.returncode == 0, watched.stderr
    for text in (
        "paused: paused after",
        "asked for: 2 workers",
        "group 2 of 2 workers",
        "resizing: from 3 to 2",
    ):
        assert text in watched.stderr
    assert f"from step {paused['steps'] + 1} on: lr=0.1" in watched.stderr
    # The learning rate is what it was, so all that was done to the job must not show in its bits.
    plain = told("submit", str(job), "--set", "epochs=6")
    assert told("show", name)["parameters_sha256"] == plain["parameters_sha256"] != ""


def test_wrong_ways_to_steer_a_job_give_2_and_say_why(job: Path, serving: Serving) -> None:
    at = ("--address", serving.address)
    name = json.loads(run_cli("submit", str(job), "--json", *at).stdout)["job"]
    for arguments, message in (
        (("pause", name), "is succeeded and can't be paused"),
        (("resize", name, "--workers", "0"), "--workers: expected 1 to 4096, not 0"),
        (("update", name, "--lr", "-1"), "--lr: expected a finite number"),
        (("update", name), "--lr, --priority, --label"),
        (("submit", str(job), "--max-workers", "99"), "--max-workers: expected at most its 8 shards"),
    ):
        done = run_cli(*arguments, "--json", *at)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert message in done.stderr
    assert run_cli("update", name, "--label", "a=b", *at).returncode == 0


def test_an_interrupt_of_submit_leaves_the_job_alone_and_says_how_to_come_back(
    job: Path, serving: Serving
) -> None:
    at = ("--address", serving.address)
    follower = start_cli("submit", str(job), "--set", "pause_s=0.05", *at)
    assert follower.stderr is not None
    while "running" not in follower.stderr.readline():
        pass
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=30)
    assert follower.returncode == 130
    assert "Come back with: gradwire watch" in err
    (listed,) = json.loads(run_cli("jobs", "--json", *at).stdout)
    assert run_cli("watch", listed["job"], *at).returncode == 0


def test_a_service_that_is_killed_goes_on_with_the_same_bits(job: Path, home: Path) -> None:
    whole = json.loads(run_cli("train", str(job), "--json", "--home", str(home)).stdout)
    server = Serving(home / "service")
    at = ("--address", server.address)
    follower = start_cli("submit", str(job), "--json", "--set", "pause_s=0.05", *at)
    assert follower.stderr is not None
    while "running" not in follower.stderr.readline():
        pass
    server.stop(signal.SIGKILL)
    again = Serving(home / "service", server.address)
    out, _ = follower.communicate(timeout=60)
    assert follower.returncode == 0
    assert json.loads(out)["parameters_sha256"] == whole["parameters_sha256"]
    assert again.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_service_stops_well_on_a_signal_while_a_job_runs(job: Path, home: Path, number: int) -> None:
    server = Serving(home)
    at = ("--address", server.address)
    assert run_cli("submit", str(job), "--detach", "--set", "pause_s=0.1", *at).returncode == 0
    until(lambda: json.loads(run_cli("jobs", "--json", *at).stdout)[0]["state"] == "RUNNING")
    assert server.stop(number) == 0
    assert processes(home) == []


def test_a_service_that_is_not_there_gives_3(job: Path) -> None:
    at = ("--address", "127.0.0.1:9")
    for arguments in (
        ("submit", str(job)),
        ("jobs",),
        ("watch", "x"),
        ("logs", "x"),
        ("cancel", "x"),
        ("resize", "x", "--workers", "2"),
        ("download", "x"),
    ):
        done = run_cli(*arguments, "--json", *at)
        assert (done.returncode, done.stdout) == (3, ""), arguments
        assert "no gradwire service answers at 127.0.0.1:9" in done.stderr


def test_a_job_that_is_not_there_gives_2(serving: Serving) -> None:
    for command in ("watch", "logs", "cancel", "pause", "download"):
        done = run_cli(command, "nobody", "--json", "--address", serving.address)
        assert (done.returncode, done.stdout) == (2, ""), command
        assert "no job 'nobody'" in done.stderr


def test_serve_refuses_what_it_must_not_do(home: Path, serving: Serving, tmp_path: Path) -> None:
    for address, message in (
        ("0.0.0.0:0", "--insecure"),
        ("nowhere", "expected HOST:PORT"),
        (serving.address, "holds the home"),
    ):
        done = run_cli("serve", "--address", address, "--home", str(home))
        assert done.returncode == 2
        assert message in done.stderr
    done = run_cli("serve", "--address", serving.address, "--home", str(tmp_path / "other"))
    assert done.returncode == 2
    assert "can't listen at" in done.stderr


def test_the_environment_stands_for_the_options(job: Path, serving: Serving, home: Path) -> None:
    done = run_cli("jobs", "--json", environment={"GRADWIRE_ADDRESS": serving.address})
    assert (done.returncode, done.stdout) == (0, "[]\n")
    there = home / "by-environment"
    trained = run_cli("train", str(job), "--json", environment={"GRADWIRE_HOME": str(there)})
    assert json.loads(trained.stdout)["checkpoint"].startswith(str(there))


def test_doctor_tells_what_there_is(serving: Serving, home: Path) -> None:
    well = run_cli("doctor", "--json", "--home", str(home), "--address", serving.address)
    told = json.loads(well.stdout)
    assert well.returncode == 0
    assert told["well"] and told["service"]["answers"] and told["home"]["writable"]
    assert {"gradwire", "python", "numpy", "ray", "grpcio", "cupy", "cuda", "shared_memory"} <= told.keys()
    away = run_cli("doctor", "--address", "127.0.0.1:9")
    assert away.returncode == 1
    assert "no gradwire service answers" in " ".join(away.stdout.split())


def test_the_version_and_wrong_commands() -> None:
    assert run_cli("--version").stdout.startswith("gradwire 0.")
    assert run_cli("trane").returncode == 2
    assert run_cli("jobs", "--state", "sleeping").returncode == 2
