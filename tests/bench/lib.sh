# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
# What the measurements that are scripts share: the lab, a watch in its box, figures. To be sourced
# after `set -u`, as root. Takes --quick and --json FILE from the command line of the script.

if [ "$(id -u)" -ne 0 ]; then
  echo "SKIP: needs root (BPF programs and network namespaces)"
  exit 77
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export LC_ALL=C BUILD=${BUILD:-$ROOT/build}
KALOSS=$BUILD/kaloss
BIN=$BUILD/tests/bench
LAB_BIN=$BUILD/tests/lab
# shellcheck source=tests/lab/lab.sh
. "$ROOT/tests/lab/lab.sh"

QUICK=false JSON=() RUNS=7 PART=''
while [ $# -gt 0 ]; do
  case $1 in
    --quick) QUICK=true RUNS=1 ;;
    --json) JSON=(--json "$2") && shift ;;
    *) echo "usage: ${0##*/} [--quick] [--json FILE]" >&2 && exit 2 ;;
  esac
  shift
done

WORK=$(mktemp -d)
_finish() {
  lab_down
  rm -rf "$WORK"
}
# Call after each lab_up, which sets a trap of its own.
keep_trap() { trap _finish EXIT; }
keep_trap

die() {
  echo "${0##*/}: $*" >&2
  exit 2
}

# figure [OPTION…] NAME VALUE…: of this part; prints a row and notes it.
figure() { flock "$BIN" "$BIN/figure" "${JSON[@]}" --part "$PART" "$@" || die "no figure: $*"; }

# start_watch OPTION…: in the box, until it counts. JSON lines to $WORK/records. Its PID: WATCH. How long
# that took, in seconds: STARTED.
start_watch() {
  local from=$EPOCHREALTIME
  local until=$((SECONDS + 180))
  : >"$WORK/records"
  lab_bg box "$WORK/watch.err" "$KALOSS" watch --access acc0 --cucm cucm0 --format jsonl \
    --output "$WORK/records" "$@"
  WATCH=$LAB_LAST_PID
  # It says where all its hooks are, and counts a moment after that.
  until [ "$(grep -c 'side: .*, frames that ' "$WORK/watch.err" 2>/dev/null)" = 4 ]; do
    sleep 0.02
    [ $SECONDS -lt $until ] && kill -0 "$WATCH" 2>/dev/null ||
      die "watch did not start: $(cat "$WORK/watch.err")"
  done
  STARTED=$(awk "BEGIN { print $EPOCHREALTIME - $from }")
  sleep 0.1
}

stop_watch() {
  lab_stop "$WATCH" 20 || die "watch ended badly: $(tail -3 "$WORK/watch.err")"
}
