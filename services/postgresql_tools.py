"""PostgreSQL's own programs for a whole database: pg_dump, which copies it while it is used, and pg_restore. Used by backup.py.

A password goes by the environment of the process, never by its arguments, which everyone on the machine can read.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import URL

from gradwire.services.errors import StorageError

SHOWN = 400


def dump(store: URL, target: Path) -> None:
    """Writes a snapshot of a database to a new file, for `load`. Raises StorageError."""
    _run("pg_dump", store, "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
    target.chmod(0o600)


def load(store: URL, source: Path) -> None:
    """Puts what `dump` wrote into a database, all or nothing. Raises StorageError."""
    _run(
        "pg_restore",
        store,
        "--exit-on-error",
        "--single-transaction",
        "--no-owner",
        "--no-privileges",
        str(source),
    )


def _run(program: str, store: URL, *arguments: str) -> None:
    uri = store.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environment = dict(os.environ)
    if store.password is not None:
        environment["PGPASSWORD"] = str(store.password)
    done = subprocess.run(
        [_found(program), "--no-password", f"--dbname={uri}", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise StorageError(f"{program} failed: {done.stderr.strip()[-SHOWN:]}")


def _found(program: str) -> str:
    """The newest of a program: it reads servers of its own version and older."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: int(re.sub(r"\D.*", "", path.parent.name) or 0),
    )
    for folder in reversed(folders):
        if os.access(folder / program, os.X_OK):
            return str(folder / program)
    if (found := shutil.which(program)) is not None:
        return found
    raise StorageError(
        f"{program} is not installed here: install PostgreSQL's client programs (apt-get install postgresql-client)"
    )
