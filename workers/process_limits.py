"""What a worker's process may use: limits that the kernel keeps, and a watch over what it does not count.

Set in the worker's process before the user's code is loaded; what it has by then does not count. The watch sums memory in use
and processes over the worker and what it started, which rlimits do not. RLIMIT_DATA stands behind it, so that one large
request is refused before it is used: it counts private memory that can be written, where RLIMIT_AS counts addresses
(measured on 8 idle threads: 164 MiB against 735, at 34 in use) and ends CUDA, which reserves addresses by the terabyte.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from itertools import accumulate
from pathlib import Path

__all__ = [
    "NO_LIMITS",
    "ProcessLimits",
    "Watch",
    "adopt_orphans",
    "apply",
    "broken_by",
    "end_family",
    "family",
    "no_new_privileges",
    "use_temporary",
    "watch_beside",
]

UNUSED_BYTES = 2**30
"""What RLIMIT_DATA allows beyond the limit: it counts thread stacks (8 MiB each) and BLAS buffers (32 MiB) in full."""
RESERVE_BYTES = 32 * 2**20
"""Memory beyond that with which a process that reached it can still say so."""
USER_PROCESSES = 16
"""RLIMIT_NPROC is this times the limit: it counts all processes of a Unix user, so it only bounds what grows faster
than the watch sees. It is not kept for root."""
WATCH_S = 0.2
TEMPORARY_CHARACTERS = 64
"""multiprocessing puts sockets there, whose paths may have 107 characters with names of their own."""
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """Limits of one worker process; 0 means none. They never change a bit: a job that reaches one fails."""

    memory_bytes: int = 0
    file_bytes: int = 0
    open_files: int = 0
    processes: int = 0

    def within(self, most: ProcessLimits) -> ProcessLimits:
        """These limits where they are set, and none above `most`."""
        both = ((getattr(self, f.name), getattr(most, f.name)) for f in fields(self))
        return ProcessLimits(*(min(a, b) if a and b else a or b for a, b in both))


NO_LIMITS = ProcessLimits()


@dataclass(frozen=True, slots=True)
class Held:
    """What a process has before it is limited: bytes in use, bytes as RLIMIT_DATA counts them, threads beside the first."""

    used: int
    data: int
    threads: int


def apply(limits: ProcessLimits) -> Held:
    """Limits this process and those it will start; what it holds now, which does not count.

    Without a limit only core files are turned off, and privileges that come with a program's file.
    """
    _limit(resource.RLIMIT_CORE, 0)
    no_new_privileges()
    if limits.processes:
        adopt_orphans()
    if limits.file_bytes:
        _limit(resource.RLIMIT_FSIZE, limits.file_bytes)
    if limits.open_files:
        _limit(resource.RLIMIT_NOFILE, limits.open_files)
    if limits.processes:
        others = sum(count for _, count in _processes_of_user())
        _limit(resource.RLIMIT_NPROC, others + USER_PROCESSES * limits.processes)
    me = os.getpid()
    used, data = _kib(me, "RssAnon", "RssShmem") * 1024, _kib(me, "VmData") * 1024
    held = Held(used, data, threads_of(me) - 1)
    if limits.memory_bytes:
        most = held.data + limits.memory_bytes + UNUSED_BYTES
        _limit(resource.RLIMIT_DATA, most, most + RESERVE_BYTES)
    return held


def use_temporary(folder: str) -> None:
    """Has Python and what it starts put temporary files into `folder`; where its path is too long for sockets, nothing changes."""
    if folder and len(folder) <= TEMPORARY_CHARACTERS:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.environ["TMPDIR"] = folder
        tempfile.tempdir = None


def adopt_orphans() -> None:
    """Has this process be the parent of what its children started, when they end: it belongs to its `family` then."""
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_family() -> None:
    """Kills all that this process and its children started and that still runs."""
    for pid in family(os.getpid()):
        if pid != os.getpid():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def no_new_privileges() -> None:
    """Makes programs that would run as another user (sudo, su, …) run as this one. For good, and for all it starts."""
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def broken_by(limits: ProcessLimits, error: BaseException) -> str:
    """What was wanted beyond a limit where `error`, or what led to it, says so: "wanted more than …"; else ''."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        if told := _broken_by_this(limits, current):
            with contextlib.suppress(ValueError, OSError):
                # Room to say so.
                _, hard = resource.getrlimit(resource.RLIMIT_DATA)
                resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
            return told
        waiting += [current.__cause__, current.__context__]
    return ""


def _broken_by_this(limits: ProcessLimits, error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if limits.memory_bytes and (isinstance(error, MemoryError) or number == errno.ENOMEM):
        return wanted_memory(limits)
    if limits.file_bytes and number == errno.EFBIG:
        name = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        return f"wanted a file of more than {_size(limits.file_bytes)}{name} (process_limits.file_bytes)"
    if limits.open_files and number in (errno.EMFILE, errno.ENFILE):
        return f"wanted more than {limits.open_files} open files (process_limits.open_files)"
    no_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    if no_thread or number == errno.EAGAIN:
        # A thread's stack is memory as well.
        counts = accumulate(threads_of(pid) for pid in family(os.getpid()))
        if limits.processes and any(count >= limits.processes for count in counts):
            return wanted_processes(limits)
        if limits.memory_bytes and no_thread:
            return wanted_memory(limits)
    return ""


def wanted_memory(limits: ProcessLimits) -> str:
    """What is told of memory."""
    return f"wanted more than {_size(limits.memory_bytes)} of memory (process_limits.memory_bytes)"


def wanted_processes(limits: ProcessLimits) -> str:
    """What is told of processes."""
    return f"wanted more than {limits.processes} processes and threads (process_limits.processes)"


class Watch:
    """Looks what the process `pid` and those it started use. `held`: what does not count of it; nor does `beside`, who watches."""

    def __init__(self, pid: int, limits: ProcessLimits, held: Held, beside: int = 0) -> None:
        self._pid, self._limits, self._held, self._beside = pid, limits, held, beside
        self._most_data = 0

    @property
    def needed(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._limits.memory_bytes or self._limits.processes)

    def look(self) -> str:
        """What is used beyond a limit: "wanted more than …"; '' where nothing is."""
        pids, count = [], -self._held.threads
        for pid in family(self._pid):
            if pid == self._beside:
                continue
            pids.append(pid)
            count += threads_of(pid)
            if 0 < self._limits.processes < count:
                return wanted_processes(self._limits)  # at once: what grows fast is never seen whole
        if self._limits.memory_bytes:
            self._most_data = max(self._most_data, _kib(self._pid, "VmData") * 1024)
            allowed = self._limits.memory_bytes + self._held.used
            used = sum(_kib(pid, "RssAnon", "RssShmem") for pid in pids) * 1024
            # Pages that several have are counted for each: looked at closely only where that matters.
            if used > allowed and sum(_shares(pid) for pid in pids) * 1024 > allowed:
                return wanted_memory(self._limits)
        return ""

    def near_memory(self) -> bool:
        """Whether it was seen near its limit of memory: what ends a process then is most likely that it got no more."""
        limit = self._limits.memory_bytes
        return bool(limit) and self._most_data - self._held.data >= 0.8 * (limit + UNUSED_BYTES)


def watch_beside(limits: ProcessLimits, held: Held) -> Iterator[str]:
    """What this process uses beyond its limits, as a process beside it sees it; waits for that, and ends what this one started.

    This process must lead its process group. A thread of its own would get no turn beside a bomb of forks.
    """
    given = json.dumps([asdict(limits), asdict(held)])
    beside = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), given],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert beside.stdout is not None
    with beside.stdout:
        for line in beside.stdout:
            yield line.decode().strip()


def _watch_other(pid: int, limits: ProcessLimits, held: Held) -> None:
    """The process beside: looks until the other one has ended, then ends what is left of its group."""
    with contextlib.suppress(OSError):
        os.nice(-10)  # for root alone
    watch = Watch(pid, limits, held, beside=os.getpid())
    while _state(pid) not in ("", "Z", "X"):
        if told := watch.look():
            print(told, flush=True)
            with contextlib.suppress(ProcessLookupError):
                # All at once, so that none starts another one while they are ended one by one.
                os.killpg(pid, signal.SIGSTOP)
                for other in _group(pid):
                    if other != pid:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(other, signal.SIGKILL)
                os.kill(pid, signal.SIGCONT)
        time.sleep(WATCH_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _group(group: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group:
                    yield int(name)


def family(pid: int) -> Iterator[int]:
    """A process and all that it and its children started and that still run."""
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        if _state(current) in ("", "Z", "X"):
            continue
        yield current
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{current}/task"):
                with contextlib.suppress(OSError):
                    text = Path(f"/proc/{current}/task/{thread}/children").read_text()
                    waiting += [int(word) for word in text.split()]


def threads_of(pid: int) -> int:
    """Threads of a process, the first one included; 0 where it is gone."""
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Sets a limit, never above the one that holds already."""
    _, present = resource.getrlimit(which)
    hard = soft if hard is None else hard
    if present != resource.RLIM_INFINITY:
        soft, hard = min(soft, present), min(hard, present)
    resource.setrlimit(which, (soft, hard))


def _processes_of_user() -> Iterator[tuple[int, int]]:
    """(pid, threads) of every process of this one's user."""
    mine = os.getuid()
    for name in os.listdir("/proc") if os.path.isdir("/proc/self/task") else ():
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == mine:
                    yield int(name), threads_of(int(name))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _kib(pid: int, *names: str) -> int:
    """The sum of these lines of a process's status; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.partition(":")[0] in names)


def _shares(pid: int) -> int:
    """KiB of memory of a process, of pages that several have its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return _kib(pid, "RssAnon", "RssShmem")
    return sum(int(line.split()[1]) for line in lines if line.partition(":")[0] in ("Pss_Anon", "Pss_Shmem"))


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:g} {unit}" if count % size == 0 else f"{count / size:.1f} {unit}"
    return f"{count} bytes"


if __name__ == "__main__":
    _limits, _held = json.loads(sys.argv[2])
    _watch_other(int(sys.argv[1]), ProcessLimits(**_limits), Held(**_held))
