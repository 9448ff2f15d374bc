"""Tokens against a real service over real sockets, and the file that keeps them."""

import getpass
import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from serving_harness import code, run_cli, scripted

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services.client import Client
from gradwire.services.connections import open_engine
from gradwire.services.errors import ForbiddenError, UnauthenticatedError
from gradwire.services.migrations import prepare_tables
from gradwire.services.security.access import Access
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.security.exposure import Protection
from gradwire.services.security.gate import scopes_of_methods
from gradwire.services.security.secret_files import SecretFileError, read_secret, write_secret
from gradwire.services.security.token_store import TokenStore
from gradwire.services.security.tokens import TokenError, digest_of, looks_like_a_token, new_secret, read_span
from gradwire.services.service import Address, Service

ROOT = Caller("unix:root", Scope.ADMIN)


@pytest.fixture
def tokens(tmp_path: Path, guarded: Service) -> Iterator[TokenStore]:
    """Its tokens, by the way that the command takes while it runs."""
    opened = TokenStore.of_home(tmp_path / "home")
    yield opened
    opened.close()


def secret_of(tokens: TokenStore, owner: str = "ann", scope: Scope = Scope.SUBMIT) -> str:
    return tokens.create(owner, scope, timedelta(hours=1), ROOT)[1]


def refused_soon(client: Client, within_s: float = 10.0) -> str:
    """Why a client is refused, which it is within moments."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            list(client.jobs())
        except UnauthenticatedError:
            return refused(client)
        time.sleep(0.05)
    raise AssertionError(f"still let in after {within_s} s")


def refused(client: Client) -> str:
    with pytest.raises(UnauthenticatedError) as caught:
        list(client.jobs())
    return caught.value.metadata["cause"]


def test_a_token_opens_the_service_and_nothing_else_does(guarded: Service, tokens: TokenStore) -> None:
    at, secret = str(guarded.address), secret_of(tokens)
    with Client(at, access=Access(secret)) as client:
        job = client.submit(code(), overrides={"steps": "2"})
        assert job.wait().owner == "ann"
        assert [each.id for each in client.jobs()] == [job.id]
        assert job.checkpoints()
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    for text, cause in (("", "missing"), (other, "unknown"), (secret + "x", "unknown"), ("x", "unknown")):
        with Client(at, access=Access(text)) as client:
            assert refused(client) == cause
            assert client.serving()


def test_a_refusal_has_its_status_and_details(guarded: Service, tokens: TokenStore) -> None:
    reader = secret_of(tokens, scope=Scope.READ)
    with grpc.insecure_channel(str(guarded.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        for metadata, status_code, reason in (
            ((), grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
            ((("authorization", "Basic x"),), grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
            (
                (("authorization", f"Bearer {reader}"),) * 2,
                grpc.StatusCode.UNAUTHENTICATED,
                "UNAUTHENTICATED",
            ),
            ((("authorization", f"Bearer {reader}"),), grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                stub.CancelJob(pb.CancelJobRequest(job_id="x"), timeout=10, metadata=metadata)
            assert caught.value.code() == status_code
            info = error_details_pb2.ErrorInfo()
            status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
            assert status is not None
            assert status.details[0].Unpack(info)
            assert (info.reason, info.domain) == (reason, "gradwire")
            assert reader not in str(caught.value)


def test_every_method_asks_for_a_token_and_changes_for_more_than_reading(
    guarded: Service, tokens: TokenStore
) -> None:
    reader = secret_of(tokens, scope=Scope.READ)
    with grpc.insecure_channel(str(guarded.address)) as channel:

        def answer(method: str, token: str) -> grpc.StatusCode:
            call = channel.unary_stream(method)
            metadata = (("authorization", f"Bearer {token}"),) if token else ()
            try:
                list(call(b"", timeout=10, metadata=metadata))
            except grpc.RpcError as error:
                return error.code()
            return grpc.StatusCode.OK

        scopes = scopes_of_methods()
        changing = {name.rpartition("/")[2] for name, scope in scopes.items() if scope == Scope.SUBMIT}
        assert {"SubmitJob", "CancelJob", "PauseJob", "ResumeJob", "ResizeJob", "UpdateJob"} <= changing
        for method, scope in scopes.items():
            assert answer(method, "") == grpc.StatusCode.UNAUTHENTICATED
            denied = answer(method, reader) == grpc.StatusCode.PERMISSION_DENIED
            assert denied == (scope > Scope.READ), method
        assert answer("/gradwire.v1.Jobs/None", "") == grpc.StatusCode.UNAUTHENTICATED
        assert answer("/gradwire.v1.Jobs/None", reader) == grpc.StatusCode.PERMISSION_DENIED


def test_a_reader_sees_and_does_not_steer(guarded: Service, tokens: TokenStore) -> None:
    at = str(guarded.address)
    with Client(at, access=Access(secret_of(tokens))) as client:
        job_id = client.submit(code(), overrides={"steps": "1"}).id
        client.job(job_id).wait()
    with Client(at, access=Access(secret_of(tokens, scope=Scope.READ))) as client:
        assert client.job(job_id).get().step == 1
        for call in (
            client.job(job_id).cancel,
            client.job(job_id).pause,
            lambda: client.job(job_id).resize(1),
            lambda: client.submit(code()),
        ):
            with pytest.raises(ForbiddenError, match=r"needs a token of scope submit; this one's is read"):
                call()


def test_a_revoked_or_expired_token_stops_within_moments_also_on_an_open_watch(
    guarded: Service, tokens: TokenStore
) -> None:
    made, secret = tokens.create("ann", Scope.SUBMIT, timedelta(hours=1), ROOT)
    with Client(str(guarded.address), access=Access(secret)) as client:
        job = client.submit(code(), overrides={"steps": "400", "step_s": "0.05"})
        watching = job.watch()
        next(watching)
        tokens.revoke(made.id, ROOT)
        with pytest.raises(UnauthenticatedError, match="is revoked"):
            for _ in watching:
                pass
        assert refused(client) == "revoked"
    short = tokens.create("ann", Scope.READ, timedelta(seconds=1), ROOT)[1]
    with Client(str(guarded.address), access=Access(short)) as client:
        assert len(list(client.jobs())) == 1
        assert refused_soon(client) == "expired"


def test_both_tokens_hold_while_a_rotation_overlaps(guarded: Service, tokens: TokenStore) -> None:
    made, secret = tokens.create("ann", Scope.READ, timedelta(days=30), ROOT)
    old, new, second = tokens.rotate(made.id, timedelta(seconds=1), ROOT)
    assert (new.owner, new.scope) == ("ann", Scope.READ)
    assert new.expires is not None
    assert new.expires - new.created == timedelta(days=30)
    assert old.expires is not None
    assert old.expires - new.created <= timedelta(seconds=1)
    with (
        Client(str(guarded.address), access=Access(secret)) as first,
        Client(str(guarded.address), access=Access(second)) as then,
    ):
        assert list(first.jobs()) == list(then.jobs()) == []
        assert refused_soon(first) == "expired"
        assert list(then.jobs()) == []
    with pytest.raises(TokenError, match="is expired"):
        tokens.rotate(made.id, timedelta(days=1), ROOT)


def test_health_is_open_and_reflection_is_not(guarded: Service, tokens: TokenStore) -> None:
    with grpc.insecure_channel(str(guarded.address)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=10).status == serving
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ServerReflectionInfo(iter([request]), timeout=10))
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {secret_of(tokens, scope=Scope.READ)}"),)
        (listed,) = stub.ServerReflectionInfo(iter([request]), timeout=10, metadata=metadata)
        assert "gradwire.v1.Jobs" in [each.name for each in listed.list_services_response.service]


def test_no_file_of_the_home_holds_a_token(guarded: Service, tokens: TokenStore, tmp_path: Path) -> None:
    secret = secret_of(tokens)
    with Client(str(guarded.address), access=Access(secret)) as client:
        client.submit(code(), overrides={"steps": "2"}).wait()
    files = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret[3:].encode() in path.read_bytes()]
    assert [path for path in files if digest_of(secret).encode() in path.read_bytes()]
    for path in (tmp_path / "home").glob("jobs.db*"):
        assert path.stat().st_mode & 0o077 == 0, path
    with sqlite3.connect(tmp_path / "home" / "jobs.db") as connection:
        assert connection.execute("SELECT last4 FROM tokens").fetchall() == [(secret[-4:],)]
    connection.close()


def test_tokens_are_made_from_256_random_bits() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(looks_like_a_token(secret) and len(secret) == 46 for secret in made)


def test_a_token_holds_until_the_instant_of_its_expiry(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    engine = open_engine(tmp_path / "jobs.db")
    prepare_tables(engine)
    store = TokenStore(engine, lambda: now)
    made, secret = store.create("ann", Scope.READ, timedelta(seconds=10), ROOT)
    found = store.find(secret)
    assert found == made
    assert [made.trouble(now + timedelta(seconds=s)) for s in (0, 9.999, 10, 11)] == [
        "",
        "",
        "expired",
        "expired",
    ]
    forever = store.create("ann", Scope.READ, None, ROOT)[0]
    assert forever.trouble(now + timedelta(days=10**5)) == ""
    assert store.find(new_secret()) is None
    with pytest.raises(TokenError, match="no token 'token-x'"):
        store.revoke("token-x", ROOT)
    for owner in ("", "Ann", "a b", "a/b", "-a", "a" * 64, "é"):
        with pytest.raises(TokenError, match="expected an owner"):
            store.create(owner, Scope.READ, None, ROOT)
    store.close()


@pytest.mark.parametrize(("text", "seconds"), [("10s", 10), ("2m", 120), ("3h", 10800), ("90d", 7776000)])
def test_spans_of_time_are_read(text: str, seconds: int) -> None:
    assert read_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "-1d", "1y", "1.5d", "d", "9999999d", "\u0661d"])
def test_wrong_spans_of_time_are_refused(text: str) -> None:
    with pytest.raises(TokenError, match="expected a time"):
        read_span(text)


def test_a_secret_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_secret(path, "gw_x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secret(path) == "gw_x"
    with pytest.raises(SecretFileError, match="exists already"):
        write_secret(path, "gw_y")
    path.chmod(0o640)
    with pytest.raises(SecretFileError, match="chmod 600"):
        read_secret(path)


def test_the_commands_make_list_rotate_and_revoke_on_a_home_whether_a_service_runs_or_not(
    tmp_path: Path,
) -> None:
    def token(*arguments: str) -> str:
        done = run_cli("token", *arguments, "--home", str(tmp_path / "home"))
        assert done.returncode == 0, done.stderr
        return done.stdout

    secret = token("create", "--owner", "ann").strip()
    assert looks_like_a_token(secret)
    service = Service(
        tmp_path / "home", scripted, Address("127.0.0.1", 0), protection=Protection(require_token=True)
    )
    address = str(service.start())
    try:
        token("create", "--owner", "bob", "--scope", "read", "--to", str(tmp_path / "bob"))
        listed = token("list")
        assert secret not in listed
        assert secret[-4:] in listed
        first, second = [line.split()[0] for line in listed.splitlines()[1:]]
        with (
            Client(address, access=Access(secret)) as ann,
            Client(address, access=Access(read_secret(tmp_path / "bob"))) as bob,
        ):
            assert list(ann.jobs()) == list(bob.jobs()) == []
            token("revoke", first)
            assert refused_soon(ann) == "revoked"
            third = token("rotate", second).strip()
            assert list(bob.jobs()) == []
        with Client(address, access=Access(third)) as bob:
            assert list(bob.jobs()) == []
    finally:
        service.stop()
    audited = run_cli("audit", "--json", "--home", str(tmp_path / "home"))
    rows = json.loads(audited.stdout)
    assert [row["action"] for row in rows] == [
        "CreateToken",
        "RotateToken",
        "RevokeToken",
        "CreateToken",
        "CreateToken",
    ]
    assert {row["owner"] for row in rows} == {f"unix:{getpass.getuser()}"}
    assert rows[2]["subject"] == first
    assert run_cli("token", "revoke", "token-x", "--home", str(tmp_path / "home")).returncode == 2


def test_a_store_of_another_version_is_left_to_the_service_that_runs_on_it(
    guarded: Service, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "home" / "jobs.db") as connection:
        connection.execute("UPDATE store_version SET version = 2")
    with pytest.raises(TokenError, match="of another version"):
        TokenStore.of_home(tmp_path / "home")
    assert connection.execute("SELECT version FROM store_version").fetchall() == [(2,)]
    connection.close()


def test_a_refusal_is_logged_with_where_it_came_from_and_without_the_token(
    guarded: Service, tokens: TokenStore, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = new_secret()
    with Client(str(guarded.address), access=Access(unknown)) as client:
        for _ in range(20):
            refused(client)
    lines = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    # At most one line a second, whoever calls however often.
    assert 1 <= len(lines) <= 5
    assert "refused ListJobs from ipv4:127.0.0.1:" in lines[0]
    assert unknown[3:] not in caplog.text


def test_the_scheme_of_the_header_is_read_in_any_case(guarded: Service, tokens: TokenStore) -> None:
    with grpc.insecure_channel(str(guarded.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        metadata = (("authorization", f"bearer {secret_of(tokens)}"),)
        assert list(stub.ListJobs(pb.ListJobsRequest(), timeout=10, metadata=metadata).jobs) == []


def test_a_store_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    (tmp_path / "jobs.db").touch(mode=0o644)
    open_engine(tmp_path / "jobs.db").dispose()
    assert (tmp_path / "jobs.db").stat().st_mode & 0o777 == 0o600
