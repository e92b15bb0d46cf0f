#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian package as a service of systemd's own, which is the first process here: it is installed,
# started, reloaded, killed, stopped answering, stopped and purged, while phones talk and nftables
# drops. For guests (scripts/kernels.sh), where this system is thrown away afterwards.
#
#   phones eth0 ------ acc0   this system   cucm0 ------ eth0 server
set -u
. "$(dirname "$0")/../net/lib.sh"

_finish() {
  kill -KILL "${LAB_PID[phones]}" "${LAB_PID[server]}" 2>/dev/null
  rm -rf "$WORK"
}
keep_trap

DEB=$(echo "$BUILD"/kernels/deb/kaloss_*.deb)
STATE=/var/lib/kaloss
LOSSES=10
PATIENCE_S=20 # of the watchdog

snooze() { read -rt "$1" <>"$WORK/never"; }
mkfifo "$WORK/never"

# wait_until SECONDS COMMAND…: that, or longer. (The clock of an emulated system may jump.)
wait_until() {
  local tries=$((2 * $1))
  shift
  until "$@"; do
    [ $((tries--)) -gt 0 ] || return 1
    snooze 0.5
  done
  return 0
}

property() { systemctl show -P "$1" kaloss; }
is_state() { [ "$(property ActiveState)" = "$1" ]; }
has_restarted() { [ "$(property NRestarts)" -ge "$1" ] && is_state active; }
said() { journalctl -u kaloss -o cat --no-pager; }
ours() { bpftool prog show -j | jq -r '.[].name // empty' | grep -c '^kaloss'; }
# (Of a kaloss that was killed, an empty clsact qdisc stays on kernels before 6.6.)
hooks() {
  local i
  for i in acc0 cucm0; do
    ip -d link show $i | grep 'prog/xdp'
    tc filter show dev $i ingress
    tc filter show dev $i egress
  done | wc -l
}
none_left() { [ "$(ours)" -eq 0 ]; }

# does NAME COMMAND…: it must do.
does() {
  local name=$1
  shift
  if "$@" >"$WORK/said" 2>&1; then
    pass "$name"
  else
    fail "$name: $(tail -5 "$WORK/said")"
  fi
}

expect "the first process" "$(cat /proc/1/comm)" = systemd

# ---- the network ----

LAB_OWNER=$BASHPID
_lab_netns phones && _lab_netns server || fail "no namespaces"
LAB_PID[box]=$$
ip -b - <<-LINKS || fail "no network"
	link add acc0 type veth peer name eth0 netns ${LAB_PID[phones]}
	link add cucm0 type veth peer name eth0 netns ${LAB_PID[server]}
	addr add 10.1.0.1/24 dev acc0
	addr add 10.2.0.1/24 dev cucm0
	link set acc0 up
	link set cucm0 up
LINKS
lab_in phones ip -b - <<-LINKS || fail "no network of the phones"
	addr add 10.1.0.2/24 dev eth0
	link set eth0 up
	route add default via 10.1.0.1
LINKS
lab_in server ip -b - <<-LINKS || fail "no network of the server"
	addr add 10.2.0.10/24 dev eth0
	link set eth0 up
	route add default via 10.2.0.1
LINKS
for i in acc0 cucm0; do ethtool -K $i tx off tso off gso off gro off >/dev/null 2>&1; done
for ns in phones server; do
  lab_in $ns ethtool -K eth0 tx off tso off gso off gro off >/dev/null 2>&1
done
sysctl -q -w net.ipv4.ip_forward=1
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 9
lab_bg server "$WORK/server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$WORK/server" ready 60 || fail "the server did not start"

dropped() { lab_dropped box to_cucm_sccp_keepalive; }
lost() {
  grep '^{.*}$' "$STATE/records" | jq -n 'reduce (inputs | select(.type == "tick")
    | .to_cucm.lost_between + .to_phone.lost_between) as $n (0; . + $n)'
}
has_dropped() { [ "$(dropped)" -ge "$1" ]; }
has_lost() { [ "$(lost)" -ge "$1" ]; }

# traffic NAME: until so many keepalives more are dropped; each of them, and nothing else, is lost.
traffic() {
  local dropped_before lost_before phones
  dropped_before=$(dropped) lost_before=$(lost)
  lab_bg phones "$WORK/phones" "$LAB_BIN/sccp-phones" --server 10.2.0.10 --bind 10.1.0.2 --phones 8 \
    --period 250 --duration 3600000 --settle 60000 --quiet
  phones=$LAB_LAST_PID
  wait_until 120 has_dropped $((dropped_before + LOSSES)) || fail "$1: few are dropped: $(dropped)"
  kill -TERM "$phones"
  wait "$phones"
  wait_until 60 has_lost $((lost_before + $(dropped) - dropped_before)) || :
  expect "$1: lost, as dropped" $(($(lost) - lost_before)) -eq $(($(dropped) - dropped_before))
}

# ---- installed ----

# (Nothing that others do for all packages, as an index of manual pages: it takes minutes here.)
does "dpkg installs the package" dpkg -i --no-triggers "$DEB"
expect "it is enabled" "$(systemctl is-enabled kaloss)" = disabled
expect "it is active" "$(systemctl is-active kaloss)" = inactive

options() {
  cat >/etc/kaloss.conf <<-CONF
	access = acc0
	cucm = cucm0
	format = jsonl
	output = $STATE/records
	append = yes
	history = $STATE/history.db
	deadline = 3s
	trap = 127.0.0.1:162
	syslog = 127.0.0.1:514
	CONF
  printf '%s\n' "$@" >>/etc/kaloss.conf
}

# ---- started ----

options
mkdir -p /run/systemd/system/kaloss.service.d
printf '[Service]\nWatchdogSec=%s\n' $PATIENCE_S >/run/systemd/system/kaloss.service.d/patience.conf
systemctl daemon-reload
started=$SECONDS
does "systemctl start" systemctl start kaloss
echo "started in $((SECONDS - started)) s"
expect "it is ready" "$(property ActiveState) $(property SubState)" = "active running"
pid=$(property MainPID)
status() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$pid/status"; }
expect "its user" "$(status Uid)" -ge 61184
expect "its capabilities" "$(status CapEff)" = 000000c000001000
expect "no_new_privs" "$(status NoNewPrivs)" -eq 1
expect "system calls are filtered" "$(status Seccomp)" -eq 2
expect "its programs" "$(ours)" -ge 4
expect "it listens for traps and syslog" \
  "$(ss -Hlun 'sport = :162 or sport = :514' | wc -l)" -eq 2
traffic started
expect "its status" "$(property StatusText | sed 's/[0-9.]\+/N/g')" = \
  "N phones; lost: N in the last N s, N since the start"
security=$(systemd-analyze security --no-pager kaloss | tail -1)
exposure=$(sed -n 's/.*: \([0-9.]*\) .*/\1/p' <<<"$security")
expect "systemd-analyze security, in tenths" "$(tr -d . <<<"$exposure")" -le 19
echo "$security"

# ---- reloaded ----

options "interval = 500ms"
does "systemctl reload" systemctl reload kaloss
expect "reload: the same process" "$(property MainPID)" -eq "$pid"
expect "reload: it is active" "$(property ActiveState)" = active
expect "reload: it says so" "$(said | grep -c 'interval is now 500ms')" -eq 1
options "interval = 5 parsecs"
systemctl reload kaloss
expect "reload of a broken file: it is active" "$(property ActiveState)" = active
expect "reload of a broken file: it says so" "$(said | grep -c 'the settings stay as they are')" -eq 1
options
systemctl reload kaloss
traffic reloaded

# ---- killed ----

kill -KILL "$pid"
wait_until 10 none_left
expect "SIGKILL: programs left" "$(ours)" -eq 0
wait_until 240 has_restarted 1
expect "SIGKILL: restarts" "$(property NRestarts)" -eq 1
expect "SIGKILL: it is active" "$(property ActiveState)" = active
expect "SIGKILL: another process" "$(property MainPID)" -ne "$pid"
traffic "killed and restarted"

# ---- the watchdog ----

pid=$(property MainPID)
snooze $((2 * PATIENCE_S))
expect "the watchdog: restarts while all is well" "$(property NRestarts)" -eq 1
expect "the watchdog: the same process" "$(property MainPID)" -eq "$pid"
kill -STOP "$pid"
wait_until 300 has_restarted 2
expect "the watchdog: restarts once it stands still" "$(property NRestarts)" -eq 2
expect "the watchdog: it says so" "$(said | grep -c 'Watchdog timeout')" -ge 1
traffic "restarted by the watchdog"

# ---- upgraded ----

pid=$(property MainPID)
does "dpkg installs the package again, as an upgrade does" dpkg -i --no-triggers --force-confold "$DEB"
expect "upgraded: it is active" "$(property ActiveState)" = active
expect "upgraded: another process" "$(property MainPID)" -ne "$pid"

# ---- stopped, and gone ----

does "systemctl stop" systemctl stop kaloss
expect "stop: how it ended" "$(property Result) $(property ExecMainStatus)" = "success 0"
expect "stop: summaries" "$(grep -c '"type":"summary"' "$STATE/records")" -eq 2
expect "stop: programs left" "$(ours)" -eq 0
/usr/bin/kaloss diagnose --history "$STATE/history.db" --format json >"$WORK/json" 2>"$WORK/err"
expect "its history has the losses" "$(jq '.losses.between // ([.timeline[]
  | select(.type == "loss" and .where == "between")] | length)' "$WORK/json")" -ge $((3 * LOSSES))
does "systemctl start, once more" systemctl start kaloss
expect "once more: its programs" "$(ours)" -ge 4
does "dpkg purges the package, which stops it" dpkg --purge --no-triggers kaloss
expect "purged: processes left" "$(pgrep -cx kaloss)" -eq 0
wait_until 10 none_left
expect "purged: programs left" "$(ours)" -eq 0
expect "purged: hooks left" "$(hooks)" -eq 0
expect "purged: its unit" "$(property LoadState)" = not-found
expect "purged: failed units" "$(systemctl list-units --failed --no-legend --plain 'kaloss*' | wc -l)" -eq 0
expect "purged: files of its own" \
  "$(find /etc /lib/systemd /usr/bin /usr/share /var/lib -name '*kaloss*' 2>/dev/null | wc -l)" -eq 0
finish_tests
