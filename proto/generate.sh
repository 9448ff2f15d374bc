#!/usr/bin/env bash
# Writes proto/v1/ from proto/gradwire/v1/*.proto, with the oldest toolchain gradwire supports: generated code
# runs on newer runtimes, never on older ones. `proto/generate.sh --check` compares instead and fails on a difference.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../build/proto-venv
if [ ! -e "$venv/.installed" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.71.2' 'setuptools<81' 'mypy-protobuf==3.6.0'
  touch "$venv/.installed"
fi
[ "${1:-}" != --install ] || exit 0
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
PATH="$venv/bin:$PATH" "$venv/bin/python" -W ignore -m grpc_tools.protoc -I "$here" --python_out="$out" --mypy_out="$out" \
  --grpc_python_out="$out" "$here"/gradwire/v1/*.proto
mkdir -p "$out/v1"
for file in "$out"/gradwire/v1/*; do
  # The .proto path is gradwire/v1 (the API's name); in Python it lives in gradwire.proto.v1.
  sed -e 's/^from gradwire\.v1 import/from gradwire.proto.v1 import/' -e 's/^import gradwire\.v1\./import gradwire.proto.v1./' \
    -e 's/\bgradwire\.v1\.\(jobs\|blobs\|accounts\)_pb2\b/gradwire.proto.v1.\1_pb2/g' "$file" > "$out/v1/$(basename "$file")"
done
printf '"""Generated from proto/gradwire/v1/*.proto by proto/generate.sh; do not edit."""\n' > "$out/v1/__init__.py"
if [ "${1:-}" = --check ]; then
  diff -r -x __pycache__ "$out/v1" "$here/v1" || { echo "proto/v1 differs from the .proto files: run proto/generate.sh" >&2; exit 1; }
else
  rm -rf "$here/v1"; cp -r "$out/v1" "$here/v1"
fi
