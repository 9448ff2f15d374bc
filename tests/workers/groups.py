"""Groups of ranks for tests: the same calls for every transport, and a way to run one function on every rank."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gradwire.workers.in_process import InProcessNetwork
from gradwire.workers.shared_memory import HostListener
from gradwire.workers.sockets import SocketListener
from gradwire.workers.transport import Transport

T = TypeVar("T")
SECRET = bytes(range(32))
TRANSPORTS = ("in_process", "sockets", "shared_memory")
LISTENERS: dict[str, Callable[[], Any]] = {"sockets": SocketListener, "shared_memory": HostListener}


def form_group(
    kind: str, world_size: int, *, deadline_s: float = 20.0, generation: int = 1
) -> list[Transport]:
    if kind == "in_process":
        return list(InProcessNetwork().form(world_size, generation, deadline_s))
    listeners = [LISTENERS[kind]() for _ in range(world_size)]
    addresses = [listener.address for listener in listeners]
    return on_all(
        range(world_size),
        lambda r: listeners[r].form(
            r, addresses, generation=generation, secret=SECRET, deadline_s=deadline_s, connect_deadline_s=10.0
        ),
    )


def on_all(items: Sequence[object] | range, function: Callable[..., T]) -> list[T]:
    """function(item) on a thread each; the results in order, or the first error in order."""
    with ThreadPoolExecutor(max(1, len(items))) as pool:
        return [future.result(60) for future in [pool.submit(function, item) for item in items]]


def in_thread(function: Callable[[], object]) -> Callable[[float], BaseException | object]:
    """Starts function; the returned call waits for it and gives its result, or the error it raised."""
    outcome: list[BaseException | object] = []

    def body() -> None:
        try:
            outcome.append(function())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()

    def wait(timeout_s: float = 10.0) -> BaseException | object:
        thread.join(timeout_s)
        if thread.is_alive():
            raise AssertionError(f"still waiting after {timeout_s} s")
        return outcome[0]

    return wait
