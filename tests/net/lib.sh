# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the network tests share: a watch in the lab, traffic, and the comparison of its records with
# the truth. To be sourced after `set -u`. Needs root: without it the test says so and exits 77.

if [ "$(id -u)" -ne 0 ]; then
  echo "SKIP: needs root (BPF programs and network namespaces)"
  exit 77
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build}
KALOSS=${KALOSS:-$BUILD/kaloss}
LAB_BIN=${LAB_BIN:-$BUILD/tests/lab}
# shellcheck source=tests/lab/lab.sh
. "$ROOT/tests/lab/lab.sh"

WORK=$(mktemp -d)
PASSED=0 FAILED=0 WATCH=''

_finish() {
  lab_down
  rm -rf "$WORK"
}

# Call after each lab_up, which sets a trap of its own.
keep_trap() { trap _finish EXIT; }
keep_trap

pass() {
  PASSED=$((PASSED + 1))
  echo "ok    $*"
}

fail() {
  FAILED=$((FAILED + 1))
  echo "FAIL  $*"
}

# expect NAME GOT OPERATOR WANT: OPERATOR as in test(1), -eq and so on, or =.
expect() {
  # shellcheck disable=SC1072,SC1073
  if [ -n "$2" ] && test "$2" "$3" "$4"; then
    pass "$1: $2"
  else
    fail "$1: $2, want $3 $4"
    return 1
  fi
}

# Is a sanitizer built in?
sanitized() { grep -qa __asan_init "$KALOSS"; }
# From now on it does not look for leaks: it cannot, beside strace or where ptrace() is not allowed.
without_leaks() { ! sanitized || export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0; }

finish_tests() {
  echo "$PASSED passed, $FAILED failed"
  [ "$FAILED" -eq 0 ]
  exit
}

# start_watch OPTION…: in the box, JSON lines to $WORK/records, the rest to $WORK/watch.err.
start_watch() {
  : >"$WORK/records"
  lab_bg box "$WORK/watch.err" "$KALOSS" watch --access acc0 --cucm cucm0 --format jsonl \
    --output "$WORK/records" "$@"
  WATCH=$LAB_LAST_PID
  wait_watching
}

# Until the first tick: then all hooks are in place and counting.
wait_watching() {
  local tries=300
  until grep -q '"type":"tick"' "$WORK/records" 2>/dev/null; do
    sleep 0.1
    [ $((tries--)) -gt 0 ] && kill -0 "$WATCH" 2>/dev/null || {
      fail "watch did not start: $(cat "$WORK/watch.err")"
      return 1
    }
  done
}

# Ends the watch as a user would. Past the deadline first, so that nothing is pending.
stop_watch() {
  lab_settle box "${1:-1.6}"
  lab_stop "$WATCH" 30
  local rc=$?
  [ "$rc" -eq 0 ] || fail "watch ended with $rc: $(tail -3 "$WORK/watch.err")"
  grep -q '"type":"summary"' "$WORK/records" || fail "no summary"
}

# summary FILTER: of the last run's summary.
summary() {
  jq -r "select(.type == \"summary\") | $1" "$WORK/records"
}

# The promises of the contract that hold for every run.
check_sums() {
  local name=$1 wrong
  wrong=$(jq -n -r '
    def plus($a; $b): reduce ("segments", "sent", "delivered", "lost_between", "retransmitted",
        "duplicates") as $f ($a; .[$f] += $b[$f]) | .pending = $b.pending;
    reduce inputs as $r ({c: {}, p: {}, k: {}, losses: 0, bad: []};
      if $r.type == "tick" then
        .c = plus(.c; $r.to_cucm) | .p = plus(.p; $r.to_phone)
        | reduce ($r.by_kind | to_entries[]) as $e (.;
            reduce ("to_cucm", "to_phone") as $d (.;
              reduce ("sent", "delivered", "lost_between") as $f (.;
                .k[$e.key][$d][$f] += $e.value[$d][$f])
              | .k[$e.key][$d].pending = $e.value[$d].pending))
        | reduce ([.c, .p] + [.k[] | .to_cucm, .to_phone])[] as $x (.;
            if $x.sent != $x.delivered + $x.lost_between + $x.pending
            then .bad += ["tick at \($r.time): \($x)"] else . end)
        | if [$r.to_cucm, $r.to_phone | .[] | numbers | select(. < 0)] != []
          then .bad += ["negative at \($r.time)"] else . end
      elif $r.type == "loss" and $r.where == "between" then .losses += 1
      elif $r.type == "summary" then
        . as $s
        | reduce (["to_cucm", .c], ["to_phone", .p]) as [$d, $sum] (.;
            reduce ($sum | keys[]) as $f (.;
              if $sum[$f] != $r[$d][$f]
              then .bad += ["\($d).\($f): ticks \($sum[$f]), summary \($r[$d][$f])"] else . end))
        | reduce ($r.by_kind | to_entries[]) as $e (.;
            if $e.value != $s.k[$e.key] then .bad += ["by_kind.\($e.key)"] else . end)
        | if .losses != $r.to_cucm.lost_between + $r.to_phone.lost_between
             and $r.integrity.events_lost == 0
          then .bad += ["\(.losses) loss records"] else . end
      else . end)
    | .bad[:3] | .[]' "$WORK/records")
  if [ -z "$wrong" ]; then
    pass "$name: every tick adds up, ticks sum to the summary, a record for each loss"
  else
    fail "$name: $wrong"
  fi
  if wrong=$("$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" "$WORK/records"); then
    pass "$name: records as in the schema: $wrong"
  else
    fail "$name: records differ from the schema: $wrong"
  fi
}

# SCCP: start_sccp PHONES PERIOD_MS DURATION_MS. Waits for the end; the phones' own count is in
# $WORK/phones.
run_sccp() {
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  local server=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" --port 2000 \
    --phones "$1" --period "$2" --duration "$3" "${@:4}" >"$WORK/phones" 2>"$WORK/phones.err"
  lab_stop "$server" 5
}

# SIP: run_sip PHONES PAUSE_MS LOOPS, by sipp.
run_sip() {
  local host=$LAB_SERVER
  case $host in *:*) host="[$host]" ;; esac
  local phone=$LAB_PHONE
  case $phone in *:*) phone="[$phone]" ;; esac
  # sipp leaves files where it is started.
  pushd "$WORK" >/dev/null || return 1
  lab_bg server "$WORK/server" sipp -sf "$ROOT/tests/lab/sipp/server.xml" -i "$host" -p 5060 -t tn \
    -max_socket 4000 -nostdin
  local server=$LAB_LAST_PID
  lab_wait_listening server 5060 || fail "the SIP server did not start"
  lab_in phones timeout 120 sipp -sf "$ROOT/tests/lab/sipp/phone.xml" \
    -inf "$ROOT/tests/lab/sipp/phones.csv" -set loops "$3" -set period "$2" -t tn -max_socket 4000 \
    -m "$1" -r "$1" -l "$1" -i "$phone" -nostdin "$host:5060" >"$WORK/phones" 2>&1 </dev/null
  local rc=$?
  popd >/dev/null || return 1
  [ $rc -eq 0 ] || [ "${sip_may_fail:-}" ] || fail "sipp ended with $rc: $(tail -2 "$WORK/phones")"
  lab_stop "$server" 5
}
