"""GET /metrics of real services, over real sockets, read by the parsers of prometheus_client."""

import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain_text
from serving_harness import code, run_cli, scripted

from gradwire.services.client import Client
from gradwire.services.errors import ServiceError
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.security.exposure import Protection, ServerTls
from gradwire.services.service import Address, AddressError, Service

ANY = Address("127.0.0.1", 0)
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@contextmanager
def measured(folder: Path, protection: Protection | None = None) -> Iterator[Service]:
    service = Service(folder / "home", scripted, ANY, protection=protection, metrics=ANY)
    service.start()
    yield service
    service.stop()


def asked(
    service: Service,
    token: str = "",
    path: str = "/metrics",
    scheme: str = "http",
    ca: str = "",
    **headers: str,
) -> tuple[int, str, str]:
    """(status, content type, body)."""
    request = urllib.request.Request(f"{scheme}://{service.metrics_address}{path}", headers=headers)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


def samples(service: Service, token: str = "") -> Samples:
    status, kind, body = asked(service, token, Accept=OPENMETRICS)
    assert status == 200
    assert kind.startswith("application/openmetrics-text")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in openmetrics(body)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found.get((f"gradwire_{name}", frozenset(labels.items())), 0.0)


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_numbers_move_with_jobs_and_calls(tmp_path: Path) -> None:
    with measured(tmp_path) as service, Client(str(service.address)) as client:
        before = samples(service)
        assert value(before, "jobs", state="succeeded") == 0
        assert value(before, "rpcs_total", method="SubmitJob", code="OK") == 0
        job = client.submit(code(), overrides={"steps": "4", "step_s": "0.02"})
        held = client.submit(code(), overrides={"steps": "4", "hold_at": "2"})
        job.wait()
        events = held.watch()
        next(events)
        until(lambda: held.get().step == 1)
        with pytest.raises(ServiceError):
            client.job("nothing").get()
        until(lambda: value(samples(service), "rpcs_total", method="GetJob", code="NOT_FOUND") == 1)
        now = samples(service)
        assert value(now, "jobs", state="succeeded") == 1
        assert value(now, "jobs", state="running") == 1
        assert value(now, "jobs_ended_total", state="succeeded") == 1
        assert value(now, "watchers") == 1
        assert value(now, "queue_wait_seconds_count") == 2
        assert value(now, "step_seconds_count", device="cpu") == 5
        assert value(now, "step_seconds_sum", device="cpu") == pytest.approx(4 * 0.02)
        assert value(now, "exchange_seconds_total", device="cpu") == pytest.approx(4 * 0.005)
        assert value(now, "rpcs_total", method="SubmitJob", code="OK") == 2
        assert value(now, "rpc_seconds_count", method="SubmitJob") == 2
        assert value(now, "rpcs_total", method="GetJob", code="NOT_FOUND") == 1
        assert value(now, "commit_seconds_count") > 2
        assert value(now, "changes_total") >= 8
        assert value(now, "loop_lag_seconds_count") > 0
        assert value(now, "writer_queue") >= 0
        events.close()
        held.cancel()
        held.wait()
        until(lambda: value(samples(service), "watchers") == 0)
        after = samples(service)
        assert value(after, "jobs_ended_total", state="cancelled") == 1
        until(lambda: value(samples(service), "rpcs_total", method="WatchJob", code="CANCELLED") >= 1)
        # Nothing names a job: labels are those of few values.
        names = {label for _, labels in after for label, _ in labels}
        assert names == {"state", "device", "method", "code", "le"}
        assert not [labels for _, labels in after if job.id in str(labels)]


def test_a_recovery_is_counted(tmp_path: Path) -> None:
    with measured(tmp_path) as service, Client(str(service.address)) as client:
        client.submit(code(), overrides={"steps": "4", "die_at": "3"}).wait()
        assert value(samples(service), "recoveries_total") == 1


def test_without_openmetrics_in_accept_the_plain_format_comes(tmp_path: Path) -> None:
    with measured(tmp_path) as service:
        status, kind, body = asked(service)
        assert status == 200
        assert kind.startswith("text/plain")
        assert "gradwire_jobs" in {family.name for family in plain_text(body)}
        assert asked(service, path="/")[0] == 404
        assert asked(service, Host="evil.example")[0] == 403


def test_a_service_that_asks_for_tokens_asks_for_them_here_too(tmp_path: Path) -> None:
    with measured(tmp_path, Protection(require_token=True)) as service:
        token, secret = service.tokens.create("ann", Scope.READ, None, LOCAL)
        status, _, body = asked(service)
        assert status == 401
        assert "asks for a token" in body
        assert asked(service, "gw_" + "x" * 43)[0] == 401
        assert asked(service, Authorization="Basic abc")[0] == 401
        assert value(samples(service, secret), "scrapes_refused_total") == 3
        with (
            Client(str(service.address), access=Access("gw_" + "x" * 43)) as client,
            pytest.raises(ServiceError),
        ):
            list(client.jobs())
        refused = {"method": "ListJobs", "code": "UNAUTHENTICATED"}
        # A call is counted when its answer has left.
        until(lambda: value(samples(service, secret), "rpcs_total", **refused) == 1)
        service.tokens.revoke(token.id, LOCAL)
        until(lambda: asked(service, secret)[0] == 401)


def certificate(folder: Path) -> tuple[Path, Path]:
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-keyout", "key.pem", "-out", "cert.pem", *names],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (folder / "key.pem").chmod(0o600)
    return folder / "cert.pem", folder / "key.pem"


def test_tls_protects_it_as_it_does_calls(tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    with measured(tmp_path, Protection(require_token=True, tls=ServerTls(chain, key))) as service:
        secret = service.tokens.create("ann", Scope.READ, None, LOCAL)[1]
        # Who connects and says nothing holds nobody up.
        assert service.metrics_address is not None
        with socket.create_connection(("127.0.0.1", service.metrics_address.port)):
            status, _, body = asked(service, secret, scheme="https", ca=str(chain))
        assert (status, "gradwire_jobs" in body) == (200, True)
        with pytest.raises((urllib.error.URLError, OSError)):
            asked(service, secret)


def test_an_address_that_others_reach_needs_the_same_protection_as_calls(tmp_path: Path) -> None:
    with pytest.raises(AddressError, match="can be reached from other machines"):
        Service(tmp_path / "home", scripted, ANY, metrics=Address("0.0.0.0", 0))
    told = run_cli("serve", "--home", str(tmp_path / "home"), "--metrics-address", "0.0.0.0:0")
    assert told.returncode == 2
    assert "can be reached from other machines" in told.stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match="can't listen for metrics at"):
            Service(tmp_path / "home", scripted, ANY, metrics=Address("127.0.0.1", port)).start()
    # Nothing was left behind by what did not start.
    with measured(tmp_path) as service:
        assert asked(service)[0] == 200


def test_serve_says_where_its_metrics_are(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gradwire", "serve", "--runtime", "process", "--address", "127.0.0.1:0"]
    more = ["--home", str(tmp_path / "home"), "--metrics-address", "127.0.0.1:0", "--json"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        said = json.loads(serving.stdout.readline())
        with urllib.request.urlopen(f"http://{said['metrics']}/metrics", timeout=20) as answer:
            assert b"gradwire_jobs" in answer.read()
        serving.terminate()
        assert serving.wait(30) == 0
