"""torch.get_num_threads and torch.set_num_threads: how many threads the linear algebra of NumPy runs on."""

from __future__ import annotations

from typing import Any

import threadpoolctl

__all__ = ["get_num_threads", "set_num_threads"]

_limits: list[Any] = []  # what threadpoolctl gave must live for as long as the limit shall hold


def get_num_threads() -> int:
    """Threads of the libraries that compute matrix products here; 1 where there is none that has several."""
    return max((int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()), default=1)


def set_num_threads(num: int) -> None:
    """Has these libraries use `num` threads in this process. Raises RuntimeError for less than one."""
    if isinstance(num, bool) or not hasattr(num, "__index__"):
        raise TypeError(f"set_num_threads expects an int, but got {type(num).__name__}")
    if num < 1:
        raise RuntimeError("set_num_threads expects a positive integer")
    _limits[:] = [threadpoolctl.threadpool_limits(int(num))]
