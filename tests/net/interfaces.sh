#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Interfaces go away, come back, are renamed, moved and tampered with while watch runs. It goes on, is
# back on them when they are back, calls nothing lost meanwhile, and afterwards what is lost again. And
# nothing piles up.
#
#   tests/net/interfaces.sh [RUN…]     CYCLES=100: how often the interface is made anew
set -u
. "$(dirname "$0")/lib.sh"

CYCLES=${CYCLES:-100}
CLANG=${CLANG:-clang}

cat >"$WORK/other.bpf.c" <<'SOURCE'
#define SEC(name) __attribute__((section(name), used))
SEC("xdp") int other_xdp(void *ctx) { return 2; }
char _license[] SEC("license") = "GPL";
SOURCE
"$CLANG" -target bpf -O2 -g -c "$WORK/other.bpf.c" -o "$WORK/other.o" || fail "clang"

# start OPTION…: watch, and 300 phones with a keepalive a second each.
start() {
  lab_up routed 4
  keep_trap
  lab_in box ip link add acc1 type veth peer name acc1peer
  lab_fast_rto phones
  lab_fast_rto server
  start_watch --interval 250ms "$@" || return 1
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  SERVER=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --port 2000 --phones 300 --period 1000 --duration 600000 --quiet
  PHONES=$LAB_LAST_PID
  wait_delivered "at the start: $*"
}

# wait_for NAME COMMAND…: until it succeeds, a minute at most.
wait_for() {
  local name=$1 tries=600
  shift
  until "$@"; do
    [ $((tries--)) -gt 0 ] || { fail "$name: never: $*; $(tail -3 "$WORK/watch.err")"; return 1; }
    sleep 0.1
  done
}

ticks() { grep -c '"type":"tick"' "$WORK/records"; }
more_than() { [ "$("${@:2}")" -gt "$1" ]; }
told() { grep -qE -- "$1" "$WORK/watch.err"; }
told_times() { grep -cE -- "$1" "$WORK/watch.err"; }

delivers() {
  tail -1 "$WORK/records" | jq -e 'select(.type == "tick")
    | .to_cucm.delivered > 20 and .to_phone.delivered > 20' >/dev/null 2>&1
}

# From now on, not from what was written before.
wait_delivered() {
  wait_for "$1" more_than $(($(ticks) + 1)) ticks && wait_for "$1: delivered both ways" delivers
}

# steady TICKS: behind the first so many ticks each phone had its turn some times, both ways, and in the
# last ones everything could be paired.
steady() {
  jq -n -e "[inputs | select(.type == \"tick\")][$1:]
    | (map([.to_cucm.delivered, .to_phone.delivered] | min) | add // 0) >= 900
      and (.[-3:] | map(.integrity.unpaired) | add) == 0" "$WORK/records" >/dev/null 2>&1
}

# so_far COUNT: of the integrity of all ticks.
so_far() {
  jq -s "map(select(.type == \"tick\") | .integrity.$1) | add" "$WORK/records"
}

no_loss_so_far() {
  expect "$1: losses" "$(grep -c '"type":"loss"' "$WORK/records")" -eq 0
}

all_well() {
  wait_delivered "$1: in the end"
  no_loss_so_far "$1"
}

# It works again: what is dropped now is lost, and nothing else.
losses_are_found() {
  local name=$1
  all_well "$name"
  # Flows are proven again, and what was under way is through.
  wait_for "$name: all phones are through" steady $(($(ticks) + 1))
  sleep 1.2
  lab_drop_rule box inet to_cucm 2000 sccp_keepalive 40
  lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 40
  sleep 1
  lab_in box nft flush chain inet lab forwarded
  sleep 0.5
  lab_stop "$PHONES" 8
  lab_stop "$SERVER" 5
  stop_watch
  expect "$name: lost to the CUCM afterwards" "$(summary .to_cucm.lost_between)" -eq \
    "$(lab_dropped box to_cucm_sccp_keepalive)"
  expect "$name: lost to the phones afterwards" "$(summary .to_phone.lost_between)" -eq \
    "$(lab_dropped box to_phone_sccp_keepalive_ack)"
  expect "$name: some were" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -gt 5
  expect "$name: gaps" "$(summary .integrity.gaps)" -ge "${2:-1}"
  check_sums "$name"
  expect "$name: lines about it" "$(told_times "kaloss watch: .*(acc0|cucm0|acc1|interfaces)")" \
    -le "${3:-12}"
}

make_cucm0() {
  lab_in box ip -batch - <<-COMMANDS
	link add cucm0 address $LAB_MAC_CUCM type veth peer name eth0 address $LAB_MAC_SERVER netns ${LAB_PID[server]}
	link set cucm0 up
	addr add 10.2.0.1/24 dev cucm0
	neigh replace $LAB_SERVER4 lladdr $LAB_MAC_SERVER dev cucm0 nud permanent
	COMMANDS
  lab_in server ip -batch - <<-COMMANDS
	link set eth0 up
	addr add $LAB_SERVER4/24 dev eth0
	neigh replace 10.2.0.1 lladdr $LAB_MAC_CUCM dev eth0 nud permanent
	route add default via 10.2.0.1
	COMMANDS
  lab_in box ethtool -K cucm0 tx off tso off gso off gro off >/dev/null 2>&1
  lab_in server ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1
}

# What the process holds: descriptors, BPF links, programs and maps among them, memory in kB.
holds() {
  local p=/proc/$WATCH
  echo "$(find "$p/fd" -mindepth 1 | wc -l) $(cat "$p"/fdinfo/* 2>/dev/null | grep -c ^link_id) $(
    cat "$p"/fdinfo/* 2>/dev/null | grep -c ^prog_type) $(
    cat "$p"/fdinfo/* 2>/dev/null | grep -c ^map_id) $(
    awk '/^RssAnon/ { print $2 }' "$p/status")"
}

# Of the kernel's links, those of our programs: one that nobody holds would be gone, one that leaked stays.
links_of_ours() {
  bpftool -j link 2>/dev/null | jq --argjson ids "$(cat /proc/"$WATCH"/fdinfo/* 2>/dev/null |
    awk '/^prog_id/ { print $2 }' | sort -u | jq -s .)" '[.[] | select(.prog_id as $p | $ids | index($p))] | length'
}

again_and_again() {
  local i before='' after
  NAME="cucm0 made anew $CYCLES times"
  for ((i = 1; i <= CYCLES; i++)); do
    lab_in box ip link del cucm0
    make_cucm0
    # Every tenth time it stays until keepalives pass it, else it may go before it was even found.
    if [ $((i % 10)) -eq 0 ]; then
      wait_delivered "$NAME: after $i" || return
      [ $i -ne $((CYCLES / 20 * 10)) ] || before=$(holds)
    else
      sleep 0.0$((i % 10))
    fi
  done
  wait_delivered "$NAME: in the end" || return
  after=$(holds)
  echo "      descriptors, links, programs, maps, private kB: after $((CYCLES / 20 * 10)) times $before, after $CYCLES $after"
  expect "$NAME: descriptors, links, programs, maps" "${after% *}" = "${before% *}"
  # (A sanitizer keeps what was freed, to find who uses it; its own look for leaks is at the end.)
  sanitized || expect "$NAME: kB more of memory" $((${after##* } - ${before##* })) -le 2048
  expect "$NAME: links of its programs" "$(links_of_ours)" -le "$(echo "$after" | cut -d' ' -f2)"
  no_loss_so_far "$NAME"
  echo "      gaps: $(so_far gaps), $(so_far missing_ms) ms without it, unpaired: $(so_far unpaired)," \
    "lines: $(wc -l <"$WORK/watch.err")"
}

mtu() {
  NAME="MTU changed"
  lab_in box ip link set cucm0 mtu 1400
  lab_in box ip link set acc0 mtu 1280
  wait_delivered "$NAME"
  lab_in box ip link set cucm0 mtu 1500
  all_well "$NAME"
}

renamed() {
  NAME="acc0 renamed"
  lab_in box ip link set acc0 name phones7
  wait_for "$NAME" told 'acc0 is called phones7 now'
  wait_delivered "$NAME"
  # Another one of that name is what was asked for, now. Nothing comes by there.
  lab_in box ip link add acc0 type veth peer name acc0peer
  wait_for "$NAME: another acc0" told 'acc0 is watched again'
  expect "$NAME: programs left on the renamed one" \
    "$(lab_in box "$ROOT/tests/net/tcx_programs.py" phones7 | wc -l)" -eq 0
  sleep 2.5
  no_loss_so_far "$NAME: another acc0"
  lab_in box ip link del acc0
  lab_in box ip link set phones7 name acc0
  all_well "$NAME"
}

no_tcx() { [ "$(lab_in "$1" "$ROOT/tests/net/tcx_programs.py" "$2" | wc -l)" -eq 0 ]; }

moved() {
  NAME="cucm0 moved to another namespace"
  lab_in box ip link set cucm0 netns "${LAB_PID[server]}"
  wait_for "$NAME" told 'cucm0 is gone'
  wait_for "$NAME: no program there" no_tcx server cucm0
  expect "$NAME: programs there" \
    "$(lab_in server "$ROOT/tests/net/tcx_programs.py" cucm0 | wc -l)" -eq 0
  expect "$NAME: XDP there" \
    "$(lab_in server ip -j link show cucm0 | jq -r '.[0].xdp.prog.name // "none"')" = none
  sleep 1.5
  lab_in server ip link set cucm0 netns "${LAB_PID[box]}"
  lab_in box ip link set cucm0 up
  lab_in box ip addr add 10.2.0.1/24 dev cucm0
  lab_in box ip neigh replace "$LAB_SERVER4" lladdr "$LAB_MAC_SERVER" dev cucm0 nud permanent
  wait_for "$NAME" told 'cucm0 is watched again'
  all_well "$NAME"
}

# link_on acc0|cucm0 xdp|tcx: the id of watch's link there.
link_on() {
  local f index
  index=$(lab_in box ip -j link show "$1" | jq '.[0].ifindex')
  for f in /proc/"$WATCH"/fdinfo/*; do
    awk -v want="$2" -v index_="$index" '/^link_type/ { type = $2 } /^link_id/ { id = $2 }
      /^ifindex/ { at = $2 } END { if (type == want && at == index_) print id }' "$f" 2>/dev/null
  done | head -1
}

detached() {
  local id
  NAME="acc0: XDP taken off by somebody"
  id=$(link_on acc0 xdp)
  expect "$NAME: its link" "${id:-0}" -gt 0
  bpftool link detach id "$id"
  wait_for "$NAME" told 'acc0, frames that come in: our program is not where it was \(it was taken off\)'
  wait_for "$NAME" told 'acc0 is watched again'
  all_well "$NAME"
}

# Somebody else's XDP program is on it when it comes back: then ours goes behind it.
other_xdp() {
  NAME="cucm0 comes back with another's XDP program"
  lab_in box ip link del cucm0
  lab_in box ip link add cucm0 address "$LAB_MAC_CUCM" type veth peer name eth0 address \
    "$LAB_MAC_SERVER" netns "${LAB_PID[server]}"
  # (Where watch was faster, its link refuses the other one.)
  lab_in box ip link set dev cucm0 xdpdrv obj "$WORK/other.o" sec xdp 2>/dev/null
  lab_in box ip link del cucm0 2>/dev/null
  # Made under another name, and called cucm0 only when it has its program.
  lab_in box ip link add new0 address "$LAB_MAC_CUCM" type veth peer name eth0 address \
    "$LAB_MAC_SERVER" netns "${LAB_PID[server]}"
  lab_in box ip link set dev new0 xdpdrv obj "$WORK/other.o" sec xdp
  lab_in box ip link set new0 name cucm0
  lab_in box ip link set cucm0 up
  lab_in box ip addr add 10.2.0.1/24 dev cucm0
  lab_in box ip neigh replace "$LAB_SERVER4" lladdr "$LAB_MAC_SERVER" dev cucm0 nud permanent
  lab_in server ip link set eth0 up
  lab_in server ip addr add "$LAB_SERVER4/24" dev eth0
  lab_in server ip neigh replace 10.2.0.1 lladdr "$LAB_MAC_CUCM" dev eth0 nud permanent
  lab_in server ip route add default via 10.2.0.1
  lab_in box ethtool -K cucm0 tx off tso off gso off gro off >/dev/null 2>&1
  lab_in server ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1
  wait_for "$NAME" told 'cucm0 is watched again \(tcx, not XDP: an XDP program \(id [0-9]+(, other_xdp)?\)'
  all_well "$NAME"
  expect "$NAME: it is still there" \
    "$(lab_in box ip -j link show cucm0 | jq -r '.[0].xdp.prog.id // 0')" -gt 0
}

# The same where only XDP is wanted: it cannot be watched, and that is said once.
only_xdp() {
  local before
  NAME="acc0: another's XDP program, --hook xdp"
  lab_in box ip link set acc0 name away0
  lab_in box ip link add acc0 type veth peer name acc0peer
  # Between the two watch may have come first.
  wait_for "$NAME" told 'acc0 is watched again'
  lab_in box ip link del acc0
  lab_in box ip link add new0 type veth peer name acc0peer
  lab_in box ip link set dev new0 xdpdrv obj "$WORK/other.o" sec xdp
  lab_in box ip link set new0 name acc0
  wait_for "$NAME" told 'acc0: an XDP program .* cannot be watched again yet'
  sleep 3
  no_loss_so_far "$NAME"
  expect "$NAME: said once" "$(told_times 'cannot be watched again')" -eq 1
  before=$(told_times 'acc0 is watched again')
  lab_in box ip link set dev acc0 xdpdrv off
  wait_for "$NAME: taken off" more_than "$before" told_times 'acc0 is watched again'
  lab_in box ip link del acc0
  lab_in box ip link set away0 name acc0
  all_well "$NAME"
}

tcx_before() {
  NAME="cucm0: a tcx program was put before ours"
  lab_bg box "$WORK/tcx" "$ROOT/tests/net/tcx_before.py" cucm0
  lab_wait_for "$WORK/tcx" ready || fail "$NAME: $(cat "$WORK/tcx")"
  wait_for "$NAME" told 'cucm0, frames that leave: .*tcx program (other_tcx )?\(id [0-9]+\) was put before'
  wait_for "$NAME" told 'cucm0 is watched again'
  all_well "$NAME"
}

filter_deleted() {
  NAME="acc0: its filters were deleted"
  lab_in box tc qdisc del dev acc0 clsact
  wait_for "$NAME" told 'acc0, frames that leave: our program is not where it was'
  wait_for "$NAME" told 'acc0 is watched again \(clsact filter\)'
  all_well "$NAME"
}

# A second interface of a side is missing: what passes the first may as well pass that one.
one_of_two() {
  NAME="the second of two interfaces is missing"
  lab_in box ip link del acc1
  wait_for "$NAME" told 'acc1 is gone'
  lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
  sleep 2
  lab_drop_flush box
  sleep 1.5
  wait_for "$NAME: unpaired" more_than 10 so_far unpaired_by.gap 2>/dev/null
  expect "$NAME: unpaired" "$(so_far unpaired_by.gap)" -gt 10
  no_loss_so_far "$NAME"
  lab_in box ip link add acc1 type veth peer name acc1peer
  wait_for "$NAME" told 'acc1 is watched again'
  expect "$NAME: for how long, in ms" "$(so_far missing_ms)" -gt 3000
  all_well "$NAME"
}

absent() {
  local rc
  NAME="an interface that is not there at the start"
  lab_in box "$KALOSS" watch --access acc9 --cucm cucm0 >"$WORK/out" 2>"$WORK/err"
  rc=$?
  expect "$NAME: exit status" "$rc" -eq 2
  expect "$NAME: lines" "$(wc -l <"$WORK/err")" -eq 1
  expect "$NAME: names it" "$(grep -c 'acc9: no such interface' "$WORK/err")" -eq 1
}

# ---- Runs: one watch each ----

many_times() {
  start --hook xdp || return
  absent
  only_xdp
  again_and_again
  losses_are_found "made anew, only XDP" "$CYCLES" 70
}

one_by_one() {
  start || return
  renamed
  moved
  detached
  tcx_before
  other_xdp
  mtu
  losses_are_found "one by one" 10 30
}

filters() {
  start --access acc1 --hook tc --tc-filters || return
  filter_deleted
  one_of_two
  losses_are_found "clsact filters" 3 12
  expect "clsact filters: qdiscs left" "$(lab_in box tc qdisc show dev acc0 | grep -c clsact)" -eq 0
}

# shellcheck disable=SC2048
for t in ${*:-many_times one_by_one filters}; do $t; done
finish_tests
