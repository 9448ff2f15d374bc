"""Data that is named by URL: files of this machine, of object stores and web servers, read sample by sample."""

from .blobs import blob_path, blob_sha256
from .dataset import UrlDataset, from_url
from .naming import FORMATS, DataError, Named, format_of, masked, named, scheme_of

__all__ = ["FORMATS", "DataError", "Named", "UrlDataset", "blob_path", "blob_sha256", "format_of", "from_url", "masked", "named", "scheme_of"]  # fmt: skip
