"""Archives that clients send: read and unpacked by gradwire's own code, which knows plain files and folders and nothing else.

The standard library's readers take what an archive asks for and filter it afterwards; here what is not plain can't be said
at all. `extract` is the way in; rules.py has what is allowed, tar_reader.py and zip_reader.py the two formats.
"""

from gradwire.services.archives.extraction import extract
from gradwire.services.archives.rules import LIMITS, ArchiveError, Limits

__all__ = ["LIMITS", "ArchiveError", "Limits", "extract"]
