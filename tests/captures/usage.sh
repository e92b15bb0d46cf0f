#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Wrong usage of `diagnose`: one clear line, exit status 2, nothing on standard output, and nothing
# that was there is harmed. And what it says is what its schemas describe.
set -u
. "$(dirname "$0")/lib.sh"

cd "$WORK" || exit 1
"$TOOLS/write-study" a.pcap b.pcap without=5
cp a.pcap copy.pcap
: >empty.pcap
echo "this is no capture at all, but a text" >text.pcap
ln -s a.pcap link.pcap
mkfifo pipe

# refused NAME PATTERN ARGUMENT…
refused() {
  local name=$1 pattern=$2 rc lines
  shift 2
  timeout 60 "$KALOSS" "$@" >out 2>err <b.pcap
  rc=$?
  lines=$(grep -c '' err)
  if [ $rc -eq 2 ] && [ "$lines" -eq 1 ] && [ ! -s out ] && grep -qE -e "$pattern" err; then
    pass "$name: $(cat err)"
  else
    fail "$name: exit status $rc, $lines lines: $(head -3 err)"
  fi
}

A="diagnose --access-capture a.pcap" B="--cucm-capture b.pcap"
refused "no capture" '--access-capture and --cucm-capture are missing' diagnose
refused "unknown option" 'frobnicate' $A --frobnicate
refused "an option of watch" '--deadline' $A --deadline 1s
refused "option without argument" '--cucm-capture' $A --cucm-capture
refused "stray argument" 'b.pcap' $A b.pcap
refused "no such file" 'nope.pcap: No such file' diagnose --access-capture nope.pcap
refused "no such file among others" 'nope.pcap: No such file' $A,nope.pcap
refused "a directory" '/: is a directory' diagnose --access-capture /
refused "an empty file" 'empty.pcap: is empty' diagnose --access-capture empty.pcap
refused "no capture at all" 'text.pcap: no capture that can be read' diagnose --access-capture text.pcap
refused "an empty name" 'empty file name' diagnose --access-capture ''
refused "an empty name in a list" 'empty file name' $A, $B
refused "a file twice" 'same file' diagnose --access-capture a.pcap,a.pcap
refused "a file twice, by two names" 'same file' diagnose --access-capture a.pcap,link.pcap
refused "standard input on both sides" 'standard input' diagnose --access-capture - --cucm-capture -
refused "standard input twice" 'standard input' diagnose --access-capture a.pcap,- --cucm-capture -,b.pcap
refused "--write-lost with standard input" 'twice' $A --cucm-capture - --write-lost lost
refused "--write-lost with a pipe" 'pipe: .*twice' $A --cucm-capture pipe --write-lost lost
refused "--write-lost to standard output" 'standard output' $A $B --write-lost -
refused "--write-lost without a name" 'empty file name' $A $B --write-lost ''
refused "--write-lost in no directory" '/nowhere/lost: No such file' $A $B --write-lost /nowhere/lost
refused "--write-lost over a capture" 'a.pcap: is a capture' $A $B --write-lost ./a.pcap
refused "--output over a capture" 'link.pcap: is a capture' $A $B --output link.pcap
refused "--output and --write-lost alike" 'same file' $A $B --output x --write-lost x
refused "--output is a directory" 'Is a directory' $A $B --output /
refused "unknown format" 'xml' $A $B --format xml
refused "--complete of one capture" '--complete' $A --complete cucm
refused "--complete of no side" 'phone' $A $B --complete phone
refused "a port in two services" '5060' $A $B --sccp-ports 5060
refused "--format json with watch" 'json is for diagnose' watch --access lo --cucm lo2 --format json
cmp -s a.pcap copy.pcap && pass "the capture is as it was" || fail "the capture was written to"

"$KALOSS" $A $B --format json >/dev/full 2>err
expect "a full disk: exit status" $? 2
expect "a full disk: lines" "$(grep -c 'No space left' err)" 1
"$KALOSS" $A $B --complete cucm --write-lost /dev/full >out 2>err
expect "a full disk for the lost: exit status" $? 2
expect "a full disk for the lost: says so" "$(grep -c '/dev/full: No space left' err)" 1

# A capture by any way in is the same capture.
"$KALOSS" $A $B --format json >plain.json
gzip -k b.pcap
"$KALOSS" $A --cucm-capture - --format json <b.pcap >stdin.json
"$KALOSS" $A --cucm-capture b.pcap.gz --format json >gzip.json
cat b.pcap.gz | "$KALOSS" $A --cucm-capture - --format json >both.json
for f in stdin gzip both; do
  cmp -s <(jq 'del(.integrity.captures)' plain.json) <(jq 'del(.integrity.captures)' $f.json) &&
    pass "$f: the same" || fail "$f: not the same"
done

# The documents are as docs/ says.
"$KALOSS" $A $B --complete cucm --format json >lost.json
"$KALOSS" $A --format json >alone.json
python3 "$ROOT/tests/captures/check_document.py" "$ROOT/docs/diagnosis.schema.json" \
  plain.json lost.json alone.json >out && pass "documents: $(tail -1 out)" || fail "$(cat out)"
"$KALOSS" $A $B --complete cucm --format jsonl --per-phone >lost.jsonl
"$KALOSS" $A --format jsonl >alone.jsonl
python3 "$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" lost.jsonl alone.jsonl \
  >out && pass "records: $(tail -1 out)" || fail "$(cat out)"

# A table for people.
TZ=UTC "$KALOSS" $A $B --complete cucm >out
expect "text: exit status" $? 1
grep -qE '^18:14:49\.051041 +18:14:54\.3[0-9]+ + to CUCM +sip_register +between +2991996107 +2991996107 +890 ' out &&
  pass "text: the lost segment, at both clocks" || fail "text: $(grep -A2 LOST out)"
finish_tests
