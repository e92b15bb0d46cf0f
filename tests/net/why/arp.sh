# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Who answers for the call server's address.

MAC_FIREWALL=02:00:00:00:0f:01

# Phones that ask for the server again and again: each second one of them forgets who it is.
asking_phones() {
  local n
  for n in "$@"; do
    lab_bg "phone$n" /dev/null bash -c "sleep 0.$n; while sleep 1; do
      ip neigh del $LAB_SERVER dev eth0; done"
  done
}

# The answers to phones that come by at acc0, as lines "PHONE MAC", in their order.
arp_answers() {
  tcpdump -nn -e -r "$WORK/arp.pcap" 'arp[6:2] = 2' 2>/dev/null |
    sed -nE "s/.* ([0-9a-f:]{17}) > ([0-9a-f:]{17}), .* Reply $LAB_SERVER is-at ([0-9a-f:]{17}).*/\2 \3/p"
}

arp_capture() {
  lab_bg box "$WORK/arp.log" tcpdump --immediate-mode -i acc0 -U -w "$WORK/arp.pcap" arp
  lab_wait_for "$WORK/arp.log" 'listening on'
}

# A firewall next to the server answers for it, too, and what it then gets it forwards by a way of its
# own, where it loses one keepalive in three. Phones 5 and 6 know better.
proxy_arp() {
  local n
  site bridged 6 arp
  server_start sccp
  for n in 1 2 3 4 5 6; do
    _lab_neigh server eth0 "$(lab_phone_mac "$n")" "$(lab_phone_address "$n")"
  done
  for n in 5 6; do _lab_neigh "phone$n" eth0 "$LAB_MAC_SERVER" "$LAB_SERVER"; done
  lab_core_host firewall $MAC_FIREWALL 10.1.254.1/16
  _lab_link firewall eth1 - core fw1 - && lab_in core ip link set fw1 master br0
  lab_in firewall ip route add "$LAB_SERVER" dev eth1
  _lab_neigh firewall eth1 "$LAB_MAC_SERVER" "$LAB_SERVER"
  lab_in firewall sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.eth0.proxy_arp=1 \
    net.ipv4.neigh.eth0.proxy_delay=0
  lab_in firewall nft -f - <<-EOT
	table inet lab {
		counter wrong_box { }
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x$KEEPALIVE numgen inc mod 3 2 counter name wrong_box drop
		}
	}
EOT
  arp_capture
  diagnose_start
  phones 1 6 sccp --period 600 --duration 60000
  asking_phones 1 2 3 4
  diagnose_end proxy_arp 1 13
  arp_answers >"$WORK/answers"
  expect "proxy_arp: answers of the firewall" "$(grep -c $MAC_FIREWALL "$WORK/answers")" -ge 20
  expect "proxy_arp: answers of the server" "$(grep -c "$LAB_MAC_SERVER" "$WORK/answers")" -ge 20
  expect "proxy_arp: keepalives that the firewall lost" "$(lab_dropped firewall wrong_box)" -ge 10
  # Of each pair of answers to a phone, the first.
  first=$(awk '{ n[$1]++; if (n[$1] % 2) c[$2]++ }
    END { for (m in c) if (c[m] > most) { most = c[m]; who = m } print who }' "$WORK/answers")
  first_is proxy_arp proxy_arp high
  says proxy_arp proxy_arp evidence $MAC_FIREWALL "$LAB_MAC_SERVER"
  says proxy_arp proxy_arp remedy "proxy"
  expect "proxy_arp: phones that follow the firewall" "$(finding proxy_arp .phones)" -eq 4
  expect "proxy_arp: who answered first" "$(finding proxy_arp .explanation | grep -c "$first answered first")" -eq 1
  none_against proxy_arp proxy_arp
}

# The server's address moves to another host, which announces it.
failover() {
  local n mac=02:00:00:00:02:11
  site bridged 6 arp
  server_start sccp
  for n in 1 2 3 4 5 6; do
    _lab_neigh server eth0 "$(lab_phone_mac "$n")" "$(lab_phone_address "$n")"
  done
  lab_in server sysctl -q -w net.ipv4.conf.eth0.arp_notify=1
  lab_in core nft -f - <<-EOT
	table bridge lab {
		counter by_chance { }
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x$KEEPALIVE numgen random mod 6 == 0 counter name by_chance drop
		}
	}
EOT
  arp_capture
  diagnose_start
  phones 1 6 sccp --period 1000 --duration 60000
  asking_phones 1 2 3 4 5 6
  sleep 4
  lab_in server ip link set eth0 address $mac
  # What the other host of a pair does when it takes over.
  lab_in server "$ROOT/tests/net/why/announce.py" eth0 $mac "$LAB_SERVER"
  diagnose_end failover 1 8
  arp_answers >"$WORK/answers"
  expect "failover: MACs that answered" "$(awk '{ print $2 }' "$WORK/answers" | sort -u | wc -l)" -eq 2
  expect "failover: answers" "$(wc -l <"$WORK/answers")" -ge 40
  not_found failover proxy_arp mac_ageing
  high_only failover cucm_side_loss
}
