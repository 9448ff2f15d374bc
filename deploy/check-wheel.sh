#!/usr/bin/env bash
# Builds the wheel, installs it into a new venv, and from an empty folder asks it for its version, runs a job alone
# and trains the same job through the service: the bits must agree, and nothing may come from the source tree.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
work=$(cd "$(mktemp -d)" && pwd -P)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$python" -m build --wheel --outdir "$work/dist" "$root" > build.log 2>&1 || { cat build.log >&2; exit 1; }
"$python" -m venv clean
clean/bin/python -m pip install --quiet --disable-pip-version-check dist/gradwire-*.whl scikit-learn
mkdir elsewhere
cp "$root/examples/digits.py" elsewhere/
cd elsewhere
export GRADWIRE_HOME=$work/home
../clean/bin/gradwire --version
../clean/bin/python -m gradwire doctor > /dev/null
../clean/bin/python -c 'import gradwire, sys; sys.exit("site-packages" not in gradwire.__file__)'
alone=$(../clean/bin/python digits.py --set epochs=1 | sed -n 's/.*sha256 //p')
served=$(../clean/bin/gradwire train digits.py --workers 2 --set epochs=1 --json | "$python" -c 'import json,sys; print(json.loads(sys.stdin.read().splitlines()[-1])["parameters_sha256"])')
if [ -z "$alone" ] || [ "$alone" != "$served" ]; then
  echo "the wheel gives $served through the service and $alone alone" >&2
  exit 1
fi
for _ in {1..20}; do
  grep -qsF -- "$work/" /proc/[0-9]*/maps || break
  sleep 0.5
done
if grep -lsF -- "$work/" /proc/[0-9]*/maps; then
  echo "what the wheel started is still running" >&2
  exit 1
fi
echo "the wheel works from another folder: $alone"
