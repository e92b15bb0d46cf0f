#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What a diagnosis of two captures costs, beside what an engineer would type without kaloss, on the
# same generated captures, in turn; and whether both find the same lost segments.
#
#   tests/bench/captures.sh [--packets N] [--runs N] [--no-tshark] [--memory N,N…]
#
#   --packets N    of each side (5000000: 1.14 GB each); fewer if the disk has no room
#   --runs N       of kaloss and tcpdump, in turn; medians (5). tshark runs once: it takes 40 s a million packets
#   --no-tshark    leave it out, even where it is installed
#   --memory N,N…  also kaloss's peak memory on captures of these sizes
#
# Captures are made in a directory below TMPDIR (/tmp), which is removed at the end.
# shellcheck disable=SC2016
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-$PWD/build}
BIN=$BUILD/tests/bench
KALOSS=$BUILD/kaloss
PACKETS=5000000 RUNS=5 TSHARK=true MEMORY=''
FRAME_BYTES=230 # of a packet in a file, at most
LATE_MS=3000    # the cucm side's capture begins so much later

while [ $# -gt 0 ]; do
  case $1 in
    --packets) PACKETS=$2 && shift ;;
    --runs) RUNS=$2 && shift ;;
    --no-tshark) TSHARK=false ;;
    --memory) MEMORY=$2 && shift ;;
    *) sed -n 's/^# \{0,1\}//; 4,14p' "$0" >&2 && exit 2 ;;
  esac
  shift
done

WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

die() {
  echo "captures: $*" >&2
  exit 2
}

# fits PACKETS: of two captures, with something to spare.
fits() { [ $(($(df -Pk "$WORK" | awk 'NR == 2 { print $4 }') * 9 / 10)) -gt $((2 * $1 * FRAME_BYTES / 1024)) ]; }

# generate PACKETS: $WORK/access.pcap and $WORK/cucm.pcap, and reads them once, so that what is
# measured is not the disk.
generate() {
  "$BIN/make-capture" --packets "$1" --access "$WORK/access.pcap" --cucm "$WORK/cucm.pcap" \
    --loss 0.001 --offset-ms 5320 --drift-ppm 20 --late-ms $LATE_MS --seed 3 >"$WORK/truth" ||
    die "make-capture failed"
  cat "$WORK/access.pcap" "$WORK/cucm.pcap" >/dev/null
}

# Finding losses is what it is there for, and an exit status of its own.
run_kaloss() {
  "$BIN/measure" "$WORK/$1.kaloss" "$KALOSS" diagnose --access-capture "$WORK/access.pcap" \
    --cucm-capture "$WORK/cucm.pcap" --format json --output "$WORK/kaloss.json"
  [ $? -le 1 ] || die "kaloss failed"
}

# The two of what an engineer would type, as shells run them; $0 is the directory.
TCPDUMP='cd "$0"
for side in access cucm; do
  tcpdump -nn -S -r $side.pcap "tcp port 2000 or tcp port 5060" >$side.tcpdump || exit
done'
TSHARK_COMMAND='cd "$0"
for side in access cucm; do
  tshark -r $side.pcap -Y "tcp.port==2000 || tcp.port==5060" -T fields -e ip.src -e tcp.srcport \
    -e tcp.seq_raw -e tcp.len >$side.tshark || exit
done'
# And then, of keepalives and answers: source address, port, number, length.
TCPDUMP_COMPARE='cd "$0"
for side in access cucm; do
  awk "\$NF == 12 { sub(/:.*/, \"\", \$9); print \$3, \$9, \$NF }" $side.tcpdump |
    sed "s/\.\([0-9]*\) / \1 /" | sort >$side.list
done
comm -3 access.list cucm.list | tr -d "\t" | sort >tcpdump.missing'
TSHARK_COMPARE='cd "$0"
for side in access cucm; do
  awk "\$4 == 12 { print \$1, \$2, \$3, \$4 }" $side.tshark | sort >$side.list
done
comm -3 access.list cucm.list | tr -d "\t" | sort >tshark.missing'

# run NAME COMMAND
run() {
  "$BIN/measure" "$WORK/$1" sh -c "$2" "$WORK" 2>"$WORK/said" && return
  cat "$WORK/said" >&2
  die "$1 failed"
}

# median FILE COLUMN: of an even number, the mean of the two in the middle.
median() {
  sort -g -k "$2,$2" "$1" |
    awk -v c="$2" '{ v[NR] = $c } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# row TITLE FILE: median with the lowest and highest, CPU time, memory, and how much longer it took.
row() {
  awk -v title="$1" -v wall="$(median "$2" 1)" -v cpu="$(median "$2" 2)" \
    -v ours="$(median "$WORK/run.kaloss" 1)" '
    NR == 1 || $1 < low { low = $1 }
    $1 > high { high = $1 }
    $3 > peak { peak = $3 }
    END { printf "%-32s %8.2f (%.2f to %.2f) %8.2f %10.1f %9.1f\n", title, wall, low, high, cpu,
      peak / 1024, wall / ours }' "$2"
}

# goal TITLE FILE TIMES
goal() {
  awk -v title="$1" -v theirs="$(median "$2" 1)" -v ours="$(median "$WORK/run.kaloss" 1)" \
    -v goal="$3" 'BEGIN { printf "%s: %.1f times as fast, goal %d times: %s\n", title,
      theirs / ours, goal, (theirs / ours >= goal) ? "reached" : "NOT reached" }'
}

# What kaloss says was lost, in the same form.
kaloss_list() {
  jq -r '.timeline[] | select(.length == 12) |
    (if .direction == "to_cucm" then .phone else .cucm end) as $from |
    "\($from.ip) \($from.port) \(.seq) \(.length)"' "$WORK/kaloss.json" | sort
}

# compare NAME: the segments that one of the files lacks are those that kaloss calls lost, and those
# that it says it could not judge, being from before the other capture began.
compare() {
  local missing lost unjudged before extra
  kaloss_list >"$WORK/kaloss.lost"
  missing=$(wc -l <"$WORK/$1.missing") lost=$(wc -l <"$WORK/kaloss.lost")
  extra=$(comm -13 "$WORK/$1.missing" "$WORK/kaloss.lost" | wc -l)
  unjudged=$(comm -23 "$WORK/$1.missing" "$WORK/kaloss.lost" | wc -l)
  before=$(jq '.integrity | .unpaired_by.before + .unpaired_by.after' "$WORK/kaloss.json")
  echo "$1 finds $missing keepalives and answers in one file only; kaloss calls $lost lost and" \
    "$before unpaired, being from before the other capture began or after its end"
  if [ "$extra" -eq 0 ] && [ "$unjudged" -eq "$before" ]; then
    echo "lists compared: equal"
  else
    echo "lists compared: DIFFERENT ($extra only of kaloss, $unjudged only of $1)"
    STATUS=1
  fi
}

STATUS=0
while ! fits "$PACKETS"; do
  [ "$PACKETS" -ge 200000 ] || die "no room in $WORK for captures"
  PACKETS=$((PACKETS / 2))
  echo "no room in $WORK: $PACKETS packets a side instead"
done
[ "$(awk '/MemAvailable/ { print $2 }' /proc/meminfo)" -gt $((2 * PACKETS * FRAME_BYTES / 1024)) ] ||
  echo "the captures do not fit into memory: what follows measures the disk, too"
if $TSHARK && ! command -v tshark >/dev/null; then
  echo "tshark is not installed (Debian: apt-get install tshark): left out"
  TSHARK=false
fi

for n in ${MEMORY//,/ }; do
  fits "$n" || { echo "no room in $WORK for $n packets a side: left out" && continue; }
  generate "$n"
  run_kaloss "$n"
done
generate "$PACKETS"
for ((i = 0; i < RUNS; i++)); do
  run_kaloss run
  run tcpdump.text "$TCPDUMP"
  run tcpdump.compare "$TCPDUMP_COMPARE"
done
if $TSHARK; then
  run tshark.text "$TSHARK_COMMAND"
  run tshark.compare "$TSHARK_COMPARE"
fi

echo "two captures of $(jq -r '.integrity.captures | "\(.access.packets) and \(.cucm.packets)"' \
  "$WORK/kaloss.json") packets, $(jq -r '.integrity.captures |
  "\(.access.segments) and \(.cucm.segments)"' "$WORK/kaloss.json") of signalling," \
  "$(stat -c %s "$WORK/access.pcap" "$WORK/cucm.pcap" | awk '{ n += $1 } END { printf "%.2f", n / 1e9 }') GB"
printf '%-32s %26s %8s %10s %9s\n' "median of $RUNS runs in turn" "wall s (lowest, highest)" "CPU s" "peak MiB" "to kaloss"
row "kaloss diagnose" "$WORK/run.kaloss"
row "(b) tcpdump on both" "$WORK/tcpdump.text"
row "    then awk, sort, comm" "$WORK/tcpdump.compare"
if $TSHARK; then
  row "(a) tshark on both, once" "$WORK/tshark.text"
  row "    then awk, sort, comm" "$WORK/tshark.compare"
fi
# The goal is of large captures: in small ones starting and ending count as much.
[ "$PACKETS" -lt 4000000 ] || goal "kaloss to (b) without the comparison" "$WORK/tcpdump.text" 2
! $TSHARK || goal "kaloss to (a) without the comparison" "$WORK/tshark.text" 80
for n in ${MEMORY//,/ } run; do
  [ -e "$WORK/$n.kaloss" ] || continue
  printf 'peak memory of kaloss at %9d packets a side: %6.1f MiB\n' "${n/run/$PACKETS}" \
    "$(awk '{ print $3 / 1024; exit }' "$WORK/$n.kaloss")"
done
compare tcpdump
! $TSHARK || compare tshark
exit $STATUS
