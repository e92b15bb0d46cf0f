#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Syslog as real senders send it, files as real servers write and rotate them, and all that is not
# as it should be: nothing gets lost that can be read, and nothing gets in the way.
set -u
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

PORT=5514
HEARD=$WORK/heard

# alarm DEVICE: the text of one.
alarm() {
  echo "41679: cucm1 Jul 02 2015 06:22:31.250 UTC :  %UC_CALLMANAGER-3-EndPointUnregistered:" \
    "%[DeviceName=$1][IPAddress=10.1.0.2][Protocol=SIP][Reason=13][NodeID=cucm1]: unregistered"
}

# listen OPTION…: prints to $HEARD until stop_listening.
listen() {
  : >"$HEARD"
  lab_bg box "$HEARD" "$LAB_BIN/syslog-events" "$@"
  LISTENER=$LAB_LAST_PID
  lab_wait_for "$HEARD" ready || fail "not listening: $(cat "$HEARD")"
}

# Ends it; its counts are in $STATS.
stop_listening() {
  lab_stop "$LISTENER"
  STATS=$(grep ^stats "$HEARD")
}

# stat NAME: of the counts.
stat_of() {
  sed -E "s/.* $1=([0-9]+).*/\1/" <<<" $STATS"
}

# heard NAME TEXT [SECONDS]
heard() {
  if lab_wait_for "$HEARD" "$2" "${3:-30}" 2>/dev/null; then
    pass "$1"
  else
    fail "$1: no '$2' in: $(tail -3 "$HEARD")"
  fi
}

not_heard() {
  if grep -q -- "$2" "$HEARD"; then fail "$1: $(grep -- "$2" "$HEARD")"; else pass "$1"; fi
}

send() { lab_in box python3 "$ROOT/tests/net/syslog_send.py" $PORT "$@"; }

lab_up routed || exit 1
keep_trap

# ---- Real senders ----

listen --syslog $PORT
n=0
for options in "-d --rfc3164" "-d --rfc5424" "-T --rfc3164" "-T --rfc5424" \
  "-T --rfc3164 --octet-count" "-T --rfc5424 --octet-count"; do
  for host in 127.0.0.1 ::1; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    lab_in box logger -n $host -P $PORT $options -p local7.err -t cucm -- "$(alarm "SEP$n")"
    heard "logger $options to $host" \
      "alarm EndPointUnregistered .*device=SEP$n reason=13:keepAliveTimeout protocol=SIP node=cucm1 heard=1 said=2015-07-02T06:22:31.250Z"
  done
done
lab_in box logger -n 127.0.0.1 -P $PORT -d --rfc3164 -t x -- \
  "%SW_MATM-4-MACFLAP_NOTIF: Host 0015.5d91.8502 in vlan 1 is flapping between port Gi0/20 and port Po1"
heard "a switch's message" \
  "mac moved 00:15:5d:91:85:02 vlan=1 port=Po1 from=Gi0/20 by=$(hostname) heard=1 said=$(date -u +%Y-%m-%dT%H)"
send split SEPSPLIT
heard "a line a byte at a time, without an end" device=SEPSPLIT
stop_listening
expect "real senders: received" "$(stat_of received)" -eq $((n + 2))
expect "real senders: understood" "$(stat_of understood)" -eq $((n + 2))
expect "real senders: malformed" "$(stat_of malformed)" -eq 0

# ---- What is no syslog ----

listen --syslog 127.0.0.1:$PORT
send garbage
heard "an alarm behind garbage" device=SEPAFTERGARBAGE
stop_listening
expect "garbage: malformed" "$(stat_of malformed)" -eq 205
expect "garbage: understood" "$(stat_of understood)" -eq 1
expect "garbage: the first is named" "${STATS#*complaint=}" = \
  "syslog from 127.0.0.1 (UDP): not a line of text"

listen --syslog 127.0.0.1:$PORT
mkfifo "$WORK/hold"
lab_bg box "$WORK/idle" bash -c \
  "exec python3 '$ROOT/tests/net/syslog_send.py' $PORT idle 90 <'$WORK/hold'"
exec 7<>"$WORK/hold"
lab_wait_for "$WORK/idle" held
lab_in box logger -n 127.0.0.1 -P $PORT -T --rfc5424 -- "$(alarm SEPBUSY)"
heard "90 idle connections keep nobody out" device=SEPBUSY
lab_stop "$LAB_LAST_PID"
exec 7>&-
stop_listening

# ---- Floods ----

listen --syslog 127.0.0.1:$PORT
send udp 100000 &
flood=$!
send tcp 100000 200
wait $flood
# Or it may be one of those that found no room.
lab_wait_read box $PORT || fail "the flood is not read"
lab_in box logger -n 127.0.0.1 -P $PORT -d --rfc3164 -- "$(alarm SEPLAST)"
heard "an alarm behind a flood by UDP" device=SEPLAST
heard "an alarm behind a flood by TCP" device=SEPEND
stop_listening
expect "flood: all alarms by TCP" "$(grep -c ^alarm "$HEARD")" -eq 202
expect "flood: received and lost, of 200002" \
  $(($(stat_of received) + $(stat_of lost))) -eq 200002
expect "flood: malformed" "$(stat_of malformed)" -eq 0

# Nobody reads for a while: what does not fit is lost, and that is known.
listen --syslog 127.0.0.1:$PORT
kill -STOP "$LISTENER"
send udp 100000
kill -CONT "$LISTENER"
lab_in box logger -n 127.0.0.1 -P $PORT -T --rfc3164 -- "$(alarm SEPAWAKE)"
heard "an alarm after a pause" device=SEPAWAKE
lab_wait_read box $PORT || fail "what waited is not read"
stop_listening
expect "pause: lost" "$(stat_of lost)" -gt 0
expect "pause: received and lost, of 100001" \
  $(($(stat_of received) + $(stat_of lost))) -eq 100001

# ---- Files ----

log=$WORK/remote.log
alarm SEPOLD >"$log"
printf 'half of an old line %%' >>"$log"
listen --follow "$log,$WORK/later.log"
alarm SEPHALF >>"$log"
alarm SEPNEW >>"$log"
heard "a line that is appended" device=SEPNEW
not_heard "not what was there before" device=SEPOLD
not_heard "nor the rest of a line begun before" device=SEPHALF
alarm SEPPART | head -c 100 >>"$log"
sleep 0.6
not_heard "a line that is not complete waits" SEPPART
alarm SEPPART | tail -c +101 >>"$log"
heard "and is read when it is" device=SEPPART
alarm SEPBEFORE >>"$log"
mv "$log" "$log.1"
alarm SEPSTILL >>"$log.1"
heard "rotated, and still written to" device=SEPSTILL
alarm SEPROTATED >"$log"
heard "the new file after a rotation" device=SEPROTATED
heard "and what came just before it" device=SEPBEFORE
: >"$log"
sleep 0.6
alarm SEPCUT >>"$log"
heard "a file that was cut" device=SEPCUT
alarm SEPLATER >"$WORK/later.log"
heard "a file that appears later" device=SEPLATER
stop_listening
expect "files: lines" "$(stat_of understood)" -eq 7

{ alarm SEPWHOLE; printf '\x00\x01\x02\n'; alarm SEPEND | tr -d '\n'; } >"$WORK/whole.log"
"$LAB_BIN/syslog-events" --read "$WORK/whole.log" >"$HEARD"
heard "a file that is read whole" "device=SEPWHOLE .*heard=0 said=2015-07-02T06:22:31.250Z"
heard "up to its last line" device=SEPEND
STATS=$(grep ^stats "$HEARD")
expect "read whole: the complaint" "${STATS#*complaint=}" = \
  "syslog from $WORK/whole.log: not a line of text"

# ---- What cannot be opened ----

# refused NAME WANT OPTION…: one line that says why.
refused() {
  local name=$1 want=$2
  shift 2
  expect "$name" "$(lab_in box timeout 60 "$LAB_BIN/syslog-events" "$@" 2>&1)" = "$want"
}
refused "a file that is not there" "--syslog-file $WORK/none: No such file or directory" \
  --read "$WORK/none"
refused "a directory" "--syslog-file $WORK: Is a directory" --follow "$WORK"
refused "an address of somebody else" "--syslog 10.9.9.9:514: UDP: Cannot assign requested address" \
  --syslog 10.9.9.9:514
refused "no port" "--syslog 127.0.0.1: not a port: ADDRESS:PORT is expected" --syslog 127.0.0.1
refused "IPv6 without brackets" \
  "--syslog ::1:514: an IPv6 address goes in brackets: [::1]:514" --syslog ::1:514

finish_tests
