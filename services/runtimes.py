"""Which launcher runs the workers, by name. Used by the commands `train` and `serve`."""

import os
from collections.abc import Callable, Sequence

from gradwire.services.home import Home
from gradwire.services.launcher import Launcher
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.ray_environment import prepare_for_cluster_of_our_own, prepare_for_existing_cluster
from gradwire.services.security.run_as import RunAs, RunAsError
from gradwire.services.security.user_environment import clean_environment, drop_secrets
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits


class RuntimeUnavailableError(Exception):
    """The runtime that was asked for can't be started here; the message says why."""


def launcher(
    runtime: str,
    embedded: bool,
    ray_address: str | None,
    passed: Sequence[str] = (),
    most: ProcessLimits = NO_LIMITS,
    run_as: RunAs | None = None,
) -> Callable[[Home], Launcher]:
    """What makes the launcher of a service.

    `embedded`: everything ends with this process, as `train` wants it; user code gets its environment but for secrets. Else
    it gets a clean one and the variables that `passed` names. `ray_address`: a running Ray cluster, whose nodes have their own.
    `most`: what a worker's process may use at most. `run_as`: other Unix users that attempts run as. Raises RunAsError.
    """
    if runtime == "process":
        inherited = None if embedded else clean_environment(os.environ, passed)

        def make_local(home: Home) -> Launcher:
            made = LocalLauncher(outlive=not embedded, inherited=inherited, most=most, run_as=run_as)
            if run_as is not None:
                run_as.prepare_home(home.path, sum(node.cpus + node.gpus for node in made.nodes()))
            return made

        return make_local
    if run_as is not None:
        raise RunAsError(
            "--run-as needs --runtime process: with Ray the service takes pickled values from its workers' processes, so "
            "their user would be the service's"
        )

    def make(home: Home) -> Launcher:
        # Here, and not above: Ray takes a second to import, and reads its settings when it is.
        if ray_address is None:
            # What Ray starts inherits this process's environment.
            drop_secrets(os.environ)
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
            return RayLauncher(home, embedded=embedded, address=ray_address, passed=passed, most=most)
        except ClusterError as error:
            raise RuntimeUnavailableError(str(error)) from error

    return make
