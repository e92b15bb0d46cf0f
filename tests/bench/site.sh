#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# A `kaloss watch` of 1 000 to 1 000 000 SCCP phones on real schedules (a keepalive every 30 s, its
# answer, the acknowledgement of that, evenly spread, through the programs at all four hooks): time to
# start, memory in user space and of the kernel's maps, CPU in user space (in sevenths of the time), and
# what a sweep takes.
#
# (BPF_PROG_TEST_RUN frees each frame at a tc hook in the way in which the kernel drops one, so the watch
# does without drop reasons here: they are for what is dropped, and nothing is.)
#
#   tests/bench/site.sh [--quick] [--json FILE]
set -u
. "$(dirname "$0")/lib.sh"

PART=site
PERIOD=30
SIZES=(100000 1000 10000 1000000) # a goal is for the first
! $QUICK || SIZES=(1000) PERIOD=1

# talk COUNT RATE: keepalives with all that belongs to them; one line of JSON to $WORK/said.
talk() {
  lab_in box "$BIN/flood" --access acc0 --cucm cucm0 --pid "$WATCH" --connections "$size" \
    --first "$first" --count "$1" --a-second "$2" --drop-one-of 0 --answers \
    >"$WORK/said" || die "the phones failed"
  first=$((first + $1))
}

# Of all maps that the watch holds, in MiB.
map_mib() {
  local fd
  for fd in /proc/"$WATCH"/fdinfo/*; do
    awk '/^map_id/ { id = $2 } /^memlock/ { m = $2 } END { if (id) print id, m }' "$fd" 2>/dev/null
  done | sort -u | awk '{ n += $2 } END { print n / 1048576 }'
}

# Resident, but for what is mapped of the kernel's maps.
rss_mib() {
  awk '/^[0-9a-f]+-/ { map = /bpf-map|bpf_map/ } /^Rss:/ && !map { n += $2 } END { print n / 1024 }' \
    "/proc/$WATCH/smaps"
}

scene() {
  local size=$1 first=0 rate kernel user cpu goals=() room=65536 ring=4194304 opening=20000
  rate=$((size / PERIOD))
  # An eighth more than there are.
  [ $((size * 9 / 8)) -le $room ] || room=$((size * 9 / 8))
  [ "$size" -le 100000 ] || ring=33554432 opening=60000
  lab_up routed
  keep_trap
  start_watch --connections $room --ring-bytes $ring --self-cost --no-drop-reasons
  talk "$size" $opening # opens the connections
  sleep 1
  # A period, so that they are known, and half of one to measure.
  if [ "$size" -le 100000 ]; then talk "$size" $rate; fi
  talk $((size / 2)) $rate
  cpu=$(jq -r '.shares[] * 100' "$WORK/said")
  user=$(rss_mib) kernel=$(map_mib)
  stop_watch
  jq -e "select(.type == \"summary\") | .to_cucm.sent == $first and .to_cucm.delivered == $first and
    .to_phone.delivered == $first and .integrity.events_lost == 0" "$WORK/records" >/dev/null ||
    die "$size phones: not counted exactly: $(tail -1 "$WORK/records")"
  figure --digits 2 --unit s "$size phones: time to start" "$STARTED"
  figure --digits 1 --unit MiB "$size phones: user space" "$user"
  figure --digits 1 --unit MiB "$size phones: maps in the kernel" "$kernel"
  [ "$size" -ne 100000 ] || goals=(--at-most 64)
  figure --digits 1 --unit MiB "${goals[@]}" "$size phones: memory together" \
    "$(awk "BEGIN { print $user + $kernel }")"
  [ "$size" -ne 100000 ] || goals=(--at-most 1)
  # shellcheck disable=SC2086
  figure --digits 2 --unit "% of a core" "${goals[@]}" "$size phones: CPU of user space" $cpu
  # In parts of 4096 buckets, four times a second.
  figure --digits 1 --unit us "$size phones: a sweep's part" \
    "$(awk '/kaloss_sweep/ { print $4 / 1000 }' "$WORK/watch.err")"
}

# beside SIZE…: at the same time, each in namespaces of its own. The small ones hardly take any CPU.
beside() {
  local size pids=()
  for size; do
    (
      WORK=$(mktemp -d "$WORK/XXXXXX")
      scene "$size"
    ) &
    pids+=($!)
  done
  for size in "${pids[@]}"; do
    wait "$size" || exit 2
  done
}

"$BIN/figure"
scene "${SIZES[0]}"
[ ${#SIZES[@]} -eq 1 ] || beside "${SIZES[@]:1}"
