#!/usr/bin/env bash
# Joins this host to the Ray cluster that deploy/ray/head.sh started, and stays until it is ended.
#
#   deploy/ray/node.sh HEAD:PORT [--address HOST] [--home DIR] [more options of `ray start`]
#
#   HEAD:PORT        what head.sh printed
#   --address HOST   the address of this host that the others reach (default: the one that Ray finds)
#   --home DIR       where the cluster's token lies (default ~/.gradwire/ray); it is the head's DIR/token
#   PYTHON           the interpreter with gradwire in it; the same Python, gradwire and NumPy versions as on the head
#
# Jobs' folders (the service's --home) must lie on storage that all nodes see under the same path.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

head="" rest=()
while (($#)); do
  case "$1" in
    --address) rest+=(--node-ip-address "${2:?--address needs a value}"); shift 2 ;;
    --home) home="${2:?--home needs a value}"; shift 2 ;;
    -h | --help) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) if [[ -z "$head" ]]; then head="$1"; else rest+=("$1"); fi; shift ;;
  esac
done
if [[ "$head" != *:* ]]; then
  echo "node.sh: expected the head's address as HOST:PORT, got '${head}'" >&2
  exit 2
fi
if [[ ! -r "$home/token" ]]; then
  echo "node.sh: $home/token is not there: copy it from the head, or name its folder with --home" >&2
  exit 2
fi
use_token "$home/token"
start_ray --address "$head" "${rest[@]}"
