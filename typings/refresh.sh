#!/usr/bin/env bash
# Rebuilds typings/gradwire/: links that show the top-level folders as the one package they are installed as, for type
# checkers and editors (setuptools maps the folders at run time; static tools can't follow that).
# With --check it only compares, and fails where a link is missing or too many.
set -euo pipefail
cd "$(dirname "$0")"
wanted=$(cd .. && ls core | grep -v -e __pycache__ | sed 's|.*|& ../../core/&|'; for part in workers services proto; do echo "$part ../../$part"; done)
found=$(cd gradwire 2>/dev/null && for link in *; do [ -L "$link" ] && echo "$link $(readlink "$link")"; done || true)
if [ "$(sort <<< "$wanted")" = "$(sort <<< "$found")" ]; then exit 0; fi
if [ "${1:-}" = --check ]; then
  echo "typings/gradwire is not up to date: run typings/refresh.sh and commit the links" >&2
  diff <(sort <<< "$wanted") <(sort <<< "$found") >&2 || true
  exit 1
fi
rm -rf gradwire && mkdir gradwire
while read -r name target; do ln -s "$target" "gradwire/$name"; done <<< "$wanted"
