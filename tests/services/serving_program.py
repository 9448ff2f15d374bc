"""A service in a process of its own: `serving_program.py HOME PORT [training]`. Prints its address; SIGTERM drains it."""

import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serving_harness import scripted

from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.service import Address, Service

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    launcher = (lambda home: LocalLauncher()) if sys.argv[3:] == ["training"] else scripted
    service = Service(Path(sys.argv[1]), launcher, Address("127.0.0.1", int(sys.argv[2])))
    print(service.start(), flush=True)
    # A signal that comes just as this thread lies down to wait does not wake it.
    while not stop.wait(0.2):
        pass
    service.stop()
