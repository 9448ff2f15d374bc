#!/usr/bin/env bash
# Starts the head of a Ray cluster for gradwire on this host, and stays until it is ended (Ctrl-C, kill, or systemd).
#
#   deploy/ray/head.sh [--address HOST] [--port PORT] [--home DIR] [more options of `ray start`]
#
#   --address HOST   the address of this host that other nodes and the service reach (default: its first one)
#   --port PORT      where the cluster listens (default 6379)
#   --home DIR       where the cluster's token lies (default ~/.gradwire/ray); copy DIR/token to every other host
#   PYTHON           the interpreter with gradwire in it (default: .venv/bin/python of this checkout, else python3)
#
# Then: deploy/ray/node.sh HOST:PORT on every other host, and `gradwire serve --ray HOST:PORT` where the service runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

address="" port=6379 rest=()
while (($#)); do
  case "$1" in
    --address) address="${2:?--address needs a value}"; shift 2 ;;
    --port) port="${2:?--port needs a value}"; shift 2 ;;
    --home) home="${2:?--home needs a value}"; shift 2 ;;
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) rest+=("$1"); shift ;;
  esac
done
address="${address:-$(hostname -I 2>/dev/null | cut -d' ' -f1)}"
address="${address:-$(hostname)}"

mkdir -p -m 700 "$home"
if [[ ! -e "$home/token" ]]; then
  (umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$home/token")
fi
use_token "$home/token"

cat >&2 <<TEXT
Ray for gradwire at $address:$port
  another node:  copy $home/token to the same place there, then  deploy/ray/node.sh $address:$port
  the service:   RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$home/token gradwire serve --ray $address:$port
TEXT
start_ray --head --node-ip-address "$address" --port "$port" --include-dashboard false "${rest[@]}"
