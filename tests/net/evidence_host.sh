#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What this host itself can say of a loss: the kernel's reason for each drop, the rule of the packet
# filter that did it, and what happened to a MAC in its bridge's table.
set -u
. "$(dirname "$0")/lib.sh"

SAID=$WORK/said
MAC=02:00:00:00:09:09 # nobody else sends with it

begin() {
  lab_up "$@"
  keep_trap
  lab_fast_rto phones
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  lab_wait_for "$WORK/server" ready
}

start_phones() {
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --phones 8 --period 200 --duration 60000
  PHONES=$LAB_LAST_PID
}

start_listening() {
  : >"$SAID"
  lab_bg box "$SAID" "$BUILD/tests/net/host-evidence" "$LAB_ACCESS" "$LAB_CUCM"
  LISTENER=$LAB_LAST_PID
  lab_wait_for "$SAID" ready || fail "it does not start: $(cat "$SAID")"
}

# hears NAME PATTERN: within half a minute, a line that was not there at the last mark().
mark() { MARK=$(wc -l <"$SAID"); }
hears() {
  local tries=600
  until tail -n +$((MARK + 1)) "$SAID" | grep -Eq "$2"; do
    [ $((tries--)) -gt 0 ] || {
      fail "$1: no $2 in $(tail -n +$((MARK + 1)) "$SAID" | sort | uniq -c | sort -rn | head -5)"
      return
    }
    sleep 0.05
  done
  pass "$1"
}

# drop NAME PATTERN ON OFF: commands for the box. No drop is told before it, and this one is then.
drop() {
  local name=$1 pattern=$2 on=$3 off=$4
  mark
  lab_in box sh -c "$on" || fail "$name: cannot be made"
  hears "$name" "^drop $pattern"
  lab_in box sh -c "$off" || fail "$name: cannot be undone"
  sleep 0.1
}

NO_NFT='nft delete table inet x'
KEEPALIVE='phone=10\.1\..* [0-9]+>2000 to_cucm length=(12|24|36)$'

# nft_table FAMILY HOOK RULE
nft_table() {
  echo "nft 'table $1 x { chain c { type filter hook $2 priority 0; $3; }; }'"
}

routed() {
  begin routed 4
  start_listening
  expect 'routed: no bridge' "$(grep ^bridge "$SAID")" = 'bridge 0'
  start_phones
  sleep 1
  expect 'nothing is dropped, and nothing is said' "$(grep -c ^drop "$SAID")" -eq 0

  # Another namespace's drops are not ours.
  lab_in server nft 'table inet x { chain c { type filter hook input priority 0; tcp dport 2000 tcp flags psh drop; }; }'
  sleep 0.5
  lab_in server nft delete table inet x
  expect 'nor of other namespaces' "$(grep -c ^drop "$SAID")" -eq 0

  drop 'nftables, forward' "NETFILTER_DROP in=[a-z_]*nf[a-z_]* at=[a-z0-9]+ $KEEPALIVE" \
    "$(nft_table inet forward 'tcp dport 2000 drop')" "$NO_NFT"
  drop 'nftables, its policy' "NETFILTER_DROP in=[a-z_]*nf[a-z_]* at=[a-z0-9]+ $KEEPALIVE" \
    "$(nft_table inet forward 'policy drop; meta l4proto icmp accept')" "$NO_NFT"
  drop 'nftables, ingress of an interface' "NETFILTER_DROP in=[a-z_]+ at=acc0 $KEEPALIVE" \
    "$(nft_table netdev 'ingress device acc0' 'tcp dport 2000 drop')" 'nft delete table netdev x'
  drop 'nftables, towards the phones' 'NETFILTER_DROP in=.* 2000>|NETFILTER_DROP in=.*>2000 to_phone' \
    "$(nft_table inet forward 'tcp sport 2000 drop')" "$NO_NFT"
  drop 'reverse path filter' "IP_RPFILTER in=[a-z_]+ at=acc0 $KEEPALIVE" \
    'sysctl -qw net.ipv4.conf.acc0.rp_filter=1; ip route add 10.1.0.0/28 dev cucm0' \
    'sysctl -qw net.ipv4.conf.acc0.rp_filter=0; ip route del 10.1.0.0/28 dev cucm0'
  drop 'blackhole route' "NOT_SPECIFIED in=ip_error at=acc0 $KEEPALIVE" \
    "ip route add blackhole $LAB_SERVER4/32" "ip route del blackhole $LAB_SERVER4/32"
  drop 'no forwarding' "IP_INADDRERRORS in=ip_error at=acc0 $KEEPALIVE" \
    'sysctl -qw net.ipv4.conf.acc0.forwarding=0' 'sysctl -qw net.ipv4.conf.acc0.forwarding=1'
  drop 'a full queue' "QDISC_DROP in=[a-z_]+ at=cucm0 $KEEPALIVE" \
    'tc qdisc add dev cucm0 root pfifo limit 0' 'tc qdisc del dev cucm0 root'
  # One instruction: return 2, TC_ACT_SHOT.
  drop 'a filter of tc' "TC_EGRESS in=[a-z_]+ at=cucm0 $KEEPALIVE" \
    "tc qdisc add dev cucm0 clsact; tc filter add dev cucm0 egress bpf da bytecode '1,6 0 0 2'" \
    'tc qdisc del dev cucm0 clsact'

  rules
  lab_stop "$PHONES"
}

# Ends the listener, which then names the rules that dropped something since its start.
rules() {
  lab_in box nft -f - <<-RULES
	table inet first { chain c { type filter hook forward priority 1; tcp dport 9 counter drop; }; }
	table inet filter {
		chain unused { counter drop; }
		chain sub { tcp dport 2000 counter drop; }
		chain forward {
			type filter hook forward priority 0;
			tcp dport 443 jump sub
			tcp dport 2000 jump sub
			tcp dport 22 drop
		}
		chain output { type filter hook output priority 0; policy drop; counter drop; }
	}
	RULES
  local handle tries=600
  until lab_in box nft list chain inet filter sub | grep -q 'packets [1-9]' || [ $((tries--)) -le 0 ]; do
    sleep 0.05
  done
  handle=$(lab_in box nft -a list chain inet filter sub | sed -n 's/.*drop # handle //p')
  lab_stop "$LISTENER"
  expect 'the rule that dropped something comes first' \
    "$(sed -n 's/^rule //p' "$SAID" | head -1 | sed 's/packets.*//')" = \
    "rule handle $handle of table inet filter, chain sub counted=1 "
  expect 'by what it says' "$(grep -c 'says=tcp dport 2000 counter packets .* drop$' "$SAID")" -eq 1
  expect 'one without a counter may have' "$(grep -c 'counted=0.*says=tcp dport 22 drop' "$SAID")" -eq 1
  expect 'the others did not' "$(grep -Ec '^rule.*(dport 9|unused|output)' "$SAID")" -eq 0
  expect 'no drop was left out' "$(grep ^lost "$SAID")" = 'lost 0'
}

# frames NS FIRST COUNT: one frame of each MAC from FIRST on.
frames() {
  lab_in "$1" python3 -c '
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
first = int(sys.argv[1].replace(":", ""), 16)
for mac in range(first, first + int(sys.argv[2])):
    s.send(bytes(6 * [0xff]) + mac.to_bytes(6, "big") + b"\x88\xb5" + bytes(46))
' "$2" "$3"
}

# A port that came up takes a moment.
forwards() {
  local tries=600
  until lab_in box bridge link show dev "$1" | grep -q 'state forwarding'; do
    [ $((tries--)) -gt 0 ] || { fail "$1 does not forward"; return; }
    sleep 0.05
  done
}

# With two VLAN tags, of which the kernel takes the outer one off, and padded.
isolated_tagged() {
  mark
  lab_in box sh -c "$1 on; done"
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" --side phone \
    --dst-mac "$LAB_MAC_SERVER" --server "$LAB_FAKE_SERVER4" --vlan 100,200 --pad 20 >"$WORK/frames"
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" --side phone --ip 6 \
    --dst-mac "$LAB_MAC_SERVER" --server "$LAB_FAKE_SERVER6" --vlan 100 --proto sip >"$WORK/frames"
  hears 'behind two tags' \
    '^drop NOT_SPECIFIED in=[a-z_]+ at=acc0 phone=10.1.1.0 [0-9]+>2000 to_cucm length=12$'
  hears 'behind one, IPv6' \
    '^drop NOT_SPECIFIED in=[a-z_]+ at=acc0 phone=fd00:1::1:0 [0-9]+>5060 to_cucm length=890$'
  lab_in box sh -c "$1 off; done"
}

bridged() {
  # shellcheck disable=SC2016
  local isolate='for p in acc0 cucm0; do bridge link set dev "$p" isolated'
  begin bridged 4
  lab_in box ip link set br0 type bridge ageing_time 500
  start_listening
  expect 'a bridge' "$(grep ^bridge "$SAID")" = 'bridge 1'
  expect 'its ageing time' "$(grep ^ageing "$SAID")" = 'ageing br0 5000'

  start_phones
  mark
  # At once, since what takes long is aged.
  frames phones "$MAC" 1
  lab_in box ip link set acc0 type bridge_slave fdb_flush
  hears 'learned' "^mac learned $MAC port=acc0 from= by=br0 silent_ms=0 late=0"
  hears 'flushed' "^mac flushed $MAC port=acc0 from= by=br0 silent_ms=[0-9]{1,4} "
  mark
  frames phones "$MAC" 1
  frames server "$MAC" 1
  hears 'learned again' "^mac learned $MAC port=acc0 "
  hears 'moved' "^mac moved $MAC port=cucm0 from=acc0 by=br0 "
  hears 'aged' "^mac aged $MAC port=cucm0 from= by=br0 silent_ms=([5-9][0-9]{3}|[0-9]{5}) "
  expect 'aged once' "$(grep -c "^mac aged $MAC" "$SAID")" -eq 1

  drop 'nftables, bridge' "NETFILTER_DROP in=[a-z_]+ at=[a-z0-9]+ $KEEPALIVE" \
    "$(nft_table bridge forward 'tcp dport 2000 drop')" 'nft delete table bridge x'
  isolated_tagged "$isolate"
  drop 'isolated ports' "NOT_SPECIFIED in=[a-z_]+ at=[a-z0-9]+ $KEEPALIVE" \
    "$isolate on; done" "$isolate off; done"
  # Before 6.14 or so it was one of those that are not specified.
  drop 'no flooding' "(NO_TX_TARGET|NOT_SPECIFIED) in=[a-z_]+ at=[a-z0-9]+ $KEEPALIVE" \
    'bridge link set dev cucm0 flood off; bridge link set dev cucm0 learning off
     ip link set cucm0 type bridge_slave fdb_flush' \
    'bridge link set dev cucm0 flood on; bridge link set dev cucm0 learning on'
  lab_stop "$PHONES"

  # Ports may come and go.
  lab_in box ip link set acc0 nomaster
  lab_in box ip link add br1 type bridge stp_state 0 forward_delay 0
  lab_in box ip link set br1 up
  lab_in box ip link set acc0 master br1
  forwards acc0
  mark
  frames phones "$MAC" 1
  hears 'in the bridge to which a port was moved' "^mac learned $MAC port=acc0 from= by=br1"
  mark
  lab_in box ip link set acc0 down
  hears 'flushed with its port' "^mac flushed $MAC port=acc0 from= by=br1"
  lab_in box ip link set acc0 up
  forwards acc0

  # More at once than the kernel has room for: then the table is read anew, and says the rest.
  mark
  frames phones "$MAC" 1
  hears 'learned once more' "^mac learned $MAC port=acc0 from= by=br1 silent_ms=0 late=0"
  kill -STOP "$LISTENER"
  frames phones 02:00:00:01:00:00 30000
  lab_in box ip link set acc0 type bridge_slave fdb_flush
  frames phones 02:00:00:02:00:00 10
  mark
  kill -CONT "$LISTENER"
  hears 'told that some are missing' '^fdb: No buffer space'
  hears 'what is gone, later' "^mac flushed $MAC port=acc0 from= by=br1 silent_ms=0 late=1"
  hears 'what is there' "^mac learned 02:00:00:02:00:09 port=acc0 from= by=br1 silent_ms=0 late="
  mark
  frames phones "$MAC" 1
  hears 'and goes on' "^mac learned $MAC port=acc0 from= by=br1 silent_ms=0 late=0"
  lab_stop "$LISTENER"
}

# More drops than there is room for: all are counted, and none is made up.
flood() {
  begin routed 4
  start_listening
  lab_in box sh -c "$(nft_table netdev 'ingress device acc0' 'tcp dport 2000 counter drop')"
  kill -STOP "$LISTENER"
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" --side phone \
    --dst-mac "$LAB_MAC_ACCESS" --server "$LAB_FAKE_SERVER4" --connections 20000 >"$WORK/frames"
  kill -CONT "$LISTENER"
  sleep 1
  lab_stop "$LISTENER"
  local sent told lost
  sent=$(lab_in box nft -j list chain netdev x c | jq '[.. | .counter? // empty | .packets] | add')
  told=$(grep -c '^drop NETFILTER_DROP' "$SAID")
  lost=$(sed -n 's/^lost //p' "$SAID")
  expect 'flood: some found room' "$told" -gt 5000
  expect 'flood: some did not' "$lost" -gt 0
  expect 'flood: which is all of them' $((told + lost)) -eq "$sent"
}

six() {
  begin routed 6
  start_listening
  start_phones
  sleep 0.5
  drop 'nftables, IPv6' 'NETFILTER_DROP in=.* phone=fd00:1::[0-9a-f]+ [0-9]+>2000 to_cucm length=12$' \
    "$(nft_table ip6 forward 'tcp dport 2000 drop')" 'nft delete table ip6 x'
  lab_stop "$PHONES"
  lab_stop "$LISTENER"
}

routed
bridged
six
flood
finish_tests
