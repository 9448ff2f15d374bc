"""For all tests: Ctrl-C reaches the processes that they start, also where a shell runs the tests in the background."""

from __future__ import annotations

import signal

# A shell's background jobs begin with SIGINT ignored, and children inherit that; a handler they don't.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
