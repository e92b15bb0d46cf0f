#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Wrong usage and bad circumstances: one clear line, exit status 2, nothing on standard output.
set -u
. "$(dirname "$0")/lib.sh"

lab_up routed 4
keep_trap

# refused NAME PATTERN ARGUMENT…: exit status 2, one line on standard error that matches.
refused() {
  local name=$1 pattern=$2 rc lines
  shift 2
  lab_in box timeout 60 "$KALOSS" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null
  rc=$?
  lines=$(grep -c '' "$WORK/err")
  if [ $rc -eq 2 ] && [ "$lines" -eq 1 ] && [ ! -s "$WORK/out" ] && grep -qE -e "$pattern" "$WORK/err"
  then
    pass "$name: $(cat "$WORK/err")"
  else
    fail "$name: exit status $rc, $lines lines: $(head -3 "$WORK/err")"
  fi
}

both="--access acc0 --cucm cucm0"
refused "no verb" 'watch'
refused "unknown verb" 'frobnicate' frobnicate
refused "no interface" '--access' watch
refused "no cucm side" '--cucm' watch --access acc0
refused "unknown option" '--frobnicate' watch $both --frobnicate
refused "option without argument" '--deadline' watch $both --deadline
refused "stray argument" 'stray' watch $both stray
refused "no such interface" 'nope: no such interface' watch --access nope --cucm cucm0
refused "interface name too long" 'no such interface' watch --access averyveryverylongname --cucm cucm0
refused "the same interface on both sides" 'acc0' watch --access acc0 --cucm acc0
refused "an interface twice" 'acc0' watch --access acc0,acc0 --cucm cucm0
refused "an empty interface" 'empty' watch --access acc0, --cucm cucm0
refused "port 0" '0 is not a port' watch $both --sip-ports 0
refused "port out of range" '65536 is not a port' watch $both --sip-ports 5060,65536
refused "port that is none" 'abc is not a port' watch $both --sccp-ports abc
refused "empty port list" 'not a port' watch $both --sccp-ports ''
refused "a port in two services" '5060' watch $both --sccp-ports 5060
refused "negative duration" '-1s' watch $both --duration -1s
refused "strange unit" '5 parsecs' watch $both --duration '5 parsecs'
refused "no unit" '5 is not a duration' watch $both --duration 5
refused "endless" 'inf' watch $both --interval inf
refused "hexadecimal" '0x10s' watch $both --deadline 0x10s
refused "too long" 'out of range' watch $both --duration 99999999h
refused "zero interval" 'out of range' watch $both --interval 0s
refused "number with rubbish" '12x' watch $both --connections 12x
refused "negative number" '-5' watch $both --join-entries -5
refused "number too large" 'ring-bytes' watch $both --ring-bytes 99999999999999999999
refused "unknown hook" 'ebpf' watch $both --hook ebpf
refused "unknown format" 'xml' watch $both --format xml
refused "unknown colour" 'pink' watch $both --color pink
refused "tap and nat" '--nat' watch $both --tap --nat
refused "output in no directory" '/nowhere/records: No such file' watch $both --output /nowhere/records
refused "output is a directory" 'Is a directory' watch $both --output /
refused "history is a directory" '--history: /: Is a directory' watch $both --history /
refused "no address of traps" '--trap: 1:2:3: not ADDRESS:PORT' watch $both --trap 1:2:3
refused "no address of syslog" '--syslog: zz: not a port' watch $both --syslog zz
refused "no switch" '--poll-switch: #: not ADDRESS' watch $both --poll-switch '#'
refused "no address of metrics" '--prometheus: foo is no ADDRESS:PORT' watch $both --prometheus foo
refused "keys without traps" ': --trap-auth is of use with --trap only$' watch $both --trap-auth keys
refused "loopback has no native XDP" 'lo: ' watch --access lo --cucm cucm0 --hook xdp

# No privilege: the missing capabilities by name.
lab_in box setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all --bounding-set=-all \
  "$KALOSS" watch $both >"$WORK/out" 2>"$WORK/err"
expect "no privilege: exit status" $? -eq 2
expect "no privilege: names them" "$(grep -c 'CAP_BPF.*CAP_NET_ADMIN' "$WORK/err")" -eq 1
expect "no privilege: lines" "$(grep -c '' "$WORK/err")" -eq 1
lab_in box setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
  "$KALOSS" watch $both >"$WORK/out" 2>"$WORK/err"
expect "without CAP_NET_ADMIN: names it alone" "$(grep -c 'privilege: CAP_NET_ADMIN ' "$WORK/err")" -eq 1

# A full disk.
lab_in box timeout 60 "$KALOSS" watch $both --format jsonl --output /dev/full --duration 3s \
  >"$WORK/out" 2>"$WORK/err"
expect "full disk: exit status" $? -eq 2
expect "full disk: says so" "$(grep -c '/dev/full: No space left' "$WORK/err")" -eq 1

# A reader that goes away ends it quietly.
lab_in box timeout 60 bash -c "set -o pipefail; '$KALOSS' watch $both --format jsonl --interval 200ms \
  2>'$WORK/err' | head -2 >'$WORK/out'"
expect "closed pipe: exit status" $? -eq 0
expect "closed pipe: records" "$(grep -c '"type":"tick"' "$WORK/out")" -eq 2
expect "closed pipe: complaints" "$(grep -vc 'side: ' "$WORK/err")" -eq 0

# Asked for help, it helps.
for words in "--help" "watch --help" "check --help" "--version" "watch --version"; do
  # shellcheck disable=SC2086
  lab_in box "$KALOSS" $words >"$WORK/out" 2>"$WORK/err"
  rc=$?
  [ $rc -eq 0 ] && [ -s "$WORK/out" ] && [ ! -s "$WORK/err" ] && pass "kaloss $words" ||
    fail "kaloss $words: exit status $rc"
done
finish_tests
