#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What is joined by other rules than a plain keepalive: TLS, TCP probes, SIP OPTIONS and CRLF pings;
# and what a bridge that floods or a router that fragments does to the join.
set -u
. "$(dirname "$0")/lib.sh"

up() {
  lab_up "$@"
  keep_trap
}

lost_equals() {
  local name=$1 up=$2 down=$3
  expect "$name: lost to the CUCM" "$(summary .to_cucm.lost_between)" -eq "$up"
  expect "$name: lost to the phones" "$(summary .to_phone.lost_between)" -eq "$down"
  expect "$name: pending at the end" "$(summary '.to_cucm.pending + .to_phone.pending')" -eq 0
  check_sums "$name"
}

# On a TLS port every segment with payload counts, whatever is in it.
tls() {
  up routed 4
  lab_drop_rule box inet to_cucm 2443 payload 20
  lab_drop_rule box inet to_phone 2443 payload 17
  start_watch
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2443
  lab_wait_for "$WORK/server" ready
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" --port 2443 \
    --phones 100 --period 100 --duration 3000 >"$WORK/phones"
  stop_watch
  lost_equals TLS "$(lab_dropped box to_cucm_payload)" "$(lab_dropped box to_phone_payload)"
  expect "TLS: kinds" "$(summary '.by_kind | keys | join(" ")')" = tls_record
  expect "TLS: records sent" "$(summary .by_kind.tls_record.to_cucm.sent)" -ge 2000
}

# Idle connections whose phones' kernels probe them each second: same sequence number each time.
probes() {
  local family=$1
  up routed "$family"
  start_watch
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  lab_wait_for "$WORK/server" ready
  lab_bg phones "$WORK/idle" python3 -c '
import socket, sys, time
socks = []
for i in range(50):
    s = socket.create_connection((sys.argv[1], 2000))
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 9)):
        s.setsockopt(socket.IPPROTO_TCP, option, value)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    socks.append(s)
print("connected", flush=True)
time.sleep(30)
' "$LAB_SERVER"
  local idle=$LAB_LAST_PID
  lab_wait_for "$WORK/idle" connected
  # The handshakes are over: what is bare from now on is a probe or its answer.
  lab_in box nft -f - <<-RULES
	table inet lab {
		counter up { }
		counter down { }
		chain forwarded {
			type filter hook forward priority 0; policy accept;
			tcp dport 2000 tcp flags & (syn | fin | rst) == 0 numgen inc mod 10 0 counter name up drop
			tcp sport 2000 tcp flags & (syn | fin | rst) == 0 numgen inc mod 7 0 counter name down drop
		}
	}
	RULES
  sleep 6.5
  local up down
  up=$(lab_dropped box up) down=$(lab_dropped box down)
  stop_watch
  kill "$idle" 2>/dev/null
  expect "probes, IPv$family: enough lost" $((up + down)) -ge 20
  # A probe may have been dropped while the watch was ending.
  expect "probes, IPv$family: lost" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" \
    -le $(($(lab_dropped box up) + $(lab_dropped box down)))
  # A lost answer is only called lost when a later segment shows that the way is still the same:
  # the last ones before the end are not.
  local undecided
  undecided=$(summary .integrity.unpaired_by.unconfirmed)
  expect "probes, IPv$family: undecided at the end" "$undecided" -le 10
  expect "probes, IPv$family: lost" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" \
    -ge $((up + down - undecided))
  expect "probes, IPv$family: kinds" "$(summary '.by_kind | keys | join(" ")')" = "tcp_probe tcp_probe_ack"
  expect "probes, IPv$family: retransmissions" "$(summary .to_cucm.retransmitted)" -eq 0
  expect "probes, IPv$family: unpaired" "$(summary .integrity.unpaired)" -eq "$undecided"
  check_sums "probes, IPv$family"
}

# One connection that says all that SIP can say to keep itself alive.
sip_kinds() {
  up routed 4
  lab_slow_rto phones
  lab_slow_rto server
  start_watch
  lab_bg server "$WORK/server" python3 -c '
import socket
s = socket.create_server(("", 5060))
print("ready", flush=True)
c, _ = s.accept()
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
reply = "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 10.1.0.2\r\nCall-ID: a@b\r\nCSeq: 7 %s\r\nContent-Length: 0\r\n\r\n"
while True:
    got = c.recv(4096)
    if not got:
        break
    if got == b"\r\n\r\n":
        c.send(b"\r\n")
    else:
        c.send((reply % got.decode().lstrip().split()[0]).encode())
'
  lab_wait_for "$WORK/server" ready
  lab_in phones python3 - "$LAB_SERVER" <<'PYTHON'
import socket, sys
s = socket.create_connection((sys.argv[1], 5060))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def say(method, extra="", lead=""):
    s.send(f"{lead}{method} sip:10.2.0.10 SIP/2.0\r\nVia: SIP/2.0/TCP 10.1.0.2\r\nFrom: <sip:1@10.2.0.10>\r\n"
           f"CSeq: 7 {method}\r\n{extra}Content-Length: 0\r\n\r\n".encode())
    s.recv(4096)
device = '+u.sip!devicename.ccm.cisco.com="SEP0024142DDF24"'
for i in range(5):
    say("REGISTER", f"Contact: <sip:1@10.1.0.2>;{device}\r\nExpires: 3600\r\n")
    say("REGISTER", f"m: <sip:1@10.1.0.2>;{device};expires=0;cisco-keep-alive\r\nExpires: 0\r\n")
    say("REGISTER", "Contact: <sip:1@10.1.0.2>;expires=0\r\nEXPIRES : 0\r\n", "\r\n\r\n")
    say("OPTIONS")
    say("INVITE")
    s.send(b"\r\n\r\n")
    s.recv(4096)
PYTHON
  stop_watch
  local kind
  for kind in sip_register:10 sip_register_backup:5 sip_options:5 crlf_ping:5; do
    expect "SIP kinds: ${kind%:*}" "$(summary ".by_kind.${kind%:*}.to_cucm.delivered")" -eq "${kind#*:}"
  done
  expect "SIP kinds: responses to REGISTER and OPTIONS" \
    "$(summary .by_kind.sip_response.to_phone.delivered)" -eq 20
  expect "SIP kinds: pongs" "$(summary .by_kind.crlf_pong.to_phone.delivered)" -eq 5
  expect "SIP kinds: losses" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -eq 0
  check_sums "SIP kinds"
}

# A bridge that does not know the addresses floods: each frame also leaves by ports it should not.
flooded() {
  up bridged 4
  _lab_netns elsewhere
  _lab_link box acc1 - elsewhere eth0 -
  lab_in box ip link set acc1 master br0
  : >"$WORK/records"
  lab_bg box "$WORK/watch.err" "$KALOSS" watch --access acc0,acc1 --cucm cucm0 --format jsonl \
    --output "$WORK/records"
  WATCH=$LAB_LAST_PID
  wait_watching
  # To addresses that nobody has: 02:00:00:00:09:09.
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" \
    --dst-mac 02:00:00:00:09:09 --side phone --connections 100 --keepalives 20 --interval-us 200 \
    --server "$LAB_FAKE_SERVER" --port 2000 --handshake >/dev/null &
  local sender=$!
  lab_in server "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_SERVER" \
    --dst-mac 02:00:00:00:09:08 --side server --connections 100 --keepalives 20 --interval-us 200 \
    --server "$LAB_FAKE_SERVER" --port 2000 --handshake >/dev/null
  wait $sender
  stop_watch
  lost_equals flooded 0 0
  expect "flooded: sent to the CUCM" "$(summary .to_cucm.sent)" -eq 2000
  expect "flooded: sent to the phones" "$(summary .to_phone.sent)" -eq 2000
  expect "flooded: second copies to the phones" "$(summary .to_phone.duplicates)" -eq 2000
}

# The router fragments what is to go to the server: nothing of that can be joined, whether the
# server understands it or not.
fragmented() {
  up routed 4
  lab_in phones sysctl -q -w net.ipv4.ip_no_pmtu_disc=1
  lab_in box ip link set cucm0 mtu 300
  start_watch
  sip_may_fail=1 run_sip 20 100 10
  stop_watch
  expect "fragmented: losses" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -eq 0
  # Those that were counted as sent before the first fragment was seen.
  expect "fragmented: undecided at the end" "$(summary .to_cucm.pending)" -le 20
  check_sums fragmented
  expect "fragmented: fragments" "$(summary .integrity.fragments)" -gt 100
  expect "fragmented: unpaired" "$(summary .integrity.unpaired_by.fragmented)" -gt 0
}

tests=${*:-tls probes_all sip_kinds flooded fragmented}

probes_all() {
  probes 4
  probes 6
}

for t in $tests; do $t; done
finish_tests
