# Python packages of the tests from outside; to be sourced, with `venv` set. Installs when the list is newer than the
# last installation.
python_packages() {
  local list=$1/requirements.txt stamp=$venv/.installed-${1##*/}
  [[ -x $venv/bin/python ]] || "${PYTHON:-python3}" -m venv "$venv" || return
  [[ $stamp -nt $list ]] ||
    { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$list" && touch "$stamp"; }
}

# Says what to do when there is no server to test.
need_server() {
  command -v "$PERDURE_BIN" >/dev/null && return
  echo "run.sh: no server at $PERDURE_BIN; build it or set PERDURE_BIN" >&2
  return 2
}
