#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What switches say by SNMP: traps and informs of net-snmp's own senders, in each version, with right
# and wrong keys, garbage and a flood; and a switch that is asked for its table. On the loopback of a
# namespace of its own.
set -u
. "$(dirname "$0")/lib.sh"

# net-snmp's senders need no MIBs, and keep what they keep in here.
export MIBS='' MIBDIRS=/nonexistent SNMPCONFPATH=/nonexistent SNMP_PERSISTENT_DIR=$WORK/persistent
PORT=1162
CHANGED=1.3.6.1.4.1.9.9.215.2.0.1
MESSAGE=1.3.6.1.4.1.9.9.215.1.1.8.1.2.1
BRIDGE=1.3.6.1.2.1.17
LISTENER=''

cat >"$WORK/users" <<'USERS'
# name, authentication, privacy, engine
bob SHA authpass1
eve SHA-256 authpass2 AES "priv pass 2"
tom MD5 authpass3 DES privpass3 0x8000000001020304
USERS
chmod 600 "$WORK/users"

# listen ADDRESS COMMUNITY AUTH-FILE [READ-NOTHING-MS]: "-" is none.
listen() {
  lab_bg switch "$WORK/said" "$LAB_BIN/snmp-evidence" trap "$@"
  LISTENER=$LAB_LAST_PID
  lab_wait_for "$WORK/said" ready
}

stop() {
  lab_wait_read switch "$PORT" || fail "what came is not read"
  sleep 0.3
  lab_stop "$LISTENER"
}

# trap OPTION…: one removal, to port $1 of whichever address.
removal() {
  local address=$1
  shift
  lab_in switch snmptrap "$@" "$address" '' $CHANGED $MESSAGE x "${what:-02006e0024142ddf24000700}" \
    2>>"$WORK/senders"
}

# Sent once, or it would be counted twice where the answer takes long; $patience: twice, a second each.
inform() {
  local address=$1
  shift
  # shellcheck disable=SC2086
  lab_in switch timeout 60 snmpinform ${patience:--r 0 -t 20} "$@" "$address" '' $CHANGED $MESSAGE x \
    02006e0024142ddf24000700 2>>"$WORK/senders"
}

counted() {
  sed -nE "s/^received.* $1 ([0-9]+) .*/\1/p; s/^$1 ([0-9]+) .*/\1/p" "$WORK/said" | head -1
}

complaint() {
  sed -nE "s/^received.* complaint '(.*)'$/\1/p" "$WORK/said"
}

said() {
  grep -c -- "$1" "$WORK/said"
}

LAB_OWNER=$BASHPID
_lab_netns switch || exit 1
lab_in switch ip -6 addr add fd00::1/128 dev lo nodad

# ---- all that may come in ----

listen "$PORT" secret "$WORK/users"
what=02006e0024142ddf24000701006e0024142ddf25000800 removal "127.0.0.1:$PORT" -v 2c -c secret
removal "udp6:[fd00::1]:$PORT" -v 2c -c secret
lab_in switch snmptrap -v 1 -c secret "127.0.0.1:$PORT" 1.3.6.1.4.1.9.9.215.2 192.0.2.7 6 1 '' \
  $MESSAGE x 02006e0024142ddf240007
lab_in switch snmptrap -v 1 -c secret "127.0.0.1:$PORT" $BRIDGE 0.0.0.0 6 2 ''
lab_in switch snmptrap -v 2c -c secret "127.0.0.1:$PORT" '' 1.3.6.1.4.1.9.9.215.2.0.2 \
  1.3.6.1.4.1.9.9.215.1.3.3.0 x 0024142ddf24 1.3.6.1.4.1.9.9.215.1.3.4.0 i 110 \
  1.3.6.1.4.1.9.9.215.1.3.5.0 i 7 1.3.6.1.4.1.9.9.215.1.3.6.0 i 9
lab_in switch snmptrap -v 2c -c secret "127.0.0.1:$PORT" '' 1.3.6.1.4.1.9.9.315.0.0.1 \
  1.3.6.1.2.1.2.2.1.1.10107 i 10107 1.3.6.1.2.1.31.1.1.1.1.10107 s Gi0/7 \
  1.3.6.1.4.1.9.9.315.1.2.1.1.10.10107 x 00131a41544e
removal "127.0.0.1:$PORT" -v 3 -e 0x80000000010203aa -u bob -a SHA -A authpass1 -l authNoPriv
removal "127.0.0.1:$PORT" -v 3 -u eve -a SHA-256 -A authpass2 -x AES -X 'priv pass 2' -l authPriv
removal "127.0.0.1:$PORT" -v 3 -e 0x8000000001020304 -u tom -a MD5 -A authpass3 -x DES \
  -X privpass3 -l authPriv
lab_in switch snmptrap -v 2c -c secret "127.0.0.1:$PORT" '' 1.3.6.1.6.3.1.1.5.3 # linkDown
for version in "-v 2c -c secret" "-v 3 -u bob -a SHA -A authpass1 -l authNoPriv"; do
  # shellcheck disable=SC2086
  if inform "127.0.0.1:$PORT" $version; then pass "inform $version: answered"; else
    fail "inform $version: not answered"
  fi
done
if inform "127.0.0.1:$PORT" -v 3 -u eve -a SHA-256 -A authpass2 -x AES -X 'priv pass 2' -l authPriv
then pass "inform with privacy: answered"; else fail "inform with privacy: not answered"; fi
stop
expect "removals" "$(said "^flushed 00:24:14:2d:df:24 vlan 110 port 'bridge port 7'")" -eq 9
expect "learned" "$(said "^learned 00:24:14:2d:df:25 vlan 110 port 'bridge port 8'")" -eq 1
expect "over IPv6" "$(said 'by fd00::1 ')" -eq 1
expect "v1: the agent tells it" "$(said 'by 192.0.2.7 ')" -eq 1
expect "topology change" "$(said "^topology_change vlan 0 .* by 127.0.0.1 ")" -eq 1
expect "moved" "$(said "^moved .* port 'bridge port 9' from 'bridge port 7'")" -eq 1
expect "violation" "$(said "^violation 00:13:1a:41:54:4e vlan 0 port 'Gi0/7'")" -eq 1
expect "understood" "$(counted understood)" -eq 12
expect "refused" "$(counted refused)" -eq 0
expect "malformed" "$(counted malformed)" -eq 0

# ---- what may not ----

listen "127.0.0.1:$PORT" secret "$WORK/users"
for community in wrong secre secrets; do
  removal "127.0.0.1:$PORT" -v 2c -c $community
done
lab_in switch snmptrap -v 1 -c wrong "127.0.0.1:$PORT" $BRIDGE 0.0.0.0 6 2 ''
removal "127.0.0.1:$PORT" -v 3 -u bob -a SHA -A authpass2 -l authNoPriv
removal "127.0.0.1:$PORT" -v 3 -u ann -a SHA -A authpass1 -l authNoPriv
removal "127.0.0.1:$PORT" -v 3 -u bob -l noAuthNoPriv
removal "127.0.0.1:$PORT" -v 3 -u eve -a SHA-256 -A authpass2 -x AES -X 'priv pass 3' -l authPriv
removal "127.0.0.1:$PORT" -v 3 -e 0x8000000001020305 -u tom -a MD5 -A authpass3 -l authNoPriv
if patience='-r 1 -t 1' inform "127.0.0.1:$PORT" -v 2c -c wrong; then
  fail "an inform with a wrong community was answered"
else
  pass "an inform with a wrong community is not answered"
fi
stop
expect "nothing of it counts" "$(counted understood)" -eq 0
expect "refused: each" "$(counted refused)" -eq 11
expect "the first is named" "$(complaint)" = "127.0.0.1: wrong SNMP community"

listen "127.0.0.1:$PORT" - "$WORK/users"
removal "127.0.0.1:$PORT" -v 3 -u bob -a SHA -A authpass2 -l authNoPriv
removal "127.0.0.1:$PORT" -v 2c -c anything
stop
expect "a wrong key is named" "$(complaint)" = "127.0.0.1: SNMPv3 user bob: wrong key"
expect "any community" "$(counted understood)" -eq 1
listen "127.0.0.1:$PORT" - -
removal "127.0.0.1:$PORT" -v 3 -u bob -a SHA -A authpass1 -l authNoPriv
stop
expect "v3 without users" "$(complaint)" = "127.0.0.1: SNMPv3, but no users are given"

# ---- garbage: real messages with every byte changed and cut off everywhere, and noise ----

cat >"$WORK/send.py" <<'SEND'
import random, socket, subprocess, sys, time

mode, port, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
trap = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
trap.bind(('127.0.0.1', 0))
trap.settimeout(5)
target = '127.0.0.1:%d' % trap.getsockname()[1]
subprocess.run([target if word == 'TARGET' else word for word in command], check=True)
message = trap.recv(65536)
out, sent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0
for n in range(20000 if mode == 'flood' else 0):
    out.sendto(message, ('127.0.0.1', port))
    sent += 1
if mode == 'garbage':
    random.seed(7)
    for at in range(len(message)):
        out.sendto(message[:at], ('127.0.0.1', port))
        for value in (0, 1, 0x7f, 0x80, 0xff, random.randrange(256)):
            out.sendto(message[:at] + bytes([value]) + message[at + 1:], ('127.0.0.1', port))
        sent += 7
        time.sleep(0.001)
    for size in (1, 2, 100, 1500, 65507):
        for n in range(20):
            out.sendto(bytes(random.randrange(256) for i in range(size)), ('127.0.0.1', port))
            sent += 1
        time.sleep(0.05)
print(sent)
SEND
send() {
  lab_in switch python3 "$WORK/send.py" "$1" "$PORT" "${@:2}" 2>>"$WORK/senders"
}
listen "127.0.0.1:$PORT" secret "$WORK/users"
sent=$(send garbage snmptrap -v 2c -c secret TARGET '' $CHANGED $MESSAGE x 02006e0024142ddf240007)
sent=$((sent + $(send garbage snmptrap -v 3 -u eve -a SHA-256 -A authpass2 -x AES -X 'priv pass 2' \
  -l authPriv TARGET '' $CHANGED $MESSAGE x 02006e0024142ddf240007)))
removal "127.0.0.1:$PORT" -v 2c -c secret
stop
expect "garbage: each is counted" "$(($(counted received) + $(counted lost)))" -eq $((sent + 1))
expect "garbage: most of it malformed or refused" \
  "$(($(counted malformed) + $(counted refused)))" -gt $((sent / 2))
expect "garbage: still there" "$(tail -2 "$WORK/said" | grep -c '^flushed 00:24:14:2d:df:24')" -eq 1

# ---- a flood, also to one who does not read for a while ----

listen "127.0.0.1:$PORT" secret -
sent=$(send flood snmptrap -v 2c -c secret TARGET '' $CHANGED $MESSAGE x 02006e0024142ddf240007)
sleep 0.5
stop
expect "flood: received or lost" "$(($(counted received) + $(counted lost)))" -eq "$sent"
expect "flood: what was received was understood" "$(counted understood)" -eq "$(counted received)"
listen "127.0.0.1:$PORT" secret - 8000
sent=$(send flood snmptrap -v 2c -c secret TARGET '' $CHANGED $MESSAGE x 02006e0024142ddf240007)
stop
expect "not read for a while: lost" "$(counted lost)" -gt 0
expect "not read for a while: received or lost" \
  "$(($(counted received) + $(counted lost)))" -eq "$sent"

# ---- the file with the keys ----

# refused_file NAME LINE WANT
refused_file() {
  printf '%s\n' "$2" >"$WORK/bad"
  chmod "${4:-600}" "$WORK/bad"
  lab_in switch timeout 60 "$LAB_BIN/snmp-evidence" trap "127.0.0.1:$PORT" - "$WORK/bad" \
    >"$WORK/said"
  if grep -q "^error .*/bad: $3" "$WORK/said" && ! grep -q 'secret' "$WORK/said"; then
    pass "$1: $(sed 's/.*bad: //' "$WORK/said")"
  else
    fail "$1: $(cat "$WORK/said")"
  fi
}
refused_file "others may read it" "bob SHA secretsecret" "others than its owner" 644
refused_file "too few words" $'\n# x\nbob secretsecret' "line 3: it should read"
refused_file "no such authentication" "bob SHA3 secretsecret" "line 1: no such authentication"
refused_file "no such privacy" "bob SHA secretsecret ROT13 secretsecret" "line 1: no such privacy"
refused_file "short key" "bob SHA secret" "line 1: the authentication key is shorter"
refused_file "engine" "bob SHA secretsecret 0x80zz000000" "line 1: the engine ID"
refused_file "open quote" 'bob SHA "secretsecret' "line 1: a quote"
refused_file "nobody" '# nobody' "no user in it"

# ---- nothing of net-snmp's own is read or written ----

lab_bg switch "$WORK/said" timeout -s TERM 60 strace -f -e trace=%file -o "$WORK/strace" \
  "$LAB_BIN/snmp-evidence" trap "127.0.0.1:$PORT" - "$WORK/users"
LISTENER=$LAB_LAST_PID
lab_wait_for "$WORK/said" ready 60 || fail "not listening: $(cat "$WORK/said")"
lab_stop "$LISTENER"
expect "files of net-snmp touched" \
  "$(grep -v 'libnetsnmp\|snmp-evidence' "$WORK/strace" | grep -ci 'snmp\|mibs')" -eq 0
expect "the users were read" "$(grep -c "^[0-9]* *open.*$WORK/users" "$WORK/strace")" -eq 1

# ---- a switch that is asked ----

# Its table: ROW… are MAC's last octet and port.
table() {
  {
    cat <<-ROWS
	$BRIDGE.1.4.1.2.7 i 10107
	1.3.6.1.2.1.31.1.1.1.1.10107 s Gi0/7
	$BRIDGE.7.1.4.2.1.3.0.110 i 3
	$BRIDGE.4.2.0 i 300
	1.3.6.1.4.1.9.9.315.1.2.1.1.5.10107 i 1
	1.3.6.1.4.1.9.9.315.1.2.1.1.6.10107 i 2
	ROWS
    # More than one answer holds.
    for n in {1..100}; do echo "$BRIDGE.$1.0.0.0.0.0.$n i 8"; done
    for row in "${@:2}"; do echo "$BRIDGE.$1.0.36.20.45.223.${row%:*} i ${row#*:}"; done
    [ -z "${mode:-}" ] || echo "mode $mode"
  } >"$WORK/table.new"
  mv "$WORK/table.new" "$WORK/table"
}

# After two more rounds, also of a busy machine.
rounds() { sleep 2; }

# asked NAME TABLE-OID COMMUNITY AUTH-FILE VLAN
asked() {
  table "$2" 36:7 37:7 38:8
  lab_bg switch "$WORK/said" "$LAB_BIN/snmp-evidence" poll 127.0.0.1:1161 "$3" "$4" 200
  LISTENER=$LAB_LAST_PID
  lab_wait_for "$WORK/said" '^ageing 60000'
  rounds
  table "$2" 36:9 38:8 39:7
  lab_wait_for "$WORK/said" '^learned'
  rounds
  stop
  expect "$1: ageing time" "$(said "^ageing 300000 ms port ''")" -eq 1
  expect "$1: of port security" "$(said "^ageing 60000 ms port-security port 'Gi0/7'")" -eq 1
  expect "$1: moved" \
    "$(said "^moved 00:24:14:2d:df:24 vlan $5 port 'bridge port 9' from 'Gi0/7'")" -eq 1
  expect "$1: vanished" "$(said "^flushed 00:24:14:2d:df:25 vlan $5 port 'Gi0/7'")" -eq 1
  expect "$1: new" "$(said "^learned 00:24:14:2d:df:27 vlan $5 port 'Gi0/7'")" -eq 1
  expect "$1: nothing else" "$(grep -cE '^(learned|flushed|moved)' "$WORK/said")" -eq 3
  expect "$1: when it vanished is known to be between two readings" \
    "$(sed -nE 's/^flushed.* early ([0-9]+)$/\1/p' "$WORK/said")" -gt 0
  expect "$1: complaint" "'$(complaint)'" = "''"
}

touch "$WORK/table"
lab_bg switch "$WORK/agent" "$ROOT/tests/lab/snmp_switch.py" 127.0.0.1 1161 "$WORK/table" \
  --community secret --user bob authpass1
lab_wait_for "$WORK/agent" ready
asked "by VLAN" 7.1.2.2.1.2.3 secret - 110
asked "one table" 4.3.1.2 secret - 0
asked "SNMPv3" 7.1.2.2.1.2.3 - "$WORK/users" 110

# Rounds that come to nothing do not make a MAC vanish.
table 7.1.2.2.1.2.3 36:7
lab_bg switch "$WORK/said" "$LAB_BIN/snmp-evidence" poll 127.0.0.1:1161 secret - 200
LISTENER=$LAB_LAST_PID
lab_wait_for "$WORK/said" '^ageing 60000'
rounds
for mode in circle error garbage; do
  table 7.1.2.2.1.2.3 36:7
  rounds
done
mode=
table 7.1.2.2.1.2.3 36:7
# One request without an answer holds up a round for six seconds.
sleep 9
table 7.1.2.2.1.2.3
lab_wait_for "$WORK/said" '^flushed'
stop
expect "broken rounds: one MAC vanished" "$(grep -cE '^(learned|flushed|moved)' "$WORK/said")" -eq 1
expect "broken rounds: malformed" "$(counted malformed)" -ge 2
expect "broken rounds: refused" "$(counted refused)" -ge 1

# Nobody there, a wrong community, a wrong key.
table 7.1.2.2.1.2.3 36:7
printf 'bob SHA authpass2\n' >"$WORK/wrong"
chmod 600 "$WORK/wrong"
lab_bg switch "$WORK/said2" "$LAB_BIN/snmp-evidence" poll 127.0.0.1:1161,127.0.0.1:9 wrong - 200
silent=$LAB_LAST_PID
lab_bg switch "$WORK/said" "$LAB_BIN/snmp-evidence" poll 127.0.0.1:1161 - "$WORK/wrong" 200
LISTENER=$LAB_LAST_PID
sleep 10
stop
expect "a wrong key is named" "$(complaint)" = "127.0.0.1: SNMPv3: wrong user or key"
sleep 1
lab_stop "$silent"
mv "$WORK/said2" "$WORK/said"
expect "silence is named" "$(complaint)" = \
  "127.0.0.1: no answer to SNMP (address, community, access list?)"
expect "silence is counted" "$(counted refused)" -ge 2

finish_tests
