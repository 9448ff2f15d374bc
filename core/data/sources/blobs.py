"""`blob:SHA256`: a file by its content, in a folder that a service keeps."""

from __future__ import annotations

import os
import re
from typing import Any

from .naming import DataError

__all__ = ["blob_path", "blob_sha256"]

_BLOB = re.compile(r"blob:([0-9a-f]{64})\Z")


def blob_sha256(location: str) -> str:
    """The sha256 in a URL without a fragment; "" where it is none of a blob."""
    found = _BLOB.match(location)
    return found[1] if found else ""


def blob_path(folder: Any, location: str) -> str:
    """Where a blob lies within the folder of all. Raises DataError."""
    sha256 = blob_sha256(location)
    if not sha256:
        raise DataError(
            f"{location[:80]}: expected blob: and the 64 digits of a sha256, then #npz or another format"
        )
    if not folder:
        raise DataError(
            f"{location}: uploaded data is read by a service's jobs alone: submit, or name the file's own URL"
        )
    return os.path.join(os.fspath(folder), sha256[:2], sha256)
