"""What the service accepts as a job: fills a spec's defaults and names every wrong field at once.

Called by the front end; the client ships what it finds, the service trusts none of it.
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from gradwire.services import records as r
from gradwire.services.data_rules import DataRules, HasBlob, no_blobs
from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.launcher import Capacity
from gradwire.services.limit_rules import limit_violations as time_limit_violations
from gradwire.services.security.worker_limits import limit_violations
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits

DEVICES = ("cpu", "cuda")
SHARDS_LIMIT = 4096
THREADS_LIMIT = 256
CODE_BYTES_LIMIT = 2 * 1024 * 1024
FILES_LIMIT = 512
PATH_LIMIT = 240
PART_BYTES_LIMIT = 255
NAME_LIMIT = 120
PAIRS_LIMIT = 256
VALUE_LIMIT = 4096
REQUEST_ID_LIMIT = 64
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]{0,62}\Z")
_LABEL_FORM = "letters, digits and -_./, at most 63"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")


def checked_spec(
    spec: r.JobSpec,
    request_id: str,
    capacity: Capacity,
    rules: DataRules | None = None,
    has_blob: HasBlob = no_blobs,
    most: ProcessLimits = NO_LIMITS,
    found: Sequence[Violation] = (),
) -> r.JobSpec:
    """The spec with its defaults filled in. Raises InvalidRequestError with every wrong field, those `found` before among them.

    Where it names data this looks at disks. rules: for data, those of a service without folders of data where left out.
    most: what a worker's process may use at most.
    The files of an archive were checked when it was looked into, by stricter rules.
    """
    code_files = tuple(sorted(spec.code.files, key=lambda file: file.path))
    filled = replace(
        spec,
        name=spec.name or PurePosixPath(spec.code.entrypoint).stem,
        code=r.Code(spec.code.entrypoint, code_files),
        workers=spec.workers or 1,
        shards=spec.shards or r.DEFAULT_SHARDS,
        device=spec.device or "cpu",
        threads_per_worker=spec.threads_per_worker or 1,
    )
    if filled.min_workers or filled.max_workers:
        filled = replace(
            filled,
            min_workers=filled.min_workers or filled.workers,
            max_workers=filled.max_workers or filled.workers,
        )
    wrong = [
        *_size_violations(filled, capacity),
        *time_limit_violations(filled),
        *limit_violations(filled.process_limits, most),
        *found,
        *([] if filled.code_archive else _code_violations(filled.code)),
        *_pair_violations("spec.overrides", filled.overrides, _KEY, "a setting's name, like lr"),
        *_pair_violations("spec.labels", filled.labels, _LABEL, _LABEL_FORM),
        *(rules or DataRules()).violations(filled.data, has_blob),
    ]
    if len(filled.name) > NAME_LIMIT or not filled.name.isprintable():
        wrong.append(
            Violation("spec.name", f"expected at most {NAME_LIMIT} printable characters, not {filled.name!r}")
        )
    if not _REQUEST_ID.match(request_id):
        wrong.append(
            Violation("request_id", f"expected a UUID (letters, digits, - and _, at most {REQUEST_ID_LIMIT})")
        )
    if wrong:
        raise InvalidRequestError(wrong)
    return filled


def _size_violations(spec: r.JobSpec, capacity: Capacity) -> list[Violation]:
    wrong = []
    if spec.device not in DEVICES:
        wrong.append(Violation("spec.device", f"expected one of {', '.join(DEVICES)}, not {spec.device!r}"))
    if not 1 <= spec.shards <= SHARDS_LIMIT:
        wrong.append(Violation("spec.shards", f"expected 1 to {SHARDS_LIMIT}, not {spec.shards}"))
    if not 1 <= spec.threads_per_worker <= THREADS_LIMIT:
        wrong.append(
            Violation(
                "spec.threads_per_worker", f"expected 1 to {THREADS_LIMIT}, not {spec.threads_per_worker}"
            )
        )
    if spec.workers < 1:
        wrong.append(Violation("spec.workers", f"expected 1 or more, not {spec.workers}"))
    elif spec.workers > spec.shards >= 1:
        wrong.append(
            Violation(
                "spec.workers",
                f"{spec.workers} workers can't share {spec.shards} shards (a worker needs at least one): use at most "
                f"{spec.shards} workers, or more shards (--shards {spec.workers}), which changes the bits",
            )
        )
    elif spec.device in DEVICES and (spec.min_workers or spec.workers) > (total := capacity.of(spec.device)):
        if total == 0:
            hint = f"this service has no {spec.device} device: use --device cpu, or a service with GPUs"
        else:
            hint = f"this service can give at most {total}: ask for {total} or fewer"
        field = "min_workers" if spec.min_workers else "workers"
        count = spec.min_workers or spec.workers
        wrong.append(Violation(f"spec.{field}", f"{count} {spec.device} workers are asked for; {hint}"))
    return wrong + _range_violations(spec)


def _range_violations(spec: r.JobSpec) -> list[Violation]:
    wrong = []
    if spec.min_workers < 0 or spec.min_workers > spec.workers >= 1:
        wrong.append(
            Violation(
                "spec.min_workers",
                f"expected 1 to the {spec.workers} workers it starts with, not {spec.min_workers}",
            )
        )
    if spec.max_workers < 0 or spec.max_workers > spec.shards >= 1:
        wrong.append(
            Violation(
                "spec.max_workers",
                f"expected at most its {spec.shards} shards (a worker needs at least one), not {spec.max_workers}",
            )
        )
    elif 0 < spec.max_workers < spec.workers:
        wrong.append(
            Violation(
                "spec.max_workers",
                f"expected at least the {spec.workers} workers it starts with, not {spec.max_workers}",
            )
        )
    return wrong


def checked_workers(workers: int) -> int:
    """A number of workers that some job could have. Raises InvalidRequestError."""
    if not 1 <= workers <= SHARDS_LIMIT:
        raise InvalidRequestError([Violation("workers", f"expected 1 to {SHARDS_LIMIT}, not {workers}")])
    return workers


def checked_update(update: r.Update) -> r.Update:
    """The update as it is. Raises InvalidRequestError with every wrong field."""
    wrong = []
    for name, value in update.options.items():
        if name != "lr":
            wrong.append(
                Violation(f"options[{name[:80]!r}]", 'expected "lr", the only option that can be changed')
            )
        elif not (math.isfinite(value) and value >= 0):
            wrong.append(Violation("options['lr']", f"expected a finite number, 0 or more, not {value}"))
    wrong += _pair_violations("labels", update.labels, _LABEL, _LABEL_FORM)
    both = sorted(update.labels.keys() & set(update.remove_labels))
    if both:
        wrong.append(Violation("remove_labels", f"{both[0][:80]!r} is both to be set and to be removed"))
    if not (update.options or update.labels or update.remove_labels) and update.priority is None:
        wrong.append(Violation("options", "expected something to change: options, priority or labels"))
    if wrong:
        raise InvalidRequestError(wrong)
    return update


def _code_violations(code: r.Code) -> list[Violation]:
    wrong = []
    if not code.files:
        wrong.append(Violation("spec.code.files", "expected the job file at least, got no files"))
    if len(code.files) > FILES_LIMIT:
        wrong.append(
            Violation("spec.code.files", f"expected at most {FILES_LIMIT} files, got {len(code.files)}")
        )
    size = sum(len(file.content) for file in code.files)
    if size > CODE_BYTES_LIMIT:
        wrong.append(
            Violation(
                "spec.code.files",
                f"expected at most {CODE_BYTES_LIMIT} bytes of code together, got {size}: keep data out of the job's folder",
            )
        )
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for index, file in enumerate(code.files[:FILES_LIMIT]):
        problem = path_problem(file.path)
        folded = unicodedata.normalize("NFC", file.path).casefold()
        if problem is None and folded in seen:
            problem = f"clashes with {seen[folded]!r} where file names ignore case"
        seen[folded] = file.path
        folders.update(_folders(file.path.casefold()))
        if problem is not None:
            wrong.append(Violation(f"spec.code.files[{index}].path", f"{file.path[:80]!r} {problem}"))
    clashes = sorted(folders & seen.keys())
    if clashes:
        wrong.append(Violation("spec.code.files", f"{seen[clashes[0]]!r} is both a file and a folder"))
    if code.files and code.entrypoint not in {file.path for file in code.files}:
        wrong.append(
            Violation(
                "spec.code.entrypoint",
                f"expected the path of one of the files, not {code.entrypoint[:80]!r}",
            )
        )
    return wrong


def _folders(path: str) -> Iterator[str]:
    """The folders that a path goes through."""
    end = path.find("/")
    while end >= 0:
        yield path[:end]
        end = path.find("/", end + 1)


def path_problem(path: str) -> str | None:
    """Why `path` is no plain relative path with forward slashes, or None where it is one."""
    if not path or len(path) > PATH_LIMIT:
        return f"is not 1 to {PATH_LIMIT} characters long"
    if "\0" in path or "\\" in path or not path.isprintable():
        return "has characters that paths must not have"
    if path.startswith("/") or ":" in path.split("/")[0]:
        return "is not relative"
    if any(part in ("", ".", "..") for part in path.split("/")):
        return "has an empty, '.' or '..' part"
    if any(len(part.encode()) > PART_BYTES_LIMIT for part in path.split("/")):
        return f"has a part of more than {PART_BYTES_LIMIT} bytes"
    return None


def _pair_violations(
    field: str, pairs: Mapping[str, str], key_form: re.Pattern[str], expected: str
) -> list[Violation]:
    wrong = []
    if len(pairs) > PAIRS_LIMIT:
        wrong.append(Violation(field, f"expected at most {PAIRS_LIMIT} entries, got {len(pairs)}"))
    for key, value in list(pairs.items())[:PAIRS_LIMIT]:
        if not key_form.match(key):
            wrong.append(Violation(field, f"the key {key[:80]!r} is not {expected}"))
        if len(value) > VALUE_LIMIT or "\0" in value:
            wrong.append(
                Violation(f"{field}[{key[:80]!r}]", f"expected at most {VALUE_LIMIT} characters without NUL")
            )
    return wrong
