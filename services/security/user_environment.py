"""The environment of processes that run user code: nothing of the service's own, and in `serve` little of anything.

A service that people share passes on what programs need to run (below) and what `serve --pass-env` names. `train`
runs its user's own code and passes on all but the service's secrets.
"""

import re
from collections.abc import Mapping, MutableMapping, Sequence

_SECRET = re.compile(r"GRADWIRE_(?!RUNTIME$|HOME$).*|RAY_AUTH_TOKEN.*")
# What Ray's own processes need to answer each other: the path of its token, not the token.
_RAY = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
_PASSED = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_.*|LANGUAGE|TZ|TERM|TMPDIR|TEMP|XDG_CACHE_HOME|XDG_RUNTIME_DIR"
    r"|PYTHON.*|VIRTUAL_ENV|CONDA_PREFIX|LD_LIBRARY_PATH|LD_PRELOAD"
    r"|CUDA_.*|NVIDIA_.*|NCCL_.*|CUPY_.*|NUMBA_.*|NPY_.*|OPENBLAS_.*|MKL_.*|OMP_.*|KMP_.*|GOMP_.*|NUMEXPR_.*"
    r"|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|no_proxy|NO_PROXY"
    r"|GRPC_(?!.*(?:KEY|TOKEN|SECRET)).*|RAY_(?!.*(?:KEY|TOKEN|SECRET|PASSWORD)).*|GRADWIRE_RUNTIME|COVERAGE_.*"
)


def clean_environment(
    environment: Mapping[str, str], passed: Sequence[str] = (), for_ray: bool = False
) -> dict[str, str]:
    """What of the service's environment user code gets, in `serve`. `passed` names more; no secret of the service."""
    return {
        name: value
        for name, value in environment.items()
        if (for_ray and name in _RAY)
        or ((_PASSED.fullmatch(name) or name in passed) and not _SECRET.fullmatch(name))
    }


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """All but the secrets of the service and of its clients."""
    return {name: value for name, value in environment.items() if not _SECRET.fullmatch(name)}


def drop_secrets(environment: MutableMapping[str, str]) -> None:
    """Removes those secrets from an environment that processes yet to be started will inherit."""
    for name in [name for name in environment if _SECRET.fullmatch(name) and name not in _RAY]:
        del environment[name]
