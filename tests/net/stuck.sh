#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Whoever reads what watch and diagnose write may stop reading, read slowly or go away: the counting goes on, and
# what could not be handed over is known, to the record.
set -u
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

PORT=9105
PIPE=$WORK/pipe
ERRORS=$WORK/watch.err
mkfifo "$PIPE" "$WORK/errors"

# watch_to FILE OPTION…: a watch that writes there. It counts once it has metrics of a tick.
watch_to() {
  local to=$1 tries=600
  shift
  setpriv --pdeathsig TERM nsenter -t "${LAB_PID[box]}" -n -- "$KALOSS" watch --access acc0 \
    --cucm cucm0 --prometheus :$PORT "$@" >"$to" 2>"$ERRORS" </dev/null 3<&- 4<&- &
  WATCH=$!
  until [ "$(health)" = 200 ]; do
    sleep 0.1
    [ $((tries--)) -gt 0 ] && kill -0 "$WATCH" 2>/dev/null || {
      fail "watch did not start: $(cat "$WORK/watch.err")"
      return 1
    }
  done
}

health() {
  lab_in box curl -s -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PORT/healthz"
}

# metric NAME [LABEL]: the sum of its series that have the label.
metric() {
  lab_in box curl -s "http://127.0.0.1:$PORT/metrics" |
    awk -v name="$1" -v label="${2:-}" '
      (index($1, name "{") == 1 || $1 == name) && index($1, label) { n += $2 } END { printf n == int(n) ? "%d" : "%.6f", n }'
}

# reaches NAME VALUE COMMAND…: until the command says at least that; a minute at most.
reaches() {
  local name=$1 want=$2 tries=300 got
  shift 2
  until got=$("$@") && [ "$got" -ge "$want" ]; do
    sleep 0.2
    [ $((tries--)) -gt 0 ] || { fail "$name: $got, want $want"; return 1; }
  done
  pass "$name: $got"
}

# Ends the watch; its exit status in RC. Whatever happens, not for ever.
end_watch() {
  lab_stop "$WATCH" "${1:-30}"
  RC=$?
}

# fill FIFO: empty lines, until nothing more goes in.
fill() {
  local bytes
  for bytes in 4096 1; do
    yes '' | dd of="$1" bs=$bytes iflag=fullblock count=5000 oflag=nonblock status=none 2>/dev/null
  done
}

lab_up routed 4
keep_trap
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 5
lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 4

# ---- A reader that stops, and reads on ----

exec 3<>"$PIPE" # somebody has it open, and nobody reads
watch_to "$PIPE" --format jsonl --queue-bytes 65536
dropped_before=$(lab_dropped box to_cucm_sccp_keepalive)
run_sccp 100 200 5000
lab_settle box 1.5
reaches "nobody reads: records are dropped" 100 metric kaloss_integrity_total 'what="records_dropped"'
lost_to_cucm() {
  metric kaloss_keepalives_lost_total \
    'direction="to_cucm",kind="sccp_keepalive",where="between"'
}
lost=$(($(lab_dropped box to_cucm_sccp_keepalive) - dropped_before))
reaches "nobody reads: counted all the same, to the CUCM" $lost lost_to_cucm
expect "nobody reads: and no more" "$(lost_to_cucm)" -eq $lost
expect "nobody reads: it is well" "$(health)" -eq 200
ticks=$(metric kaloss_last_tick_time_seconds)
tries=300
while [ "$(metric kaloss_last_tick_time_seconds)" = "$ticks" ] && [ $((tries--)) -gt 0 ]; do
  sleep 0.2
done
expect "nobody reads: it ticks" "$(metric kaloss_last_tick_time_seconds)" != "$ticks"
dropped=$(metric kaloss_integrity_total 'what="records_dropped"')
# Now somebody does, to the end.
cat "$PIPE" >"$WORK/records" 3<&- &
reader=$!
# Only then: a moment without any reader would be the end.
lab_wait_for "$WORK/records" '"type":"dropped"' 20
exec 3<&-
run_sccp 20 200 1000
lab_settle box 1.6
end_watch
expect "it reads again: exit status" $RC -eq 0
wait $reader
expect "it reads again: complaints" "$(grep -vc 'side: ' "$WORK/watch.err")" -eq 0
expect "it reads again: gaps" "$(grep -c '"type":"dropped"' "$WORK/records")" -eq 1
gap=$(jq -r 'select(.type == "dropped") | .records' "$WORK/records")
expect "it reads again: the gap is no smaller than was counted before" "$gap" -ge "$dropped"
expect "it reads again: the gap, in the summary" "$(summary .integrity.records_dropped)" -eq "$gap"
expect "it reads again: records after the gap" \
  "$(sed '1,/"type":"dropped"/d' "$WORK/records" | grep -c '"type":"tick"')" -ge 2
expect "it reads again: losses of the summary, by nftables" "$(summary .to_cucm.lost_between)" -eq \
  $(($(lab_dropped box to_cucm_sccp_keepalive) - dropped_before)) ||
  summary '"\(.to_cucm) \(.integrity)"'
expect "it reads again: loss records, and those that were dropped" \
  "$(($(grep -c '"where":"between"' "$WORK/records") + gap))" -ge \
  "$(summary '.to_cucm.lost_between + .to_phone.lost_between')"
if wrong=$("$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" "$WORK/records"); then
  pass "it reads again: whole records, as in the schema: $wrong"
else
  fail "it reads again: $wrong"
fi

# ---- A reader that is halted, as less is by ^Z; text; and that is never continued ----

cat "$PIPE" >"$WORK/text" &
reader=$!
watch_to "$PIPE" --queue-bytes 4096 --interval 200ms
kill -STOP $reader
run_sccp 100 200 1000
reaches "halted: records are dropped" 10 metric kaloss_integrity_total 'what="records_dropped"'
kill -CONT $reader
lab_wait_for "$WORK/text" 'DROPPED [0-9]* records from ' 20
expect "halted: a line says so" "$(grep -c 'DROPPED' "$WORK/text")" -ge 1
kill -STOP $reader
fill "$PIPE"
run_sccp 100 200 1000
reaches "halted for good: more are dropped" \
  $((10 + $(metric kaloss_integrity_total 'what="records_dropped"'))) \
  metric kaloss_integrity_total 'what="records_dropped"'
end_watch 60
expect "halted for good: exit status" $RC -eq 2
expect "halted for good: says so" "$(grep -v 'side: ' "$WORK/watch.err" | sed 's/[0-9][0-9]*/N/')" = \
  "kaloss watch: writing to standard output: nobody reads: the last N records, with the summary, are lost"
kill -CONT $reader
wait $reader
expect "halted for good: nothing of what it got is no line" \
  "$(grep -vcE '^[0-9:]{8} |phones +sent|---- both ----|^$' "$WORK/text")" -le 1

# ---- A second signal, and a third, while nobody reads ----

exec 3<>"$PIPE" 4<>"$WORK/errors"
fill "$PIPE"
ERRORS=$WORK/errors watch_to "$PIPE" --format jsonl --queue-bytes 4096 --interval 200ms
run_sccp 100 200 1000
reaches "more signals: records are dropped" 1 \
  metric kaloss_integrity_total 'what="records_dropped"'
# What it has to say at the end finds no reader either.
fill "$WORK/errors"
kill -TERM "$WATCH"
kill -INT "$WATCH"
tries=300
until grep -q '^1 0x2 ' "/proc/$WATCH/syscall" || [ $((tries--)) -le 0 ]; do sleep 0.1; done
expect "more signals: it waits for who reads its errors" "$(cut -c-5 "/proc/$WATCH/syscall")" = "1 0x2"
lab_stop "$WATCH" 60
expect "a third signal: ends it" $? -eq $((128 + 15))
exec 3<&- 4<&-

# ---- A reader that goes away, while much waits for it ----

cat "$PIPE" >"$WORK/text" &
reader=$!
watch_to "$PIPE" --format jsonl --interval 200ms
kill -STOP $reader
run_sccp 100 200 2000
disown $reader
kill -KILL $reader
tries=300
while kill -0 "$WATCH" 2>/dev/null && [ $((tries--)) -gt 0 ]; do sleep 0.2; done
wait "$WATCH"
expect "a reader that went away: exit status" $? -eq 0
expect "a reader that went away: complaints" "$(grep -vc 'side: ' "$WORK/watch.err")" -eq 0

# ---- diagnose: nobody reads, and then somebody does ----

exec 3<>"$PIPE"
rm -f "$WORK/records"
setpriv --pdeathsig TERM nsenter -t "${LAB_PID[box]}" -n -- "$KALOSS" diagnose --access acc0 --cucm cucm0 \
  --for 5m --format jsonl --queue-bytes 4096 --all-macs >"$PIPE" 2>"$WORK/diagnose.err" </dev/null 3<&- &
DIAGNOSE=$!
lab_wait_for "$WORK/diagnose.err" '^looking for' 60
# What is sent again of the connections before is of none that it has seen on both sides.
lab_settle box 1.6
dropped_before=$(($(lab_dropped box to_cucm_sccp_keepalive) + $(lab_dropped box to_phone_sccp_keepalive_ack)))
run_sccp 100 100 4000
# Past the deadline, and so far that the loss records cannot all have found room.
lab_settle box 1.6
kill -INT "$DIAGNOSE"
lost=$(($(lab_dropped box to_cucm_sccp_keepalive) + $(lab_dropped box to_phone_sccp_keepalive_ack) - dropped_before))
cat "$PIPE" >"$WORK/records" 3<&- &
reader=$!
lab_wait_for "$WORK/records" '"type":"dropped"' 20
exec 3<&-
wait "$DIAGNOSE"
expect "diagnose: exit status" $? -eq 1
wait $reader
expect "diagnose: as much was lost as nftables dropped" \
  "$(summary '.to_cucm.lost_between + .to_phone.lost_between')" -eq "$lost" ||
  summary '"\(.to_cucm) \(.to_phone) \(.integrity)"'
expect "diagnose: more than the pipe and the queue have room for" "$lost" -ge 400
gap=$(jq -s 'map(select(.type == "dropped") | .records) | add' "$WORK/records")
expect "diagnose: the gap, in the verdict" "$(summary .integrity.records_dropped)" -eq "$gap"
expect "diagnose: loss records, and those that were dropped" \
  "$(($(grep -c '"where":"between"' "$WORK/records") + gap))" -ge "$lost"
expect "diagnose: a verdict at the end" \
  "$(jq -r 'select(.type == "finding" and .cause == "in_host_drop") | .confidence' "$WORK/records")" = high
if wrong=$("$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" "$WORK/records"); then
  pass "diagnose: whole records, as in the schema: $wrong"
else
  fail "diagnose: $wrong"
fi

# ---- A disk that fills up ----

mkdir "$WORK/disk"
lab_in box unshare -m bash -c "mount -t tmpfs -o size=64k none '$WORK/disk' &&
  exec timeout 120 '$KALOSS' watch --access acc0 --cucm cucm0 --format jsonl --interval 100ms \
    --output '$WORK/disk/records'" >"$WORK/out" 2>"$WORK/watch.err"
expect "a full disk: exit status" $? -eq 2
expect "a full disk: says so" "$(cat "$WORK/out"; grep -v 'side: ' "$WORK/watch.err")" = \
  "kaloss watch: writing to $WORK/disk/records: No space left on device"
finish_tests
