#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Many hosts: agents in two branches and a data centre, a NATS server with JetStream, two joiners, real
# drops between the taps. One joiner is killed, the server is started again, a branch is cut off for a
# while, and clocks differ by an hour: what the stream of records says in the end is what the packet
# filter counted, each loss once.
set -u
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lab/sites.sh
. "$ROOT/tests/lab/sites.sh"

command -v nats-server >/dev/null || {
  echo "SKIP: needs nats-server"
  exit 77
}
SITES_WORK=$WORK
TIMES=(--tolerance 500ms --hold 4s --lease 3s --linger 20s --warm-up 1m --patience 2m --interval 2s
  --partitions 0-3)
AGENT=(--partitions 4)

sites_up || exit 1
keep_trap
for branch in north south; do
  sites_drop "${branch}_keepalives" ${branch:0:1}0 to_cucm 9
  sites_drop "${branch}_answers" ${branch:0:1}0 to_phone 11
done

sites_nats || fail "the NATS server did not start"
sites_joiner one "${TIMES[@]}" --history "$WORK/one.db" || fail "joiner one did not start"
sites_joiner two "${TIMES[@]}" --history "$WORK/two.db" || fail "joiner two did not start"
said=$("$KALOSS" join --nats "$SITES_NATS" --history "$WORK/two.db" 2>&1)
expect "a second joiner with the same history: status" $? -eq 2
expect "and it says in one line that another one writes it" \
  "$(grep -c "two.db: another kaloss writes it" <<<"$said") of $(wc -l <<<"$said")" = "1 of 1"
echo "3600 0" >"$WORK/clock"
sites_agent north access acc0 "${AGENT[@]}"
# (Nothing can be loaded before a sanitizer.)
sanitized || SITES_ENV=("LD_PRELOAD=$BUILD/tests/faults/clock.so" "KALOSS_CLOCK=$WORK/clock")
sites_agent south access acc0 "${AGENT[@]}"
SITES_ENV=()
# (What libnats waits for must not be an hour away: an agent's clock stays as it started.)
lab_wait_for "$WORK/agent-south.log" connected
echo "0 0" >"$WORK/clock"
sites_agent centre cucm cucm0 "${AGENT[@]}"
for ns in north south centre; do
  lab_wait_for "$WORK/agent-$ns.log" 'XDP\|tcx\|clsact' 60 || fail "agent $ns: $(cat "$WORK/agent-$ns.log")"
done

lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$WORK/server" ready || fail "the call server did not start"
for n in 1 2; do
  branch=$([ $n = 1 ] && echo north || echo south)
  lab_bg "${branch}_phones" "$WORK/phones-$branch" "$LAB_BIN/sccp-phones" --server "$SITES_SERVER" \
    --bind "10.1$n.0.2,10.1$n.0.3,10.1$n.0.4,10.1$n.0.5" --port 2000 --phones 20 --period 500 \
    --duration 28000
  SITES_PID[phones_$branch]=$LAB_LAST_PID
done
sleep 7
for joiner in one two; do
  lab_wait_for "$WORK/join-$joiner.log" ': taken'
  expect "joiner $joiner: partitions that it has taken" "$(grep -c ': taken' "$WORK/join-$joiner.log")" -gt 0
done
lab_wait_for "$WORK/join-one.jsonl" '"type":"loss"' 20
kill -KILL "${SITES_PID[one]}"
wait "${SITES_PID[one]}" 2>/dev/null
sleep 5
# A branch is cut off from the server of messages, though not from the call server.
lab_in north ip route add blackhole 10.99.0.1/32
sleep 3
lab_stop "${SITES_PID[nats]}" 5
sleep 1
sites_nats || fail "the NATS server did not start again"
sleep 3
lab_in north ip route del blackhole 10.99.0.1/32
wait "${SITES_PID[phones_north]}" || fail "phones: $(cat "$WORK/phones-north")"
wait "${SITES_PID[phones_south]}" || fail "phones: $(cat "$WORK/phones-south")"

truth=0
for branch in north south; do
  for what in keepalives answers; do
    truth=$((truth + $(lab_dropped wan "${branch}_$what")))
  done
done
expect "drops to be found" "$truth" -gt 50
# Whether the last one of a branch was lost, or went elsewhere, nothing later tells: it may be unpaired.
LAST=2
sites_wait_for_losses $((truth - LAST)) 120
sleep 5 # for more than there should be
ticks() { jq -s "[.[] | select(.type == \"tick\") | $1] | add" "$WORK/records"; }
seen() { echo $(($(lab_dropped wan "north_$1_seen") + $(lab_dropped wan "south_$1_seen"))); }
# What is settled is told of in the tick to come.
tries=60
until sites_records "$WORK/records" &&
  [ "$(ticks '.by_kind.sccp_keepalive.to_cucm.sent + .by_kind.sccp_keepalive_ack.to_phone.sent +
    .integrity.unpaired')" -ge $(($(seen keepalives) + $(seen answers))) ] &&
  [ "$(ticks '.to_cucm.lost_between + .to_phone.lost_between + .integrity.unpaired')" -ge "$truth" ]; do
  [ $((tries--)) -gt 0 ] || break
  sleep 0.5
done
for pid in one two; do
  [ ! -d "/proc/${SITES_PID[$pid]}" ] || lab_stop "${SITES_PID[$pid]}" 30
done
sites_records "$WORK/records"

losses() { jq -s "[.[] | select(.type == \"loss\" and .site == \"$1\" and .direction == \"$2\")] | length" "$WORK/records"; }
unpaired=$(ticks .integrity.unpaired)
expect "unpaired, of $truth dropped" "$unpaired" -le $LAST
# expect_all NAME IS WANT: but for what is unpaired.
expect_all() {
  expect "$1: at most" "$2" -le "$3"
  expect "$1: at least" "$(($2 + unpaired))" -ge "$3"
}
for branch in north south; do
  expect_all "$branch: keepalives lost" "$(losses $branch to_cucm)" "$(lab_dropped wan "${branch}_keepalives")"
  expect_all "$branch: answers lost" "$(losses $branch to_phone)" "$(lab_dropped wan "${branch}_answers")"
done
expect "each id once" "$(jq -r .id "$WORK/records" | sort | uniq -d | wc -l)" -eq 0
expect "ticks add up to as many losses, and unpaired" \
  "$(ticks '.to_cucm.lost_between + .to_phone.lost_between + .integrity.unpaired')" -eq "$truth"
expect_all "keepalives sent" "$(ticks '.by_kind.sccp_keepalive.to_cucm.sent // 0')" "$(seen keepalives)"
expect_all "answers sent" "$(ticks '.by_kind.sccp_keepalive_ack.to_phone.sent // 0')" "$(seen answers)"
expect "sent, and unpaired" "$(ticks '.by_kind.sccp_keepalive.to_cucm.sent + .by_kind.sccp_keepalive_ack.to_phone.sent +
  .integrity.unpaired')" -eq $(($(seen keepalives) + $(seen answers)))
# (An hour, less what it took to start the agents; of a joiner that has taken over, and read it all again.)
sanitized || expect "clocks that are an hour apart, as told" "$(jq -s '[.[] | select(.type == "pair" and .site == "south" and
  .offset_us != null) | .offset_us | fabs | . > 3590e6 and . < 3610e6] | all and length > 0' "$WORK/records")" = true
expect "gaps in what agents covered" "$(jq -s '[.[] | select(.type == "gap")] | length' "$WORK/records")" -eq 0
# What was reported is kept: each loss once in a file, all of them in both, also of who was killed.
for name in one two; do
  sqlite3 -readonly "$WORK/$name.db" "SELECT record FROM loss" | sort >"$WORK/kept-$name"
  expect "$name: losses that are twice in its history" "$(uniq -d "$WORK/kept-$name" | wc -l)" -eq 0
  jq -r 'select(.type == "loss") | .id' "$WORK/join-$name.jsonl" | sort >"$WORK/printed-$name"
  expect "$name: losses that it printed" "$(wc -l <"$WORK/printed-$name")" -gt 0
  expect "$name: printed and not kept" "$(comm -23 "$WORK/printed-$name" "$WORK/kept-$name" | wc -l)" -eq 0
done
jq -r 'select(.type == "loss") | .id' "$WORK/records" | sort >"$WORK/told"
expect "both histories are all that was told" \
  "$(sort -u "$WORK/kept-one" "$WORK/kept-two" | comm -3 - "$WORK/told" | wc -l)" -eq 0
expect "two: lost by the minute, in its history" \
  "$(sqlite3 -readonly "$WORK/two.db" "SELECT sum(lost_between) FROM minute_count")" -eq \
  "$(jq -s '.[-1] | .to_cucm.lost_between + .to_phone.lost_between' "$WORK/join-two.jsonl")"
expect "two: sent by the minute, in its history" \
  "$(sqlite3 -readonly "$WORK/two.db" "SELECT sum(sent) FROM minute_count")" -eq \
  "$(jq -s '.[-1] | .to_cucm.sent + .to_phone.sent' "$WORK/join-two.jsonl")"
"$KALOSS" diagnose --history "$WORK/two.db" --since 6h --format json >"$WORK/verdict" 2>/dev/null
expect "a diagnosis of its history: status" $? -eq 1
expect "what it finds" "$(jq -r '[.findings[].cause] | join(" ")' "$WORK/verdict")" = between_loss
expect "losses that it lists" "$(jq '[.timeline[] | select(.type == "loss")] | length' "$WORK/verdict")" -eq \
  "$(wc -l <"$WORK/kept-two")"
if said=$("$ROOT/tests/net/check_records.py" "$ROOT/docs/records.schema.json" "$WORK/records"); then
  pass "records as in the schema: $said"
else
  fail "records differ from the schema: $said"
fi
finish_tests
