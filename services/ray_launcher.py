"""Runs attempts on a Ray cluster: a thin adapter from launcher.py's seam to controller.py and cluster.py."""

from gradwire.services.home import Home
from gradwire.services.launcher import Capacity, Handle, Launch


class RayLauncher:
    """Not wired yet: the controller and the cluster come with the workers."""

    def __init__(self, home: Home, embedded: bool, address: str | None) -> None:
        raise ImportError("the Ray controller is not part of this build")

    def capacity(self) -> Capacity:
        """See launcher.Launcher."""
        raise NotImplementedError

    def launch(self, launch: Launch) -> Handle:
        """See launcher.Launcher."""
        raise NotImplementedError

    def adopt(self, launch: Launch) -> Handle | None:
        """See launcher.Launcher."""
        raise NotImplementedError

    def close(self) -> None:
        """See launcher.Launcher."""
        raise NotImplementedError
