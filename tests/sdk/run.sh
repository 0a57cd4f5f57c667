#!/usr/bin/env bash
# End-to-end tests with the official SDKs. Installs what it needs into tests/sdk.
#
#   run.sh [python] [typescript] [compare] [-- PATTERN]
#
# Without a part, all three run. PATTERN picks scenarios: a pytest -k expression, a regular
# expression over test names, globs of scenario names.
# PERDURE_BIN is the server under test (default: target/debug/perdure, built beforehand).
set -uo pipefail
# Not -e: it is off inside functions whose result is tested, so each step says what follows.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit
root=$(cd "$here/../.." && pwd) || exit
venv=$here/.venv
source "$here/packages.sh" || exit

parts=()
while (($#)); do
  case $1 in
    python | typescript | compare) parts+=("$1") ;;
    --) shift; break ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "run.sh: unknown part '$1' (python, typescript, compare)" >&2; exit 2 ;;
  esac
  shift
done
pattern=("$@")
((${#parts[@]})) || parts=(python typescript compare)

export PERDURE_BIN=${PERDURE_BIN:-$root/target/debug/perdure}
[[ -n ${PERDURE_ADDRESS:-} ]] || need_server || exit

# Installs when the list of packages is newer than the last installation.
node_packages() {
  local lock=$here/typescript/package-lock.json stamp=$here/typescript/node_modules/.installed
  [[ $stamp -nt $lock ]] ||
    { (cd "$here/typescript" && npm ci --no-audit --no-fund --loglevel error) && touch "$stamp"; }
}

run_python() {
  python_packages "$here/python" || return
  (cd "$here/python" && "$venv/bin/python" -m pytest ${pattern[0]+-k "${pattern[0]}"})
}

run_typescript() {
  node_packages || return
  (cd "$here/typescript" && npx --no-install tsc -p . &&
    node --import tsx --test --test-reporter=spec \
      ${pattern[0]+--test-name-pattern="${pattern[0]}"} ./*.test.ts)
}

run_compare() {
  python_packages "$here/python" && python_packages "$here/compare" || return
  (cd "$here/compare" && "$venv/bin/python" -m pytest -q -p no:cacheprovider && "$venv/bin/python" compare.py "${pattern[@]}")
}

failed=()
for part in "${parts[@]}"; do
  echo "== $part"
  began=$SECONDS
  "run_$part" || failed+=("$part")
  echo "== $part: $((SECONDS - began)) s"
done
if ((${#failed[@]})); then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi
