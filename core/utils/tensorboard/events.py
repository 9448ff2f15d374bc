"""TensorBoard's event files: records framed with checksums (TFRecord), each an Event in protocol buffers' wire format.

Only the fields that are written here are known; numbers and types of fields are those of tensorboard/compat/proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import IO, Any

__all__ = ["EventFile", "event", "field", "summary_value"]


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _table()


def _masked_checksum(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and offset as TFRecord has it."""
    crc = 0xFFFFFFFF
    table = _CRC32C
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number: int, value: Any, kind: str) -> bytes:
    """One field: kind is int, double, float, bytes (or text, or a message's bytes), or doubles (packed)."""
    if kind == "int":
        return _varint(number << 3) + _varint(int(value))
    if kind == "double":
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    if kind == "float":
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if kind == "doubles":
        value = struct.pack(f"<{len(value)}d", *value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def summary_value(tag: str, content: bytes, plugin: str = "", plugin_data: bytes = b"") -> bytes:
    """A Summary.Value: `content` is the field of its kind; plugin: which of TensorBoard's plugins shows it."""
    metadata = b""
    if plugin:
        inner = field(1, plugin, "bytes") + (field(2, plugin_data, "bytes") if plugin_data else b"")
        metadata = field(9, field(1, inner, "bytes"), "bytes")
    return field(1, tag, "bytes") + content + metadata


def event(wall_time: float, step: int | None, values: Iterable[bytes] = (), version: str = "") -> bytes:
    """An Event with the summary of `values`, or the first one of a file, which says the version."""
    data = field(1, wall_time, "double")
    if step:
        data += field(2, step, "int")
    if version:
        return data + field(3, version, "bytes")
    return data + field(5, b"".join(field(1, v, "bytes") for v in values), "bytes")


class EventFile:
    """Appends events to an open binary file."""

    def __init__(self, file: IO[bytes], wall_time: float) -> None:
        self._file = file
        self.write(event(wall_time, None, version="brain.Event:2"))

    def write(self, data: bytes) -> None:
        length = struct.pack("<Q", len(data))
        self._file.write(
            length
            + struct.pack("<I", _masked_checksum(length))
            + data
            + struct.pack("<I", _masked_checksum(data))
        )

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
