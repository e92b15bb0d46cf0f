#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What a host forwards, routed and bridged: with nothing on its interfaces, with an empty XDP program
# on both, and with a `kaloss watch`, in turn. RTP as fast as one processor can generate and forward
# it, and TCP on a port that is none of signalling, with GRO on.
#
#   tests/bench/forward.sh [--quick] [--json FILE]
#   HOOK=xdp|tc: what to use in place of what watch chooses
set -u
. "$(dirname "$0")/lib.sh"

PART=forward
COUNT=300000 SECONDS_OF_TCP=0.5
! $QUICK || COUNT=20000 SECONDS_OF_TCP=0.2
PORT=5201

# send TO ADDRESS [OPTION…]: RTP through the box. Million frames a second that got through. (Where the
# kernel leaves the forwarding to a thread that does not keep up, the generator was measured, and no
# path: again, then.)
send() {
  local said tries=5
  while ((tries--)); do
    said=$(lab_in phones taskset -c 0 "$BIN/live" --interface eth0 --count $COUNT --to "$1" \
      --address "$2" --sink "${LAB_PID[server]}:eth0" "${@:3}") || die "the generator failed"
    jq -e ".received >= .count * 0.99" <<<"$said" >/dev/null || continue
    jq -r '.received / .wall_s / 1e6' <<<"$said"
    return
  done
  die "frames went missing: $said"
}

# stream: TCP through the box, in Gbit/s.
stream() {
  local tries=100 taker
  lab_bg server "$WORK/taken" "$BIN/tcp" take $PORT
  taker=$LAB_LAST_PID
  until lab_in server ss -Hltn "sport = :$PORT" | grep -q LISTEN; do
    sleep 0.02
    [ $((tries--)) -gt 0 ] || die "nobody listens"
  done
  lab_in phones "$BIN/tcp" send "$LAB_SERVER4" $PORT $SECONDS_OF_TCP || die "the sender failed"
  wait "$taker"
  cat "$WORK/taken"
}

# ratio A B: lines of A divided by those of B.
ratio() { paste "$WORK/$1" "$WORK/$2" | awk '{ print $1 / $2 }'; }

scene() {
  local mode=$1 to address i what hold
  lab_up "$mode"
  keep_trap
  lab_gro phones eth0 on
  lab_gro box acc0 on
  lab_gro box cucm0 on
  lab_gro server eth0 on
  to=$LAB_MAC_ACCESS address=$LAB_FAKE_SERVER4
  [ "$mode" = routed ] || to=$LAB_MAC_SERVER
  rm -f "$WORK"/{,tcp.}{none,empty,kaloss}
  for ((i = 0; i < RUNS; i++)); do
    send "$to" "$address" >>"$WORK/none"
    send "$to" "$address" --empty "${LAB_PID[box]}:acc0,cucm0" >>"$WORK/empty"
    stream >>"$WORK/tcp.none"
    lab_bg box "$WORK/hold.err" "$BIN/live" --hold "${LAB_PID[box]}:acc0,cucm0"
    hold=$LAB_LAST_PID
    lab_wait_for "$WORK/hold.err" held || die "no empty program: $(cat "$WORK/hold.err")"
    stream >>"$WORK/tcp.empty"
    lab_stop "$hold"
    start_watch --hook "${HOOK:-auto}"
    send "$to" "$address" >>"$WORK/kaloss"
    stream >>"$WORK/tcp.kaloss"
    stop_watch
  done
  # shellcheck disable=SC2046
  {
    for what in none empty kaloss; do
      figure --unit "million frames/s" "$mode, RTP, $what" $(cat "$WORK/$what")
    done
    figure --unit "" --at-least 0.99 "$mode, RTP, kaloss to an empty program" $(ratio kaloss empty)
    for what in none empty kaloss; do
      figure --unit "Gbit/s" "$mode, TCP, $what" $(cat "$WORK/tcp.$what")
    done
    figure --unit "" --at-least 0.99 "$mode, TCP, kaloss to an empty program" $(ratio tcp.kaloss tcp.empty)
  }
}

"$BIN/figure"
scene routed
scene bridged
