"""`gradwire blob …`, and submits of archives and of local data, from the command line."""

import hashlib
import json
import signal
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archives.archive_files import tar_gz_of
from serving_harness import run_cli
from typer.testing import CliRunner

from gradwire.services.cli.app import app
from gradwire.services.client import Client
from gradwire.services.service import Service
from gradwire.services.states import JobState

BODY = b"twelve bytes" * 1000
SHA = hashlib.sha256(BODY).hexdigest()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(service: Service, here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs commands in this process: a new one takes seconds to import what it needs."""
    monkeypatch.chdir(here)
    monkeypatch.setenv("GRADWIRE_ADDRESS", str(service.address))
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]

    def run(*arguments: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, list(arguments))
        return done.exit_code, done.stdout, done.stderr

    yield run
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "[bold]file").write_bytes(BODY)
    (folder / "code.tar.gz").write_bytes(tar_gz_of({"src/job.py": b"import other\n", "src/other.py": b""}))
    return folder


def test_blobs_are_uploaded_listed_shown_downloaded_and_deleted(run: Run, here: Path) -> None:
    assert run("blob", "list") == (0, "", "no blobs\n")
    status, out, error = run("blob", "upload", "[bold]file")
    assert (status, out) == (0, f"{SHA}\n")
    assert "[bold]file: 12.0 kB, whole" in error
    fields = json.loads(run("blob", "upload", "[bold]file", "--json")[1])
    assert (fields["sha256"], fields["size"], fields["received"]) == (SHA, 12000, 12000)
    assert [each["sha256"] for each in json.loads(run("blob", "list", "--json")[1])] == [SHA]
    status, out, _ = run("blob", "list")
    assert SHA[:16] in out and "12.0 kB" in out and " all" in out
    assert json.loads(run("blob", "show", SHA[:8], "--json")[1])["sha256"] == SHA
    assert SHA in run("blob", "show", SHA[:8].upper())[1]
    status, out, _ = run("blob", "download", SHA[:8], "--to", "back", "--json")
    assert json.loads(out) == {"sha256": SHA, "size": 12000, "path": str(here / "back")}
    assert (here / "back").read_bytes() == BODY
    status, _, error = run("blob", "download", SHA, "--to", "back")
    assert status == 1 and "back exists already" in error
    status, _, error = run("blob", "delete", SHA[:3])
    assert status == 2 and "6 digits at least" in error
    assert json.loads(run("blob", "delete", SHA[:8], "--json")[1]) == {"sha256": SHA, "deleted": True}
    for command in (("show",), ("delete",), ("download", "--to", "x")):
        status, _, error = run("blob", *command, SHA)
        assert status == 2 and "gradwire blob list" in error
    status, _, error = run("blob", "upload", "missing")
    assert status == 2 and error == "error: missing does not exist\n"


def test_a_program_and_data_are_sent_from_the_command_line(
    service: Service, client: Client, here: Path
) -> None:
    (here / "train.jsonl").write_bytes(b"{}")
    arguments = ("--archive", "code.tar.gz", "--entry", "src/job.py", "--data", "train_data=train.jsonl")
    done = run_cli(
        "submit", *arguments, "--set", "steps=2", "--json", "--address", str(service.address), cwd=here
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["state"] == "SUCCEEDED"
    job = client.job(told["job"]).get()
    assert job.state == JobState.SUCCEEDED
    assert job.spec.code.entrypoint == "src/job.py"
    assert job.spec.data == {"train_data": f"blob:{hashlib.sha256(b'{}').hexdigest()}#jsonl"}
    assert {blob.sha256 for blob in client.blobs()} == {
        job.spec.code_archive,
        hashlib.sha256(b"{}").hexdigest(),
    }


def test_what_is_wrong_with_a_program_is_said_by_the_options_name(run: Run, here: Path) -> None:
    (here / "job.py").write_text("import large\n")
    (here / "large.py").write_text("#" * 3_000_000)
    with zipfile.ZipFile(here / "bad.zip", "w") as bad:
        bad.writestr("../x", "")
    for arguments, text in (
        ((), "expected a job file, or --archive with --entry"),
        (("job.py", "--entry", "job.py"), "with --archive alone"),
        (("job.py", "--archive", "code.tar.gz"), "not both"),
        (("--archive", "code.tar.gz"), "such as --entry job.py"),
        (("--archive", "code.tar.gz", "--entry", "job.py"), "not 'job.py'"),
        (("--archive", "bad.zip", "--entry", "job.py"), "--archive: the archive '../x' has an empty"),
        (("--archive", "none.zip", "--entry", "job.py"), "none.zip does not exist"),
        (("job.py",), "send it all as an archive (--archive code.tar.gz --entry job.py)"),
    ):
        status, _, error = run("submit", *arguments)
        assert status == 2, arguments
        assert text in " ".join(error.replace("│", " ").split()), error
