# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# Networks of unnamed network namespaces to test in. To be sourced by a bash script, as root:
#
#	. tests/lab/lab.sh
#	lab_up routed
#	lab_bg server /tmp/server.log "$LAB_BIN/sccp-server"
#	lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
#	lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER4" --phones 50 …
#
# routed:	phones eth0 -- acc0 box cucm0 -- eth0 server	box forwards IPv4 and IPv6
# bridged:	the same, with acc0 and cucm0 as ports of br0 in box
#
# A namespace lives as long as its `sleep`, a child of this shell that is known by its PID. The
# namespaces have no names, and nsenter changes the network namespace alone, so /sys and the
# bpffs stay the host's. All ends in the EXIT trap, also after a failure or ^C; if this shell is
# killed outright, its children die with it. Call lab_up and lab_bg from the main shell: children
# of a subshell die at its end.
#
# Offloads are off on all veths: a frame looks as it would on a wire, with checksums filled in
# and nothing merged. With GRO on, one packet of nftables may be several segments, and its
# counters count the merged packet as one; so turn it on (lab_gro) only where a test is about it.

LAB_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB_BIN=${LAB_BIN:-$(cd "$LAB_DIR/../.." && pwd)/build/tests/lab}
LAB_PHONE_COUNT=${LAB_PHONE_COUNT:-4}	# addresses of real phones, 2 to 200

declare -gA LAB_PID=()			# name of a namespace: PID that holds it
declare -gA LAB_WITNESS=()		# name of a namespace: what a rule says to show a frame
declare -ga LAB_NETNS=()		# the namespaces as the kernel names them, net:[4026…]
declare -g LAB_LAST_PID='' LAB_LAST_COUNTER='' LAB_MODE='' LAB_OWNER=''

# Interfaces of the box; MAC addresses of every end.
export LAB_ACCESS=acc0 LAB_CUCM=cucm0
export LAB_MAC_PHONES=02:00:00:00:01:02 LAB_MAC_ACCESS=02:00:00:00:01:01
export LAB_MAC_CUCM=02:00:00:00:02:01 LAB_MAC_SERVER=02:00:00:00:02:10
# Ports of the switch of lab_add_switch: to the phones, to the router.
export LAB_SWITCH_PHONES=swp1 LAB_SWITCH_ROUTER=swp2

_lab_die() {
	echo "lab: $*" >&2
	return 1
}

# lab_in NS CMD…: runs a command (no shell function) in a namespace: phones, box, server, switch.
lab_in() {
	local ns=$1
	shift
	[ -n "${LAB_PID[$ns]:-}" ] || { _lab_die "there is no namespace $ns"; return 1; }
	setpriv --pdeathsig TERM nsenter -t "${LAB_PID[$ns]}" -n -- "$@"
}

# lab_bg NS LOGFILE CMD…: starts a command in the background, stdout and stderr to LOGFILE; its
# PID is in LAB_LAST_PID. It is ended by lab_stop or at the end. What an earlier command left in the
# file is gone when this returns, so lab_wait_for does not take it for this one's.
lab_bg() {
	local ns=$1 log=$2
	shift 2
	[ -n "${LAB_PID[$ns]:-}" ] || { _lab_die "there is no namespace $ns"; return 1; }
	: >"$log"
	setpriv --pdeathsig TERM nsenter -t "${LAB_PID[$ns]}" -n -- "$@" \
		>>"$log" 2>&1 </dev/null &
	LAB_LAST_PID=$!
}

# lab_stop PID [SECONDS]: SIGTERM, then SIGKILL after SECONDS (5); returns the exit status.
lab_stop() {
	local pid=$1 tries=$((${2:-5} * 50))
	kill -TERM "$pid" 2>/dev/null
	while [ -d "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; do
		[ $((tries--)) -gt 0 ] || { kill -KILL "$pid" 2>/dev/null; break; }
		sleep 0.02
	done
	wait "$pid" 2>/dev/null
}

# lab_wait_for LOGFILE TEXT [SECONDS]: waits until TEXT is in the file (30 s at most).
lab_wait_for() {
	local tries=$((${3:-30} * 50))
	until grep -qs -- "$2" "$1"; do
		[ $((tries--)) -gt 0 ] || { _lab_die "no '$2' in $1"; return 1; }
		sleep 0.02
	done
}

# lab_wait_listening NS PORT: waits until somebody accepts connections there.
lab_wait_listening() {
	local tries=600
	until [ -n "$(lab_in "$1" ss -Htln "sport = :$2")" ]; do
		[ $((tries--)) -gt 0 ] || { _lab_die "nobody listens at port $2 of $1"; return 1; }
		sleep 0.05
	done
}

# lab_wait_connections NS PORT COUNT: waits until so many connections are open at that port of NS.
lab_wait_connections() {
	local tries=600
	until [ "$(lab_in "$1" ss -Htn state established "sport = :$2" | wc -l)" -ge "$3" ]; do
		[ $((tries--)) -gt 0 ] || { _lab_die "no $3 connections at port $2 of $1"; return 1; }
		sleep 0.05
	done
}

# lab_wait_read NS PORT: waits until all datagrams that came to that port were read.
lab_wait_read() {
	local tries=600
	until [ "$(lab_in "$1" ss -Huln "sport = :$2" | awk '{ n += $2 } END { print n + 0 }')" -eq 0 ]; do
		[ $((tries--)) -gt 0 ] || { _lab_die "nobody reads at port $2 of $1"; return 1; }
		sleep 0.05
	done
}

# lab_json LOGFILE [JQ-FILTER]: the last JSON line of a tool's log, or a part of it.
lab_json() {
	grep '^{' "$1" | tail -n 1 | jq -r "${2:-.}"
}

# A namespace with lo up, no router solicitations, no duplicate address detection.
_lab_netns() {
	local ns=$1 tries=1500 own
	own=$(readlink /proc/self/ns/net)
	setpriv --pdeathsig KILL unshare -n -- sleep infinity </dev/null >/dev/null 2>&1 &
	LAB_PID[$ns]=$!
	disown "$!"
	until [ "$(readlink "/proc/${LAB_PID[$ns]}/ns/net" 2>/dev/null)" != "$own" ] &&
		[ "$(cat "/proc/${LAB_PID[$ns]}/comm" 2>/dev/null)" = sleep ]; do
		[ $((tries--)) -gt 0 ] || { _lab_die "cannot make namespace $ns"; return 1; }
		sleep 0.01
	done
	LAB_NETNS+=("$(readlink "/proc/${LAB_PID[$ns]}/ns/net")")
	lab_in "$ns" sysctl -q -w net.ipv6.conf.all.disable_ipv6=0 \
		net.ipv6.conf.{all,default}.accept_ra=0 net.ipv6.conf.{all,default}.accept_dad=0 \
		net.ipv6.conf.default.router_solicitations=0 \
		net.ipv4.conf.{all,default}.rp_filter=0 \
		net.ipv4.conf.{all,default}.send_redirects=0
	lab_in "$ns" ip link set lo up
}

# _lab_link NS1 IF1 MAC1 NS2 IF2 MAC2: a veth pair; MAC "-" lets the kernel choose.
_lab_link() {
	local ns1=$1 if1=$2 mac1=$3 ns2=$4 if2=$5 mac2=$6
	lab_in "$ns1" ip link add "$if1" type veth peer name "$if2" netns "${LAB_PID[$ns2]}" ||
		return 1
	_lab_port "$ns1" "$if1" "$mac1" && _lab_port "$ns2" "$if2" "$mac2"
}

_lab_port() {
	local ns=$1 if=$2 mac=$3
	[ "$mac" = - ] || lab_in "$ns" ip link set "$if" address "$mac" || return 1
	lab_in "$ns" ethtool -K "$if" tx off tso off gso off gro off >/dev/null 2>&1
	lab_in "$ns" ip link set "$if" up
}

# _lab_bridge NS NAME PORT…: a bridge that forwards at once and does nothing of its own.
_lab_bridge() {
	local ns=$1 br=$2 port
	shift 2
	lab_in "$ns" ip link add "$br" type bridge stp_state 0 forward_delay 0 mcast_snooping 0 ||
		return 1
	for port in "$@"; do
		lab_in "$ns" ip link set "$port" master "$br" || return 1
	done
	lab_in "$ns" ip link set "$br" up
}

# _lab_addr NS IF ADDR/LEN…
_lab_addr() {
	local ns=$1 if=$2 a
	shift 2
	for a in "$@"; do
		case $a in
		*:*) lab_in "$ns" ip addr add "$a" dev "$if" nodad ;;
		*) lab_in "$ns" ip addr add "$a" dev "$if" ;;
		esac || return 1
	done
}

# _lab_neigh NS IF MAC ADDR…: permanent neighbours, so no packet ever waits for ARP or ND.
_lab_neigh() {
	local ns=$1 if=$2 mac=$3 a
	shift 3
	for a in "$@"; do
		lab_in "$ns" ip neigh replace "$a" lladdr "$mac" dev "$if" nud permanent || return 1
	done
}

# The phones' end: addresses, route, neighbours. Also what the box needs to reach them, with a
# route for the addresses of made-up phones (frames): the phones' namespace drops those in
# silence, so nothing answers RST.
_lab_setup_phones() {
	local i phones4=() phones6=()
	for ((i = 0; i < LAB_PHONE_COUNT; i++)); do
		phones4+=("10.1.0.$((i + 2))")
		phones6+=("$(printf 'fd00:1::%x' $((i + 2)))")
	done
	export LAB_PHONE4=${phones4[0]} LAB_PHONE6=${phones6[0]}
	LAB_PHONES4=$(IFS=,; echo "${phones4[*]}")
	LAB_PHONES6=$(IFS=,; echo "${phones6[*]}")
	export LAB_PHONES4 LAB_PHONES6
	_lab_addr phones eth0 "${phones4[@]/%//16}" "${phones6[@]/%//64}" || return 1

	if [ "$LAB_MODE" = bridged ]; then
		_lab_neigh phones eth0 "$LAB_MAC_SERVER" "$LAB_SERVER4" "$LAB_SERVER6" &&
			_lab_neigh server eth0 "$LAB_MAC_PHONES" "${phones4[@]}" "${phones6[@]}"
		return
	fi
	lab_in phones ip route add default via 10.1.0.1 &&
		lab_in phones ip -6 route add default via fd00:1::1 &&
		_lab_neigh phones eth0 "$LAB_MAC_ACCESS" 10.1.0.1 fd00:1::1 &&
		_lab_addr box "$LAB_ACCESS" 10.1.0.1/24 fd00:1::1/112 &&
		lab_in box ip route add 10.1.0.0/16 via "$LAB_PHONE4" &&
		lab_in box ip -6 route add fd00:1::/64 via "$LAB_PHONE6" &&
		_lab_neigh box "$LAB_ACCESS" "$LAB_MAC_PHONES" "${phones4[@]}" "${phones6[@]}"
}

_lab_setup_server() {
	if [ "$LAB_MODE" = bridged ]; then
		_lab_addr server eth0 "$LAB_SERVER4/16" "$LAB_SERVER6/64"
		return
	fi
	_lab_addr server eth0 "$LAB_SERVER4/24" "$LAB_SERVER6/64" &&
		_lab_addr box "$LAB_CUCM" 10.2.0.1/24 fd00:2::1/64 &&
		lab_in server ip route add default via 10.2.0.1 &&
		lab_in server ip -6 route add default via fd00:2::1 &&
		_lab_neigh server eth0 "$LAB_MAC_CUCM" 10.2.0.1 fd00:2::1 &&
		_lab_neigh box "$LAB_CUCM" "$LAB_MAC_SERVER" "$LAB_SERVER4" "$LAB_SERVER6" \
			"$LAB_FAKE_SERVER4" "$LAB_FAKE_SERVER6"
}

# lab_up routed|bridged [4|6]: builds the network. Both families are always there; the second
# argument says which of them LAB_SERVER, LAB_PHONE, LAB_PHONES and LAB_FAKE_SERVER stand for.
# Sets LAB_SERVER4/6, LAB_PHONE4/6 (the first phone), LAB_PHONES4/6 (all, for --bind) and
# LAB_FAKE_SERVER4/6: an address that is routed to the server's namespace but that nobody owns,
# for made-up connections, which so meet no RST.
lab_up() {
	local mode=${1:-routed} family=${2:-4}
	case $mode in
	routed)
		export LAB_SERVER4=10.2.0.10 LAB_SERVER6=fd00:2::10
		export LAB_FAKE_SERVER4=10.2.0.200 LAB_FAKE_SERVER6=fd00:2::200
		;;
	bridged)
		export LAB_SERVER4=10.1.255.10 LAB_SERVER6=fd00:1::ffff:10
		export LAB_FAKE_SERVER4=10.1.255.200 LAB_FAKE_SERVER6=fd00:1::ffff:200
		;;
	*)
		_lab_die "lab_up: want routed or bridged, not $mode"
		return 1
		;;
	esac
	[ ${#LAB_PID[@]} -eq 0 ] || lab_down
	LAB_MODE=$mode
	LAB_OWNER=$BASHPID
	trap lab_down EXIT

	_lab_netns phones && _lab_netns box && _lab_netns server &&
		_lab_link phones eth0 "$LAB_MAC_PHONES" box "$LAB_ACCESS" "$LAB_MAC_ACCESS" &&
		_lab_link server eth0 "$LAB_MAC_SERVER" box "$LAB_CUCM" "$LAB_MAC_CUCM" || return 1
	if [ "$mode" = bridged ]; then
		_lab_bridge box br0 "$LAB_ACCESS" "$LAB_CUCM" &&
			_lab_addr box br0 10.1.0.1/16 fd00:1::1/64 || return 1
	else
		lab_in box sysctl -q -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	fi
	_lab_setup_server && _lab_setup_phones || return 1

	if [ "$family" = 6 ]; then
		export LAB_SERVER=$LAB_SERVER6 LAB_PHONE=$LAB_PHONE6 LAB_PHONES=$LAB_PHONES6
		export LAB_FAKE_SERVER=$LAB_FAKE_SERVER6
	else
		export LAB_SERVER=$LAB_SERVER4 LAB_PHONE=$LAB_PHONE4 LAB_PHONES=$LAB_PHONES4
		export LAB_FAKE_SERVER=$LAB_FAKE_SERVER4
	fi
	_lab_check
}

# Both ends must reach each other: a port where nobody listens refuses the connection at once.
# This also teaches bridges the MACs.
_lab_check() {
	local a said
	for a in "$LAB_SERVER4" "$LAB_SERVER6"; do
		said=$(lab_in phones timeout 20 bash -c "exec 3<>/dev/tcp/$a/9" 2>&1 || true)
		[[ $said == *refused* ]] || { _lab_die "phones cannot reach $a"; return 1; }
	done
}

# lab_add_switch: after lab_up and before anything runs: puts a switch between the phones and
# the box, as a bridge br0 in a namespace of its own, with ports LAB_SWITCH_PHONES and
# LAB_SWITCH_ROUTER. The box's acc0 is made anew.
lab_add_switch() {
	_lab_netns switch && lab_in phones ip link del eth0 || return 1
	_lab_link phones eth0 "$LAB_MAC_PHONES" switch "$LAB_SWITCH_PHONES" - &&
		_lab_link box "$LAB_ACCESS" "$LAB_MAC_ACCESS" switch "$LAB_SWITCH_ROUTER" - &&
		_lab_bridge switch br0 "$LAB_SWITCH_PHONES" "$LAB_SWITCH_ROUTER" || return 1
	if [ "$LAB_MODE" = bridged ]; then
		lab_in box ip link set "$LAB_ACCESS" master br0 || return 1
	fi
	_lab_setup_phones && _lab_check
}

# lab_switch_ageing SECONDS: makes the switch forget an idle phone after that long, and drop
# what it then gets for it, as a switch with flooding off (or port security) does. SECONDS 300
# and flooding again: lab_switch_ageing off.
lab_switch_ageing() {
	local flood=off seconds=$1
	[ "$seconds" != off ] || { flood=on; seconds=300; }
	lab_in switch ip link set br0 type bridge ageing_time \
		"$(awk -v s="$seconds" 'BEGIN { printf "%d", s * 100 }')" &&
		lab_in switch bridge link set dev "$LAB_SWITCH_PHONES" flood "$flood"
}

# lab_port_security SECONDS: what port security with a short ageing time does to
# keepalives: the switch drops the first segment of a phone that was idle for so long, and learns
# it; what follows passes. A SYN is learned and passes. A phone is told by address and port here,
# since all have one MAC. Dropped segments are in the counter port_security of the switch, and with
# its witness, if it has one. Off: lab_drop_flush switch.
lab_port_security() {
	local four='{ ip saddr . tcp sport }' six='{ ip6 saddr . tcp sport }'
	lab_in switch nft -f - <<-EOF
		table netdev lab {
			counter port_security { }
			set secure4 {
				type ipv4_addr . inet_service
				flags dynamic, timeout
				timeout ${1}s
			}
			set secure6 {
				type ipv6_addr . inet_service
				flags dynamic, timeout
				timeout ${1}s
			}
			chain ports {
				type filter hook ingress device "$LAB_SWITCH_PHONES" priority -10
				meta l4proto != tcp accept
				ip saddr . tcp sport @secure4 update @secure4 $four accept
				ip6 saddr . tcp sport @secure6 update @secure6 $six accept
				add @secure4 $four
				add @secure6 $six
				tcp flags & syn == syn accept
				counter name port_security ${LAB_WITNESS[switch]:-} drop
			}
		}
	EOF
}

# lab_witness NS FILE: from now on every frame that lab_lossy and lab_port_security drop in NS is
# written to FILE, a capture with nanoseconds. lab_witnessed FILE COUNT [SECONDS]: waits until it
# holds that many (30 s at most).
lab_witness() {
	local ns=$1 file=$2
	[ -n "${LAB_PID[witness]:-}" ] || _lab_netns witness || return 1
	_lab_link "$ns" witness0 - witness "$ns" - || return 1
	lab_in "$ns" sysctl -q -w net.ipv6.conf.witness0.disable_ipv6=1
	lab_in witness sysctl -q -w "net.ipv6.conf.$ns.disable_ipv6=1"
	lab_bg witness "$file.log" tcpdump --immediate-mode --time-stamp-precision=nano -B 16384 \
		-i "$ns" -Q in -U -w "$file" tcp
	LAB_WITNESS[$ns]='dup to "witness0"'
	lab_wait_for "$file.log" 'listening on'
}

lab_witnessed() {
	local tries=$((${3:-30} * 20)) n
	until n=$(tcpdump -nn -r "$1" 2>/dev/null | wc -l) && [ "$n" -ge "$2" ]; do
		[ $((tries--)) -gt 0 ] || { _lab_die "$n of $2 frames in $1"; return 1; }
		sleep 0.05
	done
}

# lab_lossy NS IF ingress|egress PERMILLE [SEED]: loses so many of all TCP segments that come in
# (go out) there, keepalives or not, whatever their flags: in IPv4 by a seeded hash over the segment
# and its IP identification, so that a retransmission has a chance of its own; in IPv6, which has
# none, at random. NS needs a witness. The
# sender of what is lost on its way out is not told, as if the wire had lost it. The lost are in
# the counter lossy_DIRECTION. Off, with the counters left: lab_lossless NS.
lab_lossy() {
	local ns=$1 if=$2 hook=$3 permille=$4 seed=${5:-1} verdict="${LAB_WITNESS[$1]:-} drop"
	[ -n "${LAB_WITNESS[$ns]:-}" ] || { _lab_die "lab_lossy: $ns has no witness"; return 1; }
	[ "$hook" = ingress ] || verdict='fwd to "witness0"'
	lab_in "$ns" nft -f - <<-EOF
		table netdev lab {
			counter lossy_${if}_$hook { }
			chain lossy_${if}_$hook {
				type filter hook $hook device "$if" priority 0
				meta l4proto tcp jhash ip saddr . ip daddr . tcp sport . tcp dport \
					. tcp sequence . ip id mod 1000 seed $seed < $permille \
					counter name lossy_${if}_$hook $verdict
				meta protocol ip6 meta l4proto tcp \
					numgen random mod 1000 < $permille \
					counter name lossy_${if}_$hook $verdict
			}
		}
	EOF
}

lab_lossless() {
	lab_in "$1" nft flush table netdev lab
}

# lab_drop_rule NS inet|bridge to_cucm|to_phone PORT MATCH RATE [COUNTER]: drops the first and
# then every RATE-th segment that matches, or at random if RATE is like 5%. MATCH:
#	sccp_keepalive		exactly a KeepAlive of 12 bytes
#	sccp_keepalive_ack	exactly a KeepAliveAck of 12 bytes
#	sip_register		starts with "REGI"
#	sip_response		starts with "SIP/"
#	payload			any TCP payload
# The drops are counted in COUNTER (default DIRECTION_MATCH, in LAB_LAST_COUNTER), all that
# matched in COUNTER_seen. Family inet for a router, bridge for a bridge. Rules add up.
# @ih is what follows the TCP header with its options. A load beyond the packet's end does not
# match, which is how "exactly 12 bytes" is told: no thirteenth byte.
lab_drop_rule() {
	local ns=$1 family=$2 direction=$3 port=$4 match=$5 rate=$6
	local counter=${7:-${3}_${5}} side=dport longer='' what every
	[ "$direction" = to_cucm ] || side=sport
	case $match in
	sccp_keepalive) what='@ih,0,32 0x04000000 @ih,32,32 0x00000000 @ih,64,32 0x00000000' ;;
	sccp_keepalive_ack) what='@ih,0,32 0x04000000 @ih,32,32 0x00000000 @ih,64,32 0x00010000' ;;
	sip_register) what='@ih,0,32 0x52454749' ;;
	sip_response) what='@ih,0,32 0x5349502f' ;;
	payload) what='@ih,0,8 >= 0' ;;
	*) _lab_die "lab_drop_rule: unknown match $match"; return 1 ;;
	esac
	case $match in sccp_*) longer='@ih,96,8 >= 0 return' ;; esac
	case $rate in
	*%) every="numgen random mod 100 < ${rate%\%}" ;;
	*) every="numgen inc mod $rate 0" ;;
	esac
	lab_in "$ns" nft -f - <<-EOF || return 1
		table $family lab {
			counter $counter { }
			counter ${counter}_seen { }
			chain rule_$counter {
				$longer
				counter name ${counter}_seen
				$every counter name $counter drop
			}
			chain forwarded {
				type filter hook forward priority 0; policy accept;
				tcp $side $port $what jump rule_$counter
			}
		}
	EOF
	LAB_LAST_COUNTER=$counter
}

# lab_dropped NS COUNTER: the packets of a named counter.
lab_dropped() {
	local family n
	for family in inet bridge netdev; do
		n=$(lab_in "$1" nft -j list counter "$family" lab "$2" 2>/dev/null |
			jq '.nftables[] | .counter? // empty | .packets')
		[ -z "$n" ] || { echo "$n"; return 0; }
	done
	_lab_die "no counter $2 in $1"
}

# lab_settle NS SECONDS: until no rule there has dropped anything for so long (an end sends again what
# the other one, which is gone, has missed). Gives up after three times.
lab_settle() {
	local had have tries=3
	have=$(lab_in "$1" nft list counters 2>/dev/null)
	while [ $((tries--)) -gt 0 ]; do
		had=$have
		sleep "$2"
		have=$(lab_in "$1" nft list counters 2>/dev/null)
		[ "$have" != "$had" ] || return 0
	done
}

# lab_drop_flush NS: removes all drop rules and their counters.
lab_drop_flush() {
	lab_in "$1" nft delete table inet lab 2>/dev/null
	lab_in "$1" nft delete table bridge lab 2>/dev/null
	lab_in "$1" nft delete table netdev lab 2>/dev/null
	return 0
}

# lab_drop_end NS: from now on nothing is dropped there; the counters stay.
lab_drop_end() {
	lab_in "$1" nft flush table inet lab 2>/dev/null || :
	lab_in "$1" nft flush table bridge lab 2>/dev/null || :
}

# lab_masquerade NS: hides the phones behind the box's address towards the server, in IPv4 and
# IPv6. A router's matter: a bridge does no NAT.
lab_masquerade() {
	lab_in "$1" nft -f - <<-EOF
		table inet labnat {
			chain out {
				type nat hook postrouting priority 100;
				oifname "$LAB_CUCM" masquerade
			}
		}
	EOF
}

# lab_gro NS IF on|off: off is the default everywhere. With on, segments of one connection that
# arrive back to back may be merged, and nftables then sees and counts them as one packet.
lab_gro() {
	lab_in "$1" ethtool -K "$2" gro "$3"
}

# lab_fast_rto NS: TCP's least retransmission timeout becomes 20 ms, where the kernel can. An
# end that only acknowledges (a backup server) may take 40 ms: then 20 ms is too soon.
lab_fast_rto() {
	lab_in "$1" sysctl -q -w net.ipv4.tcp_rto_min_us=20000 2>/dev/null || true
}

# lab_slow_rto NS: nothing is sent twice within 10 s, where the kernel can: where nothing is lost, each
# segment is one, however long this machine stands still.
lab_slow_rto() {
	lab_in "$1" sysctl -q -w net.ipv4.tcp_rto_min_us=10000000 net.ipv4.tcp_early_retrans=0 \
		2>/dev/null || true
}

# lab_lasting_backoff NS: the ends there take no sample of the round trip from what they sent twice,
# as old TCP without timestamps does (RFC 6298, section 3: Karn's algorithm), and probe for no loss
# of the tail. So a retransmission timeout that a loss doubled stays doubled until a segment gets
# through at the first attempt. The least timeout is 20 ms.
lab_lasting_backoff() {
	lab_in "$1" sysctl -q -w net.ipv4.tcp_timestamps=0 net.ipv4.tcp_early_retrans=0 \
		net.ipv4.tcp_rto_min_us=20000
}

# The PIDs of all processes in the lab's namespaces.
_lab_members() {
	local p ns
	for p in /proc/[0-9]*; do
		ns=$(readlink "$p/ns/net" 2>/dev/null) || continue
		case " ${LAB_NETNS[*]} " in *" $ns "*) echo "${p#/proc/}" ;; esac
	done
}

# _lab_kill SIGNAL: to all of them but those that hold the namespaces. Fails where there were none.
_lab_kill() {
	local p any=1
	for p in $(_lab_members); do
		case " ${LAB_PID[*]} " in *" $p "*) continue ;; esac
		any=0
		[ "$1" = 0 ] || kill "-$1" "$p" 2>/dev/null
	done
	return $any
}

# lab_down: ends every process in the lab's namespaces, and with them the namespaces. Done by
# the EXIT trap too; a second call does nothing.
lab_down() {
	local p tries=100
	[ "${LAB_OWNER:-}" = "$BASHPID" ] && [ ${#LAB_PID[@]} -gt 0 ] || return 0
	_lab_kill TERM
	while _lab_kill 0 && [ $((tries--)) -gt 0 ]; do sleep 0.03; done
	for ((tries = 0; tries < 50; tries++)); do
		_lab_kill KILL || break
		sleep 0.02
	done
	# Those that hold them come last, and nobody is looked for afterwards: the kernel gives the name of
	# a namespace that is gone to the next one, which may be that of another test beside this one.
	for p in $(_lab_members); do
		case " ${LAB_PID[*]} " in *" $p "*) kill -KILL "$p" 2>/dev/null ;; esac
	done
	for p in "${LAB_PID[@]}"; do
		for ((tries = 0; tries < 500; tries++)); do
			[ -d "/proc/$p" ] && ! grep -qs '^State:.Z' "/proc/$p/status" || break
			sleep 0.02
		done
	done
	LAB_PID=()
	LAB_WITNESS=()
	LAB_NETNS=()
	LAB_MODE=''
	return 0
}
