"""What `gradwire doctor` finds out about a service of this machine: its store, the limits of its workers, its metrics."""

import contextlib
import fcntl
import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from sqlalchemy import URL, inspect
from sqlalchemy.exc import SQLAlchemyError

from gradwire.services.connections import open_engine, shown
from gradwire.services.errors import StorageError
from gradwire.services.home import SERVING
from gradwire.services.lease import lease_holder
from gradwire.services.schema import leases
from gradwire.services.security.access import SYSTEM, Access, AccessError, find_access
from gradwire.services.security.contexts import ContextError
from gradwire.services.security.secret_files import SecretFileError
from gradwire.services.security.worker_limits import in_words
from gradwire.workers.process_limits import ProcessLimits

REACH_S = 2.0


def serving(home: Path) -> list[dict[str, Any]]:
    """What the services that run on this home say of themselves; none where none runs or the home can't be read."""
    folder = home.expanduser().absolute()
    found = []
    for path in sorted([folder / SERVING, *folder.glob(f"front-ends/*.{SERVING}")]):
        lock = folder / "lock" if path.name == SERVING else path.with_name(path.name.replace(SERVING, "lock"))
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(path.read_text())
            if isinstance(said, dict) and _held(lock):
                found.append(said)
    return found


def store(home: Path, running: list[dict[str, Any]]) -> dict[str, Any]:
    """Which kind of store there is."""
    if running:
        kind = str(running[0].get("store", ""))
        return {"kind": kind, "message": f"{kind}, in use by a service"}
    file = home.expanduser().absolute() / "jobs.db"
    try:
        size = file.stat().st_size
    except OSError:
        return {"kind": None, "message": f"none yet at {file}; --store postgresql://… names another kind"}
    return {"kind": "SQLite", "message": f"SQLite at {file}, {size / 2**20:,.1f} MiB"}


def database(url: URL) -> dict[str, Any]:
    """Whether a store on PostgreSQL answers, and who schedules on it; a password is masked."""
    at = shown(url)
    try:
        engine = open_engine(url)
        try:
            holder = lease_holder(engine) if inspect(engine).has_table(leases.name) else None
        finally:
            engine.dispose()
    except (StorageError, SQLAlchemyError) as error:
        told = f"{at}: {error}"
        return {"kind": "PostgreSQL", "at": at, "answers": False, "scheduler": None, "message": told}
    who = "no front end schedules" if holder is None else f"the front end at {holder.address} schedules"
    address = None if holder is None else holder.address
    told = f"PostgreSQL at {at} answers; {who}"
    return {"kind": "PostgreSQL", "at": at, "answers": True, "scheduler": address, "message": told}


def limits(running: list[dict[str, Any]]) -> dict[str, Any]:
    """Which limits of workers a service has set, and how this machine keeps them."""
    watched = os.path.isdir("/proc/self/task")
    kept = (
        "memory and processes are watched"
        if watched
        else "without /proc memory and processes are not watched"
    )
    if os.geteuid() == 0:
        kept += "; root has no RLIMIT_NPROC; jobs can run as other users (serve --run-as)"
    fields = dict(running[0].get("worker_limits", {})) if running else {}
    told = in_words(ProcessLimits(**fields)) if running else "no service runs here"
    return {"of_service": fields if running else None, "watched": watched, "message": f"{told} ({kept})"}


def metrics(running: list[dict[str, Any]]) -> dict[str, Any]:
    """Whether the endpoint for metrics answers."""
    places = [(str(each["metrics"]), bool(each.get("tls"))) for each in running if each.get("metrics")]
    if not places:
        return {
            "address": None,
            "answers": None,
            "message": "no service of this home answers (serve --metrics-address)",
        }
    address, tls = places[0]
    try:
        access = find_access(str(running[0]["address"]))
        status = _status(address, tls, access)
    except (OSError, ValueError, AccessError, ContextError, SecretFileError) as error:
        return {"address": address, "answers": False, "message": f"{address} does not answer: {error}"}
    words = {200: "answers", 401: "answers, and asks for a token (GRADWIRE_TOKEN or `gradwire login`)"}
    told = words.get(status, f"answers {status}")
    return {"address": address, "answers": status in words, "message": f"{address} {told}"}


def _status(address: str, tls: bool, access: Access) -> int:
    request = urllib.request.Request(f"{'https' if tls else 'http'}://{address}/metrics")
    if access.token:
        request.add_header("Authorization", f"Bearer {access.token}")
    context = None
    if tls:
        context = ssl.create_default_context(
            cafile=access.tls_ca if access.tls_ca not in ("", SYSTEM) else None
        )
        if access.tls_certificate:
            context.load_cert_chain(access.tls_certificate, access.tls_key)
    # A proxy variable meant for the web must not catch what goes to this machine.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
    )
    try:
        with opener.open(request, timeout=REACH_S) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def _held(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        # One of several front ends shares the home's lock; its own is asked.
        return False
    finally:
        os.close(descriptor)
