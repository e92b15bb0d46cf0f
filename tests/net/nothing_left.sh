#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# However kaloss ends (SIGTERM, SIGKILL, an error at any step of its start), nothing of it stays on
# the interfaces, and what others put there stays as it was.
set -u
. "$(dirname "$0")/lib.sh"

CLANG=${CLANG:-clang}

# Programs of others: XDP and tc, each passing everything on.
cat >"$WORK/other.bpf.c" <<'SOURCE'
#define SEC(name) __attribute__((section(name), used))
SEC("xdp") int other_xdp(void *ctx) { return 2; }
SEC("tc") int other_tc(void *ctx) { return -1; }
char _license[] SEC("license") = "GPL";
SOURCE
"$CLANG" -target bpf -O2 -g -c "$WORK/other.bpf.c" -o "$WORK/other.o" || fail "clang"

# What sits on acc0 and cucm0, in a form to compare: XDP and tcx programs by name, filters, qdiscs.
on_hooks() {
  local i
  for i in acc0 cucm0; do
    lab_in box ip -j -d link show "$i" | jq -c '[.[0].ifname, .[0].xdp.prog.name, .[0].xdp.prog.id]'
    lab_in box tc filter show dev "$i" ingress
    lab_in box tc filter show dev "$i" egress
    lab_in box tc qdisc show dev "$i"
  done
}

# How many programs of ours are on acc0 and cucm0: XDP, tcx and filters.
ours() {
  {
    lab_in box "$ROOT/tests/net/tcx_programs.py" acc0 cucm0 | while read -r _ _ id; do
      bpftool prog show id "$id" -j 2>/dev/null | jq -r .name
    done
    for i in acc0 cucm0; do
      lab_in box ip -j -d link show "$i" | jq -r '.[0].xdp.prog.name // empty'
      lab_in box tc filter show dev "$i" ingress
      lab_in box tc filter show dev "$i" egress
    done
  } | grep -c 'kaloss_'
}

# A link goes a moment after its last user.
wait_none() {
  local tries=150
  while [ "$(ours)" -ne "${1:-0}" ] && [ $((tries--)) -gt 0 ]; do sleep 0.1; done
  ours
}

others_up() {
  lab_in box tc qdisc add dev acc0 clsact
  lab_in box tc filter add dev acc0 ingress prio 7 bpf da obj "$WORK/other.o" sec tc
  lab_in box tc filter add dev acc0 egress prio 7 bpf da obj "$WORK/other.o" sec tc
  lab_in box ip link set dev acc0 xdpdrv obj "$WORK/other.o" sec xdp
}

seen() {
  jq -r 'select(.type == "tick") | .to_cucm.sent' "$WORK/records" 2>/dev/null |
    awk '{ n += $1 } END { print n + 0 }'
}

ended_by() {
  local signal=$1 name=$2 before tries=300
  shift 2
  lab_up routed 4
  keep_trap
  [ "${others:-}" ] && others_up
  before=$(on_hooks)
  start_watch "$@"
  expect "$name: programs while it runs" "$(ours)" -ge 4
  run_sccp 20 100 1000
  # A tick each second: the last keepalives are in the one to come.
  while [ "$(seen)" -le 50 ] && [ $((tries--)) -gt 0 ]; do sleep 0.1; done
  expect "$name: keepalives seen" "$(seen)" -gt 50
  kill -s "$signal" "$WATCH"
  wait "$WATCH" 2>/dev/null
  expect "$name: programs left" "$(wait_none)" -eq 0
  expect "$name: hooks as before" "$(on_hooks)" = "$before"
}

ended_by TERM "SIGTERM"
ended_by INT "SIGINT, tc hooks" --hook tc
ended_by KILL "SIGKILL"
ended_by KILL "SIGKILL, tc hooks" --hook tc
ended_by TERM "SIGTERM, clsact filters" --hook tc --tc-filters
others=1
ended_by TERM "SIGTERM beside others" --hook auto
ended_by KILL "SIGKILL beside others" --hook auto
ended_by TERM "SIGTERM beside others, clsact filters" --tc-filters
others=''

# clsact filters outlive a killed process: the next start clears them, and nobody else's.
lab_up routed 4
keep_trap
others_up
before=$(on_hooks)
start_watch --tc-filters
kill -KILL "$WATCH"
wait "$WATCH" 2>/dev/null
expect "after SIGKILL, clsact filters: stay" "$(wait_none 3)" -ge 1
start_watch
stop_watch 0
expect "the next start: clears them" "$(wait_none)" -eq 0
expect "the next start: others' hooks as before, on acc0" \
  "$(on_hooks | grep -v cucm0 | head -4)" = "$(printf '%s\n' "$before" | grep -v cucm0 | head -4)"

# A second kaloss beside a living one leaves the first one's filters alone.
start_watch --tc-filters
first=$WATCH
count=$(ours)
start_watch --tc-filters
stop_watch 0
expect "a second kaloss: the first one's programs" "$(wait_none "$count")" -eq "$count"
WATCH=$first
stop_watch 0
expect "a second kaloss: nothing left" "$(wait_none)" -eq 0

# An error at each bpf() and netlink call of the start, one after the other. (With a sanitizer a start
# takes seconds: then it is each seventh call.)
every=1
! sanitized || every=7
without_leaks
inject() {
  local name=$1 call=$2 n=0 rc left ok=0 tried=0
  shift 2
  local want
  want=$(on_hooks)
  while [ $((n += every)) -le 400 ]; do
    tried=$((tried + 1))
    lab_in box strace -qq -o /dev/null -e trace="$call" -e inject="$call:error=EPERM:when=$n" \
      "$KALOSS" watch --access acc0 --cucm cucm0 --duration 1ms "$@" >"$WORK/out" 2>"$WORK/err"
    rc=$?
    left=$(wait_none)
    if [ "$left" -ne 0 ] || [ "$(on_hooks)" != "$want" ]; then
      fail "$name: an error at call $n of $call leaves $left programs or changes the hooks"
      return
    fi
    case $rc in
    0) ok=$((ok + 1)) ;; # what nobody asked for may be missing
    2) [ "$(grep -c . "$WORK/err")" -ge 1 ] || fail "$name: no line for an error at call $n" ;;
    *) fail "$name: exit status $rc at call $n of $call: $(tail -1 "$WORK/err")" ;;
    esac
    # Past the last call nothing fails any more.
    [ $ok -lt 12 ] || break
  done
  pass "$name: an error at each of $((tried - ok)) calls of $call left nothing"
}

lab_up routed 4
keep_trap
inject "start" bpf
inject "start, clsact filters" bpf --tc-filters --hook tc
inject "start, clsact filters" sendto,socket --tc-filters --hook tc
finish_tests
