#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Captures with the switches' and the call server's syslog and its traces beside them: what belongs
# to these phones is told in its place, what follows from it is found, what follows from nothing is
# not; and whatever cannot be read is said once.
set -u
. "$(dirname "$0")/lib.sh"
cd "$WORK" || exit 1
export TZ=UTC
CAPTURES="--access-capture access.pcap --cucm-capture cucm.pcap"

write() { "$TOOLS/write-outage" . "$@" || fail "write-outage $*"; }

# ran NAME STATUS: how the last diagnose ended.
ran() {
  local status=$?
  [ $status -eq "$2" ] && [ ! -s err ] || fail "$1: exit status $status, want $2: $(head -3 err)"
}

# of_type TYPE: the timeline's.
of_type() { said "[.timeline[] | select(.type == \"$1\")] | $2"; }

found() { said "[.findings[] | select(.cause == \"$1\") | .confidence] | .[0] // \"none\""; }

check_documents() {
  python3 "$ROOT/tests/captures/check_document.py" "$ROOT/docs/diagnosis.schema.json" "$@" >out &&
    pass "$(tail -1 out)" || fail "$(cat out)"
}

# ---- A table that ages: Case 2 of the study ----

write ageing=60
# shellcheck disable=SC2086
diagnose $CAPTURES
ran "ageing" 1
expect "ageing: the likeliest cause" "$(said '.findings[0] | "\(.cause) \(.confidence) \(.phones)"')" \
  "mac_ageing high 6"
expect "ageing: bounds around 60 s" "$(said '[.findings[0].evidence[] | select(.ageing_at_most_s) |
  .ageing_above_s > 50 and .ageing_above_s < 60 and .ageing_at_most_s > 60 and
  .ageing_at_most_s < 80] | all and length > 0')" true
expect "ageing: above twice the period" \
  "$(said '.findings[0].remedy | capture("above (?<s>[0-9]+) s").s | tonumber >= 230')" true
cp json ageing.json
write ageing=120
# shellcheck disable=SC2086
diagnose $CAPTURES
ran "ageing above the periods" 0
expect "ageing above the periods: no loss, no finding" \
  "$(said '"\(.timeline | length) \(.findings | length)"')" "0 0"
for percent in 5 30; do
  write random=$percent
  # shellcheck disable=SC2086
  diagnose $CAPTURES
  ran "random losses" 1
  expect "random losses, $percent %: no table is blamed" "$(found mac_ageing) $(found mac_flush)" \
    "none none"
  expect "random losses, $percent %: but the place is told" "$(found between_loss)" high
done

# ---- What others say of it ----

# The third phone loses what it sends from 10:10:01 on; the fourth loses nothing.
write cut=3 untraced=8
alarm() {
  local time=$1 name=$2
  shift 2
  echo "$time: 41679: cucm1 $time.000 UTC :  %UC_CALLMANAGER-3-$name: %[$*][NodeID=cucm1]: text"
}
cat >syslog <<END
Jul  2 10:10:00.500 UTC: %SW_MATM-4-MACFLAP_NOTIF: Host 0024.142d.0003 in vlan 7 is flapping between port Gi0/3 and port Po1
Jul  2 10:09:00.000 UTC: %SW_MATM-4-MACFLAP_NOTIF: Host 0015.5d91.8502 in vlan 1 is flapping between port Gi0/20 and port Po1
<187>1 2015-07-02T13:05:00.250+03:00 access-7 - - - - %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0024.142d.0004 on port FastEthernet0/14.
Jul  2 10:11:00.000 UTC: %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0013.1a41.544e on port FastEthernet0/15.
Jul  2 10:03:00.000 UTC: %SPANTREE-5-TOPOTRAP: Topology Change Trap for vlan 7
$(alarm "Jul 02 2015 10:10:40" EndPointUnregistered "DeviceName=SEP0024142D0003][IPAddress=10.60.98.3][Protocol=SIP][Reason=13")
$(alarm "Jul 02 2015 10:12:00" EndPointUnregistered "DeviceName=SEP0024142D0004][IPAddress=10.60.98.4][Protocol=SIP][Reason=8")
$(alarm "Jul 02 2015 10:12:30" EndPointTransientConnection "DeviceName=SEP0024142D0005][IPAddress=10.60.98.5][Protocol=SIP][Reason=13")
Jul  2 10:12:40.000 UTC: %LINK-3-UPDOWN: Interface GigabitEthernet0/9, changed state to up
END
# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file syslog --cucm-trace cucm.sdl
ran "evidence" 1
cp json evidence.json
expect "switches: the phones' and the table's, by their own times" \
  "$(of_type mac 'map("\(.time[11:23]) \(.event) \(.mac) \(.port) \(.vlan) \(.source)") | join("; ")')" \
  "10:03:00.000 topology_change null null 7 syslog; 10:05:00.250 violation 00:24:14:2d:00:04 \
Fa0/14 null syslog; 10:10:00.500 moved 00:24:14:2d:00:03 Po1 7 syslog"
expect "switches: who told it" "$(of_type mac '.[1].told_by')" access-7
expect "unregistrations, with the reasons of their own tables" \
  "$(of_type unregistration 'map("\(.device[11:]) \(.reason_name) \(.matched_loss) \(.losses > 0)") | join("; ")')" \
  "0003 keepAliveTimeout true true; 0004 deviceInitiatedReset false false; \
0005 directoryNumberMismatch false false"
expect "losses: those of the third phone, each copy" \
  "$(of_type loss '[length, (map(.phone.device) | unique | join(" "))] | join(" ")')" "18 SEP0024142D0003"
expect "all in the order of time" "$(said '[.timeline[].time] | . == sort and length == 24')" true
expect "traces: what the application lacks" "$(said '.findings[] | select(.cause == "cucm_silent") |
  .confidence, (.evidence[] | select(.traced) | .traced == .traced_received + .traced_missing and
  .traced_missing > 20 and .traced_missing < 40)' | xargs)" "high true"
expect "traces: as many as are missing" "$(said '[.findings[].evidence[] | .traced_received // empty][0]')" \
  "$(grep -c Incoming cucm.sdl)"
expect "one removal is no cause" "$(found mac_flush) $(found mac_ageing)" "none none"
expect "the phone that left by itself" "$(found phone_initiated)" medium
expect "nothing to remark" "$(said '.integrity.remarks | length')" 0

# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file syslog --all-macs
ran "--all-macs" 1
expect "--all-macs: strangers, too" "$(of_type mac 'map(.mac // "-") | sort | join(" ")')" \
  "- 00:13:1a:41:54:4e 00:15:5d:91:85:02 00:24:14:2d:00:03 00:24:14:2d:00:04"
cp json all.json

write cut=3
# shellcheck disable=SC2086
diagnose $CAPTURES --cucm-trace cucm.sdl
ran "a whole trace" 1
expect "a whole trace accuses nobody" "$(found cucm_silent)" none

# The other ways to say it.
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --syslog-file syslog --format jsonl >lines 2>err
ran "lines" 1
python3 "$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" lines >out &&
  pass "lines: $(tail -1 out)" || fail "lines: $(cat out)"
expect "lines: the same" \
  "$(jq -sr 'map(.type) | [(map(select(. == "mac")) | length), (map(select(. == "unregistration")) |
    length), (map(select(. == "loss")) | length)] | join(" ")' lines)" "3 3 18"
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --syslog-file syslog >text 2>err
ran "text" 1
for line in '^10:05:00.250000 .*00:24:14:2d:00:04 port security violation, port Fa0/14' \
  '^10:10:40.000000 .*SEP0024142D0003.*keepAliveTimeout' \
  '^10:10:00.500000 .*00:24:14:2d:00:03 moved from Gi0/3 to Po1'; do
  grep -qE "$line" text && pass "text: $line" || fail "text: no $line: $(grep -A9 TIMELINE text)"
done
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --syslog-file syslog --format html --output report.html >out 2>err
ran "html" 1
expect "html: nothing elsewhere, and all of it there" "$(grep -c '' out) $(grep -o 'SEP0024142D0003\|keepAliveTimeout' \
  report.html | sort -u | wc -l)" "0 2"

# ---- What cannot be read ----

{
  cat syslog
  head -c 200000 /dev/urandom
  printf '\n%%SW_MATM-4-MACFLAP_NOTIF: Host 0024.142d.0003 in vlan 7 is flapping between port Gi0/3 and port Po1\n'
} >garbage
{
  head -c 200000 /dev/urandom
  cat cucm.sdl
  head -c 200000 /dev/urandom
} >garbage.sdl
# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file garbage --cucm-trace garbage.sdl
ran "garbage" 1
expect "garbage: what can be read was read" \
  "$(of_type unregistration length) $(of_type loss length) $(found cucm_silent)" "3 18 none"
expect "garbage: malformed lines are told of, the first one with its words" \
  "$(said '[.integrity.remarks[] | test("^--syslog-file: [0-9]+ of [0-9]+ lines were malformed; the first: .")] | any')" true
expect "garbage: a line without a time is told of" \
  "$(said '[.integrity.remarks[] | test("no time")] | any')" true
cp json garbage.json
: >empty
# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file empty --cucm-trace empty
ran "empty files" 1
expect "empty files: nothing follows from them" \
  "$(said '[.timeline[].type] | unique | join(" ")') $(found cucm_silent)" "loss none"
cp json empty.json
gzip -k cucm.sdl
head -c 3000 cucm.sdl.gz >short.sdl.gz
# shellcheck disable=SC2086
diagnose $CAPTURES --cucm-trace short.sdl.gz
ran "a trace that ends early" 1
expect "a trace that ends early accuses nobody" "$(found cucm_silent)" none
expect "a trace that ends early: said" \
  "$(said '[.integrity.remarks[] | test("short.sdl.gz.*end early")] | any')" true
name=$(printf 'a\377b.pcap')
cp access.pcap "$name"
cp syslog "$(printf 's\377')"
diagnose --access-capture "$name" --cucm-capture cucm.pcap --syslog-file "$(printf 's\377')"
ran "names that are no text" 1
cp json names.json
printf '%b\n' "$(alarm "Jul 02 2015 10:10:40" EndPointUnregistered \
  'DeviceName=SEP\0377][IPAddress=10.60.98.3][Protocol=S\0377P][Reason=13][LastSignalReceived=\0377')" >bytes
# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file bytes
ran "an alarm of bytes that are no text" 1
expect "an alarm of bytes that are no text" "$(of_type unregistration '.[0].device')" "SEP?"
cp json bytes.json
check_documents {ageing,evidence,all,garbage,empty,names,bytes}.json

# Many of one kind do not hide the others.
{
  yes 'Jul  2 10:03:00.000 UTC: %SPANTREE-5-TOPOTRAP: Topology Change Trap for vlan 7' | head -3000
  cat syslog
} >many
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --syslog-file many >text 2>err
ran "many" 1
expect "many: what is listed" "$(grep -c 'topology change' text) $(grep -c 'sip_register *between' text) \
$(grep -c 'keepAliveTimeout' text) $(grep -o 'and [0-9]* more' text)" "1000 18 1 and 2003 more"

# What was captured on another day has nothing to do with the phones of this one.
sed 's/Jul  2/Jul  1/; s/Jul 02 2015/Jul 01 2015/g; s/2015-07-02T/2015-07-01T/' syslog >old
# shellcheck disable=SC2086
diagnose $CAPTURES --syslog-file old
ran "another day" 1
expect "another day: left out" "$(said '[.timeline[].type] | unique | join(" ")')" loss
expect "another day: and said" "$(said '.integrity.remarks | length')" 1

# refused NAME PATTERN OPTION…
refused() {
  local name=$1 pattern=$2 rc
  shift 2
  # shellcheck disable=SC2086
  timeout 60 "$KALOSS" diagnose $CAPTURES "$@" >out 2>err </dev/null
  rc=$?
  if [ $rc -eq 2 ] && [ "$(grep -c '' err)" -eq 1 ] && [ ! -s out ] && grep -qE -e "$pattern" err; then
    pass "$name: $(cat err)"
  else
    fail "$name: exit status $rc: $(head -3 err)"
  fi
}

# In the middle of what is packed.
{ head -c 2000 cucm.sdl.gz; printf damaged; tail -c 1000 cucm.sdl.gz; } >damaged.gz
refused "no such syslog" '--syslog-file: nope: No such file' --syslog-file nope
refused "no such syslog among others" 'nope: No such file' --syslog-file syslog,nope
refused "a directory as syslog" '/: Is a directory' --syslog-file /
refused "no such trace" '--cucm-trace: nope: No such file' --cucm-trace nope
refused "a directory as trace" '/: Is a directory' --cucm-trace /
refused "an empty name" 'empty file name' --cucm-trace cucm.sdl,
refused "a damaged trace" 'damaged.gz: ' --cucm-trace damaged.gz
cp syslog syslog.copy
refused "--output over a syslog" 'syslog: is to be read and to be written' --syslog-file syslog --output ./syslog
refused "--write-lost over a trace" 'cucm.sdl: is to be read' --cucm-trace cucm.sdl --write-lost cucm.sdl
cmp -s syslog syslog.copy && pass "the syslog is as it was" || fail "the syslog was written to"
refused "a directory as output" 'Is a directory' --output /
for option in --trap:1162 --syslog:1514 --poll-switch:10.0.0.1; do
  refused "${option%:*} with captures" "${option%:*}" ${option%:*} "${option#*:}"
done
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --syslog-file syslog --format html >/dev/full 2>err
expect "a full disk: exit status and words" "$? $(grep -c 'No space left' err)" "2 1"
# shellcheck disable=SC2086
"$KALOSS" diagnose $CAPTURES --write-lost lost.pcapng --format json >&- 2>err
expect "no standard output: exit status and words" "$? $(grep -c 'writing to standard output' err)" "2 1"
expect "no standard output: nor anywhere else" "$(grep -c '"summary"' lost.pcapng access.pcap | xargs)" \
  "lost.pcapng:0 access.pcap:0"
finish_tests
