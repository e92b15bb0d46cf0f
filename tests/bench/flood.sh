#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Nothing but keepalives, as fast as one processor can take them through both hooks of a running
# `kaloss watch`, one in a hundred dropped in between: are the numbers right, what does the program in
# user space take, and how long after the end are they right?
#
#   tests/bench/flood.sh [--quick] [--json FILE]
set -u
. "$(dirname "$0")/lib.sh"

PART=flood
CONNECTIONS=1024 COUNT=1000000 JOIN=1048576
# Between two looks of user space: or what is measured would be the cost of not writing an event.
RING=$((1 << 26))
! $QUICK || RING=$((1 << 24))
# A quick run may be one of many that wait for one another: what waits so long is called lost.
DEADLINE=1 REST=1
! $QUICK || COUNT=50000 DEADLINE=3 REST=4

# burst COUNT OPTION…: the next keepalives; one line to $WORK/bursts.
burst() {
  local count=$1
  shift
  lab_in box taskset -c 0 "$BIN/flood" --access acc0 --cucm cucm0 --pid "$WATCH" \
    --connections $CONNECTIONS --first "$FIRST" --count "$count" "$@" >>"$WORK/bursts" ||
    die "the flood failed"
  FIRST=$((FIRST + count))
}

# values FILTER: of each burst but the first, which opens the connections.
values() { jq -r "$1" "$WORK/bursts" | tail -n +2; }

# right_after: of each burst, how many seconds after its end the sums over all ticks were those of the
# truth, and stayed (nothing pending, and as many lost as the dropper counted).
right_after() {
  jq -n -r --slurpfile bursts "$WORK/bursts" '
    def seconds: (.[:19] + "Z" | fromdate) + (.[19:-1] | if . == "" then 0 else "0" + . | tonumber end);
    [inputs | select(.type == "tick") | {time: (.time | seconds), c: .to_cucm}] as $ticks
    | [foreach $ticks[] as $t ({sent: 0, lost: 0};
        .sent += $t.c.sent | .lost += $t.c.lost_between | .time = $t.time | .pending = $t.c.pending)] as $sums
    | reduce range($bursts | length) as $i ({sent: 0, lost: 0, out: []};
        .sent += $bursts[$i].count | .lost += $bursts[$i].dropped
        | . as $want
        | ([$sums[] | select(.sent == $want.sent and .lost == $want.lost and .pending == 0) | .time] | first) as $at
        | .out += [if $at then $at - $bursts[$i].end else null end])
    | .out[1:][]' "$WORK/records"
}

# compare NAME: what the last watch said with what was sent and dropped. LATE: right_after.
compare() {
  local name=$1 sent lost want_sent want_lost unknown late
  LATE=$(right_after)
  want_sent=$(jq -s 'map(.count) | add' "$WORK/bursts")
  want_lost=$(jq -s 'map(.dropped) | add' "$WORK/bursts")
  read -r sent lost unknown late < <(jq -r 'select(.type == "summary") |
    "\(.to_cucm.sent) \(.to_cucm.lost_between) \(.integrity.unpaired + .integrity.join_full) \(.integrity.late)"' \
    "$WORK/records")
  echo "$name: $want_sent keepalives of $CONNECTIONS phones, $want_lost dropped;" \
    "kaloss: $sent sent, $lost lost, $unknown declared as unknown, $late late;" \
    "$(jq -r 'select(.type == "summary") | .integrity.events_lost' "$WORK/records") events lost"
  # What stood still for longer than the deadline was lost by then: it is declared as late.
  if [ "$sent" -ne "$want_sent" ] || [ "$lost" -ne $((want_lost + late)) ] || [ "$unknown" -ne "$late" ]; then
    die "$name: not counted exactly"
  fi
  if [[ $LATE == *null* ]]; then
    [ "$late" -gt 0 ] || die "$name: the numbers were not right before the next burst"
    echo "$name: the machine stood still for longer than the deadline: no time until they were right"
    LATE=''
  fi
}

# scene NAME HOOK BATCH
scene() {
  local name=$1 hook=$2 batch=$3 i
  lab_up routed
  keep_trap
  FIRST=0
  : >"$WORK/bursts"
  start_watch --interval 100ms --join-entries $JOIN --ring-bytes $RING --deadline ${DEADLINE}s --hook "$hook"
  burst $((CONNECTIONS * 4)) --drop-one-of 0
  sleep 0.5
  for ((i = 0; i < RUNS; i++)); do
    burst $COUNT --batch "$batch"
    sleep $((DEADLINE + REST))
  done
  stop_watch
  compare "$name"
  # shellcheck disable=SC2046
  {
    figure --unit "million/s" --at-least 2 "$name: keepalives through both hooks, a core" \
      $(values '.count / .cpu_s / 1e6')
    figure --unit "of a core" "$name: kaloss in user space meanwhile" \
      $(values '.watch_cpu_s / .wall_s')
    [ -z "$LATE" ] || figure --unit s "$name: numbers right after its end" $LATE
  }
}

# real_scene: frames that really come in, are routed and go out, as fast as one processor generates,
# routes and takes them; the dropper sits behind the near hook.
real_scene() {
  local name="routed between veths" count=$((COUNT / 6)) i
  lab_up routed
  keep_trap
  lab_gro phones eth0 on
  lab_gro box acc0 on
  FIRST=0
  : >"$WORK/bursts"
  start_watch --interval 100ms --join-entries $JOIN --ring-bytes $RING --deadline ${DEADLINE}s
  real_burst $((CONNECTIONS * 4))
  for ((i = 0; i < RUNS; i++)); do
    real_burst $count --drop "${LAB_PID[box]}:acc0"
  done
  stop_watch
  # What the path itself dropped would be missing at the sink.
  jq -s -e 'all(.[]; .received + .dropped == .count)' "$WORK/bursts" >/dev/null ||
    die "$name: frames went missing: $(cat "$WORK/bursts")"
  compare "$name"
  # shellcheck disable=SC2046
  {
    figure --unit "million/s" "$name: keepalives through both hooks, all on one core" \
      $(values '.count / .wall_s / 1e6')
    [ -z "$LATE" ] || figure --unit s "$name: numbers right after its end" $LATE
  }
}

real_burst() {
  local count=$1
  shift
  lab_in phones taskset -c 0 "$BIN/live" --kind keepalive --interface eth0 --to "$LAB_MAC_ACCESS" \
    --address "$LAB_FAKE_SERVER4" --connections $CONNECTIONS --first "$FIRST" --count "$count" \
    --sink "${LAB_PID[server]}:eth0" "$@" >>"$WORK/bursts" || die "the generator failed"
  FIRST=$((FIRST + count))
  sleep $((DEADLINE + REST))
}

"$BIN/figure"
scene "XDP in, tc out" xdp 16384
$QUICK || scene "tc in, tc out" tc 1000
real_scene
