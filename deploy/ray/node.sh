#!/usr/bin/env bash
# Joins this host to the Ray cluster whose head deploy/ray/head.sh started, and stays in the foreground until a signal.
#
#   deploy/ray/node.sh HEAD_HOST:PORT [--host IP] [--cpus N] [--gpus N]
#
# Needs the head's token: RAY_AUTH_TOKEN_PATH (default ~/.gradwire/ray-token).
set -euo pipefail
python=${PYTHON:-python3}
if [ $# -lt 1 ] || [[ $1 != *:* ]]; then
  echo "node.sh: expected HEAD_HOST:PORT as the first argument" >&2
  exit 2
fi
head=$1 extra=()
shift
while [ $# -gt 0 ]; do
  case $1 in
    --host) extra+=(--node-ip-address "$2"); shift 2 ;;
    --cpus) extra+=(--num-cpus "$2"); shift 2 ;;
    --gpus) extra+=(--num-gpus "$2"); shift 2 ;;
    *) echo "node.sh: unknown argument $1; see the top of this file" >&2; exit 2 ;;
  esac
done
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.gradwire/ray-token}
export RAY_USAGE_STATS_ENABLED=0 PYTHONHASHSEED=0
if [ ! -r "$RAY_AUTH_TOKEN_PATH" ]; then
  echo "node.sh: no token at $RAY_AUTH_TOKEN_PATH; copy the head's there, or set RAY_AUTH_TOKEN_PATH" >&2
  exit 2
fi
exec "$python" -m ray.scripts.scripts start --block --disable-usage-stats --address "$head" "${extra[@]}"
