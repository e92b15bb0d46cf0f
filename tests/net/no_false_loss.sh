#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Nothing is dropped, and a lot is done that could make it look so: kaloss must report no loss, and
# say in `integrity` what happened instead.
set -u
. "$(dirname "$0")/lib.sh"

no_loss() {
  local name=$1
  expect "$name: losses" "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -eq 0
  expect "$name: loss records" "$(grep -c '"type":"loss"' "$WORK/records")" -eq 0 ||
    grep '"type":"loss"' "$WORK/records" | head -3
  check_sums "$name"
}

# Traffic in the background: SCCP phones, until stopped.
start_phones() {
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  SERVER=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --port 2000 --phones "$1" --period "$2" --duration 60000
  PHONES=$LAB_LAST_PID
  sleep "${3:-1}"
}

stop_phones() {
  lab_stop "$PHONES" 8
  lab_stop "$SERVER" 5
}

up() {
  lab_up "$@"
  keep_trap
}

plain() {
  up routed 4
  start_watch
  run_sccp 200 100 3000
  stop_watch
  no_loss plain
  expect "plain: keepalives" "$(summary .by_kind.sccp_keepalive.to_cucm.sent)" -ge 4000
  expect "plain: unpaired" "$(summary .integrity.unpaired)" -eq 0
  expect "plain: phones" "$(jq -r 'select(.type == "tick") | .phones' "$WORK/records" | sort -n | tail -1)" \
    -eq 200
}

small_ring() {
  up routed 4
  start_watch --ring-bytes 4096
  run_sccp 200 100 3000
  stop_watch
  no_loss "ring of 4096 bytes"
  expect "ring of 4096 bytes: events lost" "$(summary .integrity.events_lost)" -gt 0
}

small_join() {
  up routed 4
  start_watch --join-entries 64
  run_sccp 200 100 2000
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" \
    --dst-mac "$LAB_MAC_ACCESS" --side phone --connections 200 --keepalives 50 --interval-us 0 \
    --server "$LAB_FAKE_SERVER" --port 2000 --handshake >/dev/null
  stop_watch
  no_loss "join of 64 entries"
  expect "join of 64 entries: segments without a place" "$(summary .integrity.join_full)" -gt 0
}

few_connections() {
  up routed 4
  start_watch --connections 50
  run_sccp 200 100 3000
  stop_watch
  no_loss "50 connections of 200"
  expect "50 connections of 200: refused" "$(summary .integrity.flows_evicted)" -gt 0
  expect "50 connections of 200: sent" "$(summary .to_cucm.sent)" -gt 500
}

ten_starts() {
  local i losses=0 sent=0
  up routed 4
  start_phones 200 50
  for i in 1 2 3 4 5 6 7 8 9 10; do
    start_watch --interval 200ms
    sleep "0.$i"
    stop_watch 0
    losses=$((losses + $(summary '.to_cucm.lost_between + .to_phone.lost_between')))
    sent=$((sent + $(summary .to_cucm.sent)))
    expect "start and stop $i: pending" "$(summary '.to_cucm.pending + .to_phone.pending')" -eq 0
  done
  stop_phones
  expect "ten starts and stops: losses" "$losses" -eq 0
  expect "ten starts and stops: sent" "$sent" -gt 1000
}

# Every frame twice, as a bond or a flooding switch does it: both copies pass the box. (On a busy
# machine the sender is stopped between two now and then: after 5 ms it is a copy, by contract.)
duplicates() {
  local family=$1 hook=$2 late
  up bridged "$family"
  start_watch --hook "$hook"
  lab_in phones "$LAB_BIN/frames" --interface eth0 --src-mac "$LAB_MAC_PHONES" \
    --dst-mac "$LAB_MAC_SERVER" --side phone --connections 200 --keepalives 20 --interval-us 100 \
    --ip "$family" --server "$LAB_FAKE_SERVER" --port 2000 --handshake --duplicate 0 >/dev/null
  stop_watch
  no_loss "duplicates, IPv$family, $hook"
  late=$(summary .to_cucm.retransmitted)
  expect "duplicates, IPv$family, $hook: taken for retransmissions" "$late" -le 400
  expect "duplicates, IPv$family, $hook: sent" "$(summary .to_cucm.sent)" -eq $((4000 + late))
  expect "duplicates, IPv$family, $hook: counted" "$(summary .to_cucm.duplicates)" -eq $((4000 - late))
}

# A host `tap` with two mirror ports: of the box's access side and of its cucm side. Arguments: how
# often each frame is mirrored to each of them. $some: a condition of nftables for what the mirror of
# the cucm side takes.
add_tap() {
  local i out n only
  _lab_netns tap
  _lab_link box mir0 - tap tap0 -
  _lab_link box mir1 - tap tap1 -
  {
    echo "table netdev mirror {"
    for i in "acc0 mir0 $1" "cucm0 mir1 $2"; do
      # shellcheck disable=SC2086
      set -- $i
      only=''
      [ "$1" = acc0 ] || only=${some:-}
      for out in ingress egress; do
        echo "chain $1_$out { type filter hook $out device \"$1\" priority 0;"
        for ((n = 0; n < $3; n++)); do echo "tcp dport 2000 $only dup to \"$2\""; done
        for ((n = 0; n < $3; n++)); do echo "tcp sport 2000 $only dup to \"$2\""; done
        echo "}"
      done
    done
    echo "}"
  } | lab_in box nft -f -
}

start_tap_watch() {
  : >"$WORK/records"
  lab_bg tap "$WORK/watch.err" "$KALOSS" watch --tap --format jsonl --output "$WORK/records" "$@"
  WATCH=$LAB_LAST_PID
  wait_watching
}

tap() {
  local name=$1 access=$2 cucm=$3 family=$4
  shift 4
  up routed "$family"
  add_tap "$@"
  start_tap_watch --access "$access" --cucm "$cucm"
  run_sccp 200 100 3000
  stop_watch
  no_loss "$name"
  expect "$name: sent" "$(summary .by_kind.sccp_keepalive.to_cucm.sent)" -ge 4000
  expect "$name: answers" "$(summary .by_kind.sccp_keepalive_ack.to_phone.delivered)" -ge 4000
}

# A mirror port that cannot keep up: every tenth frame is missing on the cucm side's.
mirror_drops() {
  up routed 4
  some='numgen inc mod 10 > 0' add_tap 1 1
  start_tap_watch --access tap0 --cucm tap1
  run_sccp 200 100 3000
  stop_watch
  no_loss "a mirror port drops"
  expect "a mirror port drops: bypassed" "$(summary .integrity.unpaired_by.bypassed)" -gt 100
}

tap_with_losses() {
  up routed 4
  add_tap 1 1
  lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
  lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 17
  start_tap_watch --access tap0 --cucm tap1
  run_sccp 200 200 4000
  stop_watch
  expect "tap with losses: to the CUCM" "$(summary .to_cucm.lost_between)" -eq \
    "$(lab_dropped box to_cucm_sccp_keepalive)"
  expect "tap with losses: to the phones" "$(summary .to_phone.lost_between)" -eq \
    "$(lab_dropped box to_phone_sccp_keepalive_ack)"
  check_sums "tap with losses"
}

# The answers take a way of their own: around the box, or through it by a third interface.
around() {
  up routed 4
  _lab_link server back0 - phones back0 -
  lab_in phones sysctl -q -w net.ipv4.conf.{all,eth0,back0}.rp_filter=0
  _lab_neigh server back0 "$(lab_in phones cat /proc/net/dev >/dev/null; lab_in phones ip -j link show back0 | jq -r '.[0].address')" 10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5
  lab_in server ip route replace 10.1.0.0/16 dev back0
  start_watch
  run_sccp 200 100 3500
  stop_watch
  no_loss "answers around the box"
  expect "answers around the box: sent" "$(summary .to_cucm.sent)" -ge 4000
  expect "answers around the box: seen as one-way" "$(summary .integrity.one_way)" -eq 200
}

third_interface() {
  up routed 4
  _lab_link box back0 - phones back0 -
  lab_in phones sysctl -q -w net.ipv4.conf.{all,eth0,back0}.rp_filter=0
  _lab_neigh box back0 "$(lab_in phones ip -j link show back0 | jq -r '.[0].address')" 10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5
  for a in 10.1.0.2 10.1.0.3 10.1.0.4 10.1.0.5; do
    lab_in box ip route replace $a/32 dev back0
  done
  start_watch
  run_sccp 200 100 3500
  stop_watch
  no_loss "answers leave by a third interface"
  expect "answers leave by a third interface: unpaired" \
    "$(summary .integrity.unpaired_by.one_sided)" -ge 4000
  expect "answers leave by a third interface: not in sent" "$(summary .to_phone.sent)" -eq 0
}

# In the middle of it the keepalives, too, begin to leave another way.
way_changes() {
  up routed 4
  _lab_link box side0 - server side0 -
  lab_in server sysctl -q -w net.ipv4.conf.{all,eth0,side0}.rp_filter=0
  _lab_neigh box side0 "$(lab_in server ip -j link show side0 | jq -r '.[0].address')" "$LAB_SERVER"
  start_watch
  start_phones 200 100 2
  lab_in box ip route replace "$LAB_SERVER/32" dev side0
  sleep 3
  stop_phones
  stop_watch
  no_loss "the way changes"
  expect "the way changes: bypassed" "$(summary '.integrity.unpaired')" -gt 1000
}

# How many keepalives were delivered in the ticks behind the first so many.
delivered_after() {
  jq -r 'select(.type == "tick") | .to_cucm.delivered' "$WORK/records" 2>/dev/null |
    tail -n +$(($1 + 1)) | awk '{ n += $1 } END { print n + 0 }'
}

down_and_up() {
  local side=$1 interface=$2 ticks tries=300
  up routed 4
  start_watch
  # (No more of them: what has waited goes out at once, and all of it has to fit into the queue of
  # received frames that the processors have for everybody.)
  start_phones 50 150 2
  lab_in "$side" ip link set "$interface" down
  sleep 1.5
  lab_in "$side" ip link set "$interface" up
  [ "$side" = box ] || lab_in server ip route replace default via 10.2.0.1
  # Behind the tick that this is in.
  ticks=$(($(grep -c '"type":"tick"' "$WORK/records") + 1))
  sleep 3
  while [ "$(delivered_after $ticks)" -eq 0 ] && [ $((tries--)) -gt 0 ]; do sleep 0.1; done
  stop_phones
  stop_watch
  no_loss "$side's $interface down and up"
  expect "$side's $interface down and up: gaps" "$(summary .integrity.gaps)" -ge 2
  # With only the carrier gone, frames still leave as far as our hook can see.
  [ "$side" != box ] ||
    expect "$side's $interface down and up: unpaired" "$(summary .integrity.unpaired)" -gt 0
  # And it works again.
  expect "$side's $interface down and up: delivered at the end" "$(delivered_after $ticks)" -gt 0
}

gone() {
  up routed 4
  start_watch
  start_phones 100 50 2
  lab_in box ip link del cucm0
  sleep 2
  stop_phones
  stop_watch
  no_loss "cucm0 deleted"
  expect "cucm0 deleted: gaps" "$(summary .integrity.gaps)" -ge 1
}

tests=${*:-plain small_ring small_join few_connections ten_starts duplicates_all tap_all
  tap_with_losses mirror_drops around third_interface way_changes down_and_up_all gone}

duplicates_all() {
  local family hook
  for family in 4 6; do
    for hook in xdp tc; do duplicates $family $hook; done
  done
}

tap_all() {
  tap "tap" tap0 tap1 4 1 1
  tap "tap, each segment twice on the access side" tap0 tap1 4 2 1
  tap "tap, each segment twice on the cucm side" tap0 tap1 6 1 2
  tap "tap, copies in the other order" tap1 tap0 4 1 1
}

down_and_up_all() {
  down_and_up box cucm0
  down_and_up server eth0
}

# shellcheck disable=SC2086
for t in $tests; do $t; done
finish_tests
