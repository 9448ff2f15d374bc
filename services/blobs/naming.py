"""How a job names blobs, and where one lies. Used by inputs.py, home.py and store.py."""

import re
from collections.abc import Iterator
from pathlib import Path

from gradwire.data.sources import blob_sha256
from gradwire.services import records as r

SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def path_of(folder: Path, sha256: str) -> Path:
    """Where a blob lies in the folder of all blobs."""
    return folder / sha256[:2] / sha256


def blobs_of(spec: r.JobSpec) -> Iterator[tuple[str, str]]:
    """The fields of a spec that name blobs, and the sha256 that each names."""
    if spec.code_archive:
        yield "spec.code_archive", spec.code_archive
    for name, url in spec.data.items():
        if sha256 := blob_sha256(url.partition("#")[0]):
            yield f"spec.data[{name!r}]", sha256
