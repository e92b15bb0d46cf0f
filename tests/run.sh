#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs every test that is built, one after the other, and ends with one line that counts them all:
# "N passed, N failed" (", N skipped"). Each test prints such a line itself, or is one test.
#
#   tests/run.sh [--no-skips] [NAME…]    names as printed: unit, fuzz, kernel, exact, …
set -u
cd "$(dirname "$0")/.."
export BUILD=${BUILD:-$PWD/build}

no_skips=false
[ "${1:-}" != --no-skips ] || { no_skips=true; shift; }
wanted=" $* "
passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# count NAME STATUS: adds up what the test said in its last line; 77 is a skip.
count() {
  local name=$1 status=$2 line p f
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -1)
  if [ "$status" -eq 77 ]; then
    grep -E '^SKIP' "$log"
    if $no_skips; then failed=$((failed + 1)); else skipped=$((skipped + 1)); fi
    return
  fi
  p=${line%% passed*} f=${line#*, } f=${f%% failed*}
  [ -n "$line" ] || { p=0 f=0; }
  # A test that fails without saying where is one failure; so is one that says nothing at all.
  [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  [ "$status" -ne 0 ] || [ $((p + f)) -gt 0 ] || f=1
  passed=$((passed + p)) failed=$((failed + f))
}

# run NAME COMMAND…
run() {
  local name=$1 status start=$SECONDS
  shift
  [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || return 0
  echo "== $name"
  "$@" >"$log" 2>&1 </dev/null
  status=$?
  # What passed is of no interest, once it is many.
  grep -vE '^(ok |ok$)' "$log"
  count "$name" $status
  echo "   $((SECONDS - start)) s"
}

# Criterion's own summary line, turned into ours.
unit() {
  local out status p f c
  out=$("$BUILD/tests/unit/unit" 2>&1 | sed 's/\x1b\[[0-9;]*m//g'
    exit "${PIPESTATUS[0]}")
  status=$?
  echo "$out" | grep -vE '^\[====\] (Running|Synthesis)|^$'
  read -r p f c < <(echo "$out" |
    sed -nE 's/.*Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\1 \2 \3/p')
  echo "${p:-0} passed, $((${f:-1} + ${c:-0})) failed"
  return $status
}

run unit unit
run pair "$BUILD/tests/pair/truth"
run fuzz "$BUILD/tests/fuzz/replay" tests/fuzz/corpus
run fuzz-capture "$BUILD/tests/fuzz/replay-capture" tests/fuzz/corpus-capture
run fuzz-session "$BUILD/tests/fuzz/replay-session" tests/fuzz/corpus-session
run fuzz-syslog "$BUILD/tests/fuzz/replay-syslog" tests/fuzz/corpus-syslog
run kernel "$BUILD/tests/kernel/same-verdict" tests/fuzz/corpus
run lab tests/lab/self_test.sh
run build tests/build.sh
run html tests/report/html.sh
for t in tests/captures/*.sh tests/net/*.sh; do
  name=$(basename "$t" .sh)
  [ "$name" = lib ] || run "$name" "$t"
done
if [ $skipped -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
