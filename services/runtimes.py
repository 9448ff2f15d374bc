"""Which launcher runs the workers, by name. Used by the commands `train` and `serve`."""

from collections.abc import Callable

from gradwire.services.home import Home
from gradwire.services.launcher import Launcher
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.ray_environment import prepare_for_cluster_of_our_own, prepare_for_existing_cluster


class RuntimeUnavailableError(Exception):
    """The runtime that was asked for can't be started here; the message says why."""


def launcher(runtime: str, embedded: bool, ray_address: str | None) -> Callable[[Home], Launcher]:
    """What makes the launcher of a service.

    `embedded`: everything ends with this process, as `train` wants it. `ray_address`: a running Ray cluster.
    """
    if runtime == "process":
        return lambda home: LocalLauncher(outlive=not embedded)

    def make(home: Home) -> Launcher:
        # Here, and not above: Ray takes a second to import, and reads its settings when it is.
        if ray_address is None:
            prepare_for_cluster_of_our_own(home.path)
        else:
            prepare_for_existing_cluster()
        try:
            from gradwire.services.ray_launcher import RayLauncher
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"the Ray runtime can't be loaded ({error}): use --runtime process"
            ) from error
        from gradwire.services.cluster import ClusterError

        try:
            return RayLauncher(home, embedded=embedded, address=ray_address)
        except ClusterError as error:
            raise RuntimeUnavailableError(str(error)) from error

    return make
