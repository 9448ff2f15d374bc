"""Ray beside the service: found again after a kill, ended with nothing left. Each service is a process of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

PROGRAM = """
    import os, sys
    from pathlib import Path
    from gradwire.services.ray_environment import prepare_for_cluster_of_our_own, prepare_for_existing_cluster
    home = Path(sys.argv[1])
    prepare_for_cluster_of_our_own(home)
    from gradwire.services.cluster import ClusterError, EmbeddedRay, ExistingRay, LocalRay
"""


def drive(home: Path, body: str, timeout_s: float = 90.0) -> subprocess.CompletedProcess[str]:
    code = textwrap.dedent(PROGRAM) + textwrap.dedent(body)
    return subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, timeout=timeout_s
    )


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


def until_gone(leader: int, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while session_of(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = session_of(leader)
    words = [
        m.read_text().replace("\0", " ")[:200] for p in left if (m := Path(f"/proc/{p}/cmdline")).exists()
    ]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == [], words


@pytest.mark.ray
def test_ray_outlives_a_killed_service_is_found_again_and_stops_whole(tmp_path: Path) -> None:
    killed = drive(
        tmp_path,
        """
        cluster = LocalRay(home)
        print(cluster.nodes()[0].cpus)
        sys.stdout.flush()
        os.kill(os.getpid(), 9)
        """,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert int(killed.stdout) == max(8, os.cpu_count() or 1)
    record = json.loads((tmp_path / "ray.json").read_text())
    assert session_of(record["pid"])
    assert stat.S_IMODE((tmp_path / "ray-token").stat().st_mode) == 0o600
    again = drive(
        tmp_path,
        """
        import json
        cluster = LocalRay(home)
        print(json.loads((home / "ray.json").read_text())["pid"])
        cluster.close()
        """,
    )
    assert (again.returncode, again.stdout.split()) == (0, [str(record["pid"])]), again.stderr
    assert not (tmp_path / "ray.json").exists()
    until_gone(record["pid"], 10)


@pytest.mark.ray
def test_a_record_of_a_process_that_is_another_one_now_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "ray.json").write_text(
        json.dumps({"pid": os.getpid(), "started": "1", "address": "127.0.0.1:1"})
    )
    done = drive(tmp_path, "cluster = LocalRay(home)\ncluster.close()\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.ray
@pytest.mark.slow
def test_embedded_ray_ends_with_its_process_even_by_kill_9(tmp_path: Path) -> None:
    body = "cluster = EmbeddedRay(home)\nos.kill(os.getpid(), 9)\n"
    code = textwrap.dedent(PROGRAM) + body
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], start_new_session=True)
    assert process.wait(90) == -signal.SIGKILL
    # Ray's agents look for the cluster's head for a minute before they give up.
    until_gone(process.pid, 120)


def test_a_cluster_that_does_not_answer_is_told_at_once(tmp_path: Path) -> None:
    for address in ("127.0.0.1:1", "nowhere", "127.0.0.1:port"):
        done = drive(
            tmp_path,
            f"try:\n    ExistingRay(home, {address!r})\nexcept ClusterError as error:\n    print(error)\n",
        )
        assert done.stdout.startswith(f"no Ray cluster answers at {address}"), done.stdout + done.stderr
