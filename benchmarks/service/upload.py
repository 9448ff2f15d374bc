"""How fast a file is uploaded over loopback: `python benchmarks/service/upload.py [--megabytes 100]`.

The service runs in a process of its own; its answer means that the bytes are checked against their sha256 and on disk. Beside it,
in the same run, what the same bytes take over a plain socket into a process that hashes, writes and syncs them. `upload` is what a
user waits for, the client's own hashing of the file included; `stream` leaves that out. Prints one line of JSON.
"""

import hashlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness.served import arguments, machine, new_home, served

from gradwire.services.client import Client
from gradwire.services.security.access import Access

SOCKET = """
import hashlib, os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    peer, _ = listener.accept()
    digest, buffer = hashlib.sha256(), bytearray(3 * 1024 * 1024)
    with open(sys.argv[1] + "/copy", "wb") as out:
        while got := peer.recv_into(buffer):
            digest.update(memoryview(buffer)[:got])
            out.write(memoryview(buffer)[:got])
        out.flush()
        os.fsync(out.fileno())
    peer.sendall(digest.digest())
    peer.close()
"""


def over_socket(port: int, path: Path) -> None:
    """Sends the file and waits for its sum."""
    with socket.create_connection(("127.0.0.1", port)) as peer, open(path, "rb") as file:
        while chunk := file.read(3 * 1024 * 1024):
            peer.sendall(chunk)
        peer.shutdown(socket.SHUT_WR)
        assert len(peer.recv(32)) == 32


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    size = options.megabytes * 1_000_000
    uploads, streams, peers = [], [], []
    with new_home(options) as folder, served(folder / "home") as service:
        source = folder / "source"
        plain = subprocess.Popen(
            [sys.executable, "-c", SOCKET, str(folder)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert plain.stdout is not None
            port = int(plain.stdout.readline())
            with Client(service.address, access=Access()) as client:
                for _ in range(options.repeats):
                    source.write_bytes(os.urandom(size))
                    began = time.perf_counter()
                    sha256 = client.upload(source)
                    uploads.append(time.perf_counter() - began)
                    began = time.perf_counter()
                    with open(source, "rb") as file:
                        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
                    streams.append(uploads[-1] - (time.perf_counter() - began))
                    client.delete_blob(sha256)
                    began = time.perf_counter()
                    over_socket(port, source)
                    peers.append(time.perf_counter() - began)
        finally:
            plain.kill()
            plain.wait()
        where = machine(folder)
    speeds = {
        name: round(size / 1e6 / statistics.median(seconds), 1)
        for name, seconds in (("upload", uploads), ("stream", streams), ("socket", peers))
    }
    told = {
        "megabytes": options.megabytes,
        **{f"{name}_mb_per_s": speed for name, speed in speeds.items()},
        "of_socket": round(speeds["stream"] / speeds["socket"], 2),
        "slowest_upload_mb_per_s": round(size / 1e6 / max(uploads), 1),
    }
    print(json.dumps({**told, **where}))


if __name__ == "__main__":
    main()
