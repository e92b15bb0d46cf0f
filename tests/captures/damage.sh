#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Damaged captures through the command line: an error in one line that names the file and the
# position, or a result that says what is missing; never a crash. (tests/fuzz/ does the same to the
# reader, under sanitizers.)
set -u
. "$(dirname "$0")/lib.sh"

cd "$WORK" || exit 1
"$TOOLS/write-study" phone.pcap cucm.pcap
for format in pcap pcapng; do
  "$BUILD/tests/bench/make-capture" --packets 6 --signalling 1 --phones 2 --format $format \
    --access small.$format >made
done
crashed=0 silent=0 runs=0 errors=0 results=0

# try NAME FILE: with it as one side.
try() {
  local name=$1 file=$2 rc
  "$KALOSS" diagnose --access-capture "$file" --cucm-capture cucm.pcap --format json \
    --write-lost lost.pcapng >out 2>err </dev/null
  rc=$?
  runs=$((runs + 1))
  if [ $rc -eq 2 ]; then
    errors=$((errors + 1))
    [ "$(grep -c '' err)" -eq 1 ] && grep -qF "$file: " err && [ ! -s out ] && return
    silent=$((silent + 1))
    echo "$name: $(cat err)"
  elif [ $rc -gt 2 ] || [ -s err ]; then
    crashed=$((crashed + 1))
    echo "$name: exit status $rc: $(head -2 err)"
  else
    results=$((results + 1))
    cp out "last.json"
  fi
}

# Cut at every byte: the packets that are whole count, and the rest is said to be missing.
for file in small.pcap small.pcapng; do
  size=$(stat -c %s $file)
  for ((n = 0; n < size; n++)); do
    head -c $n $file >cut
    before=$results
    try "$file cut at $n" cut
    [ $results -gt $before ] || continue
    grep -q 'cut: cut off in packet [0-9]*, at byte [0-9]*' last.json && continue
    # Between two packets, or blocks, there is nothing to be seen of the cut.
    jq -e '.integrity.captures.access.remarks == []' last.json >whole
    [ "$(cat whole)" = true ] && wholes=$((${wholes:-0} + 1)) && continue
    silent=$((silent + 1))
    echo "$file cut at $n: $(jq -c .integrity.captures.access.remarks last.json)"
  done
done
expect "cut at every byte: crashes" $crashed 0
expect "cut at every byte: without file and position" $silent 0
[ "${wholes:-0}" -lt 40 ] && pass "cut between packets: ${wholes:-0}" || fail "$wholes cuts were not noticed"

# Random bytes, in place of some and of all.
for seed in $(seq 60); do
  python3 - "$seed" phone.pcap random <<'EOF'
import random, sys
rng = random.Random(int(sys.argv[1]))
data = bytearray(open(sys.argv[2], "rb").read())
for _ in range(rng.choice([1, 3, 30])):
    data[rng.randrange(len(data))] = rng.randrange(256)
if rng.random() < 0.2:
    data = bytearray(rng.randbytes(rng.randrange(4000)))
open(sys.argv[3], "wb").write(data)
EOF
  try "random bytes $seed" random
done
for f in "$ROOT"/tests/fuzz/corpus-capture/*; do
  cp "$f" corpus
  try "corpus $(basename "$f")" corpus
done
expect "random bytes and the corpus: crashes" $crashed 0
expect "random bytes and the corpus: without file and position" $silent 0
[ $errors -gt 100 ] && [ $results -gt 100 ] && pass "$runs runs, $errors errors, $results results" ||
  fail "$runs runs, $errors errors, $results results: not much of a test"
finish_tests
