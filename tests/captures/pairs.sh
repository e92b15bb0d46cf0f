#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Two captures of generated traffic, as files, against the truth: every loss between them is found,
# and not one too many. (tests/pair/ has more seeds of the same, without files.)
#
#   pairs.sh [FIRST LAST]     seeds
set -u
. "$(dirname "$0")/lib.sh"

# files SIDE: its files in any order, as an option wants them.
files() { find "$WORK/p" -name "$1.*.pcap*" | sort -r | paste -sd,; }

found=0
for seed in $(seq "${1:-1}" "${2:-30}"); do
  rm -rf "$WORK/p"
  mkdir "$WORK/p"
  facts=$("$TOOLS/write-pair" "$seed" "$WORK/p") || { fail "seed $seed: write-pair"; continue; }
  diagnose --access-capture "$(files access)" --cucm-capture "$(files cucm)" \
    --write-lost "$WORK/p/lost.pcapng"
  status=$?
  if [ $status -gt 1 ] || [ -s "$WORK/err" ]; then
    fail "seed $seed: exit status $status: $(cat "$WORK/err")"
    continue
  fi
  if out=$(python3 "$ROOT/tests/captures/check_pair.py" "$WORK/p/truth" "$WORK/json" "$facts"); then
    pass "seed $seed: $out"
  else
    fail "seed $seed: $facts"
    echo "$out"
  fi
  found=$((found + $(said '[.timeline[] | select(.where == "between")] | length')))
  # All that is lost there is lost between the two.
  inferred=$(said '[.timeline[] | select(.where != "between")] | length')
  [ "$inferred" = 0 ] && pass "seed $seed: nothing else is called lost" ||
    fail "seed $seed: $inferred losses elsewhere: $(said '.timeline[] | select(.where != "between")' | head -c 600)"
  # What was lost is in the file that is written of it, and no packet twice but where it was sent so.
  read_again=$("$KALOSS" diagnose --access-capture "$WORK/p/lost.pcapng" --format json 2>&1 |
    jq -r '.integrity.captures.access.packets')
  lost=$(said '[.timeline[] | select(.where == "between")] | length')
  [ "${read_again:-x}" -ge "$lost" ] 2>/dev/null && pass "seed $seed: the lost are written" ||
    fail "seed $seed: $lost lost, $read_again packets written"
done
if [ $# -eq 0 ]; then
  [ $found -gt 1000 ] && pass "$found losses in all" || fail "$found losses in all: not much of a test"
fi
finish_tests
