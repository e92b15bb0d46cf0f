#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The clock is set, the host sleeps, watch is stopped for a while: what was under way is no loss, the
# records have the time that it is, and durations are not disturbed. A history outlives a wrong clock.
# The machine's own clock stays as it is: tests/faults/clock.c is preloaded.
set -u
. "$(dirname "$0")/lib.sh"

# Is a sanitizer built in, which wants to be preloaded itself? Then only what needs no clock.
PRELOAD="$BUILD/tests/faults/clock.so"
! sanitized || PRELOAD=''
CLOCK=$WORK/clock

# set_clock SECONDS SLEPT [HELD_MS]: in one piece, for it is read at any time.
set_clock() {
  echo "$1 $2 ${3:-0}" >"$CLOCK.new"
  mv "$CLOCK.new" "$CLOCK"
}

ticks() { grep -c '"type":"tick"' "$WORK/records"; }
# wait_ticks N: so many more.
wait_ticks() {
  local want=$(($(ticks) + $1)) tries=300
  until [ "$(ticks)" -ge "$want" ]; do
    [ $((tries--)) -gt 0 ] || { fail "no more ticks: $(tail -2 "$WORK/watch.err")"; return 1; }
    sleep 0.1
  done
}

start() {
  lab_up routed 4
  keep_trap
  set_clock 0 0
  : >"$WORK/records"
  lab_bg box "$WORK/watch.err" env ${PRELOAD:+LD_PRELOAD="$PRELOAD"} KALOSS_CLOCK="$CLOCK" "$KALOSS" \
    watch --access acc0 --cucm cucm0 --format jsonl --output "$WORK/records" --interval 250ms "$@"
  WATCH=$LAB_LAST_PID
  wait_watching || return
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  SERVER=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --port 2000 --phones 200 --period 500 --duration 600000 --quiet
  PHONES=$LAB_LAST_PID
  wait_ticks 10
}

# steady TICKS: behind the first so many ticks each phone had its turn some times, both ways, and in the
# last ones everything could be paired.
steady() {
  jq -n -e "[inputs | select(.type == \"tick\")][$1:]
    | (map([.to_cucm.delivered, .to_phone.delivered] | min) | add // 0) >= 600
      and (.[-3:] | map(.integrity.unpaired) | add) == 0" "$WORK/records" >/dev/null 2>&1
}

# Keepalives are dropped for five ticks; then all of them end.
drop_and_end() {
  lab_drop_rule box inet to_cucm 2000 sccp_keepalive 30
  wait_ticks 5
  lab_in box nft flush chain inet lab forwarded
  lab_stop "$PHONES" 8
  lab_stop "$SERVER" 5
  stop_watch
}

# Nothing was lost so far; what is dropped now is.
finish() {
  local name=$1 from tries=300
  from=$(($(ticks) + 1))
  wait_ticks 6
  until steady $from; do
    [ $((tries--)) -gt 0 ] || { fail "$name: not all phones are through"; break; }
    sleep 0.1
  done
  expect "$name: losses" "$(grep -c '"type":"loss"' "$WORK/records")" -eq 0
  drop_and_end
  expect "$name: lost afterwards" "$(summary .to_cucm.lost_between)" -eq \
    "$(lab_dropped box to_cucm_sccp_keepalive)"
  expect "$name: some were" "$(summary .to_cucm.lost_between)" -gt 3
  check_sums "$name"
}

# The largest difference between a tick's length and what lies between its time and the one before, and
# how often it is more than a minute.
jumps() {
  jq -r 'select(.type == "tick") | "\(.time[0:19] + "Z" | fromdate) \(.interval_s)"' "$WORK/records" |
    awk 'NR > 1 { d = $1 - was - $2; if (d > 60 || d < -60) printf "%s%+d", n++ ? " " : "", (d + (d > 0 ? 30 : -30)) / 60 }
      { was = $1 }'
}

clock_is_set() {
  local name="the clock is set" seconds
  start || return
  set_clock 7200 0
  wait_ticks 4
  set_clock -86400 0
  wait_ticks 4
  set_clock 0 0
  finish "$name"
  expect "$name: the records' times follow, in minutes" "$(jumps)" = "+120 -1560 +1440"
  seconds=$(summary .duration_s)
  expect "$name: the duration does not" "${seconds%.*}" -lt 600
  expect "$name: longest interval, in s" \
    "$(jq -s 'map(select(.type == "tick") | .interval_s) | max | floor' "$WORK/records")" -lt 60
  expect "$name: no gap" "$(summary .integrity.gaps)" -eq 0
}

host_sleeps() {
  local name="the host sleeps"
  start || return
  set_clock 3600 3600
  wait_ticks 4
  expect "$name: said once" "$(grep -c 'this host slept for 3600.0 s' "$WORK/watch.err")" -eq 1
  finish "$name"
  expect "$name: gaps" "$(summary .integrity.gaps)" -eq 1
}

# As on a host that is busy, or that others hold up: that is no sleep.
held_up() {
  local name="held up between two clocks"
  start || return
  set_clock 0 0 150
  wait_ticks 4
  set_clock 0 0
  finish "$name"
  expect "$name: gaps" "$(summary .integrity.gaps)" -eq 0
}

# Nobody reads the events meanwhile: some are lost, and of the story between them nothing is concluded.
stopped() {
  local name="watch is stopped"
  start --ring-bytes 8192 || return
  kill -STOP "$WATCH"
  sleep 3
  kill -CONT "$WATCH"
  finish "$name"
  expect "$name: events lost" "$(summary .integrity.events_lost)" -gt 0
}

# What is kept of one run is not forgotten by the next one, whose clock is ahead of --keep, and is found
# by the last hour of the clock that is right again.
history_ahead() {
  local name="a history, and the clock is ahead" kept=$WORK/clock.db lost
  start --history "$kept" || return
  drop_and_end
  lost=$(sqlite3 -readonly "$kept" 'SELECT count(*) FROM loss')
  expect "$name: losses before" "$lost" -gt 3
  set_clock $((40 * 86400)) 0
  lab_in box env LD_PRELOAD="$PRELOAD" KALOSS_CLOCK="$CLOCK" "$KALOSS" watch --access acc0 \
    --cucm cucm0 --output /dev/null --duration 2s --history "$kept" 2>"$WORK/watch.err"
  expect "$name: all of them are there" \
    "$(sqlite3 -readonly "$kept" 'SELECT count(*) FROM loss')" -eq "$lost"
  expect "$name: said once" \
    "$(grep -c 'the clock is 40.0 days ahead of the newest entry' "$WORK/watch.err")" -eq 1
  "$KALOSS" diagnose --history "$kept" --format json --output "$WORK/kept" 2>"$WORK/kept.err"
  expect "$name: the last hour has them" \
    "$(jq '[.timeline[] | select(.type == "loss")] | length' "$WORK/kept")" -eq "$lost"
  expect "$name: what is left out is said" \
    "$(jq '[.integrity.remarks[] | select(contains("ahead of this host"))] | length' "$WORK/kept")" -eq 1
}

tests=${*:-clock_is_set host_sleeps held_up stopped history_ahead}
if [ -z "$PRELOAD" ] && [ $# -eq 0 ]; then
  echo "      with a sanitizer: only what is stopped"
  tests=stopped
fi
# shellcheck disable=SC2086
for t in $tests; do $t; done
finish_tests
