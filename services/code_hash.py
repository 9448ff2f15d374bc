"""The canonical bytes of a program, and their sha256: one value for the same files, however they were sent. Used by store.py, programs.py."""

import hashlib
from dataclasses import replace

from gradwire.services import messages
from gradwire.services import records as r


def encode_code(code: r.Code) -> tuple[bytes, str]:
    """A program in canonical bytes (files in path order) and their sha256 in hex."""
    ordered = replace(code, files=tuple(sorted(code.files, key=lambda file: file.path)))
    body = messages.code_to_message(ordered).SerializeToString(deterministic=True)
    return body, hashlib.sha256(body).hexdigest()


class CodeHash:
    """The same sha256 for files that are too large to be held: give them in path order, each whole before the next."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def file(self, path: str, size: int) -> None:
        """Begins a file of `size` bytes, which `content` is to be given next."""
        # gradwire.v1.Code in protobuf's wire format: field 1, a message of path (1) and content (2), which is left out when empty.
        name = path.encode()
        head = b"\x0a" + _varint(len(name)) + name
        if size:
            head += b"\x12" + _varint(size)
        self._digest.update(b"\x0a" + _varint(len(head) + size) + head)

    def content(self, chunk: bytes) -> None:
        """The next bytes of the file."""
        self._digest.update(chunk)

    def sha256(self, entrypoint: str) -> str:
        """Of all files with this job file, hex; more may follow for another."""
        whole = self._digest.copy()
        name = entrypoint.encode()
        whole.update(b"\x12" + _varint(len(name)) + name if name else b"")
        return whole.hexdigest()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
