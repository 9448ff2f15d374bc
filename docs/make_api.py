"""Writes docs/api.md: every method, message and value of the API, from the .proto files' comments.

    python docs/make_api.py            writes the reference
    python docs/make_api.py --check    fails where the one on disk is out of date

What there is, and of which type, comes from the descriptors of the generated code; the words come from the comment before
each declaration. One without a comment is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
)

from gradwire.proto.v1 import accounts_pb2, blobs_pb2, jobs_pb2
from gradwire.services.security.gate import scopes_of_methods

DOCS = Path(__file__).parent
REFERENCE = DOCS / "api.md"
PROTO = DOCS.parent / "proto"
FILES: tuple[FileDescriptor, ...] = (jobs_pb2.DESCRIPTOR, blobs_pb2.DESCRIPTOR, accounts_pb2.DESCRIPTOR)

_OPENS = re.compile(r"(?:service|message|enum|oneof) (\w+) \{")
_RPC = re.compile(r"rpc (\w+)\(")
_VALUE = re.compile(r"(?:[\w.<>, ]+ )?(\w+) = \d+(?: \[.*\])?;")
_TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_") and name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}


def comments(text: str) -> dict[str, str]:
    """The words before each declaration of a .proto file, by its path in it (Job.state); those of the file itself by ''."""
    found: dict[str, str] = {}
    scope: list[tuple[str, bool]] = []
    words: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("//"):
            words.append(line.removeprefix("//").strip())
            continue
        name = None
        if opened := _OPENS.match(line):
            name = opened.group(1)
        elif declared := _RPC.match(line) or _VALUE.match(line):
            name = declared.group(1)
        if name is not None or line.startswith("syntax"):
            # A oneof is no scope of names: its fields are its message's.
            path = ".".join([*(outer for outer, names in scope if names), *([name] if name else [])])
            found[path] = "\n".join(words).strip()
        if opened and not line.endswith("}"):
            scope.append((opened.group(1), not line.startswith("oneof")))
        elif line == "}":
            scope.pop()
        words = []
    return found


def paragraph(text: str) -> str:
    """Words as one line; empty lines part paragraphs."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text))


class Words:
    """The comments of all files. Raises LookupError for a declaration without one."""

    def __init__(self) -> None:
        self._found = {file.name: comments((PROTO / file.name).read_text(encoding="utf-8")) for file in FILES}

    def of(self, file: FileDescriptor, path: str) -> str:
        """The words before a declaration."""
        text = self._found[file.name].get(path, "")
        if not text:
            raise LookupError(f"{file.name}: {path or 'the file'} has no comment")
        return paragraph(text)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def type_of(field: FieldDescriptor) -> str:
    """A field's type, with links to what is described here."""
    if field.message_type is not None:
        message = field.message_type
        if message.GetOptions().map_entry:
            key, value = message.fields_by_name["key"], message.fields_by_name["value"]
            return f"map of {type_of(key)} to {type_of(value)}"
        name = message.name if message.file.package != "gradwire.v1" else _link(message.name)
    elif field.enum_type is not None:
        name = _link(field.enum_type.name)
    else:
        name = _TYPES[field.type]
    if field.is_repeated:
        return f"list of {name}"
    if field.containing_oneof is None:
        return name
    # An optional field is the only one of a oneof that protobuf makes for it.
    optional = len(field.containing_oneof.fields) == 1
    return f"{name}, may be unset" if optional else f"{name}, one of {field.containing_oneof.name}"


def _cell(text: str) -> str:
    return text.replace("\n\n", " ").replace("|", "\\|")


def method_lines(words: Words, method: MethodDescriptor) -> Iterator[str]:
    """A method: what it takes, gives and asks for."""
    service = method.containing_service
    scope = scopes_of_methods().get(f"/{service.full_name}/{method.name}")
    yield f"### {method.name}"
    yield ""
    yield words.of(service.file, f"{service.name}.{method.name}")
    yield ""
    taken = "a stream of " * method.client_streaming + _link(method.input_type.name)
    given = "a stream of " * method.server_streaming + _link(method.output_type.name)
    asked = f" A token needs the scope {scope.name.lower()}." if scope is not None else ""
    yield f"Takes {taken}, answers {given}.{asked}"
    yield ""


def message_lines(words: Words, message: Descriptor) -> Iterator[str]:
    """A message and its fields."""
    yield f"### {message.name}"
    yield ""
    yield words.of(message.file, message.name)
    yield ""
    if message.fields:
        yield "| field | type | |"
        yield "|---|---|---|"
        for field in message.fields:
            said = _cell(words.of(message.file, f"{message.name}.{field.name}"))
            yield f"| `{field.name}` | {type_of(field)} | {said} |"
        yield ""


def enum_lines(words: Words, enum: EnumDescriptor) -> Iterator[str]:
    """An enumeration and its values."""
    yield f"### {enum.name}"
    yield ""
    yield words.of(enum.file, enum.name)
    yield ""
    yield "| value | number | |"
    yield "|---|---|---|"
    for value in enum.values:
        said = _cell(words.of(enum.file, f"{enum.name}.{value.name}"))
        yield f"| `{value.name}` | {value.number} | {said} |"
    yield ""


def reference() -> str:
    """The whole text."""
    words = Words()
    lines = [
        "# Reference of the API",
        "",
        "Made by `docs/make_api.py` from the comments of `proto/gradwire/v1/*.proto`; do not edit. [grpc.md](grpc.md) says how to "
        "use it.",
        "",
    ]
    for file in FILES:
        for service in file.services_by_name.values():
            lines += [f"## {service.name}", "", words.of(file, ""), "", words.of(file, service.name), ""]
            for method in service.methods:
                lines += method_lines(words, method)
    for file in FILES:
        service = next(iter(file.services_by_name))
        lines += [f"## Messages of {service}", ""]
        for message in file.message_types_by_name.values():
            lines += message_lines(words, message)
        for enum in file.enum_types_by_name.values():
            lines += enum_lines(words, enum)
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    """Writes or checks the reference."""
    text = reference()
    if sys.argv[1:] == ["--check"]:
        if not REFERENCE.exists() or REFERENCE.read_text(encoding="utf-8") != text:
            print("docs/api.md is out of date: run python docs/make_api.py", file=sys.stderr)
            return 1
        return 0
    REFERENCE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
