#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The benchmarks still measure: each with few turns. What they count must be exact (they check that
# themselves and fail), rows must come out, and the JSON must hold them all. No time is looked at.
set -u
cd "$(dirname "$0")/../.." || exit 2
export BUILD=${BUILD:-$PWD/build}
[ "$(id -u)" -eq 0 ] || { echo "SKIP: needs root (BPF programs)" && exit 77; }
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
PASSED=0 FAILED=0

check() {
  local name=$1
  shift
  if "$@" >/dev/null 2>&1; then
    PASSED=$((PASSED + 1)) && echo "ok    $name"
  else
    FAILED=$((FAILED + 1)) && echo "FAIL  $name"
  fi
}

# part NAME FIGURES COMMAND…: it succeeds, and adds so many figures at least, all of them numbers.
part() {
  local name=$1 least=$2
  shift 2
  "$@" --quick --json "$WORK/json" >"$WORK/out" 2>&1
  check "$name: ends well" [ $? -eq 0 ]
  [ "$FAILED" -eq 0 ] || tail -3 "$WORK/out"
  check "$name: its figures" jq -e --arg part "$name" --argjson least "$least" '
    [.figures[] | select(.part == $part)] | length >= $least and all(.[];
      .lowest <= .median and .median <= .highest and .runs > 0 and
      (.goal == null or (.goal.reached | type) == "boolean"))' "$WORK/json"
}

part packet 40 "$BUILD/tests/bench/packet-cost"
part flood 3 tests/bench/flood.sh
check "the machine is named" jq -e '.machine | .cpus > 0 and (.cpu | length) > 0 and (.kernel | length) > 0' "$WORK/json"
check "a goal is told" grep -qE 'goal >= 2: (NOT )?reached' "$WORK/out"
check "a value that is no number" bash -c "! '$BUILD/tests/bench/figure' x 1 y"
echo "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ]
