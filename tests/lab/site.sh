# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# A site where each phone is a host of its own, with its own MAC. To be sourced after lab.sh:
#
#	lab_site routed|bridged PHONES [arp]
#
#	phone1 eth0 -- p1 \                                               / srv0 -- eth0 server
#	phone2 eth0 -- p2 -- switch up0 -- acc0 box cucm0 -- down0 core --
#	…                 /                                               \ ports of lab_core_host
#
# switch and core are bridges (br0) in namespaces of their own, so is the box where it is bridged
# (br0 of acc0 and cucm0). All neighbours are permanent, with `arp` none is. IPv4 alone: a phone
# sends nothing but what it has to. Phone n has the MAC 00:24:14:00:00:n (in hex), which is that of
# its device name, SEP0024140000nn.

declare -g LAB_SITE_PHONES=0	# how many phones
declare -ga LAB_PHONE_PIDS=()	# of the phones that lab_phone started

# lab_phone_mac N, lab_phone_address N: of the phone with that number.
lab_phone_mac() {
	printf '00:24:14:00:00:%02x' "$1"
}

lab_phone_address() {
	echo "10.1.0.$(($1 + 1))"
}

_lab_site_phone() {
	local n=$1 mac
	mac=$(lab_phone_mac "$n")
	_lab_netns "phone$n" || return 1
	lab_in "phone$n" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1
	_lab_link "phone$n" eth0 "$mac" switch "p$n" - &&
		_lab_addr "phone$n" eth0 "$(lab_phone_address "$n")/16" || return 1
	if [ "$LAB_MODE" = routed ]; then
		lab_in "phone$n" ip route add default via 10.1.0.1
	fi
}

_lab_site_neighbours() {
	local n
	for ((n = 1; n <= LAB_SITE_PHONES; n++)); do
		if [ "$LAB_MODE" = routed ]; then
			_lab_neigh "phone$n" eth0 "$LAB_MAC_ACCESS" 10.1.0.1 &&
				_lab_neigh box acc0 "$(lab_phone_mac "$n")" "$(lab_phone_address "$n")"
		else
			_lab_neigh "phone$n" eth0 "$LAB_MAC_SERVER" "$LAB_SERVER" &&
				_lab_neigh server eth0 "$(lab_phone_mac "$n")" "$(lab_phone_address "$n")"
		fi || return 1
	done
	[ "$LAB_MODE" = bridged ] || {
		_lab_neigh server eth0 "$LAB_MAC_CUCM" 10.2.0.1 &&
			_lab_neigh box cucm0 "$LAB_MAC_SERVER" "$LAB_SERVER"
	}
}

lab_site() {
	local n ports=()
	[ ${#LAB_PID[@]} -eq 0 ] || lab_down
	LAB_MODE=$1 LAB_SITE_PHONES=$2 LAB_OWNER=$BASHPID LAB_PHONE_PIDS=()
	trap lab_down EXIT
	case $LAB_MODE in
	routed) export LAB_SERVER=10.2.0.10 ;;
	bridged) export LAB_SERVER=10.1.255.10 ;;
	*) _lab_die "lab_site: want routed or bridged, not $LAB_MODE"; return 1 ;;
	esac
	for n in switch box core server; do
		_lab_netns $n && lab_in $n sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 || return 1
	done
	_lab_link box acc0 "$LAB_MAC_ACCESS" switch up0 - &&
		_lab_link box cucm0 "$LAB_MAC_CUCM" core down0 - &&
		_lab_link server eth0 "$LAB_MAC_SERVER" core srv0 - || return 1
	for ((n = 1; n <= LAB_SITE_PHONES; n++)); do
		_lab_site_phone $n || return 1
		ports+=("p$n")
	done
	_lab_bridge switch br0 up0 "${ports[@]}" && _lab_bridge core br0 down0 srv0 || return 1
	if [ "$LAB_MODE" = bridged ]; then
		_lab_bridge box br0 acc0 cucm0 && _lab_addr server eth0 "$LAB_SERVER/16" || return 1
	else
		_lab_addr box acc0 10.1.0.1/16 && _lab_addr box cucm0 10.2.0.1/24 &&
			_lab_addr server eth0 "$LAB_SERVER/24" &&
			lab_in server ip route add default via 10.2.0.1 &&
			lab_in box sysctl -q -w net.ipv4.ip_forward=1 || return 1
	fi
	[ "${3:-}" = arp ] || _lab_site_neighbours
}

# lab_core_host NAME MAC ADDRESS/LEN: another host at the core switch, in a namespace of its own.
lab_core_host() {
	_lab_netns "$1" || return 1
	lab_in "$1" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1
	_lab_link "$1" eth0 "$2" core "$1" - && lab_in core ip link set "$1" master br0 &&
		_lab_addr "$1" eth0 "$3"
}

# lab_phone N sccp|sip OPTION…: starts phone N; its log is in the file phoneN of $LAB_LOGS.
lab_phone() {
	local n=$1 kind=$2
	shift 2
	lab_bg "phone$n" "$LAB_LOGS/phone$n" "$LAB_BIN/$kind-phones" --server "$LAB_SERVER" \
		--device "$n" --quiet "$@"
	LAB_PHONE_PIDS+=("$LAB_LAST_PID")
}

# Ends all phones at once; their kernels say FIN.
lab_phones_kill() {
	[ ${#LAB_PHONE_PIDS[@]} -eq 0 ] || {
		kill -KILL "${LAB_PHONE_PIDS[@]}"
		wait "${LAB_PHONE_PIDS[@]}"
	} 2>/dev/null
	LAB_PHONE_PIDS=()
}

# lab_secure_ports MS PHONE…: port security on these phones' ports of the switch: the first
# frame from a MAC that was silent for so long is dropped, and its sender learned; a SYN passes.
# The dropped are in the counter port_security of the switch.
lab_secure_ports() {
	local ms=$1 n devices=''
	shift
	for n in "$@"; do devices+="${devices:+, }\"p$n\""; done
	lab_in switch nft -f - <<-EOT
		table netdev lab {
			counter port_security { }
			set secure {
				type ether_addr
				flags dynamic, timeout
				timeout ${ms}ms
			}
			chain ports {
				type filter hook ingress devices = { $devices } priority -10
				meta protocol != ip accept
				ether saddr @secure update @secure { ether saddr } accept
				add @secure { ether saddr }
				tcp flags & syn == syn accept
				counter name port_security drop
			}
		}
	EOT
}

# lab_bridge_ageing NS SECONDS PORT…: the bridge br0 of NS forgets who is silent for so long, and does not
# flood what then comes for it out of these ports.
lab_bridge_ageing() {
	local ns=$1 seconds=$2 port
	shift 2
	lab_in "$ns" ip link set br0 type bridge ageing_time \
		"$(awk -v s="$seconds" 'BEGIN { printf "%d", s * 100 }')" || return 1
	for port in "$@"; do
		lab_in "$ns" bridge link set dev "$port" flood off || return 1
	done
}
