#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Joiners on a cluster of three NATS servers under load: one server is killed and brought back, and so
# is one joiner. The records have each loss that was made up, each once, and nothing else.
set -u
. "$(dirname "$0")/lib.sh"

command -v nats-server >/dev/null || {
  echo "SKIP: needs nats-server"
  exit 77
}
URLS=nats://127.0.0.1:4222,nats://127.0.0.1:4223,nats://127.0.0.1:4224
SECONDS_OF_LOAD=36 PHONES=240 PERIOD_MS=1000 LOSS=0.03 PARTITIONS=4
declare -A NODE JOINER

# shellcheck disable=SC2034
LAB_OWNER=$BASHPID
_lab_netns wan || exit 1
keep_trap

node() {
  mkdir -p "$WORK/node$1"
  lab_bg wan "$WORK/node$1.log" nats-server -n "node$1" -a 127.0.0.1 -p $((4221 + $1)) -js -sd "$WORK/node$1" \
    --cluster "nats://127.0.0.1:$((6221 + $1))" --cluster_name lab \
    --routes nats://127.0.0.1:6222,nats://127.0.0.1:6223,nats://127.0.0.1:6224
  NODE[$1]=$LAB_LAST_PID
}

joiner() {
  lab_bg wan "$WORK/join-$1.log" "$KALOSS" join --nats "$URLS" --name "$1" --replicas 3 --format jsonl \
    --output "$WORK/join-$1.jsonl" --tolerance 500ms --hold 4s --lease 4s --linger 20s --warm-up 1m \
    --patience 2m --interval 2s --partitions 0-3
  JOINER[$1]=$LAB_LAST_PID
}

records() {
  lab_in wan "$LAB_BIN/stream-lines" "$URLS" KALOSS_REC 'kaloss.v1.rec.>' >"$WORK/records" 2>/dev/null
}

for n in 1 2 3; do node $n; done
for n in 1 2 3; do
  lab_wait_for "$WORK/node$n.log" 'Server is ready' 60 || fail "node $n: $(tail -3 "$WORK/node$n.log")"
done
for j in one two; do joiner $j; done
for j in one two; do
  lab_wait_for "$WORK/join-$j.log" ', ready' 60 || fail "joiner $j: $(cat "$WORK/join-$j.log")"
done
lab_bg wan "$WORK/load" "$LAB_BIN/sites-load" "$URLS" 3 $PHONES $SECONDS_OF_LOAD $PERIOD_MS $LOSS \
  $PARTITIONS "$WORK/truth"
LOAD=$LAB_LAST_PID
sleep 8
kill -KILL "${NODE[2]}"
wait "${NODE[2]}" 2>/dev/null
sleep 4
kill -KILL "${JOINER[one]}"
wait "${JOINER[one]}" 2>/dev/null
sleep 4
node 2
lab_wait_for "$WORK/node2.log" 'Server is ready' 60 || fail "node 2 did not come back"
joiner one
wait "$LOAD" || fail "the load: $(cat "$WORK/load")"

truth=$(wc -l <"$WORK/truth")
expect "losses to be found" "$truth" -gt 100
tries=240
until records && [ "$(grep -c '"type":"loss"' "$WORK/records")" -ge "$truth" ]; do
  [ $((tries--)) -gt 0 ] || break
  sleep 0.5
done
sleep 3 # for more than there should be
ticks() { jq -s "[.[] | select(.type == \"tick\") | $1] | add" "$WORK/records"; }
# What is settled is told of in the tick to come.
tries=120
until records && [ "$(ticks '.to_cucm.sent + .to_phone.sent')" -ge "$(lab_json "$WORK/load" .copies)" ]; do
  [ $((tries--)) -gt 0 ] || break
  sleep 0.5
done
for j in one two; do lab_stop "${JOINER[$j]}" 60 || fail "joiner $j: $(tail -2 "$WORK/join-$j.log")"; done
records

jq -r 'select(.type == "loss") | "\(.phone.ip) \(.phone.port) \(.direction) \(.seq)"' "$WORK/records" |
  sort >"$WORK/found"
sort "$WORK/truth" -o "$WORK/truth"
expect "lost and not reported" "$(comm -23 "$WORK/truth" "$WORK/found" | wc -l)" -eq 0
expect "reported and not lost" "$(comm -13 "$WORK/truth" "$WORK/found" | wc -l)" -eq 0
expect "each id once" "$(jq -r .id "$WORK/records" | sort | uniq -d | wc -l)" -eq 0
expect "ticks add up to as many losses" \
  "$(ticks '.to_cucm.lost_between + .to_phone.lost_between')" -eq "$truth"
expect "all that was sent is counted" "$(ticks '.to_cucm.sent + .to_phone.sent')" -eq \
  "$(lab_json "$WORK/load" .copies)"
expect "nothing is unpaired" "$(ticks .integrity.unpaired)" -eq 0
expect "gaps in what agents covered" "$(grep -c '"type":"gap"' "$WORK/records")" -eq 0
finish_tests
