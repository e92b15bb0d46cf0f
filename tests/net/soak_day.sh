#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Days of it in minutes: phones with a keepalive every 200 ms instead of every 30 s, and connections
# that end and come again. Nothing may be lost but what the veths themselves drop, where a busy machine
# cannot keep up with this many, and they count that; and what watch holds may not
# grow: descriptors, and memory, looked at again and again. (Resident is also what of the mapped rings
# was touched, until they were filled once; what the program took itself is its private part.)
#
#   tests/net/soak_day.sh [PHONES [SECONDS]]     (400 25; `make soak-day` runs 2000 360)
#
# A phone's keepalives of a day are 2 880: as many as here in 576 s.
set -u
LAB_PHONE_COUNT=50
. "$(dirname "$0")/lib.sh"

COUNT=${1:-400}
SECONDS_LONG=${2:-25}
PERIOD_MS=200
LIFE_S=8 # a third of the phones start over after this long

holds() {
  local p=/proc/$WATCH
  echo "$(find "$p/fd" -mindepth 1 | wc -l) $(awk '/^RssAnon/ { print $2 }' "$p/status") $(
    awk '/^VmRSS/ { print $2 }' "$p/status")"
}

# What the veth dropped that was to leave there.
dropped() { lab_in "$1" ip -j -s link show "$2" | jq '.[0].stats64.tx.dropped'; }
lost() { jq -c "select(.type == \"loss\" and .where == \"$1\")" "$WORK/records" | wc -l; }

lab_up routed 4
keep_trap
start_watch || exit 1
lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
server=$LAB_LAST_PID
lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
lab_bg phones "$WORK/steady" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
  --port 2000 --phones $((COUNT * 2 / 3)) --period $PERIOD_MS --duration $((SECONDS_LONG * 1000)) --quiet
steady=$LAB_LAST_PID
(
  while kill -0 "$steady" 2>/dev/null; do
    lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" --port 2000 \
      --phones $((COUNT / 3)) --period $PERIOD_MS --duration $((LIFE_S * 1000)) --device 100000 --quiet
  done
) >"$WORK/others" 2>&1 </dev/null &
others=$!

# When sessions that ended are forgotten for the first time all is as it will be.
began=$SECONDS first='' step=$((SECONDS_LONG / 8 > 3 ? SECONDS_LONG / 8 : 3))
while kill -0 "$steady" 2>/dev/null; do
  sleep $step
  [ -e "/proc/$WATCH/status" ] || break
  now=$(holds)
  [ $((SECONDS - began)) -lt $((SECONDS_LONG / 2)) ] || : "${first:=$now}"
  echo "      after $((SECONDS - began)) s: descriptors, private kB, resident kB: $now"
done
wait "$steady" || fail "the phones ended with $?: $(tail -1 "$WORK/steady")"
wait "$others"
lab_stop "$server"
stop_watch
echo "      $(summary .by_kind.sccp_keepalive.to_cucm.sent) keepalives of $(summary .phones) phones," \
  "$(jq -c 'select(.type == "session" and .event == "start")' "$WORK/records" | wc -l) connections"
expect "soak-day: losses between" "$(lost between)" -le $(($(dropped box acc0) + $(dropped box cucm0)))
expect "soak-day: losses before it, of phones" "$(lost phone_side)" -le "$(dropped phones eth0)"
expect "soak-day: losses before it, of the server" "$(lost cucm_side)" -le "$(dropped server eth0)"
expect "soak-day: losses of which it is not known where" "$(lost unknown)" -eq 0
# A busy machine sends less; it must be enough to mean something.
expect "soak-day: keepalives" "$(summary .by_kind.sccp_keepalive.to_cucm.sent)" -gt $((COUNT * SECONDS_LONG / 2))
read -r fds_then kb_then _ <<<"$first"
read -r fds_now kb_now _ <<<"$now"
expect "soak-day: descriptors, at the end as in the middle" "$fds_now" -eq "$fds_then"
expect "soak-day: private kB more at the end than in the middle" $((kb_now - kb_then)) -le 2048
expect "soak-day: events lost" "$(summary .integrity.events_lost)" -eq 0
check_sums soak-day
finish_tests
