"""Jobs as other Unix users than the service, with real processes. For root alone."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gradwire.services.attempt_folder import holder, kill_all_of
from gradwire.services.client import Client, RemoteJob
from gradwire.services.records import Code, SourceFile
from gradwire.services.security.access import Access
from gradwire.services.security.run_as import RunAs, RunAsError
from gradwire.services.states import JobState

ROOT = Path(__file__).resolve().parents[3]
GREEDY = ROOT / "tests" / "workers" / "jobs" / "greedy.py"
IDS = "70000-70007"
NOBODY = "nobody"
WITHIN_S = 60.0
SPY = """\
import json, os, signal, subprocess

def tried(act, *args):
    try:
        return repr(act(*args))[:200]
    except OSError as error:
        return type(error).__name__

def read(path):
    with open(path, "rb") as file:
        return file.read(20)

HOME, OTHER, PID = {home!r}, {other!r}, {pid}
print("SEEN " + json.dumps({{
    "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
    "home": tried(os.listdir, HOME),
    "jobs": tried(os.listdir, HOME + "/jobs"),
    "store": tried(read, HOME + "/jobs.db"),
    "wal": tried(read, HOME + "/jobs.db-wal"),
    "blobs": tried(os.listdir, HOME + "/blobs"),
    "own blob": tried(read, "../blobs/{sha}"),
    "lock": tried(read, HOME + "/lock"),
    "token": tried(read, HOME + "/token"),
    "other": tried(os.listdir, OTHER),
    "other code": tried(read, OTHER + "/code/job.py"),
    "other environment": tried(read, f"/proc/{{PID}}/environ"),
    "other memory": tried(read, f"/proc/{{PID}}/mem"),
    "other signal": tried(os.kill, PID, 0),
    "own": tried(read, "job.py"),
    "own attempts": tried(os.listdir, "../attempts"),
    "own orders": tried(read, "../newest"),
    "new beside": tried(open, "../new", "w"),
    "other's place": tried(os.rename, "../attempts", "../mine"),
    "temporary": os.environ["TMPDIR"],
    "home variable": os.environ["HOME"],
    "privileges": [line for line in open("/proc/self/status") if line.startswith("NoNewPrivs")],
}}), flush=True)
subprocess.Popen(["sh", "-c", "setsid sleep 600 &"])
raise SystemExit("seen")
"""


def interpreter() -> tuple[str, dict[str, str]] | None:
    """A Python that another user can run with gradwire, and what its environment needs."""
    paths = [str(ROOT / "typings"), *(path for path in sys.path if path.endswith("site-packages"))]
    environment = {"PYTHONPATH": os.pathsep.join(paths)}
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        for tried in ({}, environment):
            try:
                subprocess.run(
                    [python, "-c", "import gradwire.services.local_training"],
                    env={"PATH": os.environ["PATH"], **tried},
                    cwd="/", user=70000, group=70000, extra_groups=[], check=True, capture_output=True,
                )  # fmt: skip
                return python, tried
            except (OSError, subprocess.CalledProcessError):
                continue
    return None


PYTHON = interpreter() if os.geteuid() == 0 else None
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="needs root, and a Python with gradwire that other users can run"
)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that others can reach: pytest's own folders are closed to them."""
    folder = Path(tempfile.mkdtemp(prefix="gw", dir="/tmp"))
    folder.chmod(0o711)
    yield folder / "home"
    shutil.rmtree(folder)


def command(home: Path, *more: str) -> list[str]:
    assert PYTHON is not None
    place = ["--address", "127.0.0.1:0", "--home", str(home), "--json"]
    return [PYTHON[0], "-m", "gradwire", "serve", "--runtime", "process", *place, *more]


@contextmanager
def served(home: Path, *more: str) -> Iterator[Client]:
    assert PYTHON is not None
    environment = {**os.environ, **PYTHON[1]}
    with subprocess.Popen(
        command(home, *more), stdout=subprocess.PIPE, env=environment, text=True
    ) as service:
        assert service.stdout is not None
        try:
            with Client(json.loads(service.stdout.readline())["address"], access=Access()) as client:
                yield client
                for job in client.jobs():
                    client.job(job.id).cancel()
            service.terminate()
        except BaseException:
            service.kill()
            for uid in range(70000, 70008):
                kill_all_of(uid)
            raise


def code(text: str) -> Code:
    return Code("job.py", (SourceFile("job.py", text.encode()),))


def until(met: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (found := met()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def worker_of(home: Path, job: RemoteJob) -> int:
    """The process of a job's attempt."""
    return until(lambda: (holder(home / "jobs" / job.id) or (0, 0))[0])


def seen(job: RemoteJob) -> dict[str, Any]:
    job.wait()
    lines = [line.text for line in job.logs() if line.text.startswith("SEEN ")]
    assert lines, list(job.logs())
    return json.loads(lines[0].removeprefix("SEEN "))


def processes_of(uid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("users", [IDS, NOBODY])
def test_a_job_reaches_neither_the_service_nor_another_job(home: Path, users: str) -> None:
    with served(home, "--run-as", users) as client:
        (home / "token").write_text("gw_secret\n")
        (home / "token").chmod(0o600)
        other = client.submit(code("import time; time.sleep(600)"))
        pid = worker_of(home, other)
        folder = home / "jobs" / other.id
        (home.parent / "data.npy").write_bytes(b"of the job")
        sha256 = client.upload(home.parent / "data.npy")
        spy = SPY.format(home=str(home), other=str(folder), pid=pid, sha=f"{sha256[:2]}/{sha256}")
        found = seen(client.submit(code(spy), data={"train_data": f"blob:{sha256}#npy"}))
        alone = users == IDS
        uid = found["ids"][0][0]
        assert uid != 0
        assert found["ids"] == [[uid] * 3, [found["ids"][1][0]] * 3, []]
        own = ("home", "jobs", "store", "wal", "blobs", "lock", "token", "new beside", "other's place")
        assert {name: found[name] for name in own} == dict.fromkeys(own, "PermissionError")
        assert found["own blob"] == "b'of the job'"
        if alone:
            assert uid != os.stat(f"/proc/{pid}").st_uid
            others = ("other", "other code", "other environment", "other memory", "other signal")
            assert {name: found[name] for name in others} == dict.fromkeys(others, "PermissionError")
        # What it left behind, out of its session, has ended with it.
        until(lambda: not [pid for pid in processes_of(uid) if b"sleep" in command_of(pid)])
        assert "import json" in found["own"]
        assert found["own attempts"] == "['1']"
        assert found["own orders"] == "b'1'"
        assert found["temporary"] == found["home variable"]
        assert Path(found["temporary"]).parent.parent == home / "jobs"
        assert found["privileges"] == ["NoNewPrivs:\t1\n"]


def test_a_job_trains_pauses_and_goes_on_as_another_user_each_time(home: Path) -> None:
    with served(home, "--run-as", IDS) as client:
        job = client.submit(
            Code("job.py", (SourceFile("job.py", GREEDY.read_bytes()),)),
            shards=2,
            overrides={"epochs": "2000"},
        )
        until(lambda: job.get().step > 5)
        job.pause()
        until(lambda: job.get().state == JobState.PAUSED)
        step = job.get().step
        taker = client.submit(code("import time; time.sleep(600)"))
        worker_of(home, taker)
        job.resume()
        until(lambda: job.get().step > step)
        assert job.get().attempt == 2
        assert job.checkpoints()[0].step >= step
        target = home.parent / "checkpoint"
        job.download(target)
        assert len(list(target.iterdir())) > 1


def test_a_service_that_was_killed_adopts_what_runs_as_others_and_ends_it_with_its_job(home: Path) -> None:
    assert PYTHON is not None
    environment = {**os.environ, **PYTHON[1]}
    text = Code("job.py", (SourceFile("job.py", GREEDY.read_bytes()),))
    with subprocess.Popen(
        command(home, "--run-as", IDS), stdout=subprocess.PIPE, env=environment, text=True
    ) as first:
        assert first.stdout is not None
        with Client(json.loads(first.stdout.readline())["address"], access=Access()) as client:
            job_id = client.submit(text, shards=2, overrides={"epochs": "20000"}).id
            until(lambda: client.job(job_id).get().step > 5)
        first.kill()
    with served(home, "--run-as", IDS) as client:
        job = client.job(job_id)
        step = job.get().step
        until(lambda: job.get().step > step)
        assert job.get().attempt == 1
        other = client.submit(code("import time; time.sleep(600)"))
        uid, others = (os.stat(f"/proc/{worker_of(home, each)}").st_uid for each in (job, other))
        assert uid != others
        job.cancel()
        job.wait()
        until(lambda: not processes_of(uid))
        assert processes_of(others)


@pytest.mark.parametrize("harm", ["fork_bomb", "memory"])
def test_a_greedy_job_ends_with_the_clear_error_and_the_service_goes_on(home: Path, harm: str) -> None:
    limits = ["--max-memory", "256MiB", "--max-file-size", "16MiB", "--max-open-files", "128"]
    with served(home, "--run-as", IDS, *limits, "--max-processes", "64") as client:
        text = Code("job.py", (SourceFile("job.py", GREEDY.read_bytes()),))
        began = time.monotonic()
        ended = client.submit(text, shards=2, overrides={"harm": harm}).wait()
        assert time.monotonic() - began < WITHIN_S
        assert ended.error is not None
        assert (ended.error.reason, ended.attempt) == ("PROCESS_LIMIT", 1)
        assert client.submit(text, shards=2).wait().state == JobState.SUCCEEDED
        until(lambda: not [pid for uid in range(70000, 70008) for pid in processes_of(uid)])


def test_a_lock_that_names_another_process_kills_nobody(home: Path) -> None:
    text = "import os, time\nopen('../running.lock', 'r+').write('1 1 ')\nprint('SEEN {}', flush=True)\ntime.sleep(600)"
    with served(home, "--run-as", IDS) as client, subprocess.Popen(["sleep", "600"]) as innocent:
        job = client.submit(code(text.replace("'1 1 '", repr(f"{innocent.pid} 1      "))))
        until(lambda: [line for line in job.logs() if line.text == "SEEN {}"])
        job.cancel()
        assert job.wait().state == JobState.CANCELLED
        assert innocent.poll() is None
        innocent.kill()
        until(lambda: not processes_of(70000))


def test_users_that_can_t_be_are_refused_with_the_reason(home: Path) -> None:
    for text, message in (
        ("root", "is root"),
        ("no-such-user", "there is no user"),
        ("5-3", "expected FIRST-LAST"),
        ("0-9", "expected FIRST-LAST"),
        ("1-100", "are those of users"),
    ):
        with pytest.raises(RunAsError, match=message):
            RunAs.parse(text)
    with pytest.raises(RunAsError, match="too few ids: up to 8 jobs"):
        RunAs.parse("70000-70001").prepare_home(home, 8)
    assert PYTHON is not None
    environment = {**os.environ, **PYTHON[1]}
    closed = home.parent / "closed"
    closed.mkdir(mode=0o700)
    for more, message in (
        (["--runtime", "ray", "--run-as", IDS], "--run-as needs --runtime process"),
        (["--run-as", IDS, "--home", str(closed / "home")], "must let others through"),
    ):
        told = subprocess.run(
            command(home, *more), capture_output=True, text=True, env=environment, timeout=WITHIN_S
        )
        assert told.returncode == 2
        assert message in told.stderr
