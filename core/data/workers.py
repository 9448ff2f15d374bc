"""Workers that load batches ahead, in processes or in threads of this one.

Each worker takes its tasks in order, from a pipe (or queue) of its own, and sends back what it made. A thread of this
process takes in what workers send, so that none of them waits for the loop that uses the batches. A process ends when
it is told to, when the loader's process has gone, or with it.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import queue
import random as python_random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

import numpy as np

from .. import random

__all__ = [
    "Epoch", "Exhausted", "Failure", "ProcessPool", "Task", "ThreadPool", "WorkerInfo", "get_worker_info", "start_method",
]  # fmt: skip


class Exhausted(Exception):
    """Raised by a worker's function when its iterable data set has no more."""


@dataclass(frozen=True)
class Stopped:
    """In the place of a batch: this worker's iterable data set has no more."""


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows of itself: id 0 … num_workers - 1, seed, and its copy of the data set."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass(frozen=True)
class Failure:
    """An error in a worker, by its type and the worker's own traceback."""

    kind: type[BaseException]
    text: str

    def reraise(self, where: str) -> None:
        message = f"Caught {self.kind.__name__} {where}.\nOriginal {self.text}"
        try:
            error = self.kind(message)
        except Exception:  # an exception that takes other arguments
            raise RuntimeError(message) from None
        raise error


@dataclass(frozen=True)
class Task:
    """What a worker is started with. make(dataset) gives the function from a task's indices to a batch."""

    dataset: Any
    make: Callable[[Any], Callable[[Any], Any]]
    init: Callable[[int], None] | None
    num_workers: int


_local = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader what it knows of itself, else None."""
    return getattr(_local, "info", None)


def _failure(error: BaseException) -> Failure:
    return Failure(type(error), traceback.format_exc())


def _serve(number: int, task: Task, receive: Callable[[], Any], send: Callable[[Any], None]) -> None:
    """A worker's life: ("epoch", seed) begins a pass, (index, what) is a batch to load, None the end.

    Sends (index, what came of it): a batch, a Failure or Stopped.
    """
    load: Any = None
    broken: Failure | None = None
    while (message := receive()) is not None:
        name, argument = message
        if name == "epoch":
            try:
                seed = argument + number
                random.current().manual_seed(seed)
                _local.info = WorkerInfo(number, task.num_workers, seed, task.dataset)
                broken = None
                if load is None and task.init is not None:
                    task.init(number)
                load = task.make(task.dataset)
            except Exception as e:
                broken = _failure(e)
            continue
        try:
            result = broken if broken is not None else load(argument)
        except Exhausted:
            result = Stopped()
        except Exception as e:
            result = _failure(e)
        send((name, result))


def _process(number: int, task: Task, connection: Any, others: list[Any]) -> None:
    """What a worker process runs."""
    for other in others:  # inherited by a fork; an open copy would hide that the loader's process has gone
        other.close()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    generator = random.Generator()

    def receive() -> Any:
        try:
            message = connection.recv()
        except (EOFError, OSError):
            return None
        if message is not None and message[0] == "epoch":
            words = np.random.SeedSequence((message[1], number)).generate_state(4)
            python_random.seed(int(words[0]))
            np.random.seed(words)
        return message

    def send(answer: Any) -> None:
        try:
            data = pickle.dumps(answer, protocol=5)
        except Exception as e:
            found = answer[1]
            told = Failure(RuntimeError, found.text) if isinstance(found, Failure) else _failure(e)
            data = pickle.dumps((answer[0], told))
        try:
            connection.send_bytes(data)
        except OSError:
            pass  # nobody waits for it any more; receive() will tell

    with random.drawing_from(generator):
        _serve(number, task, receive, send)


def _end_with(sentinel: Any) -> None:
    """Ends this process when the one of `sentinel` has gone, whatever it is at."""
    wait([sentinel])
    os._exit(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started within never see Ctrl-C, which is for the loader's process; that one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_method() -> str:
    """How worker processes are started when nobody says: as multiprocessing does, but never by a fork beside Ray or gRPC.

    A forked child of a process whose libraries run threads of their own may hang in them.
    """
    usual: str = (
        multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_context().get_start_method()
    )
    return "spawn" if usual == "fork" and ("grpc" in sys.modules or "ray" in sys.modules) else usual


class ProcessPool:
    """Worker processes; see the module."""

    def __init__(self, task: Task, context: Any) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        self._wake_receiver, self._wake = context.Pipe(duplex=False)
        if context.get_start_method() != "fork":
            resource_tracker.ensure_running()  # now: it would let Ctrl-C through to the first worker that is started
        try:
            for number in range(task.num_workers):
                here, there = context.Pipe()
                self._connections.append(here)
                inherited = (
                    [*self._connections, self._wake, self._wake_receiver]
                    if context.get_start_method() == "fork"
                    else []
                )
                process = context.Process(
                    target=_process,
                    args=(number, task, there, inherited),
                    daemon=True,
                    name=f"loader-{number}",
                )
                try:
                    with _without_interrupts():
                        process.start()
                finally:
                    there.close()  # or the next fork would inherit it, and this worker's death go unseen
                self._processes.append(process)
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._take_in, daemon=True, name="loader-receiver")
        self._thread.start()

    def _take_in(self) -> None:
        live = dict(zip(self._connections, self._processes, strict=True))
        while True:
            ready = wait([*live, self._wake_receiver])
            if self._wake_receiver in ready:
                return
            for connection in ready:
                try:
                    self._inbox.put(("batch", connection.recv_bytes()))  # type: ignore[union-attr]
                except (EOFError, OSError):
                    self._inbox.put(("died", live.pop(connection)))

    def submit(self, worker: int, message: Any) -> None:
        try:
            self._connections[worker].send(message)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the receiver tells of the worker's death

    def get(self, timeout: float | None) -> tuple[Any, Any]:
        """The next (index, result) of any worker. Raises queue.Empty after `timeout` seconds, RuntimeError for a dead one."""
        kind, value = self._inbox.get(timeout=timeout)
        if kind == "died":
            value.join(1)
            raise RuntimeError(
                f"DataLoader worker (pid(s) {value.pid}) exited unexpectedly, with exit code {value.exitcode}"
            )
        return pickle.loads(value)

    def close(self) -> None:
        """Ends the workers: those that do not stop by themselves within moments are terminated."""
        for connection in self._connections:
            try:
                connection.send(None)
            except OSError:
                pass
        try:
            self._wake.send_bytes(b"")
        except OSError:
            pass
        if hasattr(self, "_thread"):
            self._thread.join()
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join(0.5)
        for process in self._processes:
            if process.is_alive():
                process.terminate()
                process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
        self._wake.close()
        self._wake_receiver.close()


class ThreadPool:
    """Worker threads, for data sets whose work leaves the interpreter (NumPy, files); they share one data set."""

    def __init__(self, task: Task) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tasks: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(task.num_workers)]
        self._threads = [
            threading.Thread(target=self._run, args=(n, task), daemon=True, name=f"loader-{n}")
            for n in range(task.num_workers)
        ]
        for t in self._threads:
            t.start()

    def _run(self, number: int, task: Task) -> None:
        with random.drawing_from(random.Generator()):
            _serve(number, task, self._tasks[number].get, self._inbox.put)

    def submit(self, worker: int, message: Any) -> None:
        self._tasks[worker].put(message)

    def get(self, timeout: float | None) -> tuple[Any, Any]:
        return self._inbox.get(timeout=timeout)

    def close(self) -> None:
        """Ends the workers, each after the batch that it is at."""
        for tasks in self._tasks:
            while True:
                try:
                    tasks.get_nowait()
                except queue.Empty:
                    break
            tasks.put(None)
        for t in self._threads:
            t.join()


class Epoch:
    """One pass over a loader's batches by the workers of a pool, at most `ahead` batches in advance for each."""

    _numbers = (
        itertools.count()
    )  # of tasks, never used again: what an abandoned pass still brings is known by it

    def __init__(self, pool: Any, num_workers: int, ahead: int, seed: int) -> None:
        self._pool, self._ahead = pool, ahead
        self._workers = list(range(num_workers))
        for w in self._workers:
            pool.submit(w, ("epoch", seed))

    def batches(self, indices: Iterable[Any], timeout: float | None) -> Iterator[Any]:
        """What the workers make of `indices`, in that order; where one's data set ends, the others go on."""
        turn = itertools.cycle(self._workers)
        stopped: set[int] = set()
        who: dict[int, int] = {}  # task -> its worker, in the order in which batches are given out
        done: dict[int, Any] = {}
        source = iter(indices)
        limit = self._ahead * len(self._workers)

        def send_more() -> None:
            while len(who) < limit and len(stopped) < len(self._workers):
                worker = next(w for w in turn if w not in stopped)
                try:
                    what = next(source)
                except StopIteration:
                    return
                number = next(self._numbers)
                who[number] = worker
                self._pool.submit(worker, (number, what))

        send_more()
        while who:
            asked = next(iter(who))
            while asked not in done:
                try:
                    number, result = self._pool.get(timeout)
                except queue.Empty:
                    raise RuntimeError(f"DataLoader timed out after {timeout} seconds") from None
                if number in who:
                    done[number] = result
            result, worker = done.pop(asked), who.pop(asked)
            if isinstance(result, Stopped):
                stopped.add(worker)
                send_more()
                continue
            if isinstance(result, Failure):
                result.reraise(f"in DataLoader worker process {worker}")
            send_more()
            yield result
