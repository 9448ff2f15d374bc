"""Commands on the jobs of a real service: lists by label and filter, deletion, metrics, output, repetition, and help with ids."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from serving_harness import code, run_cli

from gradwire.services.cli.output import duration
from gradwire.services.client import Client


@pytest.fixture
def cli(client: Client) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a command against that client's service."""

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return run_cli(*arguments, environment={"GRADWIRE_ADDRESS": client.address})

    return run


Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_jobs_are_listed_by_label_and_filter_and_deleted_ones_only_when_asked_for(
    client: Client, cli: Cli
) -> None:
    ids = []
    for k in range(3):
        job = client.submit(code(), overrides={"steps": "2"}, labels={"team": 'a"b'} if k else {}, priority=k)
        job.wait()
        ids.append(job.id)

    def listed(*arguments: str) -> list[str]:
        done = cli("jobs", "--json", *arguments)
        assert done.returncode == 0, done.stderr
        return [job["job"] for job in json.loads(done.stdout)]

    assert listed("--label", 'team=a"b', "--filter", "priority = 0 OR priority = 1") == [ids[1]]
    assert listed("--state", "succeeded", "--filter", "priority < 2") == [ids[1], ids[0]]
    wrong = cli("jobs", "--filter", "stat = RUNNING")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "--filter: at character 1: no field 'stat'" in wrong.stderr
    deleted = cli("delete", ids[0])
    assert deleted.returncode == 0
    assert f"`gradwire undelete {ids[0]}` takes that back until 20" in deleted.stderr
    assert listed() == [ids[2], ids[1]]
    assert listed("--all") == [ids[2], ids[1], ids[0]]
    table = cli("jobs", "--all").stdout.splitlines()
    assert table[0].split() == ["JOB", "STATE", "STEP", "WORKERS", "TIME", "NOTE"]
    assert table[3].split()[-1] == "deleted"
    assert json.loads(cli("undelete", ids[0], "--json").stdout)["deleted"] is None
    assert listed() == [ids[2], ids[1], ids[0]]


def test_an_update_with_an_old_etag_is_refused(client: Client, cli: Cli) -> None:
    job = client.submit(code(), overrides={"steps": "1"})
    job.wait()
    etag = json.loads(cli("show", job.id, "--json").stdout)["etag"]
    assert cli("update", job.id, "--label", "a=b", "--etag", etag).returncode == 0
    again = cli("update", job.id, "--label", "a=c", "--etag", etag)
    assert again.returncode == 2
    assert "Get it again" in again.stderr
    assert job.get().spec.labels == {"a": "b"}


def test_metrics_come_as_a_table_as_csv_and_as_json(client: Client, cli: Cli) -> None:
    job = client.submit(code(), overrides={"steps": "40"})
    job.wait()
    table = cli("metrics", job.id).stdout.splitlines()
    assert table[0].split() == ["STEP", "LOSS"]
    assert len(table) == 21 and table[1].split()[0] == "2"
    rows = list(
        csv.DictReader(
            io.StringIO(cli("metrics", job.id, "loss", "--csv", "--first", "3", "--last", "4").stdout)
        )
    )
    assert [(row["name"], row["step"], float(row["mean"]), row["count"]) for row in rows] == [
        ("loss", "3", 1 / 3, "1"),
        ("loss", "4", 1 / 4, "1"),
    ]
    (loss,) = [
        s for s in json.loads(cli("metrics", job.id, "--json", "--evaluation").stdout) if s["name"] == "loss"
    ]
    assert [(p["step"], p["mean"]) for p in loss["points"]] == [(40, 1 / 40)]
    missing = cli("metrics", job.id, "los")
    assert missing.stdout == ""
    assert "has told of no los there; its last step told of loss" in missing.stderr


def test_output_comes_as_lines_of_all_or_bytes_of_one(client: Client, cli: Cli) -> None:
    said = "é [bold]x[/bold]\r\nno end"
    job = client.submit(code(), overrides={"say": said})
    job.wait()

    def raw(*arguments: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "gradwire", "logs", job.id, *arguments],
            capture_output=True,
            timeout=60,
            env={**os.environ, "GRADWIRE_ADDRESS": client.address},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert raw("--rank", "0") == raw("-f", "--offset", "0") == said.encode()
    assert raw("--offset", "1") == said.encode()[1:]
    assert raw("--stderr") == raw("--rank", "2") == b""
    assert raw() == "é [bold]x[/bold]\nno end\n".encode()
    assert cli("logs", job.id, "--offset", "999").returncode == 2
    assert cli("logs", job.id, "--rank", "0", "--json").returncode == 2


def test_a_job_is_repeated_and_compared(client: Client, cli: Cli) -> None:
    job = client.submit(code(), overrides={"steps": "3"})
    other = client.submit(code(), overrides={"steps": "3", "lr_at_start": "3"})
    job.wait()
    other.wait()
    done = cli("repeat", job.id, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("the same bits, 3 steps compared\n")
    detached = cli("repeat", job.id, "--detach")
    again = client.job(detached.stdout.strip())
    assert again.wait().replay_of == job.id
    told = json.loads(cli("compare", job.id, "--json").stdout)
    assert (told["against"], told["same"], told["compared_steps"]) == (again.id, True, 3)
    differs = cli("compare", job.id, other.id)
    assert differs.returncode == 1
    assert "other bits from step 1 on\n  settings: " in differs.stdout


def test_checkpoints_are_listed(client: Client, cli: Cli) -> None:
    job = client.submit(code(), overrides={"steps": "3"})
    job.wait()
    lines = cli("checkpoints", job.id).stdout.splitlines()
    assert lines[0].split() == ["STEP", "SIZE", "WRITTEN", "PARAMETERS"]
    assert [line.split()[0] for line in lines[1:]] == ["3", "2"]
    assert [each["step"] for each in json.loads(cli("checkpoints", job.id, "--json").stdout)] == [3, 2]


def test_a_wrong_id_is_answered_with_those_that_may_be_meant(client: Client, cli: Cli) -> None:
    job = client.submit(code(), name="digits", overrides={"steps": "1"})
    job.wait()
    typo = job.id[:-2] + job.id[-1] + job.id[-2]
    for wrong in (typo, "digits", job.id.upper()[:3].lower() + job.id[3:-1]):
        if wrong == job.id:
            continue
        done = cli("show", wrong)
        assert done.returncode == 2
        assert f"Did you mean {job.id}?" in done.stderr
    assert "Did you mean" not in cli("show", "zzz").stderr


def test_the_shell_completes_ids_of_jobs(client: Client) -> None:
    job = client.submit(code(), name="digits", overrides={"steps": "1"})
    client.submit(code(), name="other", overrides={"steps": "1"})

    def completed(words: str, address: str = client.address) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "gradwire"],
            capture_output=True,
            text=True,
            timeout=60,
            env={
                **os.environ,
                "GRADWIRE_ADDRESS": address,
                "_GRADWIRE_COMPLETE": "complete_bash",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split(" ")) - 1),
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert completed("gradwire show dig") == [job.id]
    assert completed("gradwire cancel nothing") == []
    assert "undelete" in completed("gradwire und")
    assert completed("gradwire show d", "127.0.0.1:1") == []
    assert "--install-completion" in run_cli("--help").stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.24, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (86400 * 6 + 3600 * 3.5, "6 d 3 h")],
)
def test_times_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_serve_keeps_deleted_jobs_as_long_as_it_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wrong = run_cli("serve", "--home", str(home), "--retention", "soon")
    assert wrong.returncode == 2
    assert "--retention" in wrong.stderr and "'soon'" in wrong.stderr
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gradwire",
            "serve",
            "--home",
            str(home),
            "--address",
            "127.0.0.1:0",
            "--runtime",
            "process",
            "--retention",
            "90m",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with Client(json.loads(process.stdout.readline())["address"]) as client:
        job = client.submit(code("raise SystemExit"))
        job.cancel()
        job.wait()
        deleted = job.delete()
    assert deleted.expire_time is not None and deleted.delete_time is not None
    assert deleted.expire_time - deleted.delete_time == timedelta(minutes=90)
    process.terminate()
    assert process.wait(60) == 0
    process.stdout.close()


def test_a_job_is_submitted_with_labels_and_shown_as_it_was_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("pass\n")
    arguments = (
        "submit",
        str(tmp_path / "job.py"),
        "--detach",
        "--name",
        "[red]x[/red]",
        "--label",
        "team=[bold]a",
    )
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip()
    shown = cli("show", job).stdout
    assert "[red]x[/red]" in shown and "team=[bold]a" in shown
    (found,) = json.loads(cli("jobs", "--label", "team=[bold]a", "--json").stdout)
    assert (found["job"], found["labels"]) == (job, {"team": "[bold]a"})
    wrong = cli(*arguments, "--label", "-x=1")
    assert wrong.returncode == 2
    assert "--label: " in wrong.stderr
