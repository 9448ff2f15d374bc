"""Archives made for tests: honest ones by the standard library, hostile ones byte by byte."""

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

FILES: Mapping[str, bytes] = {
    "job.py": b"print('hello')\n" * 20,
    "pkg/__init__.py": b"",
    "pkg/deep/er/model.py": b"x = 1\n",
    "data/table.csv": bytes(range(256)) * 3000,
    "caf\u00e9/\u540d\u524d.txt": "\u00fc".encode(),
}


def tar(
    members: Sequence[tuple[tarfile.TarInfo, bytes]],
    form: int = tarfile.PAX_FORMAT,
    pax: Mapping[str, str] | None = None,
) -> bytes:
    """A tar archive of these headers, as they are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers=pax) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, **fields: object
) -> tuple[tarfile.TarInfo, bytes]:
    """One member for `tar`; `fields` are those of TarInfo."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content if kind == tarfile.REGTYPE else b""


def tar_of(files: Mapping[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """An honest tar archive."""
    return tar([member(name, content) for name, content in files.items()], form)


def tar_gz_of(files: Mapping[str, bytes]) -> bytes:
    """An honest .tar.gz."""
    return gzip.compress(tar_of(files), mtime=0)


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED, streamed: bool = False) -> bytes:
    """An honest .zip; `streamed` ones have their sums and sizes behind the bytes."""
    out = _Unseekable() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def zip_member(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> bytes:
    """A .zip of one member with this Unix mode."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return out.getvalue()


class _Unseekable(io.RawIOBase):
    def __init__(self) -> None:
        self._out = io.BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._out.write(bytes(data))  # type: ignore[call-overload]

    def getvalue(self) -> bytes:
        return self._out.getvalue()


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below a folder: its kind and permissions, and its bytes or where it points."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        body = b""
        if stat.S_ISREG(status.st_mode):
            body = path.read_bytes()
        elif stat.S_ISLNK(status.st_mode):
            body = str(path.readlink()).encode()
        found[path.relative_to(folder).as_posix()] = (status.st_mode, body)
    return found
