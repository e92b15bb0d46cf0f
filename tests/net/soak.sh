#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Random loss at three places at once, in both directions, of whatever passes there: the switch of
# the phones, the router that kaloss runs on, and the call server's own host. Every dropped frame is
# kept; at the end each loss that kaloss reports is looked for among them, by place.
#
#   tests/net/soak.sh [CONNECTIONS [SECONDS [SEED]]]     (200 40 1; `make soak` runs 2000 600)
#
# SOAK_FAMILY=6 for IPv6, whose packets have no number: then little is told of losses outside, and
# what is told must be as true.
#
# SOAK_KEEP=DIR keeps the records there, the captures of what was dropped, and what passed the two
# interfaces of the router.
set -u
LAB_PHONE_COUNT=100
. "$(dirname "$0")/lib.sh"

CONNECTIONS=${1:-${SOAK_CONNECTIONS:-200}}
SECONDS_OF_LOSS=${2:-${SOAK_SECONDS:-40}}
SEED=${3:-${SOAK_SEED:-1}}
FAMILY=${SOAK_FAMILY:-4}
# What is lost, in 1/1000, at: the switch, the router, the server; each to the CUCM and to the phone.
LOSS=(20 15 25 20 15 25)
WANT=(between=100/100 phone_side=88/99 cucm_side=83/99)
[ "$FAMILY" = 4 ] || WANT=(between=100/100 phone_side=-/99 cucm_side=15/99)
WARM=7 CALM=6 # seconds without loss, before and after

tools=() tool_names=()
# phones NAME SECONDS TOOL OPTION…: a share of the phones, in the background.
phones() {
  local name=$1 seconds=$2 tool=$3
  shift 3
  lab_bg phones "$WORK/$name" "$LAB_BIN/$tool" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --duration $((seconds * 1000)) --quiet "$@"
  tools+=("$LAB_LAST_PID") tool_names+=("$name")
}

# share PERCENT: that much of the connections, at least one.
share() {
  local n=$((CONNECTIONS * $1 / 100))
  echo $((n > 0 ? n : 1))
}

lab_up routed "$FAMILY"
keep_trap
lab_add_switch
for place in switch box server; do lab_witness $place "$WORK/$place.pcap" || exit 1; done
if [ -n "${SOAK_KEEP:-}" ]; then
  mkdir -p "$SOAK_KEEP"
  for i in acc0 cucm0; do
    lab_bg box "$WORK/$i.pcap.log" tcpdump --time-stamp-precision=nano -B 32768 -s 400 -i $i \
      -w "$SOAK_KEEP/$i.pcap" tcp
  done
fi
start_watch || exit 1

lab_bg server "$WORK/sccp-server" "$LAB_BIN/sccp-server"
sccp_server=$LAB_LAST_PID
lab_bg server "$WORK/sip-server" "$LAB_BIN/sip-server" --expires 4000 --grace 60000
sip_server=$LAB_LAST_PID
lab_wait_for "$WORK/sccp-server" ready
lab_wait_for "$WORK/sip-server" ready

total=$((WARM + SECONDS_OF_LOSS + CALM))
phones sccp-2s $total sccp-phones --phones "$(share 25)" --period 2000
phones sccp-5s $total sccp-phones --phones "$(share 25)" --period 5000
phones sccp-backup $total sccp-phones --phones "$(share 20)" --period 4000 --backup
phones sip $total sip-phones --phones "$(share 20)" --delta 1000 --spread 3000
phones sip-split $total sip-phones --phones "$(share 5)" --delta 1000 --spread 3000 --split
phones sip-backup $total sip-phones --phones "$(share 5)" --refresh 3500 --spread 3500 --backup
sleep $WARM
lab_lossy switch "$LAB_SWITCH_PHONES" ingress "${LOSS[0]}" $((SEED * 6))
lab_lossy switch "$LAB_SWITCH_ROUTER" ingress "${LOSS[3]}" $((SEED * 6 + 1))
lab_lossy box "$LAB_ACCESS" ingress "${LOSS[1]}" $((SEED * 6 + 2))
lab_lossy box "$LAB_CUCM" ingress "${LOSS[4]}" $((SEED * 6 + 3))
lab_lossy server eth0 ingress "${LOSS[2]}" $((SEED * 6 + 4))
lab_lossy server eth0 egress "${LOSS[5]}" $((SEED * 6 + 5))
sleep "$SECONDS_OF_LOSS"
for place in switch box server; do lab_lossless $place; done
for i in "${!tools[@]}"; do
  wait "${tools[i]}" || fail "the phones ${tool_names[i]} ended with $?"
done
lab_stop "$sccp_server"
lab_stop "$sip_server"
stop_watch

for i in "${tool_names[@]}"; do echo "$i: $(tail -1 "$WORK/$i")"; done
# The witnesses missed nothing.
for place in switch box server; do
  dropped=0
  for c in $(lab_in $place nft -j list counters table netdev lab | jq '.nftables[].counter?.packets // 0'); do
    dropped=$((dropped + c))
  done
  lab_witnessed "$WORK/$place.pcap" $dropped
  expect "$place: dropped frames that were kept" \
    "$(tcpdump -nn -r "$WORK/$place.pcap" 2>/dev/null | wc -l)" -eq "$dropped"
done
expect "events lost" "$(summary .integrity.events_lost)" -eq 0
echo "unpaired: $(summary '.integrity.unpaired_by | to_entries | map(select(.value > 0)) | from_entries')"
check_sums soak

if "$ROOT/tests/net/where.py" "${WANT[@]/#/--require=}" "$WORK/records" phone_side="$WORK/switch.pcap" \
  between="$WORK/box.pcap" cucm_side="$WORK/server.pcap" >"$WORK/table"; then
  cat "$WORK/table"
  pass "where each loss happened"
else
  cat "$WORK/table"
  fail "where each loss happened"
fi
if [ -n "${SOAK_KEEP:-}" ]; then
  cp "$WORK"/*.pcap "$WORK/records" "$WORK/table" "$SOAK_KEEP"
fi
finish_tests
