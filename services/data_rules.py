"""Which URLs of data a service takes with a job, and where uploaded data lies. Asked by validation.py, on threads that may wait for disks."""

import glob
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fsspec.implementations.local import LocalFileSystem

from gradwire.data.sources import DataError, blob_sha256, format_of, masked, named, scheme_of
from gradwire.services.errors import Violation

REMOTE_SCHEMES = ("http", "https", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss")
URL_LIMIT = 4096
DATA_LIMIT = 16
FILES_LIMIT = 100_000
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}\Z")
_MAGIC = re.compile(r"[*?\[]")
_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*:[^/?#]*@")

HasBlob = Callable[[str], bool]


def no_blobs(sha256: str) -> bool:
    """Of a caller who has uploaded nothing."""
    return False


class DataRules:
    """The rules of one service. roots: folders below which data on its disks may lie; None lets everything be read."""

    def __init__(self, roots: Sequence[Path] | None = ()) -> None:
        self._roots = None if roots is None else [Path(os.path.realpath(root.expanduser())) for root in roots]

    def violations(self, data: Mapping[str, str], has_blob: HasBlob = no_blobs) -> list[Violation]:
        """Everything that is wrong with a job's data. has_blob: whether its owner has uploaded a blob of that sha256."""
        wrong = []
        if len(data) > DATA_LIMIT:
            wrong.append(Violation("spec.data", f"expected at most {DATA_LIMIT} entries, got {len(data)}"))
        for name, url in list(data.items())[:DATA_LIMIT]:
            field = f"spec.data[{name[:80]!r}]"
            if not _NAME.match(name):
                wrong.append(
                    Violation("spec.data", f"the key {name[:80]!r} is not an identifier, like train_data")
                )
            problem = self._problem(url, has_blob)
            if problem:
                wrong.append(Violation(field, problem))
        return wrong

    def _problem(self, url: str, has_blob: HasBlob) -> str:
        """Why a URL is not taken; "" where it is."""
        if not url or len(url) > URL_LIMIT or not url.isprintable():
            return f"expected a URL of 1 to {URL_LIMIT} printable characters"
        try:
            parts = named(url)
        except DataError as error:
            return str(error)
        scheme = scheme_of(parts.location)
        if scheme != "blob" and not (parts.format or format_of(parts.location)[0]):
            return f"{masked(url)}: the name tells no format: end it with #npz, #parquet or another"
        if scheme == "blob":
            sha256 = blob_sha256(parts.location)
            if not sha256 or not parts.format:
                return f"{url[:80]}: expected blob:SHA256#FORMAT, such as blob:{'0' * 8}…#npz"
            return "" if has_blob(sha256) else f"{parts.location}: you have uploaded no blob of this sha256"
        if self._roots is None:
            return ""
        if "::" in url:
            return f"{masked(url)}: chained URLs are not taken"
        if _PASSWORD.match(url):
            return f"{masked(url)}: a password is not kept with a job: give it to the service's environment (--pass-env)"
        if scheme in REMOTE_SCHEMES and parts.location.startswith(f"{scheme}://"):
            return ""
        if scheme not in ("", "file", "local"):
            known = ", ".join(("file", "blob", *REMOTE_SCHEMES))
            return f"{masked(url)}: expected one of the schemes {known}"
        if not scheme:
            return (
                f"{url}: a path of your machine, which the service does not see: upload it, or name a URL "
                "(file:///… is the service's own disk)"
            )
        return self._file_problem(parts.location)

    def _file_problem(self, location: str) -> str:
        """Why a file: URL is not below one of the folders, links followed. What is not there is told like what is elsewhere."""
        path: str = LocalFileSystem._strip_protocol(location)
        if not location.partition(":")[2].startswith("///"):
            return f"{location}: expected file:/// and a whole path"
        elsewhere = (
            f"{location}: not below one of the folders that this service reads data from (serve --data-root)"
        )
        if not self._below(os.path.realpath(_MAGIC.split(path)[0])):
            return elsewhere
        found = (
            list(itertools.islice(glob.iglob(path, recursive=True), FILES_LIMIT))
            if _MAGIC.search(path)
            else []
        )
        if len(found) == FILES_LIMIT:
            return f"{location}: expected fewer than {FILES_LIMIT} files"
        return "" if all(self._below(os.path.realpath(each)) for each in found) else elsewhere

    def _below(self, path: str) -> bool:
        return any(Path(path).is_relative_to(root) for root in self._roots or ())
