#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# kaloss check names what is in the way, and only that, and leaves the host as it found it.
set -u
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

PATIENCE_S=60
! sanitized || PATIENCE_S=300

# run_check NAME STATUS [OPTION…]: what it prints goes to $WORK/check. $prefix: words before the
# command.
run_check() {
  local name=$1 status=$2
  shift 2
  # shellcheck disable=SC2086
  lab_in box timeout "$PATIENCE_S" ${prefix:-} "$KALOSS" check --duration 1500ms --connections 4096 \
    "$@" >"$WORK/check" 2>"$WORK/err"
  expect "$name: exit status" "$?" -eq "$status"
  [ ! -s "$WORK/err" ] || fail "$name: on standard error: $(head -1 "$WORK/err")"
}

# says NAME REGEX…: a line for each.
says() {
  local name=$1 what
  shift
  for what in "$@"; do
    if grep -Eq -- "$what" "$WORK/check"; then
      pass "$name: $what"
    else
      fail "$name: no '$what' in: $(cat "$WORK/check")"
    fi
  done
}

says_not() {
  if grep -Eq -- "$2" "$WORK/check"; then
    fail "$1: $(grep -E -- "$2" "$WORK/check")"
  else
    pass "$1: not '$2'"
  fi
}

# What sits on the box's interfaces. (That no tcx program stays is told by the next check.)
attached() {
  lab_in box ip -details link | grep -E 'xdp|prog/'
  lab_in box tc qdisc | grep clsact
}

net() {
  local ns
  lab_up "$@" || exit 1
  keep_trap
  # Where nothing gets through, something is sent again each second all the same, however late it is
  # looked for. (Linux 6.15 and later; before, ever more rarely.)
  for ns in phones server; do
    lab_in $ns sysctl -q -w net.ipv4.tcp_rto_max_ms=1000 2>/dev/null
  done
}

# Phones that talk until the lab ends. They are all connected, and given a moment to register.
talk() {
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --port 2000 --phones 8 --period 250 --duration 600000
  lab_wait_connections server 2000 8 || fail "the phones do not connect"
  sleep 0.7
}

BOTH=(--access acc0 --cucm cucm0)

healthy_test() {
  local mode=$1 family=$2 name="healthy, $1 IPv$2"
  net "$mode" "$family"
  talk
  before=$(attached)
  run_check "$name" 0 "${BOTH[@]}"
  says "$name" '^ok   acc0: up, driver veth, native XDP' '^ok   cucm0: up, driver veth, native XDP' \
    '^ok   kernel: ' '^ok   path: ' '^ok   traffic: 8 connections seen on both sides'
  says_not "$name" 'FAIL|note'
  run_check "$name, tc" 0 "${BOTH[@]}" --hook tc
  says "$name, tc" '^ok   acc0: .*tcx' '^ok   traffic: 8 connections seen on both sides'
  run_check "$name, clsact" 0 "${BOTH[@]}" --hook tc --tc-filters
  says "$name, clsact" '^ok   acc0: .*clsact' '^ok   traffic: 8 connections seen on both sides'
  expect "$name: nothing is left attached" "x$(attached)" = "x$before"
}

# Losses between the sides are what kaloss is for, not what keeps it from working.
lossy_test() {
  net routed
  talk
  lab_drop_rule box inet to_cucm 2000 payload 20%
  lab_drop_rule box inet to_phone 2000 payload 20%
  for round in 1 2 3 4 5; do
    run_check "lossy, round $round" 0 "${BOTH[@]}"
    says_not "lossy, round $round" FAIL
  done
}

# A kaloss that is at work already.
second_test() {
  net routed
  talk
  lab_bg box "$WORK/watch" "$KALOSS" watch "${BOTH[@]}"
  WATCH=$LAB_LAST_PID
  lab_wait_for "$WORK/watch" 'to phone'
  run_check "second" 0 "${BOTH[@]}"
  says "second" '^note acc0: another kaloss watches here' '^ok   traffic: 8 connections'
  lab_stop "$WATCH"
}

interfaces_test() {
  net routed
  talk
  run_check "missing" 2 --access acc0,eth7 --cucm cucm0
  says "missing" '^FAIL eth7: no such interface' '^ok   acc0: ' '^ok   traffic: '

  lab_in box ip link property add dev acc0 altname phones0
  run_check "two names" 1 --access acc0,phones0 --cucm cucm0
  says "two names" '^FAIL phones0: is the same interface as acc0'

  lab_in box ip tuntap add tun0 mode tun
  run_check "no Ethernet" 1 --access acc0,tun0 --cucm cucm0
  says "no Ethernet" '^FAIL tun0: its frames have no Ethernet header' '^FAIL tun0: is down'

  lab_in box ip link add link cucm0 name mv0 type macvlan
  lab_in box ip link set mv0 up
  run_check "stacked" 1 --access acc0 --cucm cucm0,mv0
  says "stacked" '^FAIL mv0: sits on cucm0, which is named too'

  lab_in box ip link set cucm0 down
  run_check "down" 1 "${BOTH[@]}"
  says "down" '^FAIL cucm0: is down' '^ +ip link set cucm0 up$' '^ok   acc0: '
  says_not "down" '^ok   cucm0'
  lab_in box ip link set cucm0 up

  lab_in server ip link set eth0 down
  run_check "no carrier" 1 "${BOTH[@]}"
  says "no carrier" '^FAIL cucm0: is up but has no carrier'
  lab_in server ip link set eth0 up
}

bridge_test() {
  net bridged
  talk
  run_check "a bridge" 1 --access br0 --cucm cucm0
  says "a bridge" '^FAIL br0: is a bridge whose ports are named too \(cucm0\)'
  lab_in box bridge link set dev acc0 isolated on
  lab_in box bridge link set dev cucm0 isolated on
  run_check "isolated ports" 1 "${BOTH[@]}"
  says "isolated ports" '^FAIL path: the bridge.s ports are isolated' \
    '^ +bridge link set dev acc0 isolated off$'
  lab_in box bridge link set dev acc0 isolated off
  lab_in box ip link set acc0 mtu 1400
  run_check "MTU" 0 "${BOTH[@]}"
  says "MTU" '^note path: MTU 1400 on acc0, 1500 on cucm0'
  lab_in box ip link set br0 type bridge stp_state 1 forward_delay 1500
  lab_in box ip link set cucm0 down
  lab_in box ip link set cucm0 up
  run_check "blocked port" 1 "${BOTH[@]}"
  says "blocked port" '^FAIL cucm0: its bridge does not forward'
}

# Programs of somebody else, which stay.
occupied_test() {
  net routed
  talk
  cat >"$WORK/other.c" <<-'END'
	__attribute__((section("xdp"), used)) int somebody(void *ctx) { return 2; }
	__attribute__((section("tc"), used)) int neighbour(void *ctx) { return -1; }
	char terms[] __attribute__((section("license"), used)) = "GPL";
END
  clang -target bpf -O2 -g -c "$WORK/other.c" -o "$WORK/other.o" || fail "clang"
  lab_in box ip link set dev acc0 xdp obj "$WORK/other.o" sec xdp || fail "somebody's XDP program"
  lab_in box tc qdisc add dev cucm0 clsact
  lab_in box tc filter add dev cucm0 egress bpf da obj "$WORK/other.o" sec tc || fail "a filter"
  before=$(attached)
  run_check "occupied" 0 "${BOTH[@]}"
  says "occupied" '^note acc0: an XDP program \(id [0-9]+, somebody\) is on it and stays' \
    '^ok   acc0: .*tcx' '^note cucm0: also reads what leaves: filter other.o:\[tc\]' \
    '^ok   traffic: 8 connections'
  run_check "occupied, insisting" 1 "${BOTH[@]}" --hook xdp
  says "occupied, insisting" '^FAIL acc0: --hook xdp is not possible: an XDP program \(id' \
    '--hook auto$'
  run_check "occupied, clsact" 0 "${BOTH[@]}" --tc-filters
  expect "occupied: it is still there" "x$(attached)" = "x$before"
  expect "occupied: the filter is still there" \
    "$(lab_in box tc filter show dev cucm0 egress | grep -c 'other.o:\[tc\]')" -eq 1
}

nat_test() {
  local family=$1 name="NAT, IPv$1"
  net routed "$family"
  lab_masquerade box
  talk
  run_check "$name" 1 "${BOTH[@]}"
  says "$name" '^note path: this host has 1 rule.*masquerade in table inet labnat, chain out' \
    '^FAIL traffic: NAT: 8 connections under other addresses' "phone.*is .*(10.2.0.1|fd00:2::1)" \
    '^ +.*kaloss check .* --nat$'
  says_not "$name" 'only on the'
  run_check "$name, with --nat" 0 "${BOTH[@]}" --nat
  says "$name, with --nat" '^ok   traffic: 8 connections seen on both sides'
  says_not "$name, with --nat" FAIL
}

# The call server under another address: nothing that --nat is for.
server_nat_test() {
  net routed
  lab_in box nft -f - <<-END
	table ip labdnat {
	chain in { type nat hook prerouting priority -100; ip daddr 10.9.9.9 dnat to $LAB_SERVER4; }
	}
END
  LAB_SERVER=10.9.9.9
  talk
  run_check "server NAT" 1 "${BOTH[@]}"
  says "server NAT" '^FAIL traffic: NAT: the call server that the phones know as 10.9.9.9:2000 is'
}

mixed_up_test() {
  net routed
  talk
  run_check "mixed up" 1 --access cucm0 --cucm=acc0
  says "mixed up" '^FAIL traffic: the sides are mixed up' '^ +.*--cucm cucm0 --access=acc0'
  run_check "no mirror ports" 1 "${BOTH[@]}" --tap
  says "no mirror ports" '^FAIL traffic: each direction comes in on one side only'
}

forwarding_test() {
  net routed
  talk
  lab_in box sysctl -q -w net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
  run_check "forwarding off" 1 "${BOTH[@]}"
  says "forwarding off" '^FAIL path: .*does not forward' '^ +sysctl -w net.ipv4.ip_forward=1'
  lab_in box sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.acc0.forwarding=0
  sleep 1.5 # of retransmission timeout: then the phones talk again
  run_check "not on this interface" 1 "${BOTH[@]}" --duration 2s
  says "not on this interface" '^FAIL path: IPv4 is not forwarded on acc0' \
    '^ +sysctl -w net/ipv4/conf/acc0/forwarding=1$'
}

# Another way between the box and the server: what goes to the server takes it, or what comes back.
asymmetric_test() {
  net routed
  _lab_link server eth1 - box cucm1 -
  _lab_addr server eth1 10.3.0.10/24
  _lab_addr box cucm1 10.3.0.1/24
  talk
  lab_in box ip route replace 10.2.0.10/32 via 10.3.0.10
  run_check "another way out" 1 "${BOTH[@]}"
  says "another way out" \
    '^FAIL traffic: asymmetric: of 8 connections the segments to the call server are not seen' \
    'its route is through cucm1, which is not on the cucm side' '^ +.*--cucm cucm1$'
  lab_in server ip route replace 10.1.0.0/16 via 10.3.0.1
  lab_in box ip route del 10.2.0.10/32 via 10.3.0.10
  run_check "another way back" 1 "${BOTH[@]}"
  says "another way back" \
    '^FAIL traffic: asymmetric: of 8 connections the segments to the phone come in through'
  lab_in box ip route replace 10.2.0.10/32 via 10.3.0.10
  run_check "another way out and back" 1 "${BOTH[@]}"
  says "another way out and back" '^FAIL traffic: 8 connections only on the access side' \
    'its route is through cucm1'
  run_check "both ways named" 0 "${BOTH[@]}" --cucm cucm1
  says "both ways named" '^ok   traffic: 8 connections seen on both sides'

}

# The route back to the server is not where its segments come from, and the box insists on that.
reverse_path_test() {
  net routed
  _lab_link server eth1 - box cucm1 -
  _lab_addr server eth1 10.3.0.10/24
  _lab_addr box cucm1 10.3.0.1/24
  talk
  lab_in box sysctl -q -w net.ipv4.conf.cucm0.rp_filter=1
  lab_in box ip route replace 10.2.0.10/32 via 10.3.0.10
  run_check "reverse path filter" 1 "${BOTH[@]}" --duration 4s
  says "reverse path filter" '^FAIL traffic: .*reverse path filter of cucm0 drops it' \
    '^ +sysctl -w net/ipv4/conf/cucm0/rp_filter=2$'
}

# Something between the sides that writes sequence numbers of its own.
rewritten_test() {
  net routed
  lab_in box nft -f - <<-'END'
	table inet labseq {
	chain out { type filter hook forward priority 0; tcp dport 2000 tcp sequence set 77; }
	}
END
  lab_bg phones "$WORK/frames" "$LAB_BIN/frames" --interface eth0 --side phone \
    --src-mac "$LAB_MAC_PHONES" --dst-mac "$LAB_MAC_ACCESS" --connections 5 --keepalives 30000 \
    --interval-us 1000 --server "$LAB_FAKE_SERVER4" --port 2000
  run_check "rewritten" 1 "${BOTH[@]}"
  says "rewritten" '^FAIL traffic: 5 connections with the same addresses but other sequence numbers'
}

# Mirror ports: every segment comes in, on both.
mirror_test() {
  net routed
  _lab_link phones mir0 - box tapa -
  _lab_link server mir0 - box tapc -
  for at in phones server; do
    lab_in "$at" nft -f - <<-'END' || fail "a mirror port at $at"
	table netdev mirror {
	chain in { type filter hook ingress device eth0 priority 0; dup to mir0; }
	chain out { type filter hook egress device eth0 priority 0; dup to mir0; }
	}
END
  done
  talk
  run_check "mirror ports" 1 --access tapa --cucm tapc
  says "mirror ports" '^FAIL traffic: both directions come in on both sides' '^ +.* --tap$'
  run_check "mirror ports, --tap" 0 --access tapa --cucm tapc --tap
  says "mirror ports, --tap" '^ok   traffic: 8 connections seen on both sides'
}

privileges_test() {
  local before
  net routed
  talk
  before=$(attached)
  prefix='setpriv --reuid 65534 --clear-groups' run_check "no privilege" 2 "${BOTH[@]}"
  says "no privilege" '^FAIL privileges: missing: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON' \
    '^ +sudo .*kaloss check .*--access acc0 --cucm cucm0$' '^ok   acc0: up, driver veth' \
    '^ok   kernel: ' '^note path: .*cannot be known without' '^note traffic: not looked at'
  prefix='setpriv --bounding-set=-bpf,-sys_admin' run_check "without CAP_BPF" 2 "${BOTH[@]}"
  says "without CAP_BPF" '^FAIL privileges: missing: CAP_BPF$'
  prefix='unshare --map-root-user' run_check "a container's root" 2 "${BOTH[@]}"
  says "a container's root" '^FAIL privileges: the kernel refuses in spite of'
  prefix='setpriv --bounding-set=-all,+bpf,+net_admin,+perfmon' \
    run_check "no more than needed" 0 "${BOTH[@]}"
  says "no more than needed" '^ok   traffic: 8 connections seen on both sides'
  expect "privileges: nothing is left attached" "x$(attached)" = "x$before"
}

quiet_test() {
  local pid
  net routed
  run_check "quiet" 0 "${BOTH[@]}"
  says "quiet" '^note traffic: no signalling seen' '^ +.* --duration 2m$'
  run_check "color" 0 "${BOTH[@]}" --color always
  says "color" $'^\033\\[32mok  \033\\[0m acc0: up'
  lab_in box "$KALOSS" check "${BOTH[@]}" --duration 200ms --hook tc --tc-filters 2>"$WORK/err" | true
  expect "reader gone: exit status" "${PIPESTATUS[0]}" -eq 0
  expect "reader gone: on standard error" "$(wc -c <"$WORK/err")" -eq 0
  expect "reader gone: nothing is left attached" "x$(attached)" = x
  # A signal ends the look at the traffic, in good order.
  lab_bg box "$WORK/check" "$KALOSS" check "${BOTH[@]}" --duration 60s --hook tc --tc-filters
  pid=$LAB_LAST_PID
  lab_wait_for "$WORK/check" '^ok   kernel'
  lab_stop "$pid" 30
  expect "ended by a signal: exit status" "$?" -eq 0
  expect "ended by a signal: nothing is left attached" "x$(attached)" = x
}

for mode in routed bridged; do
  healthy_test $mode 4
  healthy_test $mode 6
done
lossy_test
second_test
interfaces_test
bridge_test
occupied_test
nat_test 4
nat_test 6
server_nat_test
mixed_up_test
forwarding_test
asymmetric_test
reverse_path_test
rewritten_test
mirror_test
privileges_test
quiet_test
finish_tests
