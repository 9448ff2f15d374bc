"""Files of this machine that go with a job: the archive of its program, data sets. Found here, uploaded by the clients."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from gradwire.data.sources import DataError, Named, format_of, named, scheme_of
from gradwire.services import records as r
from gradwire.services.client.calls import SubmitOptions
from gradwire.services.client.uploads import UploadError
from gradwire.services.sources import collect


def attached(options: SubmitOptions) -> tuple[list[Path], SubmitOptions]:
    """The files that are to be uploaded before a job is submitted, and its options with none left to say that there are no.

    Raises UploadError for a file that can't be data by itself.
    """
    archive = options.get("archive")
    files = [] if archive is None else [Path(archive)]
    files += [Path(parts.location) for parts in _local_data(options).values()]
    if files:
        return list(dict.fromkeys(files)), options
    return [], cast(SubmitOptions, {name: value for name, value in options.items() if name != "archive"})


def with_blobs(options: SubmitOptions, sha256s: Mapping[Path, str]) -> SubmitOptions:
    """The options with the blobs in the place of the files."""
    named_blobs: dict[str, object] = {key: value for key, value in options.items() if key != "archive"}
    archive = options.get("archive")
    if archive is not None:
        named_blobs["code_archive"] = sha256s[Path(archive)]
    data = dict(options.get("data", {}))
    for name, parts in _local_data(options).items():
        columns = "" if parts.columns is None else f"&columns={','.join(parts.columns)}"
        data[name] = f"blob:{sha256s[Path(parts.location)]}#{parts.format}{columns}"
    named_blobs["data"] = data
    return cast(SubmitOptions, named_blobs)


def program_of(program: str | os.PathLike[str] | r.Code, options: SubmitOptions) -> r.Code:
    """The code that is sent: none beside an archive, of which `program` is the job file's path. Raises SourceError."""
    if isinstance(program, r.Code):
        return program
    if options.get("code_archive"):
        return r.Code(Path(program).as_posix())
    return collect(Path(program))


def _local_data(options: SubmitOptions) -> dict[str, Named]:
    """The data sets that are files of this machine, taken apart, each with its format."""
    found = {}
    for name, url in options.get("data", {}).items():
        if not url or "::" in url or scheme_of(url):
            continue
        try:
            parts = named(url)
        except DataError as error:
            raise UploadError(f"data {name}: {error}") from error
        if any(mark in parts.location for mark in "*?[") and not Path(parts.location).exists():
            raise UploadError(
                f"data {name}: {url}: only one file can be uploaded for a data set: put them into one"
            )
        kind, compression = format_of(parts.location)
        if compression:
            raise UploadError(f"data {name}: {url}: unpack it first, a compressed file is not read as a blob")
        if not (parts.format or kind):
            raise UploadError(f"data {name}: {url}: the name tells no format: end it with #npz or another")
        found[name] = Named(parts.location, parts.format or kind, parts.columns)
    return found
