#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What the programs tell beside the segments: who asks for an address and who answers, how long a
# phone was silent, where its frames go. On a bridge, by XDP and by tc.
set -u
. "$(dirname "$0")/lib.sh"

LISTEN=$BUILD/tests/net/listen

# listen OPTION…: in the box, to $WORK/heard.
listen() {
  : >"$WORK/heard" # or what the one before was ready for would count
  lab_bg box "$WORK/heard" "$LISTEN" acc0 cucm0 "$@"
  LISTENER=$LAB_LAST_PID
  lab_wait_for "$WORK/heard" ready 60
}

# heard FILTER: how many lines it holds for.
heard() {
  grep '^{' "$WORK/heard" | jq -s "[.[] | select($1)] | length"
}

# ask FAMILY ADDRESS DEVICE-ADDRESS: the phones' kernel asks anew.
ask() {
  lab_in phones ip "-$1" neigh del "$2" dev eth0 2>/dev/null
  lab_in phones bash -c "echo >/dev/udp/$2/9"
}

asked() {
  local hook=$1
  lab_up bridged
  keep_trap
  listen "$hook"
  ask 4 "$LAB_SERVER4"
  ask 6 "$LAB_SERVER6"
  sleep 0.2
  # An address that is claimed by a second MAC, unasked.
  lab_in server ip addr add 10.1.3.3/16 dev eth0
  lab_in server "$ROOT/tests/net/announce.py" eth0 10.1.3.3 02:00:00:00:09:09
  sleep 0.3
  lab_stop "$LISTENER"
  expect "$hook: a request" "$(heard \
    ".type == \"arp\" and .what == \"request\" and .address == \"$LAB_SERVER4\" and .side == 0 and
      .mac == \"$LAB_MAC_PHONES\" and .to == \"$LAB_PHONE4\"")" -ge 1
  expect "$hook: an answer, from the server's side" "$(heard \
    ".type == \"arp\" and .what == \"answer\" and .address == \"$LAB_SERVER4\" and .side == 1 and
      .mac == \"$LAB_MAC_SERVER\" and .to == \"$LAB_PHONE4\"")" -ge 1
  expect "$hook: a solicitation" "$(heard \
    ".what == \"request\" and .address == \"$LAB_SERVER6\" and .mac == \"$LAB_MAC_PHONES\" and
      .side == 0")" -ge 1
  expect "$hook: and its advertisement" "$(heard \
    ".what == \"answer\" and .address == \"$LAB_SERVER6\" and .mac == \"$LAB_MAC_SERVER\" and
      .side == 1")" -ge 1
  expect "$hook: an announcement" "$(heard \
    '.what == "announce" and .address == "10.1.3.3" and .mac == "02:00:00:00:09:09" and
      .side == 1')" -eq 1
  expect "$hook: none was lost" "$(heard '.type == "end" and .arp_lost == 0')" -eq 1
}

# silence HOOK: keepalives every 2 s; then the same while the phone says other things.
silence() {
  local hook=$1
  lab_up bridged 4
  keep_trap
  listen "$hook"
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER4" --phones 1 --period 2000 \
    --duration 6500 --quiet >/dev/null
  lab_stop "$LISTENER"
  expect "$hook: silent between keepalives" \
    "$(heard '.type == "segment" and .direction == 0 and .idle_ms > 1500')" -ge 2
  expect "$hook: not when the answer comes" \
    "$(heard '.type == "segment" and .direction == 1 and .idle_ms < 1500')" -ge 2
  expect "$hook: where its frames go" \
    "$(heard ".type == \"segment\" and .next_mac != \"$LAB_MAC_SERVER\"")" -eq 0
  expect "$hook: its end has the usual TTL" \
    "$(heard '.type == "close" and .ttl == 64 and .usual_ttl == 64')" -ge 1
  listen "$hook"
  lab_bg phones /dev/null bash -c \
    "while :; do echo >/dev/udp/$LAB_SERVER4/9; sleep 0.2; done"
  local talk=$LAB_LAST_PID
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER4" --phones 1 --period 2000 \
    --duration 4500 --quiet >/dev/null
  lab_stop "$talk"
  lab_stop "$LISTENER"
  expect "$hook: other frames end the silence" \
    "$(heard '.type == "segment" and .idle_ms != null and .idle_ms > 1500')" -eq 0
  expect "$hook: which is known" "$(heard '.type == "segment" and .idle_ms != null')" -ge 2
}

# flood: announcements by the thousand, each of another MAC, leave the narrative alone.
flood() {
  lab_up bridged 4
  keep_trap
  listen xdp
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  kill -STOP "$LISTENER"
  lab_in server "$ROOT/tests/net/announce.py" eth0 10.1.3.3 02:00:00:00:09:09 3000
  kill -CONT "$LISTENER"
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER4" --phones 1 --period 500 \
    --duration 3300 --quiet >/dev/null
  lab_stop "$LISTENER"
  expect 'flood: some had no room' "$(heard '.type == "end" and .arp_lost > 0')" -eq 1
  expect 'flood: and the keepalives had' "$(heard '.type == "segment" and .direction == 0')" -ge 3
  listen xdp no-idle no-arp
  ask 4 "$LAB_SERVER4"
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER4" --phones 1 --period 500 \
    --duration 1900 --quiet >/dev/null
  lab_stop "$LISTENER"
  expect 'switched off: no ARP' "$(heard '.type == "arp"')" -eq 0
  expect 'switched off: no silence' "$(heard '.type == "segment" and .idle_ms != null')" -eq 0
}

asked xdp
asked tc
silence xdp
silence tc
flood
finish_tests
