"""A service in a process of its own: `serving_program.py HOME PORT [training]`. Prints its address; SIGTERM drains it.

A file policy.toml beside the home has the scheduler's settings.
"""

import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serving_harness import scripted

from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.policy_file import read_policy
from gradwire.services.service import Address, Service

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    launcher = (lambda home: LocalLauncher()) if sys.argv[3:] == ["training"] else scripted
    home = Path(sys.argv[1])
    settings = home.parent / "policy.toml"
    policy = read_policy(settings) if settings.exists() else None
    service = Service(home, launcher, Address("127.0.0.1", int(sys.argv[2])), policy=policy)
    print(service.start(), flush=True)
    # A signal that comes just as this thread lies down to wait does not wake it.
    while not stop.wait(0.2):
        pass
    service.stop()
