# What head.sh and node.sh share: the environment that gradwire's workers need, and how Ray is started. Sourced.

checkout="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
home="${HOME:-/root}/.gradwire/ray"
if [[ -z "${PYTHON:-}" ]]; then
  PYTHON="$checkout/.venv/bin/python"
  [[ -x "$PYTHON" ]] || PYTHON=python3
fi

# Set before Python starts, so that Ray's idle processes can be workers at once. Part of the bits: sets of strings have
# one order everywhere, and workers pin their threads themselves from one.
export PYTHONHASHSEED=0
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1
export RAY_USAGE_STATS_ENABLED=0 RAY_ENABLE_UV_RUN_RUNTIME_ENV=0

use_token() { # every process of the cluster and every service that uses it has this token
  chmod 600 "$1"
  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$1"
}

start_ray() { # the marker tells a service that this node's workers have the environment above
  exec "$PYTHON" -m ray.scripts.scripts start --block --disable-usage-stats \
    --resources '{"gradwire_node": 1}' --min-worker-port 0 --max-worker-port 0 "$@"
}
