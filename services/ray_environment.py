"""Ray's settings in the environment of this process. They are read when Ray is imported, so they are set before that."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["prepare_for_cluster_of_our_own", "prepare_for_existing_cluster"]


def prepare_for_cluster_of_our_own(home: Path) -> None:
    """Token authentication, with a token that lies in the home folder and nowhere else."""
    path = home / "ray-token"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, secrets.token_hex(32).encode())
        os.close(descriptor)
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    _always()


def prepare_for_existing_cluster() -> None:
    """Authentication is as the environment says: whoever started the cluster knows."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    _always()


def _always() -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Started by `uv run`, Ray would make an environment anew in every worker.
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # For the worker processes, which inherit it: sets of strings have one order in all of them.
    os.environ["PYTHONHASHSEED"] = "0"
