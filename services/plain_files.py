"""Files in folders that a job may write to, read as what they seem to be: no link, pipe or device is followed or waited for.

A job may run as another Unix user than the service (security/run_as.py), which must not lend it its eyes.
"""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Opens a regular file for reading. Raises OSError, also where it or its folder is a link, or it is not its folder's owner's."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(
            path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder
        )
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.fstat(folder).st_uid:
            os.close(descriptor)
            raise PermissionError(1, "not a plain file of its folder's owner", str(path))
    finally:
        os.close(folder)
    return open(descriptor, "rb")
