#!/usr/bin/env bash
# Holds the form of the API: buf's STANDARD and COMMENTS rules, and no change that breaks clients of the last commit on main.
# `proto/check.sh [COMMIT]` compares with that commit instead. Needs buf on PATH (.venv has it).
set -euo pipefail
cd "$(dirname "$0")"
buf lint
if [ $# -gt 0 ]; then
  base=$1
else
  main=$(git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || git rev-parse HEAD)
  base=$(git merge-base HEAD "$main")
  # On main itself, its last commit is the one before.
  [ "$base" != "$(git rev-parse HEAD)" ] || base=$(git rev-parse --verify --quiet 'HEAD^' || echo none)
fi
if [ "$base" = none ]; then
  echo "no earlier commit here to compare the API with"
  exit 0
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
git -C .. archive "$base" proto/gradwire | tar -x -C "$before"
cp buf.yaml "$before/proto/"
buf breaking --against "$before/proto"
echo "the API is well formed and breaks nobody who speaks that of $(git rev-parse --short "$base")"
