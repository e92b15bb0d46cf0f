# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests of `diagnose` share. To be sourced after `set -u`. They need no privilege.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
KALOSS=${KALOSS:-$BUILD/kaloss}
# shellcheck disable=SC2034
TOOLS=$BUILD/tests/captures
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
PASSED=0 FAILED=0

pass() {
  PASSED=$((PASSED + 1))
  echo "ok    $*"
}

fail() {
  FAILED=$((FAILED + 1))
  echo "FAIL  $*"
}

# expect NAME GOT WANT
expect() {
  if [ "$2" = "$3" ]; then pass "$1: $2"; else fail "$1: $2, want $3"; fi
}

# diagnose OPTION…: the document to $WORK/json, the rest to $WORK/err; the exit status is kaloss's.
diagnose() {
  "$KALOSS" diagnose --format json "$@" >"$WORK/json" 2>"$WORK/err" </dev/null
}

# said FILTER: what jq makes of the last document.
said() { jq -r "$1" "$WORK/json"; }

finish_tests() {
  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" -eq 0 ]
  exit
}
