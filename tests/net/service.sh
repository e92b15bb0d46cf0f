#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# kaloss as a service: with the user, the capabilities, the mounts and the system calls that
# systemd/kaloss.service gives it, under traffic, through reloads, a rotation of its records, SIGKILL
# and a restart. Counts are those of nftables throughout, and nothing is left.
#
#   SERVICE_SECONDS=3600 tests/net/service.sh     (make service-hour; 8 unless told)
set -u
. "$(dirname "$0")/lib.sh"

UNIT=$ROOT/systemd/kaloss.service
SECONDS_OF_TRAFFIC=${SERVICE_SECONDS:-8}
KEPT=c000001000 # CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: what SECURITY.md promises after the start
HERE=$WORK/service
STATE=$HERE/state
mkdir -p "$STATE"
chmod 755 "$WORK" "$HERE"
cp "$KALOSS" "$HERE/kaloss"
without_leaks

# ---- what the unit promises ----

if systemd-analyze security --no-pager --offline=true --threshold=19 "$UNIT" >"$WORK/security"; then
  pass "systemd-analyze: $(tail -1 "$WORK/security")"
else
  fail "systemd-analyze: $(tail -1 "$WORK/security")"
fi

# ---- the options' file ----

# checked NAME STATUS LINES PATTERN: `--check-config` on the file as it is now.
checked() {
  "$KALOSS" watch --config "$HERE/kaloss.conf" --check-config >"$WORK/out" 2>"$WORK/err"
  local rc=$?
  if [ $rc -eq "$2" ] && [ "$(grep -c '' "$WORK/err")" -eq "$3" ] && [ ! -s "$WORK/out" ] &&
    { [ "$3" -eq 0 ] || grep -q -e "$4" "$WORK/err"; }; then
    pass "$1: $(cat "$WORK/err")"
  else
    fail "$1: exit status $rc: $(cat "$WORK/err")"
  fi
}

options() {
  cat >"$HERE/kaloss.conf" <<-CONF
	access = acc0
	cucm = cucm0
	format = jsonl
	output = /var/lib/kaloss/records
	append = yes
	trap = 127.0.0.1:162
	syslog = 127.0.0.1:514
	CONF
  printf '%s\n' "$@" >>"$HERE/kaloss.conf"
}

options "interval = often"
checked "a wrong option" 2 1 "kaloss.conf: line 8: interval: often is not a duration"
for wrong in "prometheus = foo" "prometheus = 1.2.3.4:99999" "poll-switch = #" "syslog-file = /etc"; do
  options "$wrong"
  checked "$wrong" 2 1 "kaloss.conf: line 8: ${wrong%% *}: ${wrong##* }"
done
options "syslog-file = a,,b"
checked "a list with an empty name" 2 1 "kaloss.conf: line 8: syslog-file: an empty file name"
options "poll-community = x"
checked "an option without the one it belongs to" 2 1 \
  "kaloss.conf: line 8: poll-community is of use with poll-switch only"
printf 'bob SHA secretsecret\n' >"$WORK/keys"
chmod 644 "$WORK/keys"
options "trap-auth = $WORK/keys"
checked "keys that others may read" 2 1 "keys: others than its owner"
expect "keys are not told" "$(grep -c secretsecret "$WORK/err")" -eq 0
chmod 440 "$WORK/keys"
checked "keys as a credential" 0 0 ''
options
checked "right options" 0 0 ''

# ---- the network ----

lab_up routed 4
keep_trap
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 17
lab_bg box "$WORK/notify" "$ROOT/tests/net/notify_listen.py" "$HERE/notify"
lab_wait_for "$WORK/notify" ready

# told LINE: how often the service said that.
told() { grep -c -x -e "$1" "$WORK/notify"; }

# wait_until COMMAND…: at most two minutes and a bit, where the machine is busy.
wait_until() {
  local tries=1200
  until "$@"; do
    [ $((tries--)) -gt 0 ] || return 1
    sleep 0.1
  done
}

told_often() { [ "$(told "$1")" -ge "$2" ]; }

hooked() {
  {
    lab_in box "$ROOT/tests/net/tcx_programs.py" acc0 cucm0
    for i in acc0 cucm0; do lab_in box ip -d link show "$i" | grep -o 'prog/xdp id.*'; done
  } | wc -l
}

start_service() {
  local before
  before=$(told READY=1)
  lab_bg box "$WORK/log" unshare -m --propagation private "$ROOT/tests/net/as_unit.py" "$UNIT" "$HERE"
  WATCH=$LAB_LAST_PID
  wait_until told_often READY=1 $((before + 1)) || fail "$1: it is not ready: $(cat "$WORK/log")"
  expect "$1: hooks when it is ready" "$(hooked)" -eq 4
}

# of_tasks FIELD: its values in /proc/PID/task/*/status, of the first thread and of the others.
of_tasks() {
  local t
  for t in /proc/"$WATCH"/task/*; do
    [ "${t##*/}" = "$WATCH" ] && echo "main $(awk "/^$1:/ { print \$2 }" "$t/status")"
    [ "${t##*/}" = "$WATCH" ] || echo "other $(awk "/^$1:/ { print \$2 }" "$t/status")"
  done | sort -u | tr '\n' ' '
}

check_privileges() {
  local field
  for field in CapEff CapPrm; do
    expect "$1: $field" "$(of_tasks $field)" = "main 000000$KEPT other 0000000000000000 "
  done
  for field in CapInh CapAmb; do
    expect "$1: $field" "$(of_tasks $field)" = "main 0000000000000000 other 0000000000000000 "
  done
  expect "$1: no_new_privs" "$(of_tasks NoNewPrivs)" = "main 1 other 1 "
}

# Sums over the ticks of all files of records, older ones first.
records() { cat "$STATE"/records.[0-9]* "$STATE/records" 2>/dev/null; }
sum() { records | jq -n "reduce (inputs | select(.type == \"tick\") | $1) as \$n (0; . + \$n)"; }
dropped() { echo $(($(lab_dropped box to_cucm_sccp_keepalive) + $(lab_dropped box to_phone_sccp_keepalive_ack))); }
lost() { sum '.to_cucm.lost_between + .to_phone.lost_between'; }
pending() { records | jq -n 'last(inputs | select(.type == "tick")) | .to_cucm.pending + .to_phone.pending'; }
ticks() { records | grep -c '"type":"tick"'; }

# Two more ticks after the deadline: nothing is under way any more.
settle() {
  local have
  lab_settle box 1.2
  have=$(ticks)
  wait_until eval "[ \"\$(ticks)\" -ge $((have + 2)) ]" || fail "no ticks"
}

# phones SECONDS [NAME]: in the background; pid in PHONES.
phones() {
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" --bind "$LAB_PHONES" \
    --port 2000 --phones 100 --period 200 --duration $(($1 * 1000))
  PHONES=$LAB_LAST_PID
}

lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
SERVER=$LAB_LAST_PID
lab_wait_for "$WORK/server" ready

# ---- it starts ----

start_service "start"
check_privileges "start"
expect "its user" "$(awk '/^Uid:/ { print $2 }' "/proc/$WATCH/status")" -ge 61184
expect "system calls are filtered" "$(of_tasks Seccomp)" = "main 2 other 2 "
expect "bounding set is the unit's" "$(of_tasks CapBnd)" = "main 000000c000001400 other 000000c000001400 "
expect "it listens for traps and syslog" "$(lab_in box ss -Hlun 'sport = :162 or sport = :514' | wc -l)" -eq 2

# ---- reloads under traffic ----

# reload NAME PATTERN…: SIGHUP, and each pattern in what it says of it.
reloads=0
reload() {
  local name=$1 from p
  shift
  from=$(wc -l <"$WORK/log")
  kill -HUP "$WATCH"
  reloads=$((reloads + 1))
  wait_until told_often READY=1 $((reloads + 1)) || fail "$name: no READY=1 after SIGHUP"
  for p in "$@"; do
    if tail -n +$((from + 1)) "$WORK/log" | grep -q -e "$p"; then
      pass "$name: $(tail -n +$((from + 1)) "$WORK/log" | grep -m 1 -e "$p")"
    else
      fail "$name: nothing like '$p' in: $(tail -n +$((from + 1)) "$WORK/log")"
    fi
  done
}

# What a call server would write into a file that is followed; in whose records it shows.
alarm() {
  echo "41679: cucm1 Jul 02 2015 06:22:31.250 UTC :  %UC_CALLMANAGER-3-EndPointUnregistered:" \
    "%[DeviceName=$1][IPAddress=10.1.0.99][Protocol=SIP][Reason=13][NodeID=cucm1]: unregistered"
}
heard() { records | grep -c "\"type\":\"unregistration\".*\"device\":\"$1\""; }
is_heard() { [ "$(heard "$1")" -gt 0 ]; }

rotations=0
rotate() {
  mv "$STATE/records" "$STATE/records.$((100000 + rotations))"
  rotations=$((rotations + 1))
}

phones "$SECONDS_OF_TRAFFIC"
end=$((SECONDS + SECONDS_OF_TRAFFIC))
sleep 0.5
options "interval = 500ms" "sip-grace = 20s" "sccp-missed = 4" "all-macs = yes" "deadline = 2s" \
  "trap-community = verysecret"
rotate
reload "a changed file" "interval is now 500ms (it was not set)" "sip-grace is now 20s" \
  "sccp-missed is now 4" "all-macs is now yes" "deadline has changed: that takes a restart" \
  "trap-community has changed: that takes a restart" "records: opened anew"
expect "secrets are not told" "$(grep -c verysecret "$WORK/log")" -eq 0
options "interval = 5 parsecs"
reload "a broken file" "line 8: interval: 5 parsecs is not a duration.*: the settings stay as they are"
options "prometheus = foo"
reload "no address" "line 8: prometheus: foo is no ADDRESS:PORT.*: the settings stay as they are"
options "syslog-file = /"
reload "a file that cannot be followed" "Is a directory: the settings stay as they are"
options "syslog-file = /var/lib/kaloss/log"
reload "a file to follow" "syslog-file is now /var/lib/kaloss/log" "interval is now not set (it was 500ms)"
alarm SEPFIRST >>"$STATE/log"
wait_until is_heard SEPFIRST
alarm SEPSECOND >>"$STATE/log"
options "syslog-file = /var/lib/kaloss/log,/var/lib/kaloss/other"
reload "one more" "syslog-file is now /var/lib/kaloss/log,"
alarm SEPTHIRD >>"$STATE/log"
alarm SEPOTHER >>"$STATE/other"
wait_until is_heard SEPOTHER
wait_until is_heard SEPTHIRD
options
reload "as it was" "syslog-file is now not set"
alarm SEPLATE >>"$STATE/log"
while [ $SECONDS -lt $end ]; do
  rotate
  reload "rotation" >>"$WORK/rotations"
  sleep 0.$((3 + RANDOM % 5))
  [ "$SECONDS_OF_TRAFFIC" -lt 60 ] || sleep 5
done
wait "$PHONES"
settle
expect "reloads: RELOADING=1" "$(told RELOADING=1)" -eq $reloads
expect "reloads: READY=1" "$(told READY=1)" -eq $((reloads + 1))
expect "reloads: lost" "$(lost)" -eq "$(dropped)"
expect "reloads: enough of them" "$(dropped)" -ge 100
expect "reloads: nothing pending" "$(pending)" -eq 0
expect "reloads: unpaired" "$(sum .integrity.unpaired)" -eq 0
expect "reloads: loss records" "$(records | grep -c '"type":"loss"')" -ge "$(dropped)"
expect "reloads: keepalives delivered, and the phones' own count" \
  "$(sum .by_kind.sccp_keepalive.to_cucm.delivered)" -ge "$(lab_json "$WORK/phones" .keepalives_sent)"
for device in FIRST SECOND THIRD OTHER; do
  expect "reloads: heard of a followed file: SEP$device" "$(heard SEP$device)" -eq 1
done
expect "reloads: heard of a file that is followed no more" "$(heard SEPLATE)" -eq 0
expect "watchdog: one a tick" $(($(told WATCHDOG=1) - $(ticks))) -le 1
expect "watchdog: patience" "$(told WATCHDOG_USEC=60000000)" -eq $((reloads + 1))
expect "status" "$(told "STATUS=100 phones; lost: [0-9]* in the last [0-9.]* s, [0-9]* since the start")" -ge 1
check_privileges "after reloads"

# ---- SIGKILL in the middle of traffic ----

reported=$(lost)
phones 6
sleep 1.5
kill -KILL "$WATCH"
wait "$WATCH" 2>/dev/null
no_hooks() { [ "$(hooked)" -eq 0 ]; }
wait_until no_hooks
expect "SIGKILL: hooks left" "$(hooked)" -eq 0
reloads=$(($(told READY=1) - 1))
at_restart=$(dropped)
# What was written before is whole, but for a line that it was killed in.
records | jq -c . >/dev/null 2>&1 || sed -i '$ { /}$/! d }' "$STATE/records"
start_service "restart"
check_privileges "restart"
wait "$PHONES"
settle
expect "SIGKILL: no loss that did not happen" "$(lost)" -le "$(dropped)"
expect "SIGKILL: losses before it, still in the records" "$(lost)" -ge "$reported"
before_lost=$(lost) before_dropped=$(dropped)
phones 3
wait "$PHONES"
settle
expect "after the restart: lost" $(($(lost) - before_lost)) -eq $(($(dropped) - before_dropped))
expect "after the restart: enough of them" $(($(dropped) - before_dropped)) -ge 50
echo "while it was gone or began anew: $((before_dropped - at_restart)) dropped after SIGKILL"

# ---- the end ----

lab_stop "$WATCH" 20
expect "end: exit status" $? -eq 0
expect "end: STOPPING=1" "$(told STOPPING=1)" -eq 1
expect "end: summary" "$(records | grep -c '"type":"summary"')" -eq 1
expect "end: hooks left" "$(hooked)" -eq 0
expect "end: others can read what it wrote" \
  "$(find "$STATE" -name 'records*' -perm /077 | wc -l)" -eq 0
expect "end: what it said is in lines of its own" \
  "$(grep -vc -e 'side: ' -e '^kaloss watch: ' "$WORK/log")" -eq 0
lab_stop "$SERVER"

# ---- started as root, without any of this ----

printf 'bob SHA secretsecret\ncommunity verysecret\n' >"$WORK/keys"
start_watch --trap 127.0.0.1:162 --trap-auth "$WORK/keys"
expect "root: CapEff" "$(of_tasks CapEff)" = "main 000000c000001002 other 0000000000000000 "
expect "root: bounding set" "$(of_tasks CapBnd)" = "main 0000000000000000 other 0000000000000000 "
expect "root: no_new_privs" "$(of_tasks NoNewPrivs)" = "main 1 other 1 "
mv "$WORK/records" "$WORK/records.1"
kill -HUP "$WATCH"
moved() { [ -s "$WORK/records" ]; }
wait_until moved
expect "root: SIGHUP opens --output again" "$(grep -c 'records: opened anew' "$WORK/watch.err")" -eq 1
expect "secrets on its command line or in what it says" \
  "$(tr '\0' '\n' <"/proc/$WATCH/cmdline" | cat - "$WORK/watch.err" | grep -c secret)" -eq 0
stop_watch 0
expect "root: hooks left" "$(hooked)" -eq 0
finish_tests
