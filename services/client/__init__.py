"""The Python clients of a gradwire service: `Client` waits for each answer, `AsyncClient` is the same for asyncio."""

from gradwire.services.client.asynchronous import AsyncClient, AsyncRemoteJob
from gradwire.services.client.connection import DEFAULT_ADDRESS
from gradwire.services.client.downloads import DownloadError
from gradwire.services.client.synchronous import Client, RemoteJob
from gradwire.services.client.uploads import UploadError

__all__ = [
    "DEFAULT_ADDRESS",
    "AsyncClient",
    "AsyncRemoteJob",
    "Client",
    "DownloadError",
    "RemoteJob",
    "UploadError",
]
