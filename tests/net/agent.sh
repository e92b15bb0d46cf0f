#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# kaloss agent in the lab, with a real NATS server: what it sees of real SCCP arrives whole and in
# order; the server goes and comes back; the spool is too small; the agent is killed; an interface
# goes away; TLS, NKEYs, and a site that may only publish its own subjects.
#
#   tests/net/agent.sh [RUN…]
set -u
. "$(dirname "$0")/lib.sh"

BATCHES=${BATCHES:-$BUILD/tests/net/batches}
URL=nats://127.0.0.1:4222
PHONES=40 PARTITIONS=4
NATS='' AGENT='' SERVER=''
unset KALOSS_NKEY KALOSS_CA KALOSS_CERT KALOSS_KEY

# libnats leaves what has come in just before it closes a connection. (Nothing else of an agent's is
# made there: it reads no messages.)
if sanitized; then
  echo "leak:natsMsg_create" >"$WORK/left"
  export LSAN_OPTIONS=suppressions=$WORK/left:print_suppressions=0
fi

# ---- a server, agents, phones ----

start_nats() {
  lab_bg box "$WORK/nats" nats-server -a 127.0.0.1 -p 4222 -js -sd "$WORK/js"
  NATS=$LAB_LAST_PID
  lab_wait_for "$WORK/nats" 'Server is ready' || fail "nats-server: $(tail -3 "$WORK/nats")"
}

stop_nats() { lab_stop "$NATS" 30; }

batches() { lab_in box "$BATCHES" "$URL" "$@"; }

# start_agent NAME SIDE INTERFACE OPTION…: it is in $AGENT, what it says in $WORK/NAME.
start_agent() {
  local name=$1 side=$2 interface=$3
  shift 3
  lab_bg box "$WORK/$name" "$KALOSS" agent --side "$side" --interface "$interface" --site lab \
    --agent "$name" --nats "$URL" --partitions "$PARTITIONS" --batch 200ms "$@"
  AGENT=$LAB_LAST_PID
  lab_wait_for "$WORK/$name" "side of lab: $interface, frames that come in" 30 ||
    fail "$name did not start: $(cat "$WORK/$name")"
}

# stop_agent NAME PID: in good order.
stop_agent() {
  lab_stop "$2" 30
  expect "$1 ended with" $? -eq 0 || tail -40 "$WORK/$1"
}

# run_phones SECONDS: they register, keep alive once a second, and end.
run_phones() {
  lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
  SERVER=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the SCCP server did not start"
  lab_in phones "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" --port 2000 \
    --phones "$PHONES" --period 1000 --duration "$(($1 * 1000))" --quiet >"$WORK/phones" ||
    fail "the phones: $(tail -2 "$WORK/phones")"
  lab_stop "$SERVER"
}

# wait_for NAME COMMAND…: until it succeeds, 30 s at most.
wait_for() {
  local name=$1 tries=300
  shift
  until "$@"; do
    [ $((tries--)) -gt 0 ] || { fail "$name: never: $*"; return 1; }
    sleep 0.1
  done
}

sent() { lab_json "$WORK/phones" .keepalives_sent; }

read_stream() { batches read >"$WORK/read" || fail "reading the stream: $(tail -1 "$WORK/read")"; }

# count AGENT FILTER: sightings of the agent in what was read that the filter takes.
count() {
  jq -n "reduce inputs as \$r ({n: 0, mine: false};
    if \$r.type == \"batch\" then .mine = (\$r.agent == \"$1\")
    elif \$r.type == \"sighting\" and .mine then .n += (\$r | if $2 then 1 else 0 end)
    else . end) | .n" "$WORK/read"
}

# Of each boot and partition: numbers without a hole, and time without one. Says what is wrong.
check_order() {
  local wrong
  wrong=$(jq -n -r "reduce (inputs | select(.type == \"batch\" and .agent == \"$2\")) as \$b
    ({at: {}, wrong: []};
     \"\(\$b.boot) \(\$b.partition)\" as \$k | .at[\$k] as \$before
     | if \$before != null and \$b.number != \$before.number + 1
       then .wrong += [\"batch \(\$b.number) of \(\$k) behind \(\$before.number)\"]
       elif \$before != null and \$b.from_ns != \$before.to_ns
       then .wrong += [\"a hole before \(\$b.number) of \(\$k)\"]
       elif \$before == null and \$b.number != 1 then .wrong += [\"begins with \(\$b.number)\"]
       else . end
     | .at[\$k] = \$b) | .wrong[:3] | join(\"; \")" "$WORK/read")
  expect "$1: batches out of order or missing" "${wrong:-none}" = none
}

# How many boots and partitions there are of which some numbers are missing.
holes() {
  jq -n "[inputs | select(.type == \"batch\" and .agent == \"$1\")]
    | group_by([.boot, .partition]) | map(select(length != .[-1].number - .[0].number + 1)) | length" \
    "$WORK/read"
}

expect_all() {
  local name=$1 agent=$2 want
  want=$(sent)
  read_stream
  expect "$name: keepalives" "$(count "$agent" '.kind == "sccp_keepalive"')" -eq "$want"
  expect "$name: answers" "$(count "$agent" '.kind == "sccp_keepalive_ack"')" -eq "$want"
}

# beat FILTER: of the agent's last heartbeat.
beat() { batches beats | jq -r "select(.agent == \"$1\") | $2"; }

# ---- what is shown ----

# Both sides of one box, inline, by XDP and by tc.
run_both_sides() {
  local a c
  start_nats
  batches make || fail "no stream"
  start_agent acc access acc0
  a=$AGENT
  start_agent srv cucm cucm0 --hook tc
  c=$AGENT
  run_phones 4
  stop_agent acc "$a"
  stop_agent srv "$c"
  expect_all "access side" acc
  expect_all "cucm side" srv
  check_order "access side" acc
  check_order "cucm side" srv
  expect "SYNs at both sides" "$(count acc '.flags == 2')" -eq "$(count srv '.flags == 2')"
  expect "SYNs of all phones" "$(count acc '.flags == 2')" -eq "$PHONES"
  expect "keepalives that a bare acknowledgement follows" \
    "$(count acc '.kind == "other" and .flags == 16')" -ge "$(sent)"
  expect "batches that name something missed" \
    "$(jq -s 'map(select(.type == "batch" and .missed != [])) | length' "$WORK/read")" -eq 0
  expect "both saw the same" \
    "$(jq -s -c '[.[] | select(.type == "sighting") | [.phone, .seq, .ack, .length, .flags]]
       | group_by(.) | map(select(length % 2 == 1)) | length' "$WORK/read")" -eq 0
  expect "bytes a sighting, in batches" \
    "$(jq -s 'map(select(.type == "batch" and .sightings > 0))
       | (map(.bytes) | add) / (map(.sightings) | add) | floor' "$WORK/read")" -le 40
  expect "the heartbeat: side" "$(beat acc .side)" = access
  expect "the heartbeat: an end" "$(beat acc .ending)" = true
  expect "the heartbeat: nothing waits" "$(beat acc .spool.batches)" -eq 0
  expect "the heartbeat: what was published" "$(beat acc '.published == .batches')" = true
  stop_nats
}

# --tap: a port to which both directions are mirrored.
run_tap() {
  start_nats
  batches make
  lab_in box ip link add mirror type veth peer name tapped
  lab_in box ip link set mirror up
  lab_in box ip link set tapped up
  lab_in box nft -f - <<-'END' || fail "a mirror port"
	table netdev mirror {
		chain in { type filter hook ingress device acc0 priority -300; dup to mirror; }
		chain out { type filter hook egress device acc0 priority -300; dup to mirror; }
	}
	END
  start_agent tap access tapped --tap
  run_phones 3
  stop_agent tap "$AGENT"
  expect_all "mirror port" tap
  check_order "mirror port" tap
  stop_nats
}

# No server at first, then one, then none, then one again: all arrives, by files.
run_server_away() {
  start_agent away access acc0 --spool "$WORK/spool"
  lab_wait_for "$WORK/away" 'no connection to a NATS server' || fail "says nothing of no server"
  run_phones 3
  start_nats
  lab_wait_for "$WORK/away" 'connected to' 30 || fail "did not connect"
  lab_wait_for "$WORK/away" 'no stream takes kaloss.v1.seg' 30 || fail "says nothing of no stream"
  batches make
  wait_for "the spool is empty" spool_is_empty
  expect_all "from before the server" away
  stop_nats
  wait_for "it says so" told_times away 'no connection to a NATS server' 2
  mv "$WORK/phones" "$WORK/phones.1"
  run_phones 4
  wait_for "files are written" has_spool
  start_nats
  lab_wait_for "$WORK/away" "no connection" && wait_for "connected again" told_times away 'connected to' 2
  wait_for "the spool is empty again" spool_is_empty
  stop_agent away "$AGENT"
  read_stream
  expect "with the server away: keepalives" "$(count away '.kind == "sccp_keepalive"')" -eq \
    "$(($(sent) + $(lab_json "$WORK/phones.1" .keepalives_sent)))"
  check_order "with the server away" away
  expect "files left" "$(find "$WORK/spool" -type f | wc -l)" -eq 0
  stop_nats
}

told_times() { [ "$(grep -c -- "$2" "$WORK/$1")" -ge "$3" ]; }
has_spool() { [ "$(find "$WORK/spool" -name '*.spool' | wc -l)" -gt 0 ]; }

# Its next heartbeat will say so.
spool_is_empty() { ! has_spool && [ "$(batches beats | jq -r 'select(.ending == false) | .spool.batches')" = 0 ]; }

# It ends while there is no server: what it saw is sent by the next one. Killed: it is not known.
run_restarts() {
  start_agent again access acc0 --spool "$WORK/spool"
  run_phones 3
  stop_agent again "$AGENT"
  expect "files left for the next one" "$(find "$WORK/spool" -name '*.spool' | wc -l)" -ge 1
  start_nats
  batches make
  start_agent again access acc0 --spool "$WORK/spool"
  wait_for "the next one sends them" spool_is_empty
  expect_all "over a restart" again
  mv "$WORK/phones" "$WORK/phones.1"
  stop_nats
  run_phones 4
  wait_for "files are written" has_spool
  kill -KILL "$AGENT"
  wait "$AGENT" 2>/dev/null
  start_nats
  start_agent again access acc0 --spool "$WORK/spool"
  lab_wait_for "$WORK/again" 'connected to' 30
  wait_for "what the killed one wrote is sent" spool_is_empty
  stop_agent again "$AGENT"
  read_stream
  expect "boots" "$(jq -s 'map(select(.type == "batch") | .boot) | unique | length' "$WORK/read")" -eq 3
  expect "more keepalives than before the kill" "$(count again '.kind == "sccp_keepalive"')" -gt \
    "$(lab_json "$WORK/phones.1" .keepalives_sent)"
  check_order "over a kill" again
  stop_nats
}

# The bound is smaller than what waits: the oldest goes, and its time is covered by no batch.
run_small_spool() {
  PARTITIONS=1
  PHONES=600
  start_agent small access acc0 --spool "$WORK/spool" --spool-max-bytes 65536
  run_phones 6
  start_nats
  batches make
  wait_for "what is left is sent" spool_is_empty
  stop_agent small "$AGENT"
  read_stream
  expect "it says that the spool is full" "$(grep -c 'the spool is full' "$WORK/small")" -eq 1
  expect "batches that were dropped" "$(beat small .spool.dropped_batches)" -gt 0
  expect "keepalives that arrive" "$(count small '.kind == "sccp_keepalive"')" -lt "$(sent)"
  expect "numbers that are missing at the beginning" \
    "$(jq -s 'map(select(.type == "batch"))[0].number > 1' "$WORK/read")" = true
  expect "numbers that are missing behind that" "$(holes small)" -eq 0
  expect "what was dropped and what arrived is all" \
    "$(($(beat small .spool.dropped_sightings) + $(count small true)))" -eq \
    "$(beat small .sightings)"
  stop_nats
}

# An interface goes down and up again: declared.
run_interface() {
  start_nats
  batches make
  start_agent link access acc0
  run_phones 2
  lab_in box ip link set acc0 down
  lab_wait_for "$WORK/link" 'acc0 is down' || fail "says nothing of it"
  lab_in box ip link set acc0 up
  lab_wait_for "$WORK/link" 'acc0 is up' || fail "says nothing of its end"
  stop_agent link "$AGENT"
  read_stream
  expect "partitions that declare it" \
    "$(jq -s '[.[] | select(.type == "batch") | select([.missed[] | select(.why == "interface")]
       != []) | .partition] | unique | length' "$WORK/read")" -eq "$PARTITIONS"
  check_order "an interface" link
  stop_nats
}

# The ring is too small for what comes between two looks: declared.
run_overflow() {
  start_nats
  batches make
  PHONES=400
  start_agent ring access acc0 --ring-bytes 4096
  kill -STOP "$AGENT"
  run_phones 2
  kill -CONT "$AGENT"
  stop_agent ring "$AGENT"
  read_stream
  expect "overflow in the heartbeat" "$(beat ring .integrity.events_lost)" -gt 0
  expect "partitions that declare it" \
    "$(jq -s '[.[] | select(.type == "batch") | select([.missed[] | select(.why == "overflow")]
       != []) | .partition] | unique | length' "$WORK/read")" -eq "$PARTITIONS"
  check_order "an overflow" ring
  stop_nats
}

# docs/nats as it is, but for paths and keys.
run_login() {
  local d="$WORK/login" agent joiner
  mkdir -p "$d"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout "$d/server-key.pem" \
    -out "$d/server.pem" 2>/dev/null || fail "openssl"
  agent=$("$ROOT/docs/nats/nkey.sh" "$d/agent.nk")
  joiner=$("$ROOT/docs/nats/nkey.sh" "$d/joiner.nk")
  sed "s|/etc/nats|$d|; s|/var/lib/nats|$d|; s|0.0.0.0|127.0.0.1|" "$ROOT/docs/nats/server.conf" \
    >"$d/server.conf"
  sed "s|UBRANCH1...|$agent|; s|UJOINER...|$joiner|; s|branch-1|lab|" \
    "$ROOT/docs/nats/users.conf" >"$d/users.conf"
  lab_bg box "$WORK/nats" nats-server -c "$d/server.conf"
  NATS=$LAB_LAST_PID
  lab_wait_for "$WORK/nats" 'Server is ready' || fail "nats-server: $(cat "$WORK/nats")"
  export KALOSS_NKEY=$d/joiner.nk KALOSS_CA=$d/server.pem
  batches make || fail "no stream"

  start_agent good access acc0 --nkey-seed "$d/agent.nk" --tls-ca "$d/server.pem"
  lab_wait_for "$WORK/good" 'connected to' || fail "not let in: $(cat "$WORK/good")"
  run_phones 3
  stop_agent good "$AGENT"
  expect_all "with a key" good

  start_agent nobody access acc0 --tls-ca "$d/server.pem"
  lab_wait_for "$WORK/nobody" 'no connection to a NATS server: .*Authorization' ||
    fail "without a key: $(cat "$WORK/nobody")"
  pass "without a key: $(tail -1 "$WORK/nobody")"
  lab_stop "$AGENT"
  start_agent plain access acc0 --nkey-seed "$d/agent.nk"
  lab_wait_for "$WORK/plain" 'no connection to a NATS server: ' || fail "without TLS"
  pass "without TLS: $(tail -1 "$WORK/plain")"
  lab_stop "$AGENT"

  # (getopt takes the last --site.)
  start_agent_elsewhere "$d"
  read_stream
  expect "batches of another's site" \
    "$(jq -s 'map(select(.type == "batch" and .site != "lab")) | length' "$WORK/read")" -eq 0
  unset KALOSS_NKEY KALOSS_CA
  lab_stop "$NATS" 10
}

start_agent_elsewhere() {
  lab_bg box "$WORK/thief" "$KALOSS" agent --side access --interface acc0 --site elsewhere \
    --agent thief --nats "$URL" --nkey-seed "$1/agent.nk" --tls-ca "$1/server.pem" --batch 200ms
  lab_wait_for "$WORK/thief" 'the server says: .*[Pp]ermissions [Vv]iolation' 30 ||
    fail "another's site: $(cat "$WORK/thief")"
  pass "another's site: $(tail -1 "$WORK/thief")"
  lab_stop "$LAB_LAST_PID" 10
}

# One clear line for what cannot be.
# A host that stood still saw nothing, and its clock may be another one.
run_pause() {
  start_nats
  batches make || fail "no stream"
  start_agent acc access acc0
  lab_wait_for "$WORK/acc" 'connected to' || fail "acc is not connected: $(cat "$WORK/acc")"
  kill -STOP "$AGENT"
  sleep 11
  kill -CONT "$AGENT"
  wait_for "a pause is told" grep -q 'nothing ran here for 1' "$WORK/acc"
  stop_agent acc "$AGENT"
  read_stream
  expect "a pause: clocks" \
    "$(jq -s '[.[] | select(.type == "batch") | .boot] | unique | length' "$WORK/read")" -eq 2
  stop_nats
}

run_refusals() {
  local text
  refuse() {
    text=$(lab_in box "$KALOSS" agent "${@:2}" 2>&1)
    expect "$1: exit status" $? -eq 2
    expect "$1: lines" "$(wc -l <<<"$text")" -eq 1
    echo "      $text"
  }
  local good=(--side access --interface acc0 --site lab --nats "$URL")
  refuse "no such interface" "${good[@]}" --interface nosuch0
  refuse "no site" --side access --interface acc0 --nats "$URL"
  refuse "a bad name" "${good[@]}" --site a.b
  refuse "no such key" "${good[@]}" --nkey-seed "$WORK/nosuch"
  refuse "no certificate" "${good[@]}" --tls-ca "$WORK/nosuch"
  refuse "no place to spool" "${good[@]}" --spool "$WORK/no/such"
  head -1 "$ROOT/README.md" >"$WORK/nokey"
  refuse "a seed without its public key" "${good[@]}" --nkey-seed "$WORK/nokey"
}

RUNS=${*:-both_sides tap server_away restarts small_spool interface overflow pause login refusals}
for run in $RUNS; do
  echo "-- $run"
  PHONES=40 PARTITIONS=4
  rm -rf "$WORK/js" "$WORK/spool" "$WORK/phones"*
  lab_up routed 4
  keep_trap
  # What was sent once is to be seen once.
  lab_slow_rto phones
  lab_slow_rto server
  "run_$run"
  lab_down
done
finish_tests
