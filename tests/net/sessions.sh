#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# A switch port with port security whose ageing time is shorter than the keepalive interval, as real
# TCP: the first copy of each keepalive is dropped there, its retransmission passes, and the
# retransmission timeout doubles from cycle to cycle, until a SIP phone's REGISTER comes later than
# the call server's grace and the phone is unregistered. kaloss is behind that switch. Everything
# is 11 times as fast as on a real phone: 4 s from answer to REGISTER, 2.2 s of grace, 26 ms for
# the first timeout.
#
# Three kinds of phones: SIP phones that get unregistered in their 7th or 8th cycle; SCCP phones, which
# lose as many first copies but whose server is patient; and SIP phones that refresh before the
# switch forgets them, which lose nothing.
set -u
LAB_PHONE_COUNT=9
. "$(dirname "$0")/lib.sh"

PHONES=3
SECONDS_LONG=${1:-44}
AGEING=3
EXPIRES=5000 DELTA=1000 GRACE=1200 # the phone refreshes 4 s after each answer
SCCP_PERIOD=4000

lab_up routed 4
keep_trap
lab_add_switch
lab_lasting_backoff phones
lab_witness switch "$WORK/dropped.pcap" || exit 1
lab_bg switch "$WORK/passed.pcap.log" tcpdump --immediate-mode --time-stamp-precision=nano -B 16384 \
  -i "$LAB_SWITCH_ROUTER" -Q out -U -w "$WORK/passed.pcap" tcp
lab_wait_for "$WORK/passed.pcap.log" 'listening on'
lab_port_security $AGEING
# The server's patience, counted from when the refresh was due: 5 s - 4 s + 1.2 s.
start_watch --sip-grace 2200ms || exit 1

lab_bg server "$WORK/sip-server" "$LAB_BIN/sip-server" --expires $EXPIRES --grace $GRACE
sip_server=$LAB_LAST_PID
lab_bg server "$WORK/sccp-server" "$LAB_BIN/sccp-server"
sccp_server=$LAB_LAST_PID
lab_wait_for "$WORK/sip-server" ready
lab_wait_for "$WORK/sccp-server" ready

IFS=, read -ra addresses <<<"$LAB_PHONES4"
# own FIRST: the addresses of so many phones, for --bind.
own() { (IFS=,; echo "${addresses[*]:$1:$PHONES}"); }

lab_bg phones "$WORK/sip" "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --bind "$(own 0)" \
  --phones $PHONES --duration $((SECONDS_LONG * 1000)) --delta $DELTA --quiet
sip=$LAB_LAST_PID
# (The eighth timeout would be longer than the ageing, so their retransmissions would be lost, too.)
lab_bg phones "$WORK/sccp" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$(own 3)" \
  --phones $PHONES --duration 31000 --period $SCCP_PERIOD --linger 3000 --quiet
sccp=$LAB_LAST_PID
lab_bg phones "$WORK/lively" "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --bind "$(own 6)" \
  --phones $PHONES --duration $((SECONDS_LONG * 1000)) --refresh 2000 --quiet
lively=$LAB_LAST_PID
wait "$sip" || fail "the SIP phones ended with $?"
wait "$sccp" || fail "the SCCP phones ended with $?"
wait "$lively" || fail "the lively phones ended with $?"
lab_stop "$sip_server"
lab_stop "$sccp_server"
lab_witnessed "$WORK/dropped.pcap" "$(lab_dropped switch port_security)"
stop_watch
check_sums sessions

"$ROOT/tests/net/sessions.py" --records "$WORK/records" --dropped "$WORK/dropped.pcap" \
  --passed "$WORK/passed.pcap" --server "$WORK/sip-server" --server "$WORK/sccp-server" \
  --unregistered "$(own 0)" --patient "$(own 3)" --lively "$(own 6)" \
  --period-ms $((EXPIRES - DELTA)) >"$WORK/checks"
cat "$WORK/checks"
PASSED=$((PASSED + $(grep -c '^ok ' "$WORK/checks")))
FAILED=$((FAILED + $(grep -c '^FAIL ' "$WORK/checks")))
grep -q '^ok ' "$WORK/checks" || fail "sessions.py said nothing"

if "$ROOT/tests/net/where.py" --require phone_side=-/100 "$WORK/records" \
  phone_side="$WORK/dropped.pcap"; then
  pass "nothing but what the switch dropped is reported as lost on the phones' side"
else
  fail "what is reported as lost on the phones' side is not what the switch dropped"
fi
if [ -n "${SESSIONS_KEEP:-}" ]; then
  mkdir -p "$SESSIONS_KEEP"
  cp "$WORK"/*.pcap "$WORK/records" "$WORK/checks" "$WORK"/*-server "$SESSIONS_KEEP"
fi
finish_tests
