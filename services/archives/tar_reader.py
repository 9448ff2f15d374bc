"""Reads .tar and .tar.gz: POSIX and GNU headers of files and folders, nothing else. Used by extraction.py.

Every byte of the archive is accounted for: what no header announces is an error, and so is a missing end. Header: POSIX.1-2017,
pax, "ustar Interchange Format"; gzip: RFC 1952.
"""

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from gradwire.services.archives.rules import CHUNK_BYTES, ArchiveError, Budget, Entry, decoded, shown

BLOCK = 512
_EXTENSION_BYTES = 64 * 1024
_ZEROS = bytes(BLOCK)
_OCTAL = re.compile(rb" *([0-7]*)[ \0]*\Z")
_NUMBER = re.compile(rb"[0-9]{1,19}\Z")
_UTF8 = b"ISO-IR 10646 2000 UTF-8"
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"K": "a link",
    b"S": "a sparse file",
}


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Gunzip:
    """The bytes of a gzip file of one member, to its very end."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self._inflate = zlib.decompressobj(wbits=31)
        self._waiting = b""
        self._packed = self._unpacked = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, b"" at the end. Raises ArchiveError."""
        while not self._inflate.eof:
            if not self._waiting:
                self._waiting = self._file.read(CHUNK_BYTES)
                self._packed += len(self._waiting)
                if not self._waiting:
                    raise ArchiveError("is cut short: the end of its gzip data is missing")
            try:
                out = self._inflate.decompress(self._waiting, size)
            except zlib.error as error:
                raise ArchiveError(f"has damaged gzip data ({error})") from None
            self._waiting = self._inflate.unconsumed_tail
            self._unpacked += len(out)
            self._budget.check_ratio(self._unpacked, self._packed)
            self._budget.check_time()
            if self._inflate.eof and (self._inflate.unused_data or self._file.read(1)):
                raise ArchiveError("has bytes after the end of its gzip data")
            if out:
                return out
        return b""


def read_tar(source: _Source, budget: Budget) -> Iterator[Entry]:
    """The members in the order of the archive. Raises ArchiveError."""
    headers = 0
    path: bytes | None = None
    size_told: int | None = None
    while True:
        header = _exactly(source, BLOCK)
        budget.check_time()
        if header == _ZEROS:
            if path is not None or size_told is not None:
                raise ArchiveError("ends after an extension of a member that is not there")
            _end(source, budget)
            return
        headers += 1
        if headers > 4 * budget.limits.entries:
            raise ArchiveError(f"holds more than {budget.limits.entries} files and folders")
        kind, name, size = _parsed(header)
        if kind in (b"x", b"g", b"L"):
            if size > _EXTENSION_BYTES:
                raise ArchiveError(f"has an extended header of {size} bytes")
            body = _exactly(source, size)
            _padding(source, size)
            if kind == b"L":
                if path is not None or not body.endswith(b"\0") or b"\0" in body[:-1]:
                    raise ArchiveError("has a damaged long name")
                path = body[:-1]
                continue
            told = _pax(body)
            if kind == b"g":
                if told:
                    raise ArchiveError("names one path or size for all of its members")
                continue
            if (path is not None and b"path" in told) or (size_told is not None and b"size" in told):
                raise ArchiveError("names a member twice in its extended headers")
            path = told.get(b"path", path)
            if b"size" in told:
                size_told = int(told[b"size"])
            continue
        text = decoded(name if path is None else path)
        if kind not in (b"0", b"\0", b"5"):
            raise ArchiveError(
                f"{shown(text)} is {_KINDS.get(kind, f'of the kind {kind!r}')}: only plain files and folders are taken"
            )
        if size_told not in (None, size):
            raise ArchiveError(f"{shown(text)} has two sizes: {size} and {size_told}")
        path = size_told = None
        if kind == b"5":
            if size:
                raise ArchiveError(f"{shown(text)} is a folder with {size} bytes of its own")
            yield Entry(text, True, 0, iter(()))
            continue
        yield Entry(text, False, size, _chunks(source, size))
        _padding(source, size)


def _parsed(header: bytes) -> tuple[bytes, bytes, int]:
    """Kind, name and size of a header whose sum is right."""
    posix = header[257:265] == b"ustar\x0000"
    if not posix and header[257:265] != b"ustar  \0":
        raise ArchiveError("is no tar archive, or damaged: a header is not where it should be")
    told = _number(header[148:156])
    if told != sum(header[:148]) + 8 * 0x20 + sum(header[156:]):
        raise ArchiveError("is damaged: the sum of a header is wrong")
    name = _text(header[:100])
    # GNU's headers have other things where POSIX has the prefix.
    if posix and (prefix := _text(header[345:500])):
        name = prefix + b"/" + name
    return header[156:157], name, _number(header[124:136])


def _text(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise ArchiveError(f"the name {text[:80]!r} goes on after its end")
    return text


def _number(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    found = _OCTAL.match(field)
    if found is None:
        raise ArchiveError(f"is damaged: {field!r} is no number")
    return int(found[1] or b"0", 8)


def _pax(body: bytes) -> dict[bytes, bytes]:
    """The records that matter here, path and size, of an extended header."""
    told: dict[bytes, bytes] = {}
    seen: set[bytes] = set()
    while body:
        digits, space, _ = body[:20].partition(b" ")
        length = int(digits) if space and _NUMBER.match(digits) else 0
        record = body[len(digits) + 1 : length]
        if not len(digits) + 1 < length <= len(body) or not record.endswith(b"\n") or b"=" not in record:
            raise ArchiveError("has a damaged extended header")
        key, _, value = record[:-1].partition(b"=")
        if key in seen:
            raise ArchiveError(f"has {key[:40]!r} twice in one extended header")
        seen.add(key)
        if key == b"linkpath" or key.startswith(b"GNU.sparse."):
            raise ArchiveError("holds a link or a sparse file: only plain files and folders are taken")
        if key == b"hdrcharset" and value != _UTF8:
            raise ArchiveError(f"has names that are not UTF-8 ({value[:40]!r})")
        if key == b"size" and not _NUMBER.match(value):
            raise ArchiveError(f"is damaged: {value[:40]!r} is no size")
        if key in (b"path", b"size"):
            told[key] = value
        body = body[length:]
    return told


def _chunks(source: _Source, size: int) -> Iterator[bytes]:
    left = size
    while left > 0:
        chunk = source.read(min(CHUNK_BYTES, left))
        if not chunk:
            raise ArchiveError("is cut short")
        left -= len(chunk)
        yield chunk


def _exactly(source: _Source, size: int) -> bytes:
    return b"".join(_chunks(source, size))


def _padding(source: _Source, size: int) -> None:
    if _exactly(source, -size % BLOCK).strip(b"\0"):
        raise ArchiveError("is damaged: there are bytes between its members")


def _end(source: _Source, budget: Budget) -> None:
    """Two empty blocks, and more of them to the end."""
    rest = _exactly(source, BLOCK)
    while rest:
        if rest.strip(b"\0"):
            raise ArchiveError("has bytes after its end")
        budget.check_time()
        rest = source.read(CHUNK_BYTES)
