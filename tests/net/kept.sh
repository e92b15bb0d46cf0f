#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What `kaloss watch --history` keeps: a diagnosis of it says what one on the interfaces says of the
# same traffic, also while it is written; a writer that is killed, a full disk, other files.
set -u
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lab/site.sh"
. "$ROOT/tests/net/why/common.sh"

HISTORY=$WORK/history.db

# read_history NAME OPTION…: its document is in $WORK/kept.
read_history() {
  local said status
  "$KALOSS" diagnose --history "$HISTORY" --format json --output "$WORK/kept" "${@:2}" \
    2>"$WORK/kept.err"
  status=$?
  [ -s "$WORK/kept" ] || { fail "$1: no document: $(cat "$WORK/kept.err")"; return; }
  if said=$("$ROOT/tests/captures/check_document.py" "$ROOT/docs/diagnosis.schema.json" \
    "$WORK/kept"); then
    pass "$1: the document is as in the schema"
  else
    fail "$1: the document is not as in the schema: $said"
  fi
  expect "$1: exit status" $status -eq \
    "$(jq '[.findings[] | select(.fault)] | if . == [] then 0 else 1 end' "$WORK/kept")"
}

# verdict FILE: what is found, and of how many.
verdict() {
  jq -c '[.findings[] | [.cause, .confidence, .fault, .phones, .losses]]' "$1"
}

# losses FILE: each one that is listed.
losses() {
  jq -c '[.timeline[] | select(.type == "loss") | [.direction, .where, .kind, .phone.ip,
    .phone.port, .seq, .length, .drop.reason]] | sort' "$1"
}

# kept_losses: what the file has by now, while it is written.
kept_losses() {
  sqlite3 -readonly "$HISTORY" 'SELECT count(*) FROM loss' 2>/dev/null || echo 0
}

# refused NAME WORDS COMMAND…: status 2, and one line that has these words.
refused() {
  local name=$1 words=$2 said status
  shift 2
  said=$("$@" 2>&1 >/dev/null </dev/null)
  status=$?
  if [ $status -eq 2 ] && [ "$(wc -l <<<"$said")" -eq 1 ] && [[ $said == *"$words"* ]]; then
    pass "$name: $said"
  else
    fail "$name: status $status: $said"
  fi
}

# ---- The same verdict ----

site routed 6
server_start sccp
start_watch --history "$HISTORY"
diagnose_start
phones 1 6 sccp --period 700 --duration 120000
sleep 2
lab_in box nft -f - <<-EOT
	table inet filter {
		counter dropped { }
		chain forward {
			type filter hook forward priority 0
			tcp dport 2000 @ih,0,32 0x04000000 counter name dropped drop
		}
	}
EOT
sleep 2
lab_in box nft insert rule inet filter forward tcp dport 2000 accept
dropped=$(lab_in box nft -j list counter inet filter dropped | jq '.nftables[].counter?.packets // empty')
diagnose_end live 1 3
first_is live in_host_drop high

tries=400
until [ "$(kept_losses)" -ge "$dropped" ]; do
  sleep 0.1
  [ $((tries--)) -gt 0 ] || { fail "the history has $(kept_losses) of $dropped losses"; break; }
done
read_history "while it is written"
[ "$(losses "$WORK/kept")" = "$(losses "$WORK/document")" ]
expect "while it is written: the losses that were told live, in the same words" $? -eq 0
refused "a second writer" "another kaloss writes it" \
  lab_in box "$KALOSS" watch --access acc0 --cucm cucm0 --history "$HISTORY"
stop_watch
read_history "at its end"
expect "at its end: the verdict of the live run" "$(verdict "$WORK/kept")" = "$(verdict "$WORK/document")"
expect "at its end: the losses that nftables counted" \
  "$(jq '[.timeline[] | select(.where == "between")] | length' "$WORK/kept")" -eq "$dropped"
expect "at its end: what was sent and delivered" \
  "$(jq -c '.summary.by_kind' "$WORK/kept")" = "$(summary '.by_kind' | jq -c .)"
expect "at its end: what may be wrong with it" \
  "$(jq -c '.integrity | del(.remarks, .losses_unlisted)' "$WORK/kept")" = "$(summary .integrity | jq -c .)"
expect "at its end: nothing is missing but an hour before" "$(jq -c '[.integrity.remarks[] |
  select(startswith("The history begins at") | not)]' "$WORK/kept")" = '[]'
expect "at its end: phones" "$(jq '.phones | length' "$WORK/kept")" -eq 6
expect "at its end: the rule is named" \
  "$(jq '[.findings[0].remedy | contains("table inet filter")] | first' "$WORK/kept")" = true
for format in text html jsonl; do
  "$KALOSS" diagnose --history "$HISTORY" --format $format >"$WORK/out" 2>/dev/null
  expect "as $format: bytes" "$(wc -c <"$WORK/out")" -gt 500
done

# ---- Killed ----

sleep 4 # a restart that takes no longer than a moment is not told of
start_watch --history "$HISTORY"
tries=400
until [ "$(sqlite3 -readonly "$HISTORY" 'SELECT count(*) FROM part WHERE run = 2' 2>/dev/null)" = 1 ]; do
  sleep 0.1
  [ $((tries--)) -gt 0 ] || { fail "the second run is not kept"; break; }
done
kill -KILL "$WATCH"
wait "$WATCH" 2>/dev/null
read_history "after a kill"
expect "after a kill: the losses of before are there" \
  "$(jq '[.timeline[] | select(.where == "between")] | length' "$WORK/kept")" -eq "$dropped"
expect "after a kill: the time between the runs is said" \
  "$(jq '[.integrity.remarks[] | select(startswith("kaloss watch did not run from"))] | length' "$WORK/kept")" -eq 1
expect "after a kill: the file is whole" "$(sqlite3 "$HISTORY" 'PRAGMA integrity_check')" = ok

# ---- Other files ----

echo "not a database, of whatever length it may be, and not empty either" >"$WORK/text"
refused "a text" "not a history of kaloss" "$KALOSS" diagnose --history "$WORK/text"
refused "a text to write to" "not a history of kaloss" \
  lab_in box "$KALOSS" watch --access acc0 --cucm cucm0 --history "$WORK/text"
expect "a text: it is as it was" "$(cut -c1-14 "$WORK/text")" = "not a database"
refused "nothing" "No such file" "$KALOSS" diagnose --history "$WORK/nothing"
cp "$HISTORY" "$WORK/closed"
chmod 0 "$WORK/closed"
nobodys=-dac_override,-dac_read_search
refused "one that may not be read" "$WORK/closed: Permission denied" \
  setpriv --bounding-set=$nobodys --inh-caps=$nobodys "$KALOSS" diagnose --history "$WORK/closed"
head -c 50000 "$HISTORY" >"$WORK/half"
refused "half a file" "$WORK/half: " "$KALOSS" diagnose --history "$WORK/half"
cp "$HISTORY" "$WORK/newer"
sqlite3 "$WORK/newer" 'PRAGMA user_version = 99'
refused "a newer one" "written by a newer kaloss" "$KALOSS" diagnose --history "$WORK/newer"
cp "$HISTORY" "$WORK/damaged"
dd if=/dev/zero of="$WORK/damaged" bs=4096 seek=2 count=20 conv=notrunc 2>/dev/null
refused "a damaged one" "malformed" "$KALOSS" diagnose --history "$WORK/damaged"

# ---- A full disk ----

mkdir "$WORK/small"
# shellcheck disable=SC2016 # expanded by that shell
unshare -m sh -c 'mount -t tmpfs -o size=6m none "$1" && exec "$2" --full "$1"' sh \
  "$WORK/small" "$BUILD/tests/history/kills" >"$WORK/full" 2>&1
sed '$d' "$WORK/full"
last=$(tail -1 "$WORK/full")
case $last in
*' passed, '*' failed')
  f=${last#*, }
  PASSED=$((PASSED + ${last%% passed*})) FAILED=$((FAILED + ${f%% failed*}))
  ;;
*) fail "a full disk: $last" ;;
esac
finish_tests
