#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# One box with every kind of path between phones and call servers, each with losses that are counted
# elsewhere: what kaloss says is exactly that. For guests (scripts/kernels.sh), where VLAN devices and
# netem are at hand and where time means nothing: it waits for conditions, and the deadline is long.
#
#   phones eth0 ------ acc0      box      cucm0 -- eth0 server    routed; nftables drops
#   phones eth2.100 -- acc2.100  box      cucm0 -- eth0 server    routed from a trunk; the hook is on
#                                                                 acc2; tags within the frames
#   phones eth3.200 -- acc3.200  box      cucm0 -- eth0 server    the hook is on acc3.200
#   phones eth1 ------ acc1 brA va - vb brB cucm1 -- eth1 server  bridged; netem drops on va
#   phones eth1.300 -- the same                   -- eth1.300     tagged; tags beside the frames
set -u
. "$(dirname "$0")/../net/lib.sh"

# The guest ends soon after: nobody has to be asked in turn.
_finish() {
  kill -KILL "${LAB_PID[@]}" 2>/dev/null
  rm -rf "$WORK"
}
keep_trap

PHONES=8
PERIOD_MS=250
LOSSES=6 # of each path, at least

# An emulated processor is slow to start a program: this waits without one.
snooze() { read -rt "$1" <>"$WORK/never"; }
mkfifo "$WORK/never"

plain() {
  lab_in "$1" sh -c 'for i; do ethtool -K $i tx off tso off gso off gro off; done' sh "${@:2}" \
    >/dev/null 2>&1
}

build_box() {
  LAB_OWNER=$BASHPID
  local ns i
  for ns in phones box server; do _lab_netns $ns || return 1; done
  lab_in box ip -b - <<-LINKS || return 1
	link add acc0 type veth peer name eth0 netns ${LAB_PID[phones]}
	link add acc1 type veth peer name eth1 netns ${LAB_PID[phones]}
	link add acc2 type veth peer name eth2 netns ${LAB_PID[phones]}
	link add acc3 type veth peer name eth3 netns ${LAB_PID[phones]}
	link add cucm0 type veth peer name eth0 netns ${LAB_PID[server]}
	link add cucm1 type veth peer name eth1 netns ${LAB_PID[server]}
	link add va type veth peer name vb
	link add brA type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	link add brB type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	link set acc1 master brA
	link set va master brA
	link set vb master brB
	link set cucm1 master brB
	LINKS
  # Nothing merged, nothing left to a card: a frame is counted as it would be on a wire.
  plain box acc0 acc1 acc2 acc3 cucm0 cucm1 va vb
  plain phones eth0 eth1 eth2 eth3
  plain server eth0 eth1
  lab_in phones ethtool -K eth2 txvlan off rxvlan off >/dev/null
  lab_in box ethtool -K acc2 txvlan off rxvlan off >/dev/null
  lab_in box ip -b - <<-LINKS || return 1
	link add link acc2 name acc2.100 type vlan id 100
	link add link acc3 name acc3.200 type vlan id 200
	addr add 10.1.0.1/24 dev acc0
	addr add 10.4.0.1/24 dev acc2.100
	addr add 10.5.0.1/24 dev acc3.200
	addr add 10.2.0.1/24 dev cucm0
	link set acc0 up
	link set acc1 up
	link set acc2 up
	link set acc3 up
	link set acc2.100 up
	link set acc3.200 up
	link set cucm0 up
	link set cucm1 up
	link set va up
	link set vb up
	link set brA up
	link set brB up
	LINKS
  lab_in phones ip -b - <<-LINKS || return 1
	link add link eth1 name eth1.300 type vlan id 300
	link add link eth2 name eth2.100 type vlan id 100
	link add link eth3 name eth3.200 type vlan id 200
	addr add 10.1.0.2/24 dev eth0
	addr add 10.3.0.2/24 dev eth1
	addr add 10.6.0.2/24 dev eth1.300
	addr add 10.4.0.2/24 dev eth2.100
	addr add 10.5.0.2/24 dev eth3.200
	link set eth0 up
	link set eth1 up
	link set eth2 up
	link set eth3 up
	link set eth1.300 up
	link set eth2.100 up
	link set eth3.200 up
	route add 10.2.0.10/32 via 10.1.0.1
	route add 10.2.0.11/32 via 10.4.0.1
	route add 10.2.0.12/32 via 10.5.0.1
	LINKS
  lab_in server ip -b - <<-LINKS || return 1
	link add link eth1 name eth1.300 type vlan id 300
	addr add 10.2.0.10/24 dev eth0
	addr add 10.2.0.11/24 dev eth0
	addr add 10.2.0.12/24 dev eth0
	addr add 10.3.0.10/24 dev eth1
	addr add 10.6.0.10/24 dev eth1.300
	link set eth0 up
	link set eth1 up
	link set eth1.300 up
	route add default via 10.2.0.1
	LINKS
  lab_in box sysctl -q -w net.ipv4.ip_forward=1
  # What netem is to drop goes to its class, and so does nothing else: its count is the truth.
  lab_in box tc -b - <<-QDISCS || return 1
	qdisc add dev va root handle 1: prio bands 3 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
	qdisc add dev va parent 1:3 handle 30: netem loss 12%
	QDISCS
  # Keepalives and their answers, 12 bytes long: no thirteenth byte.
  lab_in box nft -f - <<-RULES
	table inet lab {
		counter routed_up { }
		counter routed_down { }
		counter trunk_up { }
		counter trunk_down { }
		counter vlan_up { }
		counter vlan_down { }
		chain up {
			@ih,96,8 >= 0 return
			iifname "acc0" numgen inc mod 9 0 counter name routed_up drop
			iifname "acc2.100" numgen inc mod 8 0 counter name trunk_up drop
			iifname "acc3.200" numgen inc mod 7 0 counter name vlan_up drop
		}
		chain down {
			@ih,96,8 >= 0 return
			oifname "acc0" numgen inc mod 11 0 counter name routed_down drop
			oifname "acc2.100" numgen inc mod 10 0 counter name trunk_down drop
			oifname "acc3.200" numgen inc mod 9 0 counter name vlan_down drop
		}
		chain forwarded {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x04000000 @ih,64,32 0x00000000 goto up
			tcp sport 2000 @ih,0,32 0x04000000 @ih,64,32 0x00010000 goto down
		}
	}
	table bridge lab {
		counter bridged_down { }
		chain up {
			@ih,96,8 >= 0 return
			meta priority set 1:3
		}
		chain down {
			@ih,96,8 >= 0 return
			numgen inc mod 11 0 counter name bridged_down drop
		}
		chain forwarded {
			type filter hook forward priority 0
			oifname "va" tcp dport 2000 @ih,0,32 0x04000000 @ih,64,32 0x00000000 goto up
			iifname "cucm1" tcp sport 2000 @ih,0,32 0x04000000 @ih,64,32 0x00010000 goto down
		}
	}
	RULES
}

# watch OPTION…: in the background, as start_watch; it returns once all hooks are counting.
watch() {
  : >"$WORK/records"
  lab_bg box "$WORK/watch.err" "$KALOSS" watch --format jsonl --output "$WORK/records" \
    --deadline 5s --interval 500ms --join-entries 262144 "$@"
  WATCH=$LAB_LAST_PID
  # Proving the programs takes its time in an emulated kernel.
  local tries=1200
  until [ -s "$WORK/records" ] && grep -q '"type":"tick"' "$WORK/records"; do
    snooze 0.5
    [ $((tries--)) -gt 0 ] && kill -0 "$WATCH" 2>/dev/null || {
      fail "watch did not start: $(cat "$WORK/watch.err")"
      return 1
    }
  done
  # Native XDP turns merging on again where nobody had asked for the contrary.
  plain box acc0 acc1 acc2 acc3 cucm0 cucm1 va vb
  cat "$WORK/watch.err"
}

# settle: until a tick is over that saw nothing, and nothing is under way.
settle() {
  local tries=120
  until tail -n 1 "$WORK/records" | jq -e 'select(.type == "tick") | [.to_cucm, .to_phone
      | .pending, .segments] | add == 0' >/dev/null; do
    snooze 1
    [ $((tries--)) -gt 0 ] || { fail "still under way: $(tail -n 1 "$WORK/records")"; return 1; }
  done
}

# phones SERVER PHONE: in the background, until end_phones; their own count goes to $WORK/PHONE.
declare -A RUNNING=()
phones() {
  lab_bg phones "$WORK/$2" "$LAB_BIN/sccp-phones" --server "$1" --bind "$2" --phones $PHONES \
    --period $PERIOD_MS --duration 3600000 --settle 120000 --quiet
  RUNNING[$2]=$LAB_LAST_PID
}

# Once there are losses enough on each path, however long that takes.
end_phones() {
  local tries=150 p few=yes
  while [ $few ] && [ $((tries--)) -gt 0 ]; do
    snooze 3
    count
    few=''
    for p in "${!RUNNING[@]}"; do
      [ $((${LOST[${p%.*}_to_cucm]:-0} + ${LOST[${p%.*}_to_phone]:-0})) -ge $LOSSES ] || few=yes
    done
  done
  kill -TERM "${RUNNING[@]}"
  for p in "${!RUNNING[@]}"; do
    wait "${RUNNING[$p]}" || fail "phones $p: $(cat "$WORK/$p")"
    expect "phones $p: unanswered at the end" "$(lab_json "$WORK/$p" .unanswered_at_end)" -eq 0
  done
  RUNNING=()
}

# count: into LOST what was called lost between the sides, by network of the phone and direction;
# into DROPPED what the counters say.
declare -A LOST=() DROPPED=()
count() {
  local name n
  LOST=() DROPPED=()
  # What is being written has no end yet.
  while read -r name n; do LOST[$name]=$n; done < <(grep '^{.*"type":"loss".*}$' "$WORK/records" |
    jq -rn '[inputs | select(.where == "between")] | group_by([.phone.ip, .direction])[]
      | "\(.[0].phone.ip | split(".")[:3] | join("."))_\(.[0].direction) \(length)"')
  while read -r name n; do DROPPED[$name]=$n; done < <(lab_in box nft -j list counters |
    jq -r '.nftables[].counter // empty | "\(.name) \(.packets)"')
  DROPPED[netem]=$(lab_in box tc -s -j qdisc show dev va |
    jq '.[] | select(.kind == "netem") | .drops')
}

# path NAME NETWORK COUNTERS: the losses of a path, and the truth.
path() {
  local up=${LOST[$2_to_cucm]:-0} down=${LOST[$2_to_phone]:-0}
  expect "$1: lost to the CUCM, as dropped" "$up" -eq "${DROPPED[$3_up]:-}"
  expect "$1: lost to the phones, as dropped" "$down" -eq "${DROPPED[$3_down]:-}"
  expect "$1: losses" $((up + down)) -ge $LOSSES
}

ours() {
  bpftool prog show -j | jq -r '.[].name // empty' | grep -c '^kaloss'
}

wait_gone() {
  local tries=60
  while [ "$(ours)" -gt 0 ] && [ $((tries--)) -gt 0 ]; do snooze 1; done
  ours
}

filters() {
  local i
  for i in "$@"; do
    lab_in box tc filter show dev "$i" ingress
    lab_in box tc filter show dev "$i" egress
  done | grep -c 'kaloss_'
}

build_box || { fail "the box could not be built"; finish_tests; }
lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$WORK/server" ready 60 || fail "the server did not start"

# ---- native XDP, and tcx or clsact on the way out ----

watch --access acc0,acc1,acc2 --cucm cucm0,cucm1 || finish_tests
phones 10.2.0.10 10.1.0.2
phones 10.2.0.11 10.4.0.2
phones 10.3.0.10 10.3.0.2
phones 10.6.0.10 10.6.0.2
end_phones
settle
lab_stop "$WATCH" 60 || fail "watch: $(tail -n 3 "$WORK/watch.err")"
count
path "routed" 10.1.0 routed
path "routed from a VLAN trunk" 10.4.0 trunk
up=$((${LOST[10.3.0_to_cucm]:-0} + ${LOST[10.6.0_to_cucm]:-0}))
down=$((${LOST[10.3.0_to_phone]:-0} + ${LOST[10.6.0_to_phone]:-0}))
expect "bridged, with and without a tag: lost to the CUCM, as netem dropped" $up -eq "${DROPPED[netem]:-}"
expect "bridged, with and without a tag: lost to the phones, as dropped" $down -eq \
  "${DROPPED[bridged_down]:-}"
expect "bridged: losses by netem" $up -gt 4
expect "bridged, tagged: losses" $((${LOST[10.6.0_to_cucm]:-0} + ${LOST[10.6.0_to_phone]:-0})) -gt 2
read -r lost unpaired delivered pending < <(summary '"\(.to_cucm.lost_between + .to_phone.lost_between
  ) \(.integrity.unpaired) \(.by_kind.sccp_keepalive.to_cucm.delivered
  ) \(.to_cucm.pending + .to_phone.pending)"')
sum=0
for n in "${LOST[@]}"; do sum=$((sum + n)); done
expect "all: losses in the summary, as named one by one" "$lost" -eq $sum
expect "all: unpaired" "$unpaired" -eq 0
[ "$unpaired" = 0 ] || { summary '.integrity | tojson'; grep -v 'side: ' "$WORK/watch.err"; }
expect "all: pending at the end" "$pending" -eq 0
expect "all: keepalives delivered at least once" "$delivered" -ge \
  "$(cat "$WORK"/10.* | jq -s 'map(.keepalives_sent) | add')"
echo "what the kernel says of them:"
jq -rn '[inputs | select(.type == "loss" and .where == "between") | .drop
    | if . then "\(.reason) in \(.symbol)" else "nothing" end]
  | group_by(.)[] | "  \(length) \(.[0])"' "$WORK/records" | tee "$WORK/reasons"
expect "all: losses of ten for which the kernel says why" \
  "$(awk -v all="$sum" '!/nothing/ { n += $1 } END { print int(10 * n / all) }' "$WORK/reasons")" -ge 9
expect "SIGTERM: programs left" "$(wait_gone)" -eq 0

# ---- tc alone, on a VLAN device; killed ----

lab_in box nft reset counters >/dev/null
watch --hook tc --access acc0,acc3.200 --cucm cucm0 || finish_tests
phones 10.2.0.10 10.1.0.2
phones 10.2.0.12 10.5.0.2
end_phones
settle
count
path "routed, tc" 10.1.0 routed
path "routed, hook on a VLAN device" 10.5.0 vlan
kill -KILL "$WATCH"
wait "$WATCH" 2>/dev/null
left=$(filters acc0 acc3.200 cucm0)
if [ "$left" -eq 0 ]; then
  expect "SIGKILL: programs left" "$(wait_gone)" -eq 0
else
  # A kernel without tcx. What was left does no harm, and the next start takes it away.
  expect "SIGKILL: filters left" "$left" -eq 6
  watch --access acc0,acc3.200 --cucm cucm0 || finish_tests
  lab_stop "$WATCH" 60 || fail "watch: $(tail -n 3 "$WORK/watch.err")"
  expect "the next start: filters left" "$(filters acc0 acc3.200 cucm0)" -eq 0
  expect "the next start: programs left" "$(wait_gone)" -eq 0
fi
finish_tests
