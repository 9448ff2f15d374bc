"""A web server of a folder that gives ranges of bytes and counts them."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


class Web:
    """sent: bytes of bodies, by the header X-Reader; requests: how many, by the same; asked: ranges, with who asked for them.

    failing: answers 503 to every third. etags: tells versions.
    """

    def __init__(self, folder: Path, ranges: bool = True, failing: bool = False, etags: bool = True) -> None:
        self.sent: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.asked: list[tuple[str, int, int]] = []
        lock, count = threading.Lock(), iter(range(1, 1 << 60))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(False)

            def do_GET(self) -> None:
                self._answer(True)

            def _answer(self, body: bool) -> None:
                with lock:
                    fails = failing and body and next(count) % 3 == 0
                path = folder / urlsplit(self.path).path.lstrip("/")
                if fails or not path.is_file():
                    self.send_response(503 if fails else 404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                size, place = (
                    path.stat().st_size,
                    re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")),
                )
                start, stop, status = 0, size, 200
                if place and ranges and body:
                    start, stop, status = int(place[1]), min(int(place[2]) + 1, size), 206
                self.send_response(status)
                self.send_header("Content-Length", str(stop - start))
                if etags:
                    self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
                self.end_headers()
                if body:
                    with open(path, "rb") as file:
                        file.seek(start)
                        self.wfile.write(file.read(stop - start))
                    with lock:
                        self_of.sent[self.headers.get("X-Reader", "")] += stop - start
                        self_of.requests[self.headers.get("X-Reader", "")] += 1
                        if status == 206:
                            self_of.asked.append((self.headers.get("X-Reader", ""), start, stop))

        self_of = self
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def web(folder: Path, **options: bool) -> Iterator[Web]:
    server = Web(folder, **options)
    try:
        yield server
    finally:
        server.close()
