"""Where a service listens, and behind what: real TLS over real sockets, with certificates made by openssl."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving_harness import code, run_cli, scripted

from gradwire.services.address import Address, AddressError
from gradwire.services.client import Client
from gradwire.services.errors import UnauthenticatedError, UnreachableError
from gradwire.services.security.access import Access, AccessError, find_access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.security.contexts import Context, Contexts
from gradwire.services.security.exposure import Protection, ServerTls
from gradwire.services.security.secret_files import SecretFileError, write_secret
from gradwire.services.security.tokens import new_secret
from gradwire.services.service import Service


def make_certificate(folder: Path, name: str, issuer: Path | None = None) -> Path:
    """folder/name.pem with folder/name.key: a certificate of 127.0.0.1, signed by `issuer`, else by itself."""
    path = folder / f"{name}.pem"
    signed = [] if issuer is None else ["-CA", str(issuer), "-CAkey", str(issuer.with_suffix(".key"))]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += [
        "-keyout",
        str(path.with_suffix(".key")),
        "-out",
        str(path),
        "-days",
        "2",
        "-subj",
        f"/CN={name}",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", *signed]
    subprocess.run(command, check=True, capture_output=True)
    path.with_suffix(".key").chmod(0o600)
    return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """server.pem, client.pem and stranger.pem, each its own issuer, with their keys."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client", "stranger"):
        make_certificate(folder, name)
    return folder


@contextmanager
def running(home: Path, host: str, protection: Protection) -> Iterator[tuple[Service, str]]:
    """A service and the loopback address by which it is reached."""
    service = Service(home, scripted, Address(host, 0), protection=protection)
    port = service.start().port
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        for job in service._store.unfinished():
            service._store.request_cancel(job.id).result()
        service.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_an_address_that_others_reach_needs_tls_or_the_word_insecure(tmp_path: Path, host: str) -> None:
    for protection in (None, Protection(require_token=True)):
        with pytest.raises(AddressError, match="can be reached from other machines"):
            Service(tmp_path / "home", scripted, Address(host, 0), protection=protection)
    assert not (tmp_path / "home").exists()
    bare = Protection(insecure=True)
    assert bare.at(Address(host, 1)) == bare
    assert "no TLS, no token is asked for; reached from other machines" in bare.in_words(Address(host, 1))


def test_behind_tls_every_call_from_elsewhere_needs_a_token(tmp_path: Path, certificates: Path) -> None:
    tls = ServerTls(certificates / "server.pem", certificates / "server.key")
    with running(tmp_path / "home", "0.0.0.0", Protection(tls=tls)) as (service, at):
        assert service.protection.require_token
        secret = service.tokens.create("ann", Scope.SUBMIT, None, LOCAL)[1]
        trusted = str(certificates / "server.pem")
        with Client(at, access=Access(secret, trusted)) as client:
            job = client.submit(code(), overrides={"steps": "2"})
            assert job.wait().step == 2
            assert job.download(tmp_path / "got").step == 2
        with Client(at, access=Access("", trusted)) as client, pytest.raises(UnauthenticatedError):
            list(client.jobs())
        # Without TLS, and with certificates of others, nobody is reached.
        for access in (Access(""), Access(secret, str(certificates / "stranger.pem"))):
            with Client(at, 0.5, access) as client, pytest.raises(UnreachableError):
                list(client.jobs())


def test_a_service_that_wants_certificates_of_clients_answers_those_alone(
    tmp_path: Path, certificates: Path
) -> None:
    tls = ServerTls(certificates / "server.pem", certificates / "server.key", certificates / "client.pem")
    trusted = str(certificates / "server.pem")
    with running(tmp_path / "home", "127.0.0.1", Protection(tls=tls)) as (_, at):
        own = (str(certificates / "client.pem"), str(certificates / "client.key"))
        with Client(at, access=Access("", trusted, *own)) as client:
            assert list(client.jobs()) == []
        other = (str(certificates / "stranger.pem"), str(certificates / "stranger.key"))
        for access in (Access("", trusted), Access("", trusted, *other)):
            with Client(at, 0.5, access) as client, pytest.raises(UnreachableError):
                list(client.jobs())


def test_tls_files_that_do_not_fit_are_refused_before_the_service_starts(
    tmp_path: Path, certificates: Path
) -> None:
    (tmp_path / "not.pem").write_text("no certificate")
    for certificate, key, roots in (
        (certificates / "server.pem", certificates / "client.key", None),
        (tmp_path / "not.pem", certificates / "server.key", None),
        (certificates / "server.pem", certificates / "server.key", tmp_path / "not.pem"),
    ):
        with pytest.raises(AddressError, match="TLS files can't be used"):
            ServerTls(certificate, key, roots).credentials()
    key = tmp_path / "open.key"
    key.write_bytes((certificates / "server.key").read_bytes())
    key.chmod(0o644)
    with pytest.raises(SecretFileError, match="chmod 600"):
        ServerTls(certificates / "server.pem", key).credentials()


def test_a_token_is_never_sent_in_the_clear_to_another_machine() -> None:
    secret = new_secret()
    for address in ("10.0.0.1:7411", "example.org:7411", "[2001:db8::1]:7411"):
        with pytest.raises(AccessError, match="without TLS") as caught:
            Client(address, access=Access(secret))
        assert secret not in str(caught.value)
    assert secret not in repr(Access(secret))
    for address in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        Client(address, access=Access(secret)).close()


def test_the_token_comes_from_the_environment_a_file_or_the_context_of_the_address(tmp_path: Path) -> None:
    mine, filed, kept = new_secret(), new_secret(), new_secret()
    write_secret(tmp_path / "file", filed)
    config = {"GRADWIRE_CONFIG": str(tmp_path / "config")}
    Contexts.read(config).with_context("prod", Context("h:1", tls_ca="/ca.pem"), kept)
    file = {**config, "GRADWIRE_TOKEN_FILE": str(tmp_path / "file")}
    assert find_access("h:1", environment=config) == Access(kept, "/ca.pem")
    assert find_access("other:1", environment=config) == Access()
    assert find_access("h:1", environment=file) == Access(filed, "/ca.pem")
    assert find_access("h:1", environment={**file, "GRADWIRE_TOKEN": mine}) == Access(mine, "/ca.pem")
    assert find_access("h:1", environment={**config, "GRADWIRE_TLS_CA": "system"}).tls_ca == "system"
    with pytest.raises(AccessError, match="is none") as caught:
        find_access("h:1", environment={"GRADWIRE_TOKEN": "hunter2"})
    assert "hunter2" not in str(caught.value)
    (tmp_path / "file").chmod(0o644)
    with pytest.raises(SecretFileError, match="chmod 600"):
        find_access("h:1", environment=file)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "config").rglob("*")}
    assert modes == {"contexts.json": 0o600, "tokens": 0o700, "prod": 0o600}
    assert kept not in (tmp_path / "config" / "contexts.json").read_text()


def test_login_keeps_what_works_and_commands_use_it(tmp_path: Path, certificates: Path) -> None:
    tls = ServerTls(certificates / "server.pem", certificates / "server.key")
    environment = {"GRADWIRE_CONFIG": str(tmp_path / "config"), "GRADWIRE_HOME": str(tmp_path / "home")}
    with running(tmp_path / "home", "0.0.0.0", Protection(tls=tls)) as (service, at):
        secret = service.tokens.create("ann", Scope.SUBMIT, None, LOCAL)[1]
        trust = ("--tls-ca", str(certificates / "server.pem"))

        def gradwire(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
            return run_cli(*arguments, environment={**environment, **more})

        wrong = gradwire("login", at, *trust, GRADWIRE_TOKEN=new_secret())
        assert (wrong.returncode, "knows no such token" in wrong.stderr) == (2, True)
        assert not (tmp_path / "config").exists()
        done = gradwire("login", at, *trust, "--context", "prod", GRADWIRE_TOKEN=secret)
        assert done.returncode == 0, done.stderr
        for more in ((), ("--context", "prod"), ("--address", at)):
            listed = gradwire("jobs", "--json", *more)
            assert (listed.returncode, listed.stdout) == (0, "[]\n"), listed.stderr
        told = gradwire("doctor").stdout
        assert "answers (TLS, with a token)" in " ".join(told.split())
        shown = gradwire("contexts").stdout
        assert "prod" in shown
        assert at in shown
        unknown = gradwire("jobs", "--context", "x")
        assert (unknown.returncode, "known: prod" in unknown.stderr) == (2, True)
        for text in (wrong, done, listed):
            assert secret not in text.stdout + text.stderr


def test_serve_says_which_protection_is_on(tmp_path: Path, certificates: Path) -> None:
    command = ["serve", "--runtime", "process", "--home", str(tmp_path / "home"), "--json"]
    refused = run_cli(*command, "--address", "0.0.0.0:0")
    assert (refused.returncode, "--insecure" in refused.stderr) == (2, True)
    files = ["--tls-cert", str(certificates / "server.pem"), "--tls-key", str(certificates / "server.key")]
    assert run_cli(*command, *files[:2]).returncode == 2
    fast = run_cli(*command, "--rate-limit", "submit=0")
    assert (fast.returncode, "KIND=PER_SECOND" in fast.stderr) == (2, True)
    for more, words in (
        (["--address", "127.0.0.1:0"], "no TLS, no token is asked for; reached from this machine alone"),
        (["--address", "0.0.0.0:0", *files], "TLS, every call needs a token; reached from other machines"),
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", "gradwire", *command, *more], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert f'"protection": "{words}"' in process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
