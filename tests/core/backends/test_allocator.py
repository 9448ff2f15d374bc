"""What a process that trains does with memory that was freed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import gradwire

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        kept = [gradwire.ones(512, 1024) for _ in range(20)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

x = gradwire.ones(3, requires_grad=True)
x.sum().backward()
faults()
print(faults())
"""


def _faults(**environment: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the switch is the GNU C library's")
def test_after_a_backward_pass_large_arrays_come_from_memory_that_was_freed():
    assert _faults() < 2000  # of 100,000 pages


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the switch is the GNU C library's")
def test_what_the_user_set_for_the_c_library_stays():
    assert _faults(MALLOC_MMAP_THRESHOLD_="100000") > 50_000
