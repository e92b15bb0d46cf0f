#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What kaloss counts as lost is what nftables dropped: routed and bridged, IPv4 and IPv6, SCCP and
# SIP, both directions at once; with each kind of hook, GRO, masquerading and VLAN tags.
# KALOSS_SCALE=10 makes it ten times larger (the default is sized for a quick run).
set -u
. "$(dirname "$0")/lib.sh"

SCALE=${KALOSS_SCALE:-1}

# Compares the last run with the counters of the rules.
compare() {
  local name=$1 up=$2 down=$3 least=$4 failed=$FAILED
  expect "$name: lost to the CUCM" "$(summary .to_cucm.lost_between)" -eq "$(lab_dropped box "$up")"
  expect "$name: lost to the phones" "$(summary .to_phone.lost_between)" -eq \
    "$(lab_dropped box "$down")"
  expect "$name: enough of them" \
    "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -ge "$least"
  expect "$name: pending at the end" "$(summary '.to_cucm.pending + .to_phone.pending')" -eq 0
  expect "$name: unpaired" "$(summary .integrity.unpaired)" -eq 0
  check_sums "$name"
  [ "$FAILED" -eq "$failed" ] || {
    echo "passed through the rules: $(lab_dropped box "${up}_seen" 2>/dev/null) to the CUCM," \
      "$(lab_dropped box "${down}_seen" 2>/dev/null) to the phones"
    grep '"type":"summary"' "$WORK/records"
  }
}

# sccp NAME MODE FAMILY [WATCH OPTION…]; $prepare is run before.
sccp() {
  local name=$1 mode=$2 family=$3 table=inet
  shift 3
  [ "$mode" = routed ] || table=bridge
  lab_up "$mode" "$family"
  keep_trap
  ${prepare:-true}
  lab_drop_rule box $table to_cucm 2000 sccp_keepalive 20
  lab_drop_rule box $table to_phone 2000 sccp_keepalive_ack 17
  start_watch "$@" || return
  run_sccp 200 200 $((5000 * SCALE))
  stop_watch
  compare "$name" to_cucm_sccp_keepalive to_phone_sccp_keepalive_ack $((200 * SCALE))
  expect "$name: keepalives delivered at least once" "$(summary .by_kind.sccp_keepalive.to_cucm.delivered)" \
    -ge "$(jq .keepalives_sent "$WORK/phones")"
}

sip() {
  local name=$1 mode=$2 family=$3 table=inet
  shift 3
  [ "$mode" = routed ] || table=bridge
  lab_up "$mode" "$family"
  keep_trap
  lab_drop_rule box $table to_cucm 5060 sip_register 20
  lab_drop_rule box $table to_phone 5060 sip_response 17
  start_watch "$@" || return
  run_sip 200 150 $((12 * SCALE))
  stop_watch
  compare "$name" to_cucm_sip_register to_phone_sip_response $((200 * SCALE))
}

# Each loss record against captures of both sides: connection, sequence number, kind, direction.
records_match_captures() {
  local name=$1
  lab_up routed 4
  keep_trap
  lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
  lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 17
  # (With room for seconds of it: a busy machine looks at them late.)
  local dump=(tcpdump -i eth0 --immediate-mode -s 200 -B 32768 -U)
  lab_bg phones "$WORK/tcpdump.p" "${dump[@]}" -w "$WORK/p.pcap" tcp port 2000
  local p=$LAB_LAST_PID
  lab_bg server "$WORK/tcpdump.s" "${dump[@]}" -w "$WORK/s.pcap" tcp port 2000
  local s=$LAB_LAST_PID
  lab_wait_for "$WORK/tcpdump.p" 'listening on' || fail "$name: no capture of the phones"
  lab_wait_for "$WORK/tcpdump.s" 'listening on' || fail "$name: no capture of the server"
  start_watch || return
  run_sccp 200 200 4000
  stop_watch
  lab_stop "$p" 30
  lab_stop "$s" 30
  expect "$name: captures are whole" \
    "$(cat "$WORK"/tcpdump.[ps] | awk '/dropped by kernel/ { n += $1 } END { print n + 0 }')" -eq 0
  # How often each segment of 12 bytes was seen at the phones and at the server.
  local side
  for side in p s; do
    tcpdump -nn -S -r "$WORK/$side.pcap" 'tcp port 2000' 2>/dev/null | awk '
      $NF == 12 && match($0, /seq [0-9]+:/) {
        seq = substr($0, RSTART + 4, RLENGTH - 5); sub(":$", "", $5); print $3, $5, seq }' |
      sort >"$WORK/$side.seen"
  done
  { comm -23 "$WORK/p.seen" "$WORK/s.seen" | awk '$2 ~ /\.2000$/ { print "to_cucm", $1, $3 }'
    comm -13 "$WORK/p.seen" "$WORK/s.seen" | awk '$1 ~ /\.2000$/ { print "to_phone", $2, $3 }'; } |
    sort >"$WORK/truth"
  jq -r 'select(.type == "loss") | select((.kind == "sccp_keepalive" and .direction == "to_cucm")
      or (.kind == "sccp_keepalive_ack" and .direction == "to_phone"))
    | select(.length == 12 and .where == "between" and .cucm.port == 2000)
    | "\(.direction) \(.phone.ip).\(.phone.port) \(.seq)"' "$WORK/records" | sort >"$WORK/said"
  expect "$name: losses by the captures" "$(wc -l <"$WORK/truth")" -ge 100
  expect "$name: loss records that differ from the captures" \
    "$(diff "$WORK/truth" "$WORK/said" | grep -c '^[<>]')" -eq 0
  expect "$name: losses with the phone's MAC and device name" \
    "$(jq -r 'select(.type == "loss") | select(.phone.mac == "'"$LAB_MAC_PHONES"'")
       | .phone.device' "$WORK/records" | grep -c '^SEP')" -eq "$(wc -l <"$WORK/truth")"
}

gro_on() {
  lab_gro box acc0 on
  lab_gro box cucm0 on
}

masquerade() { lab_masquerade box; }

# Crafted frames with VLAN tags, one (802.1Q) or two (QinQ). $2: what nftables sees of them.
tagged() {
  local name=$1 vlan=$2 up=$3 down=$4
  lab_up bridged 4
  keep_trap
  lab_in box nft -f - <<-RULES
	table bridge lab {
		counter up { }
		counter down { }
		chain forwarded {
			type filter hook forward priority 0; policy accept;
			$up numgen inc mod 20 0 counter name up drop
			$down numgen inc mod 17 0 counter name down drop
		}
	}
	RULES
  start_watch || return
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" \
    --dst-mac "$LAB_MAC_SERVER" --side phone --connections 200 --keepalives 20 --interval-us 200 \
    --server "$LAB_FAKE_SERVER" --port 2000 --vlan "$vlan" --handshake >"$WORK/frames.p" &
  local sender=$! tries=600
  # All SYNs go before the first keepalive: one that came behind a SYN-ACK would begin anew.
  while lab_in box nft list counter bridge lab up | grep -q 'packets 0 ' && [ $((tries--)) -gt 0 ]; do
    sleep 0.05
  done
  lab_in server "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_SERVER" \
    --dst-mac "$LAB_MAC_PHONES" --side server --connections 200 --keepalives 20 --interval-us 200 \
    --server "$LAB_FAKE_SERVER" --port 2000 --vlan "$vlan" --handshake >"$WORK/frames.s"
  wait $sender
  stop_watch
  expect "$name: sent to the CUCM" "$(summary .to_cucm.sent)" -eq 4000
  compare "$name" up down 300
  expect "$name: VLAN of the losses" \
    "$(jq -r 'select(.type == "loss") | .vlan' "$WORK/records" | sort -u | tr '\n' ' ')" = \
    "${vlan%,*} "
}

for mode in routed bridged; do
  for family in 4 6; do
    sccp "$mode IPv$family SCCP" $mode $family
    sip "$mode IPv$family SIP" $mode $family
  done
done
records_match_captures "records"
sccp "tc hooks" routed 4 --hook tc
sccp "clsact filters" routed 6 --hook tc --tc-filters
prepare=gro_on sccp "GRO, XDP" routed 4
prepare=gro_on sccp "GRO, tc" routed 4 --hook tc
prepare=masquerade sccp "masquerading IPv4" routed 4 --nat
prepare=masquerade sccp "masquerading IPv6, tc" routed 6 --nat --hook tc
# KeepAlives are 12 bytes behind 32 of TCP header and options. nftables sees the outer tag as
# metadata and, with two tags, the inner one as the protocol: then bytes are counted by hand.
tagged "802.1Q" 100 \
  'tcp dport 2000 @ih,0,32 0x04000000' 'tcp sport 2000 @ih,0,32 0x04000000'
tagged "QinQ" 100,7 \
  '@ll,352,16 2000 @ll,592,32 0x04000000' '@ll,336,16 2000 @ll,592,32 0x04000000'
finish_tests
