#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Everything that is measured, one after the other; figures to FILE (build/bench.json).
#
#   tests/bench/bench.sh [FILE]
set -u
cd "$(dirname "$0")/../.." || exit 2
export BUILD=${BUILD:-$PWD/build}
FILE=${1:-$BUILD/bench.json}

rm -f "$FILE"
failed=0
part() {
  local start=$SECONDS
  echo "==== $1"
  shift
  "$@" || failed=1
  echo "     $((SECONDS - start)) s"
}

part "a packet" "$BUILD/tests/bench/packet-cost" --json "$FILE"
part "a flood of keepalives" tests/bench/flood.sh --json "$FILE"
part "forwarding" tests/bench/forward.sh --json "$FILE"
part "sessions" "$BUILD/tests/bench/session-cost" --json "$FILE"
part "a site" tests/bench/site.sh --json "$FILE"
part "against tcpdump" tests/bench/against.sh --json "$FILE"
part "a diagnosis of captures" tests/bench/captures.sh --no-tshark --packets 500000
jq -r '[.figures[] | select(.goal)] | "goals: \(map(select(.goal.reached)) | length) of \(length) reached"' "$FILE"
echo "figures: $FILE"
exit $failed
