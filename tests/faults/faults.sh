#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# No memory, or a call that the system refuses, at each place where there can be one: kaloss says in one
# line what and why and ends with 2, or does without and says the same as ever. It never crashes, and
# leaves nothing attached.
#
#   tests/faults/faults.sh [NAME…]     captures check watch agent join
#   FAULTS_EVERY=N, FAULTS_FROM=N: with interfaces, only every N-th place (of what takes long, fewer; 1
#   for all of them all the same: about an hour), the first of them being the N-th
set -u
. "$(dirname "$0")/../captures/lib.sh"

FAIL_SO=$BUILD/tests/faults/fail.so
EVERY=${FAULTS_EVERY:-17}
FROM=${FAULTS_FROM:-1}
IN=()

# fewer TIMES: so much rarer than every N-th, unless all are wanted.
fewer() {
  echo $((EVERY > 1 ? EVERY * $1 : 1))
}

# once KIND:N VERB OPTION…: the exit status; what it said in $WORK/out.J and $WORK/err.J.
once() {
  local what=$1 job=$2
  shift 2
  KALOSS_FAIL=$what KALOSS_FAIL_COUNT=$WORK/count.$job LD_PRELOAD=$FAIL_SO \
    "${IN[@]}" "$KALOSS" "$@" >"$WORK/out.$job" 2>"$WORK/err.$job" </dev/null
}

# judge NAME JOB STATUS: is that as it should be? Says what is not.
judge() {
  local name=$1 job=$2 rc=$3 lines who
  who=$(cut -d' ' -f2- "$WORK/count.$job" 2>/dev/null)
  # check says it as a line of its report; agent and join tell of their server, too.
  lines=$(cat "$WORK/err.$job" "$WORK/out.$job" | grep -E '^(kaloss|FAIL )' |
    grep -cvE '^kaloss [a-z]+: (waiting for|connected to|no connection to|.*, ready$)')
  if [ "$rc" -eq 2 ]; then
    [ "$lines" -eq 1 ] || echo "$name, $who: status 2 with $lines lines: $(head -3 "$WORK/err.$job")"
  elif [ "$rc" -gt 2 ]; then
    echo "$name, $who: exit status $rc: $(tail -2 "$WORK/err.$job")"
  elif [ -e "$WORK/want" ] && ! diff -q "$WORK/want" "$WORK/out.$job" >/dev/null; then
    # What had to be left out is named: in the document, or on stderr.
    grep -qE 'could not|not be|cannot|memory|Input/output|refused' "$WORK/out.$job" "$WORK/err.$job" ||
      echo "$name, $who: status $rc, and another result"
  fi
}

# every NAME KIND STEP FIRST COUNT VERB OPTION…: two at a time.
every() {
  local name=$1 kind=$2 step=$3 first=$4 last=$5 job
  shift 5
  rm -f "$WORK"/said.*
  for job in 0 1; do
    (
      for ((n = first + job * step; n <= last; n += 2 * step)); do
        once "$kind:$n" "$job" "$@"
        judge "$name: $kind $n" "$job" $? >>"$WORK/said.$job"
        "${AFTER:-true}" "$name: $kind $n" >>"$WORK/said.$job"
      done
    ) &
    pids[job]=$!
  done
  wait "${pids[@]}"
  if [ -s "$WORK/said.0" ] || [ -s "$WORK/said.1" ]; then
    fail "$name: $kind: $(cat "$WORK"/said.* | wc -l) of $(((last - first) / step + 1)): $(
      cat "$WORK"/said.* | head -${FAULTS_SHOW:-8})"
  else
    pass "$name: each of $(((last - first) / step + 1)), from $first on, of $last failures ($kind)"
  fi
}

# all NAME STEP VERB OPTION…: both kinds, and one without a failure before, to count.
all() {
  local name=$1 step=$2 kind count rc
  shift 2
  for kind in memory system; do
    once $kind:0 0 "$@"
    rc=$?
    count=$(cut -d' ' -f1 "$WORK/count.0")
    [ $rc -le 1 ] && [ "${count:-0}" -gt 10 ] || fail "$name: without a failure: $rc, $count: $(cat "$WORK/err.0")"
    if [ "${COMPARE:-}" ]; then mv "$WORK/out.0" "$WORK/want"; else rm -f "$WORK/want"; fi
    every "$name" $kind "$step" "$FROM" "${count:-0}" "$@"
  done
}

captures() {
  "$TOOLS/write-study" "$WORK/a.pcap" "$WORK/b.pcap" without=5 format=pcapng
  gzip -k "$WORK/b.pcap"
  printf '<189>1 2026-03-01T12:00:00Z sw1 - - - - %%SW_MATM-4-MACFLAP_NOTIF: Host 0000.0000.0001 in vlan 1 is flapping between port Gi1/0/1 and port Gi1/0/2\n' >"$WORK/log"
  COMPARE=1 all "diagnose two captures" 1 diagnose --format json --access-capture "$WORK/a.pcap" \
    --cucm-capture "$WORK/b.pcap.gz" --syslog-file "$WORK/log"
  COMPARE=1 all "diagnose, a page" "$EVERY" diagnose --format html --output "$WORK/page" \
    --access-capture "$WORK/a.pcap" --cucm-capture "$WORK/b.pcap" --write-lost "$WORK/lost"
}

# ---- With interfaces ----

ours_left() {
  local left
  left=$({
    for i in acc0 cucm0; do
      lab_in box ip -j -d link show "$i" | jq -r '.[0].xdp.prog.name // empty'
      lab_in box tc filter show dev "$i" ingress
      lab_in box tc filter show dev "$i" egress
    done
    lab_in box "$ROOT/tests/net/tcx_programs.py" acc0 cucm0
  } | grep -c .)
  [ "$left" -eq 0 ] || echo "$1: $left programs are left"
}

# A link goes a moment after its last user.
none_left() {
  local tries=100 said
  while said=$(ours_left "$1") && [ -n "$said" ] && [ $((tries--)) -gt 0 ]; do sleep 0.1; done
  if [ -z "$said" ]; then pass "$1: nothing left"; else fail "$said"; fi
}

live() {
  [ "$(id -u)" -eq 0 ] || { echo "SKIP: needs root"; return; }
  # shellcheck source=tests/lab/lab.sh
  . "$ROOT/tests/lab/lab.sh"
  lab_up routed 4
  trap 'lab_down; rm -rf "$WORK"' EXIT
  IN=(nsenter -t "${LAB_PID[box]}" -n --)
}

watch() {
  live
  all "watch" "$EVERY" watch --access acc0 --cucm cucm0 --duration 1ms
  AFTER=''
  all "watch, clsact filters" "$(fewer 5)" watch --access acc0 --cucm cucm0 --duration 1ms --hook tc --tc-filters
  none_left watch
}

check() {
  live
  all "check" "$(fewer 2)" check --access acc0 --cucm cucm0 --duration 10ms
  none_left check
}

# broker: a NATS server in the box.
broker() {
  command -v nats-server >/dev/null || { echo "SKIP: needs nats-server"; return 1; }
  live
  mkdir -p "$WORK/nats"
  lab_bg box "$WORK/nats.log" nats-server -a 127.0.0.1 -p 4222 -js -sd "$WORK/nats"
  lab_wait_for "$WORK/nats.log" 'Server is ready' 60 || fail "no NATS server: $(cat "$WORK/nats.log")"
}

agent() {
  broker || return
  all "agent" "$EVERY" agent --side access --interface acc0 --site s --nats nats://127.0.0.1:4222 \
    --partitions 2 --duration 300ms
  none_left agent
}

join() {
  broker || return
  all "join" "$EVERY" join --nats nats://127.0.0.1:4222 --partitions 0-1 --duration 300ms
}

# shellcheck disable=SC2048
for t in ${*:-captures watch check agent join}; do $t; done
finish_tests
