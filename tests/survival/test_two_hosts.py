"""A job over two hosts whose network is cut in the middle of a step, for a moment and for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.reports import Finished, Formed, Report, StepFinished, Warned
from gradwire.workers.supervisor import Supervisor
from tests.survival.two_hosts import TwoHosts, listen, two_hosts, why_not
from tests.workers.crews import JOBS, Ran, spec_of

REASON = why_not()
pytestmark = [pytest.mark.skipif(REASON != "", reason=REASON), pytest.mark.timeout(150)]


@pytest.fixture
def hosts() -> Iterator[TwoHosts]:
    with two_hosts() as made:
        yield made


def slow_mlp(folder: Path, seconds: float) -> Path:
    path = folder / "slow.py"
    text = (JOBS / "mlp.py").read_text()
    path.write_text(
        text.replace(
            "        x, y = batch\n",
            f"        import time\n        time.sleep({seconds})\n        x, y = batch\n",
        )
    )
    return path


def run_over(hosts: TwoHosts, folder: Path, homes: str, cut_s: float, deadline_s: float) -> Ran:
    """Member k lives on host homes[k]; the cable of "b" is pulled for `cut_s` seconds in the fourth step."""
    spec = spec_of(slow_mlp(folder, 0.05), folder, deadline_s=deadline_s)
    places = [(host, hosts.command(host)) for host in homes]
    crew = ProcessCrew(spec, SliceOptimizer, listen, hosts=places)
    reports: list[Report] = []

    def cut() -> None:
        time.sleep(0.05)
        hosts.cut()
        time.sleep(cut_s)
        hosts.mend()

    cutting = threading.Thread(target=cut)

    def tell(report: Report) -> None:
        reports.append(report)
        if isinstance(report, StepFinished) and report.step == 3:
            cutting.start()

    supervisor = Supervisor(spec, len(homes), crew, tell, heartbeat_s=deadline_s)
    thread = threading.Thread(target=supervisor.run, daemon=True)
    thread.start()
    thread.join(120)
    assert not thread.is_alive(), reports[-8:]
    cutting.join()
    return Ran(reports)


def test_a_job_over_two_hosts_whose_network_is_cut_for_a_moment_loses_nobody(
    hosts: TwoHosts, tmp_path: Path
) -> None:
    ran = run_over(hosts, tmp_path, "aab", cut_s=1.0, deadline_s=10.0)
    ran.is_the_oracle_s("mlp")
    assert ran.warnings == []
    assert max(step.seconds for step in ran.of(StepFinished)) > 0.8  # it waited for the cable


def test_a_job_over_two_hosts_whose_network_is_cut_for_long_goes_on_on_the_larger_side(
    hosts: TwoHosts, tmp_path: Path
) -> None:
    ran = run_over(hosts, tmp_path, "baa", cut_s=12.0, deadline_s=1.5)
    ran.is_the_oracle_s("mlp")
    lost = [r.message for r in ran.of(Warned) if r.reason == "WORKER_LOST"]
    assert "worker 0 was lost" in lost[0]
    assert [f.workers for f in ran.of(Formed)][:2] == [3, 2]
    assert "STATE_LOST" not in [r.reason for r in ran.of(Warned)]
    assert ran.of(Finished)
