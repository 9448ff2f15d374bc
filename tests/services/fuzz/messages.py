"""Random requests made from the descriptors of gradwire.v1, in bytes: some nearly right, some wild, some no message at all."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

DEPTH = 5
TEXTS = (
    "",
    "x",
    "a" * 65,
    "b" * 5000,
    "é" * 300,
    "\0",
    "a\0b",
    "\n\r\t",
    "../../etc/passwd",
    "/abs",
    "C:\\x",
    "%s%n{0}",
    "'; DROP TABLE jobs; --",
    "[bold]x[/bold]",
    "\u202etxt.exe",
    "\u0000\u0001\u007f\u0085\u2028",
    "\U0001f600",
    "\ufeff",
    "e\u0301",
    "None",
    "-1",
    "1e999",
    "nan",
    "owner = 'x' AND (",
    "state = QUEUED OR NOT labels.a:*",
    "0" * 64,
    "f" * 64,
    "00000000-0000-4000-8000-000000000000",
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, float("nan"), float("inf"), float("-inf"), 1e308, 5e-324, 1e-300)
WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}

Known = Mapping[str, Sequence[Any]]
"""Values that mean something to the service, by the name of the field: {"job_id": ["digits-…"]}."""


class Maker:
    """Makes requests from one source of chance. `known`: see Known; `whole`: makers of messages that are right, by type."""

    def __init__(
        self, chance: random.Random, known: Known, whole: Mapping[str, Callable[[random.Random], Message]]
    ) -> None:
        self._chance, self._known, self._whole = chance, known, whole

    def request(self, kind: Descriptor) -> bytes:
        """One request of this type, or what is none."""
        chance = self._chance
        how = chance.random()
        if how < 0.05:
            return chance.randbytes(chance.choice((1, 2, 7, 60, 3000)))
        body: bytes = self.message(kind).SerializePartialToString()
        if how < 0.15:
            return self._damaged(body)
        if how < 0.25:
            # Fields that this version does not know, and one that it knows with another wire type.
            return body + chance.choice(
                (b"\xc2\xf4\x03\x03abc", b"\xc0\xf4\x03\x01", b"\x0d\1\2\3\4", b"\x0b\x0c")
            )
        return body

    def _damaged(self, body: bytes) -> bytes:
        chance, changed = self._chance, bytearray(body or b"\x0a\x01a")
        match chance.randrange(4):
            case 0:
                del changed[chance.randrange(len(changed)) :]
            case 1:
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            case 2:
                # Text that is not UTF-8, wherever it falls.
                at = chance.randrange(len(changed))
                changed[at : at + 2] = b"\xff\xfe"
            case _:
                changed *= 2
        return bytes(changed)

    def message(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message of this type with random fields."""
        chance = self._chance
        if kind.full_name in self._whole and chance.random() < 0.7:
            right = self._whole[kind.full_name](chance)
            if chance.random() < 0.5:
                self._fill(right, chance.choice(kind.fields), depth)
            return right
        made: Message = GetMessageClass(kind)()
        # Few fields or nearly all: both find other paths.
        share = chance.choice((0.15, 0.5, 0.9))
        for field in kind.fields:
            if chance.random() < (0.95 if field.name in self._known else share):
                self._fill(made, field, depth)
        return made

    def _fill(self, made: Any, field: FieldDescriptor, depth: int) -> None:
        chance = self._chance
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            key, value = inner.fields_by_name["key"], inner.fields_by_name["value"]
            target = getattr(made, field.name)
            for k in range(self._count()):
                name = self._scalar(key)
                name = f"k{k}" if key.type == FieldDescriptor.TYPE_STRING and chance.random() < 0.7 else name
                if value.message_type is None:
                    target[name] = self._scalar(value)
                else:
                    target[name].CopyFrom(self.message(value.message_type, depth + 1))
        elif field.is_repeated:
            target = getattr(made, field.name)
            for _ in range(self._count()):
                if inner is None:
                    target.append(self._scalar(field))
                elif depth < DEPTH:
                    target.add().CopyFrom(self.message(inner, depth + 1))
        elif inner is None:
            setattr(made, field.name, self._scalar(field))
        elif depth < DEPTH:
            getattr(made, field.name).CopyFrom(self.message(inner, depth + 1))

    def _count(self) -> int:
        return self._chance.choice(
            (0, 1, 1, 1, 2, 2, 3, 5, 5, 300) if self._chance.random() < 0.1 else (0, 1, 1, 2, 3)
        )

    def _scalar(self, field: FieldDescriptor) -> Any:
        chance = self._chance
        known = self._known.get(field.name)
        if known and chance.random() < 0.8:
            return chance.choice(known)
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return chance.randbytes(chance.choice((0, 1, 30, 2000)))
            case FieldDescriptor.CPPTYPE_STRING:
                return chance.choice(TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return chance.random() < 0.5
            case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
                return chance.choice((*FLOATS, chance.uniform(-10, 10)))
            case FieldDescriptor.CPPTYPE_ENUM:
                # Enums are open: numbers that no name is given to come too.
                return chance.choice((*(value.number for value in field.enum_type.values), 99, -1, 2**31 - 1))
            case kind:
                low, high = WHOLE[kind]
                near = (0, 1, 2, 3, 8, 100, low, high, low + 1, high - 1, chance.randint(low, high))
                return max(low, chance.choice((*near, -1)))
