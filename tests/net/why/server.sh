# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# The server, the phones, or a box in the middle end what was in order; or only what is long is lost.

# The server's process stands still, and its kernel acknowledges all the same.
server_silent() {
  site routed 6
  server_start sccp
  diagnose_start --for 16s
  phones 1 6 sccp --period 800 --duration 60000
  sleep 3
  kill -STOP "$SERVER"
  diagnose_end server_silent 1
  kill -CONT "$SERVER"
  first_is server_silent cucm_silent high
  expect "server_silent: phones" "$(finding cucm_silent .phones)" -eq 6
  not_found server_silent mac_ageing mac_flush proxy_arp in_host_drop mtu_black_hole \
    middlebox_reset cucm_initiated phone_initiated between_loss phone_side_loss cucm_side_loss
  high_only server_silent cucm_silent
}

# Segments of connections that end at cucm0, by tcpdump: resets FROM-PORT-OR-NOT
segments() {
  tcpdump -nn -v -r "$WORK/ends.pcap" "$1" 2>/dev/null | grep -c ttl
}

ends_capture() {
  lab_bg box "$WORK/ends.log" tcpdump --immediate-mode -i "$1" -U -w "$WORK/ends.pcap" \
    'tcp[tcpflags] & (tcp-rst|tcp-fin) != 0'
  lab_wait_for "$WORK/ends.log" 'listening on'
}

# The server resets healthy connections.
server_resets() {
  site routed 6
  server_start sccp --close-after 3000 --reset
  ends_capture cucm0
  diagnose_start
  phones 1 6 sccp --period 800 --duration 60000
  diagnose_end server_resets 1 12
  expect "server_resets: resets of the server" \
    "$(segments 'src port 2000 and tcp[tcpflags] & tcp-rst != 0 and ip[8] = 64')" -ge 10
  first_is server_resets cucm_initiated high
  expect "server_resets: phones" "$(finding cucm_initiated .phones)" -ge 6
  not_found server_resets middlebox_reset mac_ageing mac_flush proxy_arp in_host_drop phone_initiated \
    cucm_silent between_loss phone_side_loss cucm_side_loss
}

# A gate between this host and the server resets them, in the server's name.
middlebox() {
  site routed 6
  server_start sccp
  lab_core_host gate 02:00:00:00:0f:02 10.2.0.20/24
  _lab_neigh box cucm0 02:00:00:00:0f:02 10.2.0.20
  _lab_neigh gate eth0 "$LAB_MAC_SERVER" "$LAB_SERVER"
  _lab_neigh gate eth0 "$LAB_MAC_CUCM" 10.2.0.1
  lab_in gate ip route add default via 10.2.0.1
  lab_in gate sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.ip_default_ttl=200
  lab_in box ip route add "$LAB_SERVER/32" via 10.2.0.20
  lab_in gate nft -f - <<-EOT
	table inet lab {
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x$KEEPALIVE numgen inc mod 7 6 reject with tcp reset
		}
	}
EOT
  ends_capture cucm0
  diagnose_start
  phones 1 6 sccp --period 600 --duration 60000
  diagnose_end middlebox 1 11
  expect "middlebox: resets with another TTL" \
    "$(segments 'src port 2000 and tcp[tcpflags] & tcp-rst != 0 and ip[8] = 200')" -ge 10
  first_is middlebox middlebox_reset high
  says middlebox middlebox_reset evidence 200 64
  not_found middlebox cucm_initiated phone_initiated mac_ageing mac_flush proxy_arp in_host_drop mtu_black_hole cucm_silent
  high_only middlebox middlebox_reset
}

# The phones leave by themselves. Two more hold connections to a backup server, which never answers.
phone_ends() {
  local round
  site routed 8
  server_start sccp
  ends_capture acc0
  diagnose_start
  phones 7 8 sccp --period 900 --duration 60000 --backup
  for round in 1 2 3; do
    phones 1 6 sccp --period 500 --duration 2500
    sleep 1
  done
  diagnose_end phone_ends "" 1
  expect "phone_ends: FINs of phones" "$(segments 'dst port 2000 and tcp[tcpflags] & tcp-fin != 0')" -ge 10
  expect "phone_ends: the phones left" "$(finding phone_initiated .cause)" = phone_initiated
  expect "phone_ends: phones" "$(finding phone_initiated .phones)" -ge 6
  expect "phone_ends: a fault" "$(finding phone_initiated .fault)" = false
  not_found phone_ends middlebox_reset cucm_initiated cucm_silent mac_ageing mac_flush proxy_arp \
    in_host_drop between_loss phone_side_loss cucm_side_loss
}

# Beyond this host nothing longer than 700 bytes passes any more, and nobody says so. The SCCP phones'
# messages are short, and phones 5 and 6 send their REGISTER in two parts.
mtu() {
  site routed 6
  server_start sip --expires 10000
  lab_bg server "$WORK/sccp-server" "$LAB_BIN/sccp-server"
  diagnose_start
  phones 1 4 sip --refresh 1000 --duration 60000
  phones 5 6 sip --refresh 1000 --duration 60000 --split
  sleep 1
  lab_in core nft -f - <<-EOT
	table bridge lab {
		counter too_long { }
		chain forward {
			type filter hook forward priority 0
			iifname "down0" meta length > 700 counter name too_long drop
		}
	}
EOT
  diagnose_end mtu 1 14
  expect "mtu: long frames that were lost" "$(lab_dropped core too_long)" -ge 10
  first_is mtu mtu_black_hole high
  expect "mtu: phones" "$(finding mtu_black_hole .phones)" -eq 4
  says mtu mtu_black_hole remedy MTU
  not_found mtu mac_ageing mac_flush proxy_arp in_host_drop cucm_silent middlebox_reset
}

# Nothing is wrong, and Ctrl-C comes before the time is over: a report on what there is. (The server
# takes its time, beside which a busy machine's is little.)
healthy() {
  site routed 6
  server_start sip --expires 10000 --answer-delay 150
  diagnose_start
  phones 1 6 sip --refresh 400 --duration 60000
  sleep 3
  diagnose_end healthy 0 0
  expect "healthy: findings" "$(asked '.findings | length')" -eq 0
  expect "healthy: losses" "$(asked '.timeline | length')" -eq 0
  expect "healthy: phones" "$(asked '.phones | length')" -eq 6
  between "healthy: seconds" "$(asked .summary.duration_s)" 3 100
}

# The same, for a person: no finding at all is an answer, in words.
healthy_text() {
  local said
  site bridged 4
  server_start sip --expires 10000 --answer-delay 150
  diagnose_start --format text --output "$WORK/text"
  phones 1 4 sip --refresh 400 --duration 60000
  sleep 3
  kill -INT "$DIAGNOSIS"
  wait "$DIAGNOSIS"
  expect "healthy_text: exit status" $? -eq 0
  said=$(head -5 "$WORK/text")
  if grep -q 'Nothing is wrong' <<<"$said"; then
    pass "healthy_text: it says so at the beginning"
  else
    fail "healthy_text: no word at the beginning: $said"
  fi
  [ -z "${WHY_KEEP:-}" ] || cp "$WORK/text" "$WHY_KEEP/healthy.txt"
}
