#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# kaloss beside what people do without it: tcpdump on both sides with a filter for signalling, each
# writing a file, to be compared later; and tshark the same way, where it is installed. In turn, the
# same traffic through a router between two namespaces: RTP with keepalives in between, sent at a fixed
# pace. CPU: of their own processes (user and system), and of the generator, in whose time the frames
# are forwarded, beyond what it takes without either (what a hook or a packet socket costs is paid by
# whoever forwards the frame).
#
#   tests/bench/against.sh [--quick] [--json FILE]
set -u
. "$(dirname "$0")/lib.sh"

PART=against
BURSTS=3 RTP=40000 KEEPALIVES=800 CONNECTIONS=256
! $QUICK || BURSTS=1
FILTER='tcp port 2000 or tcp port 5060'

# live KIND COUNT FIRST
live() {
  lab_in phones taskset -c 0 "$BIN/live" --kind "$1" --interface eth0 --to "$LAB_MAC_ACCESS" --address "$LAB_FAKE_SERVER4" \
    --connections $CONNECTIONS --first "$3" --count "$2" --sink "${LAB_PID[server]}:eth0" >>"$WORK/live" ||
    die "the generator failed"
}

# A burst takes a quarter of a second. The same each time but for the keepalives' numbers.
traffic() {
  local i
  for ((i = 0; i < BURSTS; i++)); do
    live rtp $RTP 0
    live keepalive $KEEPALIVES $FIRST
    FIRST=$((FIRST + KEEPALIVES))
  done
}

# own_cpu [PID…]: of all of them with their threads, in seconds: by CPU clocks, clock_getcpuclockid(3).
own_cpu() {
  python3 -c 'import sys, time
print("%.6f" % sum(time.clock_gettime(~int(pid) * 8 + 2) for pid in sys.argv[1:]))' "$@"
}

# with NAME PID…: adds to the files of that name: CPU of its processes, and of the generator.
with() {
  local name=$1 own
  shift
  sleep 0.3
  own=$(own_cpu "$@")
  : >"$WORK/live"
  traffic
  # What captures looks once a second for what came.
  [ $# -eq 0 ] || sleep 1.2
  jq -s 'map(.cpu_s) | add' "$WORK/live" >>"$WORK/path.$name"
  awk "BEGIN { print $(own_cpu "$@") - $own }" >>"$WORK/own.$name"
}

tcpdump_on() {
  lab_bg box "$WORK/tcpdump.$1" tcpdump -i "$1" -n -w "$WORK/$1.pcap" "$FILTER"
  lab_wait_for "$WORK/tcpdump.$1" 'listening on' || die "tcpdump: $(cat "$WORK/tcpdump.$1")"
}

tshark_on() {
  lab_bg box "$WORK/tshark.$1" tshark -q -n -i "$1" -f "$FILTER" -w "$WORK/$1.pcapng"
  lab_wait_for "$WORK/tshark.$1" 'Capture started\|Capturing on' 30 || die "tshark: $(cat "$WORK/tshark.$1")"
}
# What captures for it is a process of its own.
with_child() { echo "$1 $(pgrep -P "$1")"; }

ratio() { paste "$WORK/$1" "$WORK/$2" | awk '{ print $2 ? $1 / $2 : 0 }'; }

lab_up routed
keep_trap
lab_gro phones eth0 on
lab_gro box acc0 on
FIRST=0 DROPPED=0 TSHARK=false TSHARK_DROPPED=0
if command -v tshark >/dev/null; then TSHARK=true; fi
: >"$WORK/live"
for ((run = 0; run < RUNS; run++)); do
  with nothing
  tcpdump_on acc0
  dump=$LAB_LAST_PID
  tcpdump_on cucm0
  with tcpdump "$dump" "$LAB_LAST_PID"
  lab_stop "$dump"
  lab_stop "$LAB_LAST_PID"
  for side in acc0 cucm0; do
    DROPPED=$((DROPPED + $(sed -nE 's/^([0-9]+) packets dropped by kernel.*/\1/p' "$WORK/tcpdump.$side")))
    seen=$(sed -nE 's/^([0-9]+) packets captured.*/\1/p' "$WORK/tcpdump.$side")
    echo "$seen" >>"$WORK/seen"
  done
  if $TSHARK; then
    tshark_on acc0
    shark=$LAB_LAST_PID
    tshark_on cucm0
    # shellcheck disable=SC2046
    with tshark $(with_child "$shark") $(with_child "$LAB_LAST_PID")
    lab_stop "$shark"
    lab_stop "$LAB_LAST_PID"
    for side in acc0 cucm0; do
      TSHARK_DROPPED=$((TSHARK_DROPPED + $(sed -nE 's/^([0-9]+) packets? dropped.*/\1/p' "$WORK/tshark.$side" | tail -1) + 0))
      capinfos -Mc "$WORK/$side.pcapng" 2>/dev/null | sed -nE 's/^Number of packets: *([0-9]+).*/\1/p' >>"$WORK/shark_seen"
    done
  fi
  start_watch
  with kaloss "$WATCH"
  stop_watch
  jq -e "select(.type == \"summary\") | .to_cucm.delivered == $((BURSTS * KEEPALIVES)) and .integrity.events_lost == 0" \
    "$WORK/records" >/dev/null || die "kaloss did not count them all: $(tail -1 "$WORK/records")"
done
echo "each: $((BURSTS * RTP)) packets of RTP and $((BURSTS * KEEPALIVES)) keepalives; of $((BURSTS * KEEPALIVES * 2 * RUNS))" \
  "tcpdump wrote $(awk '{ n += $1 } END { print n }' "$WORK/seen") and dropped $DROPPED; kaloss counted all"
# beyond NAME: what the path took beyond what it takes with nothing on it.
beyond() { paste "$WORK/path.$1" "$WORK/path.nothing" | awk '{ print $1 - $2 }'; }
# all NAME: with its own processes.
all() { paste "$WORK/own.$1" <(beyond "$1") | awk '{ print $1 + $2 }'; }

all tcpdump >"$WORK/all.tcpdump"
all kaloss >"$WORK/all.kaloss"
# shellcheck disable=SC2046
{
  figure --unit s "the path with nothing on it" $(cat "$WORK/path.nothing")
  figure --unit s "tcpdump -w on both sides: its processes" $(cat "$WORK/own.tcpdump")
  figure --unit s "tcpdump -w on both sides: the path, beyond that" $(beyond tcpdump)
  figure --unit s "kaloss watch: its process" $(cat "$WORK/own.kaloss")
  figure --unit s "kaloss watch: the path, beyond that" $(beyond kaloss)
  figure --unit times --at-least 3 "tcpdump -w on both sides to kaloss watch, all CPU" \
    $(ratio all.tcpdump all.kaloss)
}
if ! $TSHARK; then
  echo "tshark is not installed (Debian: apt-get install tshark): left out"
  exit
fi
all tshark >"$WORK/all.tshark"
echo "tshark wrote $(awk '{ n += $1 } END { print n }' "$WORK/shark_seen") and dropped $TSHARK_DROPPED"
# shellcheck disable=SC2046
{
  figure --unit s "tshark -w on both sides: its processes" $(cat "$WORK/own.tshark")
  figure --unit s "tshark -w on both sides: the path, beyond that" $(beyond tshark)
  figure --unit times "tshark -w on both sides to kaloss watch, all CPU" $(ratio all.tshark all.kaloss)
}
