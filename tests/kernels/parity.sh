#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The programs load, give the verdicts of the headers, and cost the verifier no more than the budget
# of this kernel (of all kernels, where it has none).
set -u
cd "$(dirname "$0")/../.." || exit
BUILD=${BUILD:-$PWD/build}

kernel=$(uname -r | sed -E 's/^([0-9]+\.[0-9]+).*/\1/')
costs=$(mktemp)
trap 'rm -f "$costs"' EXIT
verdicts() {
  out=$("$BUILD/tests/kernel/same-verdict" --costs "$costs" tests/fuzz/corpus)
  status=$?
}
verdicts
# (Two copies of a frame are one only within 5 ms: an emulated processor may stand still in between.)
if [ $status -eq 1 ]; then
  echo "$out" | grep -vE '^[0-9]+ passed'
  echo "once more:"
  verdicts
fi
echo "$out" | grep -vE '^[0-9]+ passed'
[ $status -ne 77 ] || exit 77
read -r passed _ failed _ < <(echo "$out" | grep -E '^[0-9]+ passed')
[ -n "${passed:-}" ] || passed=0 failed=1
case $status in
0) echo "ok    verdicts: $passed" ;;
1) echo "FAIL  verdicts: $failed differ" ;;
*) echo "FAIL  verdicts: none, the programs could not be run" ;;
esac

while read -r program insns stack; do
  # What is recorded for the kernel, else the largest of all.
  read -r most deepest < <(awk -v k="$kernel" -v p="$program" '
    $2 == p { for (i = 3; i <= 4; i++) if ($i > any[i]) any[i] = $i }
    $1 == k && $2 == p { for (i = 3; i <= 4; i++) own[i] = $i }
    END { print own[3] ? own[3] : any[3] + 0, own[4] ? own[4] : any[4] + 0 }' tests/kernels/budget)
  [ "$stack" != - ] || stack=0
  line="cost $kernel $program $insns $stack (budget $most $deepest)"
  if [ "$insns" -gt 0 ] && [ "$insns" -le "$most" ] && [ "$stack" -le "$deepest" ]; then
    echo "ok    $line"
    passed=$((passed + 1))
  else
    echo "FAIL  $line: instructions verified, bytes of stack; scripts/kernels.sh --record"
    failed=$((failed + 1))
  fi
done <"$costs"
[ -s "$costs" ] || { echo "FAIL  no program's cost is known"; failed=$((failed + 1)); }
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ $status -eq 0 ]
