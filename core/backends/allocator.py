"""Keeps freed memory in a process that trains: a step needs the same large arrays as the one before it.

By default the C library gives large arrays back to the system when they are freed, and each new one costs a page fault for
every 4 KiB that is first touched. Measured on a step of a GPT of 4 layers x 128: 9,250 faults and 127 ms, and 2 and 105 ms so.
"""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_LARGEST = 2**31 - 1
_OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

done = False  # asked by every backward pass


def keep_freed_memory() -> bool:
    """For the process's whole life; False where the C library has no such switch, or the user has set it by its variables."""
    global done
    done = True
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _OWN_CHOICE):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    options = ((_TRIM_THRESHOLD, _LARGEST), (_TOP_PAD, 64 << 20), (_MMAP_THRESHOLD, 1 << 30))
    return all(mallopt(option, value) == 1 for option, value in options)
