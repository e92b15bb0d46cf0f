#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The units of an agent and of a joiner: with the user, the capabilities, the mounts and the system calls
# that systemd/kaloss-agent.service and systemd/kaloss-join.service give them, with a real NATS server
# and real drops. What was dropped is in the joiner's history, and the spool is where the unit says.
set -u
. "$(dirname "$0")/lib.sh"

command -v nats-server >/dev/null || {
  echo "SKIP: needs nats-server"
  exit 77
}
URL=nats://127.0.0.1:4222
STATE=/var/lib/kaloss-join
mkdir -p "$WORK/agent/state" "$WORK/join/state"
chmod 755 "$WORK" "$WORK/agent" "$WORK/join"
cp "$KALOSS" "$WORK/agent/kaloss"
cp "$KALOSS" "$WORK/join/kaloss"
without_leaks

for what in agent join; do
  unit=$ROOT/systemd/kaloss-$what.service
  if systemd-analyze security --no-pager --offline=true --threshold=19 "$unit" >"$WORK/security"; then
    pass "systemd-analyze: $(tail -1 "$WORK/security")"
  else
    fail "systemd-analyze: $(tail -1 "$WORK/security")"
  fi
done

# ---- the options' files ----

# checked NAME WHAT STATUS PATTERN: `--check-config` on the file as it is now says one line, or none.
checked() {
  local said rc
  said=$("$KALOSS" "$2" --config "$WORK/$2/kaloss-$2.conf" --check-config 2>&1)
  rc=$?
  if [ $rc -eq "$3" ] && [ "$(grep -c '' <<<"$said")" -eq 1 ] && [[ $said == *"$4"* ]]; then
    pass "$1: $said"
  else
    fail "$1: exit status $rc: $said"
  fi
}

agent_options() {
  printf '%s\n' "side = access" "interface = acc0" "site = branch-1" "agent = tap1" "nats = $URL" \
    "partitions = 2" "batch = 200ms" "spool = /var/lib/kaloss-agent/spool" "$@" \
    >"$WORK/agent/kaloss-agent.conf"
}
join_options() {
  printf '%s\n' "nats = $URL" "name = one" "partitions = 0-1" "tolerance = 500ms" "hold = 4s" \
    "lease = 3s" "interval = 1s" "format = jsonl" "output = $STATE/records" \
    "history = $STATE/history.db" "$@" >"$WORK/join/kaloss-join.conf"
}

agent_options "interval = often"
checked "an agent's wrong option" agent 2 "line 9: interval: often is not a duration"
URL=nats://me:secret@nats.example:0 agent_options
checked "a wrong URL, and no word of its password" agent 2 \
  "line 5: nats: nats.example:0: no such port (a URL is nats://HOST:PORT or tls://HOST:PORT)"
agent_options
checked "an agent's options" agent 0 ""
join_options "tap = yes"
checked "a joiner's wrong option" join 2 "line 11: unknown option tap"
join_options
checked "a joiner's options" join 0 ""

# ---- both run ----

lab_up routed 4
keep_trap
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 10
lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 12
lab_bg box "$WORK/nats" nats-server -a 127.0.0.1 -p 4222 -js -sd "$WORK/js"
lab_wait_for "$WORK/nats" 'Server is ready' || fail "nats-server: $(tail -3 "$WORK/nats")"

declare -A PID
# start_unit WHAT: as systemd would; until it says that it is ready.
start_unit() {
  lab_bg box "$WORK/notify-$1" "$ROOT/tests/net/notify_listen.py" "$WORK/$1/notify"
  lab_wait_for "$WORK/notify-$1" ready
  lab_bg box "$WORK/log-$1" unshare -m --propagation private "$ROOT/tests/net/as_unit.py" \
    "$ROOT/systemd/kaloss-$1.service" "$WORK/$1"
  PID[$1]=$LAB_LAST_PID
  lab_wait_for "$WORK/notify-$1" '^READY=1' 60 || fail "$1 is not ready: $(cat "$WORK/log-$1")"
}
start_unit agent
start_unit join
lab_bg box "$WORK/centre" "$KALOSS" agent --side cucm --interface cucm0 --site centre --agent tap1 \
  --nats "$URL" --partitions 2 --batch 200ms
CENTRE=$LAB_LAST_PID
lab_wait_for "$WORK/centre" 'frames that come in' 30 || fail "the other agent: $(cat "$WORK/centre")"

# of WHAT FIELD: of its first thread.
of() { awk "/^$2:/ { print \$2 }" "/proc/${PID[$1]}/status"; }
expect "the joiner's capabilities" "$(of join CapEff) $(of join CapPrm) $(of join CapBnd)" = \
  "0000000000000000 0000000000000000 0000000000000000"
expect "the agent's" "$(of agent CapEff)" = 000000c000001000
for what in agent join; do
  expect "$what: who runs it" "$(of $what Uid)" -eq 61999
done

lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$WORK/server" ready || fail "the call server did not start"
lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
  --port 2000 --phones 20 --period 500 --duration 12000 --quiet
sleep 9
# Of the last one of a connection nothing later tells whether it was lost or went elsewhere.
lab_drop_end box
wait "$LAB_LAST_PID" || fail "phones: $(tail -2 "$WORK/phones")"
truth=$(($(lab_dropped box to_cucm_sccp_keepalive) + $(lab_dropped box to_phone_sccp_keepalive_ack)))
expect "drops to be found" "$truth" -gt 40
kept() { sqlite3 -readonly "$WORK/join/state/history.db" "SELECT count(*) FROM loss" 2>/dev/null || echo 0; }
tries=120
until [ "$(kept)" -ge "$truth" ]; do
  [ $((tries--)) -gt 0 ] || break
  sleep 0.25
done
sleep 1 # for more than there should be
for what in agent join; do
  expect "$what: signs of life" "$(grep -c '^WATCHDOG=1' "$WORK/notify-$what")" -gt 5
  lab_stop "${PID[$what]}" 20
  expect "$what ended with" $? -eq 0
  expect "$what: it says that it stops" "$(grep -c '^STOPPING=1' "$WORK/notify-$what")" -eq 1
done
lab_stop "$CENTRE" 10
expect "losses in the joiner's history" "$(kept)" -eq "$truth"
expect "losses in its records" "$(grep -c '"type":"loss"' "$WORK/join/state/records")" -eq "$truth"
expect "the agent's spool is there" "$(find "$WORK/agent/state/spool" -maxdepth 0 -type d | wc -l)" -eq 1
finish_tests
