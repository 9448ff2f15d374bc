"""What a URL of data says: where it is, its format, which columns; and how it is told of without its secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["FORMATS", "DataError", "Named", "masked", "named", "scrubbed"]

FORMATS = ("npy", "npz", "safetensors", "parquet", "jsonl")
_SUFFIXES = {
    ".npy": "npy", ".npz": "npz", ".safetensors": "safetensors", ".parquet": "parquet", ".pq": "parquet",
    ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}
_FRAGMENT = re.compile(r"(?:[a-z]+|columns=[^&#]+)(?:&(?:[a-z]+|columns=[^&#]+))*\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


class DataError(Exception):
    """Data that was named by URL can't be had; the message is one sentence with the URL, its secrets left out."""


@dataclass(frozen=True)
class Named:
    """A URL taken apart. `location`: without its fragment; format: "" where the file's name is to tell it."""

    location: str
    format: str = ""
    columns: tuple[str, ...] | None = None


def named(url: str) -> Named:
    """Takes the fragment off: `#npz`, `#columns=x,y` or both, joined by &. Anything else after a # is part of the name."""
    location, mark, fragment = url.rpartition("#")
    if not mark or not _FRAGMENT.match(fragment):
        return Named(url)
    kind, columns = "", None
    for item in fragment.split("&"):
        key, equals, value = item.partition("=")
        if equals:
            columns = tuple(name.strip() for name in value.split(","))
            if not all(columns) or len(set(columns)) != len(columns):
                raise DataError(
                    f"{masked(url)}: columns={value}: expected different names, separated by commas"
                )
        elif key in FORMATS:
            kind = key
        else:
            raise DataError(f"{masked(url)}: #{key} is no format; expected one of {', '.join(FORMATS)}")
    return Named(location, kind, columns)


def scheme_of(location: str) -> str:
    """The scheme of a URL, "" for a plain path."""
    found = _SCHEME.match(location)
    return found[1].lower() if found else ""


def format_of(location: str) -> tuple[str, str]:
    """(format, compression) by the name of a file; "" where it says none."""
    path = PurePosixPath(location.partition("?")[0] if scheme_of(location) in ("http", "https") else location)
    compression = COMPRESSIONS.get(path.suffix.lower(), "")
    if compression:
        path = path.with_suffix("")
    return _SUFFIXES.get(path.suffix.lower(), ""), compression


def masked(url: str) -> str:
    """The URL without user, password and the values of its query: what messages, logs and receipts say."""
    return "::".join(_masked(part) for part in url.split("::"))


def _masked(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = "***@" + authority.rpartition("@")[2]
    rest, mark, fragment = (authority + slash + path).rpartition("#")
    if not mark or not _FRAGMENT.match(fragment):
        rest, mark, fragment = authority + slash + path, "", ""
    before, question, query = rest.partition("?")
    if question and ("=" in query or scheme.lower() in ("http", "https")):
        rest = f"{before}?***"
    return f"{scheme}://{rest}{mark}{fragment}"


def scrubbed(text: str, url: str) -> str:
    """What a library said of `url`, without the URL's secrets, in one line."""
    secrets = {url: masked(url)}
    for part in url.split("::"):
        secrets[part] = masked(part)
        authority = part.partition("://")[2].partition("/")[0]
        user, at, _ = authority.rpartition("@")
        query = part.partition("?")[2]
        pieces = [user, *user.split(":")] if at else []
        pieces += [query, *(item.partition("=")[2] for item in query.split("&"))] if "=" in query else []
        secrets.update(dict.fromkeys(filter(None, pieces), "***"))
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, secrets[secret])
    return " ".join(text.split())
