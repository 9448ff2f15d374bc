"""A real PostgreSQL server for tests: Debian's binaries, in a temporary folder, on a Unix socket alone, gone with the tests."""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from gradwire.services.store import Store

START_S = 60.0
USER = "gradwire"


class UnavailableError(Exception):
    """No server can be started here; the message says why."""


def _binaries() -> Path:
    def version(path: Path) -> int:
        return int(re.sub(r"\D.*", "", path.parent.name) or 0)

    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version)
    for folder in reversed(found):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise UnavailableError("no PostgreSQL server is installed (apt-get install postgresql)")


def _as_server() -> list[str]:
    """What runs a command as whoever may run the server: it refuses root. It ends with the process that started it."""
    if os.getuid() != 0:
        return ["setpriv", "--pdeathsig", "QUIT"]
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise UnavailableError("there is no Unix user postgres, and the server refuses root") from None
    return [
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--pdeathsig", "QUIT"
    ]  # fmt: skip


class Server:
    """A running server. Databases are copies of one whose tables are there."""

    def __init__(self) -> None:
        self.binaries = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="gradwire-pg-"))
        self._numbers = itertools.count(1)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if os.getuid() == 0:
                user = pwd.getpwnam("postgres") if _as_server() else None
                assert user is not None
                os.chown(self.folder, user.pw_uid, user.pw_gid)
            made = subprocess.run(
                [
                    *_as_server(), self.binaries / "initdb", "--no-sync", "--no-locale", "--encoding=UTF8",
                    "--auth=trust", f"--username={USER}", self.folder / "data",
                ],
                capture_output=True, text=True, timeout=START_S, cwd="/",
            )  # fmt: skip
            if made.returncode:
                raise UnavailableError(f"initdb: {made.stderr.strip()[-300:]}")
            self.start()
            self._execute("CREATE DATABASE kept")
            Store(self.url("kept")).close()
        except BaseException:
            self.close()
            raise

    def url(self, database: str) -> URL:
        """The URL of a database."""
        query = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", username=USER, database=database, query=query)

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    *_as_server(), self.binaries / "postgres", "-D", self.folder / "data",
                    "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}",
                    "-c", "max_connections=200", "-c", "shared_buffers=32MB",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
            )  # fmt: skip
        end = time.monotonic() + START_S
        while True:
            try:
                self._connect().close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > end or self._process.poll() is not None:
                    text = (self.folder / "log").read_text()[-300:]
                    raise UnavailableError(f"the server did not start: {text}") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """Stops it at once, as a crash would; what was committed is there when it starts again."""
        if self._process is not None:
            subprocess.run(["kill", "-QUIT", str(self._process.pid)], check=False)
            self._process.wait(30)
            self._process = None

    def new(self, empty: bool = False) -> URL:
        """A new database, with the tables of a new store or with nothing."""
        name = f"db{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {'template1' if empty else 'kept'}")
        return self.url(name)

    def drop(self, url: URL) -> None:
        """Drops a database, whoever is connected."""
        with self._connect() as connection:
            name = sql.Identifier(str(url.database))
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def close(self) -> None:
        """Stops it and removes all it kept."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(host=str(self.folder), user=USER, dbname="postgres", autocommit=True)

    def _execute(self, text: str) -> None:
        with self._connect() as connection:
            connection.execute(text)  # type: ignore[arg-type]
