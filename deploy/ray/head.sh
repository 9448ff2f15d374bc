#!/usr/bin/env bash
# Starts the head node of a Ray cluster on this host and stays in the foreground until a signal; stopping it stops
# this node's processes and no others. Run it where gradwire is installed, for example from a systemd unit.
#
#   deploy/ray/head.sh [--host IP] [--port PORT] [--cpus N] [--gpus N]
#
# Every host needs the same Python, the same gradwire and a shared folder for checkpoints (the service's --home).
# Nodes and the service prove themselves with the token in $RAY_AUTH_TOKEN_PATH (default ~/.gradwire/ray-token, made
# here with mode 0600): copy it to every host.
set -euo pipefail
python=${PYTHON:-python3}
host=$(hostname -I 2>/dev/null | awk '{print $1}') port=6379 extra=()
while [ $# -gt 0 ]; do
  case $1 in
    --host) host=$2; shift 2 ;;
    --port) port=$2; shift 2 ;;
    --cpus) extra+=(--num-cpus "$2"); shift 2 ;;
    --gpus) extra+=(--num-gpus "$2"); shift 2 ;;
    *) echo "head.sh: unknown argument $1; see the top of this file" >&2; exit 2 ;;
  esac
done
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=${RAY_AUTH_TOKEN_PATH:-$HOME/.gradwire/ray-token}
export RAY_USAGE_STATS_ENABLED=0 PYTHONHASHSEED=0
if [ ! -e "$RAY_AUTH_TOKEN_PATH" ]; then
  mkdir -p "$(dirname "$RAY_AUTH_TOKEN_PATH")"
  (umask 077 && "$python" -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")
fi
cat <<EOF
Ray head at $host:$port
  another host:  RAY_AUTH_TOKEN_PATH=... deploy/ray/node.sh $host:$port
  the service:   RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$RAY_AUTH_TOKEN_PATH gradwire serve --ray $host:$port
EOF
exec "$python" -m ray.scripts.scripts start --head --block --disable-usage-stats --include-dashboard false \
  --node-ip-address "$host" --port "$port" "${extra[@]}"
