"""Files that hold a secret: made for their owner's eyes alone, refused where others can read them."""

import os
import secrets
import stat
from pathlib import Path

SIZE_LIMIT = 65_536


class SecretFileError(Exception):
    """A file of a secret can't be used; the message says what to do."""


def check_new(path: Path | None) -> None:
    """Raises SecretFileError where there is something at `path`."""
    if path is not None and path.exists():
        raise SecretFileError(f"{path} exists already: name a new file")


def write_secret(path: Path, secret: str) -> None:
    """Writes a new file. Raises SecretFileError where it exists, OSError where it can't be written."""
    try:
        _write(path, secret + "\n")
    except FileExistsError:
        raise SecretFileError(f"{path} exists already: name a new file") from None


def replace_file(path: Path, text: str) -> None:
    """Writes a file in the place of another, whole or not at all. Raises OSError."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _write(aside, text)
    aside.rename(path)


def read_private(path: Path) -> bytes:
    """A file of a secret. Raises SecretFileError where others can read it too, OSError where it can't be read."""
    with open(path, "rb") as source:
        # Of the open file, so that it can't be another one when it is read.
        if (mode := stat.S_IMODE(os.fstat(source.fileno()).st_mode)) & 0o077:
            raise SecretFileError(f"{path} can be read by others (mode {mode:03o}): chmod 600 {path}")
        return source.read(SIZE_LIMIT)


def read_secret(path: Path) -> str:
    """The line of such a file; see read_private."""
    return read_private(path).decode(errors="replace").strip()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(descriptor)
