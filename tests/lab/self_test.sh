#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Proves the lab itself: that drop rules drop and count what they should and TCP mends it, in
# every mode and family, and that crafted frames arrive whole, with right checksums.
set -u
if [ "$(id -u)" -ne 0 ]; then
	echo "SKIP: needs root (network namespaces)"
	exit 77
fi

# shellcheck source=lab.sh
. "$(dirname "$0")/lab.sh"

TMP=$(mktemp -d)
passed=0
failed=0

finish() {
	lab_down
	rm -rf "$TMP"
}

# check NAME TEST-EXPRESSION…
check() {
	local name=$1
	shift
	if [ "$@" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $name: $*"
	fi
}

# up MODE FAMILY
up() {
	lab_up "$@" || exit 1
	trap finish EXIT
	lab_fast_rto phones
	lab_fast_rto server
}

# Keepalives and their answers, every 20th dropped.
sccp_test() {
	local mode=$1 ip=$2 nft=inet name="sccp $1 IPv$2" server sent got dropped seen acked
	[ "$mode" = routed ] || nft=bridge
	up "$mode" "$ip"
	lab_drop_rule box $nft to_cucm 2000 sccp_keepalive 20 || exit 1
	lab_drop_rule box $nft to_phone 2000 sccp_keepalive_ack 20 || exit 1
	lab_bg server "$TMP/server" "$LAB_BIN/sccp-server"
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
		--phones 50 --period 200 --duration 5000 >"$TMP/phones"
	lab_stop "$server"

	sent=$(lab_json "$TMP/phones" .keepalives_sent)
	acked=$(lab_json "$TMP/phones" .acks_received)
	got=$(lab_json "$TMP/server" .keepalives)
	dropped=$(lab_dropped box to_cucm_sccp_keepalive)
	seen=$(lab_dropped box to_cucm_sccp_keepalive_seen)
	check "$name: keepalives sent" "$sent" -ge 1100
	check "$name: the server got all" "$got" -eq "$sent"
	check "$name: all were answered" "$acked" -eq "$sent"
	check "$name: keepalives were dropped" "$dropped" -gt 0
	check "$name: one in twenty of them" "$dropped" -eq $(((seen + 19) / 20))
	check "$name: the rule saw each and the retransmissions" "$seen" -ge $((sent + dropped))
	check "$name: answers were dropped" "$(lab_dropped box to_phone_sccp_keepalive_ack)" -gt 0
	lab_drop_flush box
}

# say_whole TEXT: a phone connects, says that, and goes when all of it was acknowledged; the server has
# read it then.
say_whole() {
	local tries=600
	lab_in phones timeout 60 bash -c "exec 3<>/dev/tcp/$LAB_SERVER/2000
		printf '$1' >&3
		while ss -Htn state established 'dport = :2000' | awk '{ n += \$2 } END { exit !n }'; do
			sleep 0.05
		done"
	while [ -n "$(lab_in server ss -Htn state connected 'sport = :2000')" ] &&
		[ $((tries--)) -gt 0 ]; do sleep 0.05; done
}

# A longer message that starts like a keepalive is left alone; the rule `payload` takes it.
match_test() {
	local mode=$1 ip=$2 nft=inet name="match $1 IPv$2" server m
	local pdu='\4\0\0\0\0\0\0\0\0\0\0\0'
	[ "$mode" = routed ] || nft=bridge
	up "$mode" "$ip"
	for m in sccp_keepalive payload; do
		lab_drop_rule box $nft to_cucm 2000 $m 1000000 || exit 1
	done
	lab_drop_rule box $nft to_cucm 2000 sip_register 1 reg || exit 1
	lab_bg server "$TMP/server" "$LAB_BIN/sccp-server"
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	# Each rule drops its first segment: TCP sends it again, until it is acknowledged.
	say_whole "$pdu$pdu"
	check "$name: a double PDU is not a keepalive" \
		"$(lab_dropped box to_cucm_sccp_keepalive_seen)" -eq 0
	say_whole "$pdu"
	check "$name: a single one is, and its retransmission" \
		"$(lab_dropped box to_cucm_sccp_keepalive_seen)" -ge 2
	check "$name: payload" "$(lab_dropped box to_cucm_payload_seen)" -ge 3
	check "$name: nothing is a REGISTER" "$(lab_dropped box reg_seen)" -eq 0
	lab_stop "$server"
	check "$name: all three arrived" "$(lab_json "$TMP/server" .keepalives)" -eq 3
}

# capture NS FILE: starts a capture. Without --immediate-mode the last second of it is lost when
# tcpdump is ended.
capture() {
	rm -f "$2"
	lab_bg "$1" "$2.log" tcpdump --immediate-mode -i eth0 -Q in -B 8192 -U -w "$2" \
		"(tcp or vlan)"
	capture_pid=$LAB_LAST_PID
	lab_wait_for "$2.log" 'listening on'
}

# captured FILE [FRAMES]: waits for the last frames (until there are so many, else until nothing more is
# written), ends the capture and prints it with all details, one frame a line.
captured() {
	local size=-1 now=0 tries=150 frames=${2:-0}
	# A file's own header is 24 bytes.
	while [ $((tries--)) -gt 0 ]; do
		sleep 0.2
		if [ "$frames" -gt 0 ]; then
			[ "$(tcpdump -r "$1" -nn 2>/dev/null | wc -l)" -lt "$frames" ] || break
		else
			now=$(stat -c %s "$1" 2>/dev/null || echo 0)
			[ $((tries % 4)) -ne 0 ] && continue
			[ "$now" = "$size" ] && [ "$now" -gt 24 ] && break
			size=$now
		fi
	done
	lab_stop "$capture_pid"
	tcpdump -r "$1" -nn -e -S -vv 2>/dev/null |
		awk '/^[0-9][0-9]:/ { if (l) print l; l = $0; next } { l = l " " $0 }
		     END { if (l) print l }'
}

# frames_test MODE SIDE IP PROTO TAGS
frames_test() {
	local mode=$1 side=$2 ip=$3 proto=$4 tags=$5 name="frames $*" from=phones to=server
	local src=$LAB_MAC_PHONES dst=$LAB_MAC_SERVER vlan=() want=60 fake=$LAB_FAKE_SERVER4
	local types=(ethertype) n
	[ "$mode" = bridged ] || dst=$LAB_MAC_ACCESS
	if [ "$side" = server ]; then
		from=server to=phones src=$LAB_MAC_SERVER dst=$LAB_MAC_PHONES
		[ "$mode" = bridged ] || dst=$LAB_MAC_CUCM
		[ "$proto" = sccp ] || want=110
	fi
	[ "$ip" = 4 ] || fake=$LAB_FAKE_SERVER6
	case $tags in
	1) vlan=(--vlan 110) types=('ethertype 802.1Q .* vlan 110') ;;
	2) vlan=(--vlan '20,110') types=('ethertype 802.1Q-QinQ .* vlan 20.* vlan 110') ;;
	esac
	capture $to "$TMP/cap"
	lab_in $from "$LAB_BIN/frames" --interface eth0 --src-mac $src --dst-mac $dst \
		--side "$side" --connections 10 --keepalives 5 --ip "$ip" --proto "$proto" \
		--server "$fake" --handshake "${vlan[@]}" >"$TMP/frames"
	captured "$TMP/cap" "$want" >"$TMP/text"
	n=$(wc -l <"$TMP/text")
	check "$name: frames sent" "$(lab_json "$TMP/frames" .frames)" -eq "$want"
	check "$name: keepalives sent" "$(lab_json "$TMP/frames" .keepalives)" -eq 50
	check "$name: all arrived" "$n" -eq "$want"
	check "$name: checksums" "$(grep -c 'cksum 0x[0-9a-f]* (correct)' "$TMP/text")" -eq "$want"
	check "$name: no bad checksum" "$(grep -c 'incorrect\|bad' "$TMP/text")" -eq 0
	check "$name: tags" "$(grep -c "${types[0]}" "$TMP/text")" -eq "$want"
	[ "$proto" = sccp ] || check "$name: SIP" "$(tcpdump -r "$TMP/cap" -nn -A 2>/dev/null |
		grep -ac 'REGISTER sip:\|SIP/2.0 [12]00')" -eq $((want - 10))
}

# Both sides have the same idea of where each of them starts.
sequence_test() {
	local proto=$1 a=(--connections 1 --keepalives 3 --interface eth0 --proto "$1")
	a+=(--server "$LAB_FAKE_SERVER4")
	capture server "$TMP/cap"
	lab_in phones "$LAB_BIN/frames" "${a[@]}" --side phone --src-mac "$LAB_MAC_PHONES" \
		--dst-mac "$LAB_MAC_SERVER" >/dev/null
	captured "$TMP/cap" 3 >"$TMP/phone"
	capture phones "$TMP/cap"
	lab_in server "$LAB_BIN/frames" "${a[@]}" --side server --src-mac "$LAB_MAC_SERVER" \
		--dst-mac "$LAB_MAC_PHONES" >/dev/null
	captured "$TMP/cap" 3 >"$TMP/server"
	# Of each segment: where it starts, and what it acknowledges.
	sed -i -E 's/.*seq ([0-9]+):[0-9]+, ack ([0-9]+).*/\1 \2/' "$TMP/phone" "$TMP/server"
	local phone server
	phone=$(head -1 "$TMP/phone") server=$(head -1 "$TMP/server")
	check "sequence $proto: segments" "$(wc -l <"$TMP/phone")" -eq 3
	check "sequence $proto: each side acknowledges where the other starts" \
		"${phone% *} ${server% *}" = "${server#* } ${phone#* }"
	check "sequence $proto: and nothing further" \
		"$(cut -d' ' -f2 "$TMP/phone" "$TMP/server" | sort -u | wc -l)" -eq 2
	check "sequence $proto: what is sent moves on" \
		"$(cut -d' ' -f1 "$TMP/phone" | sort -un | wc -l)" -eq 3
}

# duplicate_test MS: each frame arrives twice, byte for byte.
duplicate_test() {
	local ms=$1 hex
	capture server "$TMP/cap"
	lab_in phones "$LAB_BIN/frames" --interface eth0 --side phone \
		--src-mac "$LAB_MAC_PHONES" --dst-mac "$LAB_MAC_SERVER" --connections 20 \
		--keepalives 4 --interval-us 500 --duplicate "$ms" --server "$LAB_FAKE_SERVER4" \
		>"$TMP/frames"
	captured "$TMP/cap" 160 >/dev/null
	hex=$(tcpdump -r "$TMP/cap" -t -nn -xx 2>/dev/null |
		awk '/^\t/ { l = l $0; next } { if (l) print l; l = "" } END { print l }')
	check "duplicate $ms: frames" "$(lab_json "$TMP/frames" .frames)" -eq 160
	check "duplicate $ms: arrived" "$(wc -l <<<"$hex")" -eq 160
	check "duplicate $ms: pairs" "$(sort <<<"$hex" | uniq -c | grep -c '^ *2 ')" -eq 80
}

# As fast as it goes.
many_test() {
	lab_in phones "$LAB_BIN/frames" --interface eth0 --side phone \
		--src-mac "$LAB_MAC_PHONES" --dst-mac "$LAB_MAC_SERVER" --connections 5000 \
		--keepalives 4 --server "$LAB_FAKE_SERVER4" >"$TMP/frames"
	check "many: frames" "$(lab_json "$TMP/frames" .frames)" -eq 20000
}

switch_test() {
	local seen tries
	up routed 4
	lab_add_switch || exit 1
	check "switch: its ports" "$(lab_in switch bridge link | grep -c forwarding)" -eq 2
	lab_bg server "$TMP/server" "$LAB_BIN/sccp-server"
	lab_wait_for "$TMP/server" ready || exit 1
	lab_masquerade box
	lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --phones 5 --period 100 \
		--duration 600 --linger 3000 >"$TMP/phones" &
	for ((tries = 0; tries < 100; tries++)); do
		seen=$(lab_in server ss -Htn state established dst 10.2.0.1 | wc -l)
		[ "$seen" -lt 5 ] || break
		sleep 0.02
	done
	check "masquerade: the server sees the box" "$seen" -eq 5
	wait $!
	check "switch: keepalives answered" "$(lab_json "$TMP/phones" .acks_received)" -eq \
		"$(lab_json "$TMP/phones" .keepalives_sent)"
	# A phone idle for longer than the ageing loses the first copy of each keepalive.
	lab_port_security 1 || exit 1
	lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --phones 5 --period 2000 \
		--duration 7900 >"$TMP/phones"
	# (A FIN that comes late enough is dropped once, too.)
	check "port security: each keepalive was dropped once" \
		"$(lab_dropped switch port_security)" -ge 15
	check "port security: 15 were sent" "$(lab_json "$TMP/phones" .keepalives_sent)" -eq 15
	check "port security: all answered in the end" \
		"$(lab_json "$TMP/phones" .acks_received)" -eq 15
}

# sip_test IP: phones that register, refresh, are kept by a backup server, split, and are answered
# late; with the counts of both ends.
sip_test() {
	local ip=$1 name="sip IPv$1" server
	up routed "$ip"
	capture server "$TMP/cap"
	lab_bg server "$TMP/server" "$LAB_BIN/sip-server" --expires 1000 --grace 10000 \
		--answer-delay 30
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_in phones "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
		--phones 20 --delta 700 --spread 300 --duration 3000 >"$TMP/phones"
	captured "$TMP/cap" >"$TMP/text"
	lab_in phones "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --phones 5 --refresh 300 \
		--spread 300 --duration 1500 --backup --split >"$TMP/backup"
	lab_stop "$server"
	check "$name: registered" "$(lab_json "$TMP/phones" .ever_registered)" -eq 20
	# One every 330 ms: 300, and what the answer takes, and a busy machine. (One a second would be 60.)
	check "$name: refreshes count from the answer" \
		"$(lab_json "$TMP/phones" .registers_sent)" -ge 100
	check "$name: and not faster" "$(lab_json "$TMP/phones" .registers_sent)" -le 200
	check "$name: all answered" "$(lab_json "$TMP/phones" .unanswered_at_end)" -eq 0
	check "$name: the server got each" "$(lab_json "$TMP/server" .registers)" -eq \
		$(($(lab_json "$TMP/phones" .registers_sent) + $(lab_json "$TMP/backup" .registers_sent)))
	check "$name: keepalives to a backup" "$(lab_json "$TMP/server" .backup_keepalives)" -eq \
		"$(lab_json "$TMP/backup" .registers_sent)"
	# (On a busy machine TCP sends one again: the same number, from the same port.)
	check "$name: in segments of 890 bytes" "$(sed -nE \
		's/.* ([^ ]+) > [^ ]+: .* seq ([0-9]+):.* length 890.*/\1 \2/p' "$TMP/text" |
		sort -u | wc -l)" -eq "$(lab_json "$TMP/phones" .registers_sent)"
	check "$name: nobody was unregistered" "$(lab_json "$TMP/server" .unregistered)" -eq 0
	check "$name: nobody was lost" "$(lab_json "$TMP/phones" .connects)" -eq 20
}

# The server falls silent: it unregisters nobody who still asks, a phone gives up on it. And it
# unregisters whoever is silent.
unregister_test() {
	local server
	up routed 4
	lab_bg server "$TMP/server" "$LAB_BIN/sip-server" --expires 1000 --grace 200 --reset
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_in phones "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --phones 3 --refresh 5000 \
		--spread 10 --stay-down --duration 4500 >"$TMP/phones" 2>"$TMP/phones.err"
	lab_stop "$server"
	check "unregister: the phones are closed" \
		"$(lab_json "$TMP/phones" .closed_by_server)" -eq 3
	check "unregister: by RST" "$(grep -c 'Connection reset' "$TMP/phones.err")" -eq 3
	check "unregister: and stay down" "$(lab_json "$TMP/phones" .connects)" -eq 3
	# Not before 1200 ms; later, where the machine is busy.
	check "unregister: each is told" "$(grep -cE \
		'"event":"unregistered".*"ip":"10.1.0.2".*"device":"SEP002414.*"silent_ms":(1[2-9]|[2-4][0-9])[0-9]{2}' \
		"$TMP/server")" -eq 3

	lab_bg server "$TMP/server" "$LAB_BIN/sip-server" --silent-after 3
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_in phones "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --phones 3 --refresh 300 \
		--spread 10 --give-up 1500 --stay-down --duration 4500 >"$TMP/phones" 2>/dev/null
	lab_stop "$server"
	check "silent: the phones give up" "$(lab_json "$TMP/phones" .gave_up)" -eq 3
	check "silent: their second REGISTER came" "$(lab_json "$TMP/server" .registers)" -eq 6
	check "silent: and was not answered" "$(lab_json "$TMP/server" .answered)" -eq 3
}

# What is lost at random is in the witness's capture, frame by frame.
lossy_test() {
	local server lost
	up routed 4
	lab_witness server "$TMP/witness" || exit 1
	lab_lossy server eth0 ingress 100 7
	lab_lossy server eth0 egress 100 8
	lab_bg server "$TMP/server" "$LAB_BIN/sccp-server"
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --phones 40 --period 200 \
		--duration 3000 >"$TMP/phones" 2>/dev/null
	lab_lossless server
	lab_stop "$server"
	check "lossy: all answered in the end" "$(lab_json "$TMP/phones" .acks_received)" -eq \
		"$(lab_json "$TMP/phones" .keepalives_sent)"
	for way in ingress egress; do
		lost=$(lab_dropped server lossy_eth0_$way)
		check "lossy: some were lost, $way" "$lost" -ge 50
		check "lossy: but few, $way" "$lost" -le 400
	done
	lost=$((lost + $(lab_dropped server lossy_eth0_ingress)))
	lab_witnessed "$TMP/witness" $lost
	check "lossy: each was witnessed" \
		"$(tcpdump -nn -r "$TMP/witness" 2>/dev/null | wc -l)" -eq $lost
}

# Behind port security, the timeout of a phone doubles from keepalive to keepalive, as its kernel says.
backoff_test() {
	local server watcher timeouts doubled
	up routed 4
	lab_add_switch || exit 1
	lab_lasting_backoff phones
	lab_port_security 1
	lab_bg server "$TMP/server" "$LAB_BIN/sip-server" --expires 60000
	server=$LAB_LAST_PID
	lab_wait_for "$TMP/server" ready || exit 1
	lab_bg phones "$TMP/sockets" bash -c \
		"while sleep 0.05; do ss -Htin state established dst $LAB_SERVER; done"
	watcher=$LAB_LAST_PID
	lab_in phones "$LAB_BIN/sip-phones" --server "$LAB_SERVER" --refresh 1200 --duration 6800 \
		>"$TMP/phones"
	lab_stop "$watcher"
	lab_stop "$server"
	timeouts=$(grep -oE ' rto:[0-9]+' "$TMP/sockets" | cut -d: -f2 | uniq)
	doubled=$(awk '{ n = $1 >= 2 * was ? n + 1 : 0; was = $1; if (n > most) most = n }
		NR == 1 { n = 0; most = 0 } END { print most + 0 }' <<<"$timeouts")
	check "backoff: it doubles three times and more, of ${timeouts//$'\n'/ } ms" "$doubled" -ge 3
	check "backoff: each was dropped once" "$(lab_dropped switch port_security)" -ge 4
}

down_test() {
	local members p left=0
	lab_bg server /dev/null bash -c "trap '' TERM; while :; do sleep 1; done"
	disown "$LAB_LAST_PID"
	lab_bg phones /dev/null sleep 100
	members=$(_lab_members)
	lab_down
	for p in $members; do
		[ ! -d "/proc/$p" ] || grep -qs '^State:.Z' "/proc/$p/status" || left=$((left + 1))
	done
	check "lab_down: there was something" "$(wc -w <<<"$members")" -ge 4
	check "lab_down: nothing is left" "$left" -eq 0
}

for mode in routed bridged; do
	for ip in 4 6; do
		sccp_test $mode $ip
		match_test $mode $ip
	done
done
up bridged
for ip in 4 6; do
	for tags in 0 1 2; do
		frames_test bridged phone $ip sccp $tags
		frames_test bridged server $ip sip $tags
	done
done
sequence_test sccp
sequence_test sip
duplicate_test 0
duplicate_test 50
many_test
up routed
for ip in 4 6; do
	frames_test routed phone $ip sip 0
	frames_test routed server $ip sccp 0
done
switch_test
sip_test 4
sip_test 6
unregister_test
lossy_test
backoff_test
down_test

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
