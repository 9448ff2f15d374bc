"""Reads .zip: files and folders, stored or deflated, that lie one after the other without gaps. Used by extraction.py.

What the directory at the end says of a member must be what stands before and after its bytes, so that no two readers see
two different archives. Format: PKWARE's APPNOTE 6.3.10.
"""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gradwire.services.archives.rules import CHUNK_BYTES, ArchiveError, Budget, Entry, decoded, shown

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_DIRECTORY_BYTES = 16 * 1024 * 1024
_COMMENT_BYTES = 65_535
_ALL_16, _ALL_32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13
_DESCRIPTOR, _PATCH, _UTF8 = 1 << 3, 1 << 5, 1 << 11
_STORED, _DEFLATED = 0, 8
_UNIX = 3


@dataclass(frozen=True, slots=True)
class _Member:
    raw_name: bytes
    name: str
    folder: bool
    flags: int
    method: int
    sum: int
    packed: int
    size: int
    offset: int


def read_zip(file: BinaryIO, budget: Budget) -> Iterator[Entry]:
    """The members in the order in which they lie. Raises ArchiveError."""
    members, end = _directory(file, budget)
    members.sort(key=lambda member: member.offset)
    offsets = [*(member.offset for member in members), end]
    at = 0
    for member, following in zip(members, offsets[1:], strict=True):
        if member.offset != at:
            raise ArchiveError(
                f"{shown(member.name)} overlaps another member, or lies after bytes that none owns"
            )
        budget.check_ratio(member.size, member.packed)
        data = _data_of(file, member)
        if data + member.packed > following:
            raise ArchiveError(f"{shown(member.name)} overlaps what follows it")
        yield Entry(
            member.name,
            member.folder,
            member.size,
            iter(()) if member.folder else _chunks(file, member, data),
        )
        _check_descriptor(file, member, data + member.packed, following)
        at = following
        budget.check_time()
    if at != end:
        raise ArchiveError("has bytes that belong to no member")


def _directory(file: BinaryIO, budget: Budget) -> tuple[list[_Member], int]:
    """The members as the directory tells them, and where the directory begins."""
    size = file.seek(0, os.SEEK_END)
    tail_at = max(0, size - _END.size - _COMMENT_BYTES)
    tail = _at(file, tail_at, size - tail_at)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise ArchiveError("is cut short: the directory at its end is missing")
    _, disk, first_disk, here, count, length, begin, comment = _END.unpack_from(tail, found)
    if found + _END.size + comment != len(tail):
        raise ArchiveError("has bytes after its end")
    if _ALL_16 in (here, count) or _ALL_32 in (length, begin):
        raise ArchiveError("is a zip64 archive: what is allowed here needs none, write a plain one")
    if disk or first_disk or here != count:
        raise ArchiveError("is one part of several")
    if count > budget.limits.entries:
        raise ArchiveError(f"holds more than {budget.limits.entries} files and folders")
    if begin + length != tail_at + found or length > _DIRECTORY_BYTES:
        raise ArchiveError("is damaged: its directory is not where its end says")
    body = _at(file, begin, length)
    members, at = [], 0
    for _ in range(count):
        member, at = _central(body, at)
        members.append(member)
    if at != len(body):
        raise ArchiveError("is damaged: its directory holds more members than it counts")
    return members, begin


def _central(body: bytes, at: int) -> tuple[_Member, int]:
    if len(body) - at < _CENTRAL.size:
        raise ArchiveError("is damaged: its directory holds fewer members than it counts")
    mark, made_by, _needed, flags, method, _time, _date, *rest = _CENTRAL.unpack_from(body, at)
    crc, packed, size, name_length, extra, comment, disk, _internal, attributes, offset = rest
    name_at = at + _CENTRAL.size
    following = name_at + name_length + extra + comment
    if mark != b"PK\x01\x02" or following > len(body):
        raise ArchiveError("is damaged: its directory breaks off")
    raw_name = body[name_at : name_at + name_length]
    # Info-ZIP on Unix writes names as the file system has them and does not say so.
    if not flags & _UTF8 and made_by >> 8 != _UNIX and not raw_name.isascii():
        raise ArchiveError(f"the name {raw_name[:80]!r} does not say that it is UTF-8")
    name = decoded(raw_name)
    if flags & _ENCRYPTED:
        raise ArchiveError(f"{shown(name)} is encrypted")
    if flags & _PATCH or method not in (_STORED, _DEFLATED):
        raise ArchiveError(
            f"{shown(name)} is packed by method {method}: only stored and deflated ones are read"
        )
    if disk or _ALL_32 in (packed, size, offset):
        raise ArchiveError(f"{shown(name)} needs zip64 or another disk: what is allowed here needs neither")
    folder = name.endswith("/")
    kind = stat.S_IFMT(attributes >> 16) if made_by >> 8 == _UNIX else 0
    if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
        what = "a symbolic link" if kind == stat.S_IFLNK else "no plain file or folder"
        raise ArchiveError(f"{shown(name)} is {what}: only plain files and folders are taken")
    if folder and (size or packed > 2):
        raise ArchiveError(f"{shown(name)} is a folder with {size} bytes of its own")
    if method == _STORED and packed != size:
        raise ArchiveError(f"{shown(name)} is stored, and has two sizes: {packed} and {size}")
    return _Member(raw_name, name, folder, flags, method, crc, packed, size, offset), following


def _data_of(file: BinaryIO, member: _Member) -> int:
    """Where a member's bytes begin. Raises ArchiveError where its own header says other things than the directory."""
    mark, _needed, flags, method, _time, _date, crc, packed, size, name_length, extra_length = _LOCAL.unpack(
        _at(file, member.offset, _LOCAL.size)
    )
    rest = _at(file, member.offset + _LOCAL.size, name_length + extra_length)
    name, extra = rest[:name_length], rest[name_length:]
    if packed == size == _ALL_32 and (long_sizes := _zip64_sizes(extra)) is not None:
        # Some writers make room for large files before they know that one is small.
        size, packed = long_sizes
    told, known = (crc, packed, size), (member.sum, member.packed, member.size)
    unknown = bool(flags & _DESCRIPTOR) and told == (0, 0, 0)
    same = mark == b"PK\x03\x04" and name == member.raw_name and flags == member.flags
    if not same or method != member.method or not (unknown or told == known):
        raise ArchiveError(f"{shown(member.name)} is another member in its own header than in the directory")
    return member.offset + _LOCAL.size + len(rest)


def _zip64_sizes(extra: bytes) -> tuple[int, int] | None:
    """The size and the packed size of the zip64 field of a local header."""
    at = 0
    while len(extra) - at >= 4:
        key, length = struct.unpack_from("<2H", extra, at)
        if key == 1 and length == 16 and len(extra) - at >= 20:
            size, packed = struct.unpack_from("<2Q", extra, at + 4)
            return size, packed
        at += 4 + length
    return None


def _chunks(file: BinaryIO, member: _Member, data: int) -> Iterator[bytes]:
    """The bytes of a file, of the size and sum that the directory says."""
    inflate = zlib.decompressobj(wbits=-15) if member.method == _DEFLATED else None
    read = came = crc = 0
    waiting = b""
    while came < member.size or (inflate is not None and not inflate.eof):
        if not waiting:
            waiting = _at(file, data + read, min(CHUNK_BYTES, member.packed - read))
            read += len(waiting)
            if not waiting:
                raise ArchiveError(f"{shown(member.name)} is cut short")
        out, waiting = _unpacked(inflate, waiting, member)
        came += len(out)
        crc = zlib.crc32(out, crc)
        if came > member.size:
            raise ArchiveError(f"{shown(member.name)} unpacks to more than the {member.size} bytes it names")
        if out:
            yield out
    if read != member.packed or waiting or (inflate is not None and inflate.unused_data):
        raise ArchiveError(f"{shown(member.name)} has bytes after its end")
    if came != member.size or crc != member.sum:
        raise ArchiveError(f"{shown(member.name)} is damaged: its size or its sum is wrong")


def _unpacked(inflate: "zlib._Decompress | None", waiting: bytes, member: _Member) -> tuple[bytes, bytes]:
    if inflate is None:
        return waiting, b""
    try:
        out = inflate.decompress(waiting, CHUNK_BYTES)
    except zlib.error as error:
        raise ArchiveError(f"{shown(member.name)} is damaged ({error})") from None
    return out, inflate.unconsumed_tail


def _check_descriptor(file: BinaryIO, member: _Member, at: int, following: int) -> None:
    """What may stand between a member's bytes and the next one: its sum and sizes once more, where its header left them out."""
    gap = _at(file, at, following - at) if following - at <= 24 else b"?"
    if not member.flags & _DESCRIPTOR:
        if gap:
            raise ArchiveError(f"there are bytes after {shown(member.name)} that no member owns")
        return
    told = gap[4:] if gap.startswith(b"PK\x07\x08") and len(gap) in (16, 24) else gap
    sizes = {12: "<3L", 20: "<L2Q"}.get(len(told))
    if sizes is None or struct.unpack(sizes, told) != (member.sum, member.packed, member.size):
        raise ArchiveError(f"{shown(member.name)} has another sum or size behind it than in the directory")


def _at(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    body = file.read(size)
    if len(body) != size:
        raise ArchiveError("is cut short")
    return body
