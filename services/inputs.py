"""What a new job names of its owner's blobs: the archive of its program. Looked at before the job is stored. Called by faces/submitting.py.

Archives are unpacked here, into a folder that is removed again, to see that they can be; what was seen is remembered by sha256.
"""

import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gradwire.services import records as r
from gradwire.services.archives import LIMITS, ArchiveError, Limits, extract
from gradwire.services.blobs.naming import SHA256, path_of
from gradwire.services.code_hash import CodeHash
from gradwire.services.errors import StorageError, Violation
from gradwire.services.validation import CODE_BYTES_LIMIT

_REMEMBERED = 16
_CHUNK_BYTES = 1024 * 1024
_LEFT_OVER_S = 3600.0
_FIELD = "spec.code_archive"


@dataclass(frozen=True, slots=True)
class Program:
    """An archive that was looked into. `files` have their contents only where all fit into a message."""

    paths: frozenset[str]
    files: tuple[r.SourceFile, ...]
    digest: CodeHash


class Inputs:
    """Looks into what new jobs name. `usable(owner, sha256)` says whether an owner may name a blob. Blocks; any thread."""

    def __init__(self, folder: Path, usable: Callable[[str, str], bool], limits: Limits = LIMITS) -> None:
        self._folder, self.usable, self._limits = folder, usable, limits
        self._known: OrderedDict[str, Program] = OrderedDict()
        self._lock = threading.Lock()
        for left in folder.glob("look-*"):
            # Of a service that was killed; another one on the same folder may be looking right now.
            if time.time() - left.stat().st_mtime > _LEFT_OVER_S:
                shutil.rmtree(left, ignore_errors=True)

    def look(self, spec: r.JobSpec, owner: str) -> tuple[r.JobSpec, str, list[Violation]]:
        """A spec that names an archive, with what that holds, the sha256 of its code, and what is wrong.

        Raises StorageError where there is no room to look.
        """
        wrong = []
        sha256 = spec.code_archive
        if not SHA256.match(sha256):
            text = "expected the sha256 of an uploaded archive: 64 digits of 0-9 and a-f"
            wrong.append(Violation(_FIELD, text))
        elif not self.usable(owner, sha256):
            text = f"no blob {sha256} of yours: upload it first (`gradwire blob upload FILE`)"
            wrong.append(Violation(_FIELD, text))
        if spec.code.files:
            wrong.append(
                Violation("spec.code.files", "expected none beside code_archive: send the program once")
            )
        if wrong:
            return spec, "", wrong
        try:
            program = self._program(sha256)
        except ArchiveError as error:
            return spec, "", [Violation(_FIELD, f"the archive {error}")]
        except OSError as error:
            raise StorageError(f"the service could not look into the archive: {error.strerror}") from error
        entrypoint = spec.code.entrypoint
        if entrypoint not in program.paths:
            near = ", ".join(sorted(path for path in program.paths if path.endswith(".py"))[:5])
            text = f"expected the path of a file in the archive (such as {near or 'job.py'}), not {entrypoint[:80]!r}"
            return spec, "", [Violation("spec.code.entrypoint", text)]
        code = r.Code(entrypoint, program.files)
        return replace(spec, code=code), program.digest.sha256(entrypoint), []

    def _program(self, sha256: str) -> Program:
        with self._lock:
            known = self._known.get(sha256)
            if known is not None:
                self._known.move_to_end(sha256)
                return known
        with tempfile.TemporaryDirectory(prefix="look-", dir=self._folder) as aside:
            target = Path(aside) / "code"
            found = extract(path_of(self._folder, sha256), target, self._limits)
            keep = sum(file.size for file in found) <= CODE_BYTES_LIMIT
            files, digest = [], CodeHash()
            for file in found:
                digest.file(file.path, file.size)
                with open(target / file.path, "rb") as source:
                    while chunk := source.read(_CHUNK_BYTES):
                        digest.content(chunk)
                if keep:
                    files.append(r.SourceFile(file.path, (target / file.path).read_bytes()))
        program = Program(frozenset(file.path for file in found), tuple(files), digest)
        with self._lock:
            self._known[sha256] = program
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return program
