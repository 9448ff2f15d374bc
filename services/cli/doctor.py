"""`gradwire doctor`: what this installation has, and what is wrong with it."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

import gradwire
from gradwire.services.cli import doctor_service
from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.output import print_json, stdout
from gradwire.services.errors import ForbiddenError, ServiceError, UnauthenticatedError
from gradwire.services.security.access import AccessError
from gradwire.services.security.contexts import ContextError, Contexts
from gradwire.services.security.secret_files import SecretFileError

_PACKAGES = ("numpy", "ray", "grpcio", "protobuf", "sqlalchemy", "safetensors")
_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
SHM_WANTED = 512 * 1024 * 1024
REACH_S = 1.0


def doctor(
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    as_json: o.AsJson = False,
) -> None:
    """Say what is installed, which devices there are, and whether the service answers."""
    url, running = o.read_store(store), doctor_service.serving(home)
    found: dict[str, Any] = {
        "gradwire": gradwire.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in _PACKAGES},
        "cupy": next((v for name in _CUPY if (v := _version(name)) is not None), None),
        "cpus": len(os.sched_getaffinity(0)),
        "cuda": _cuda(),
        "shared_memory": _shared_memory(),
        "home": _home(home),
        "store": doctor_service.store(home, running) if url is None else doctor_service.database(url),
        "worker_limits": doctor_service.limits(running),
        "metrics": doctor_service.metrics(running),
        "service": _service(address, context, tls_ca),
    }
    well = (
        bool(found["home"]["writable"])
        and found["store"].get("answers") is not False
        and found["service"]["answers"] is not False
    )
    if as_json:
        print_json({**found, "well": well})
    else:
        table = Table(show_header=False, box=None)
        for name, value in found.items():
            told = value["message"] if isinstance(value, dict) else value
            table.add_row(Text(name.replace("_", " ")), Text("not installed" if told is None else str(told)))
        stdout.print(table)
    raise typer.Exit(0 if well else 1)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda() -> dict[str, Any]:
    """What the driver says (nvidia-smi), and whether CuPy, which uses it, can."""
    devices: list[str] = []
    if shutil.which("nvidia-smi"):
        try:
            asked = subprocess.run(
                ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"],
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
            devices = [line.strip() for line in asked.stdout.splitlines() if line.strip()]
        except (subprocess.SubprocessError, OSError) as error:
            return {"devices": [], "usable": False, "message": f"nvidia-smi does not work: {error}"}
    if not devices:
        return {"devices": [], "usable": False, "message": "no CUDA device: --device cpu only"}
    try:
        import cupy

        count = int(cupy.cuda.runtime.getDeviceCount())
        usable = count > 0
        message = f"{count} usable of {len(devices)}: {'; '.join(devices)}"
    except ImportError:
        usable = False
        message = f"{'; '.join(devices)}: present, but CuPy is not installed (pip install 'gradwire[cuda12]' or [cuda13])"
    except Exception as error:
        usable = False
        message = f"{'; '.join(devices)}: present, but CuPy can't use it: {error}"
    return {"devices": devices, "usable": usable, "message": message}


def _shared_memory() -> dict[str, Any]:
    try:
        size, _, free = shutil.disk_usage("/dev/shm")
    except OSError as error:
        return {"size": 0, "free": 0, "message": f"/dev/shm: {error.strerror}"}
    note = (
        ""
        if size >= SHM_WANTED
        else ", small: Ray falls back to files, which is slower (docker run --shm-size=2g)"
    )
    text = f"/dev/shm: {size / 2**20:,.0f} MiB, {free / 2**20:,.0f} MiB free{note}"
    return {"size": size, "free": free, "message": text}


def _home(home: Path) -> dict[str, Any]:
    path = home.expanduser().absolute()
    nearest = next(parent for parent in (path, *path.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        message = f"{path}: can't be written ({error.strerror}): name another with --home or GRADWIRE_HOME"
        return {"path": str(path), "writable": False, "message": message}
    made = "" if nearest == path else " (made when it is needed)"
    if nearest == path and path.stat().st_mode & 0o077:
        made = f", but others can look into it: chmod 700 {path}"
    return {"path": str(path), "writable": True, "message": f"{path}: writable{made}"}


def _service(address: str, context: str, tls_ca: str) -> dict[str, Any]:
    try:
        if not (address or context or Contexts.read().current):
            message = "none named (`gradwire login`, GRADWIRE_ADDRESS or --address)"
            return {"address": None, "answers": None, "protection": None, "message": message}
        with connect(address, context, tls_ca, REACH_S) as client:
            at, tls, token = client.address, bool(client.access.tls_ca), bool(client.access.token)
            serving = client.serving()
            allowed, refusal = True, ""
            try:
                list(client.jobs(limit=1))
            except (UnauthenticatedError, ForbiddenError) as error:
                allowed, refusal = False, f"; {error}"
    except (ServiceError, AccessError, ContextError, SecretFileError, OSError) as error:
        return {"address": address or None, "answers": False, "protection": None, "message": str(error)}
    way = f"{'TLS' if tls else 'no TLS'}, {'with a token' if token else 'without a token'}"
    message = f"{at} answers ({way})" + ("" if serving else ", and is stopping") + refusal
    protection = {"tls": tls, "token": token, "allowed": allowed}
    return {"address": at, "answers": True, "protection": protection, "message": message}
