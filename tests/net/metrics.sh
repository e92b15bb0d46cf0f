#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Metrics for Prometheus: they are what the records say, at every tick; a real Prometheus stores
# them; the dashboard and the alerts of docs/ use them as they are; and whoever asks, and however,
# the counting does not notice.
set -u
# shellcheck source=tests/net/lib.sh
. "$(dirname "$0")/lib.sh"

PORT=9105
PROMETHEUS=9190
SYSLOG=5514
HELPER=$ROOT/tests/net/metrics.py
SCRAPES=$WORK/scrapes
mkdir "$SCRAPES"

get() { lab_in box curl -s --max-time 20 "$@"; }
# code METHOD PATH
code() { get -o /dev/null -w '%{http_code}' -X "$1" "http://127.0.0.1:$PORT$2"; }
# told NAME COMMAND…: the helper's last line says what it looked at, the others what is wrong.
told() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then pass "$name: $said"; else fail "$name: $said"; fi
}
# becomes NAME CODE PATH: within 60 s.
becomes() {
  local tries=300
  until [ "$(code GET "$3")" = "$2" ] || [ $((tries--)) -le 0 ]; do sleep 0.2; done
  expect "$1" "$(code GET "$3")" -eq "$2"
}

alarm() {
  lab_in box logger -n 127.0.0.1 -P $SYSLOG -d --rfc3164 -t cucm -- \
    "41679: cucm1 Jul 02 2015 06:22:31.250 UTC :  %UC_CALLMANAGER-3-EndPointUnregistered:" \
    "%[DeviceName=$1][IPAddress=10.1.0.2][Protocol=SIP][Reason=$2][NodeID=cucm1]: unregistered"
}

# ---- Alerts, without a network ----

expect "the alerts are as they should be" \
  "$(promtool check rules "$ROOT/docs/prometheus/kaloss.rules.yml" 2>&1 | grep -c SUCCESS)" -eq 1
told "each alert fires where it must, and only there" \
  promtool test rules "$ROOT/tests/prometheus/kaloss.rules.test.yml"

# ---- What is counted ----

lab_up routed 4
keep_trap
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
lab_drop_rule box inet to_phone 2000 sccp_keepalive_ack 17
# Lost before the box, so that it is inferred.
lab_drop_rule phones inet to_phone 2000 sccp_keepalive_ack 31 before
start_watch --prometheus :$PORT --self-cost --syslog 127.0.0.1:$SYSLOG --all-macs
cat >"$WORK/prometheus.yml" <<-EOT
	global: { scrape_interval: 1s, evaluation_interval: 1s }
	rule_files: [ "$ROOT/docs/prometheus/kaloss.rules.yml" ]
	scrape_configs:
	  - job_name: kaloss
	    static_configs: [ { targets: [ "127.0.0.1:$PORT" ] } ]
	EOT
lab_bg box "$WORK/prometheus" prometheus --config.file="$WORK/prometheus.yml" \
  --storage.tsdb.path="$WORK/tsdb" --web.listen-address=127.0.0.1:$PROMETHEUS --log.level=warn
server=$LAB_LAST_PID
lab_bg box "$WORK/scraper" "$HELPER" scrape $PORT "$SCRAPES"
scraper=$LAB_LAST_PID
alarm SEPA 13
alarm SEPB 13
alarm SEPC 9
alarm SEPD 4711
lab_in box logger -n 127.0.0.1 -P $SYSLOG -d --rfc3164 -t x -- \
  "%SW_MATM-4-MACFLAP_NOTIF: Host 0015.5d91.8502 in vlan 1 is flapping between port Gi0/20 and port Po1"
run_sccp 100 200 5000
# Alarms are decided, connections are closed, the deadline is past.
tries=300
until [ "$(get "http://127.0.0.1:$PORT/metrics" |
  awk '/^kaloss_unregistrations_total/ { n += $2 } END { print n + 0 }')" -ge 4 ] ||
  [ $((tries--)) -le 0 ]; do sleep 0.2; done
# Until nothing changes any more but the time.
standing() { get "http://127.0.0.1:$PORT/metrics" | grep -vE '^(#|kaloss_last_tick|kaloss_bpf_)'; }
was='' tries=20
until now=$(standing) && [ "$now" = "$was" ]; do
  was=$now
  [ $((tries--)) -gt 0 ] || { fail "the metrics never come to rest"; break; }
  sleep 3
done
lab_stop "$scraper"
get "http://127.0.0.1:$PORT/metrics" >"$SCRAPES/99999"
told "Prometheus is asked" lab_in box timeout 120 bash -c \
  "until '$HELPER' stored $PROMETHEUS '$SCRAPES/99999'; do sleep 0.5; done >/dev/null;
   '$HELPER' stored $PROMETHEUS '$SCRAPES/99999'"
told "Prometheus evaluates the dashboard and the alerts" \
  lab_in box "$HELPER" evaluate $PROMETHEUS "$ROOT/docs/grafana/kaloss.json"
expect "Prometheus: the target is up" \
  "$(get -G "http://127.0.0.1:$PROMETHEUS/api/v1/query" --data-urlencode 'query=up{job="kaloss"}' |
    jq -r '.data.result[0].value[1]')" = 1
lab_stop "$server" 30
told "dashboard and alerts use metrics that there are" "$HELPER" names "$SCRAPES/99999" \
  "$ROOT/docs/grafana/kaloss.json" "$ROOT/docs/prometheus/kaloss.rules.yml"
promtool check metrics <"$SCRAPES/99999" >"$WORK/lint" 2>&1
expect "promtool check metrics: complaints but of a name that is promised" \
  "$(grep -vc 'use base unit "seconds" instead of "nanoseconds"' "$WORK/lint")" -eq 0

# ---- What is answered ----

expect "content type" "$(get -o /dev/null -w '%{content_type}' "http://127.0.0.1:$PORT/metrics")" = \
  "text/plain; version=0.0.4; charset=utf-8"
expect "/healthz" "$(code GET /healthz) $(get "http://127.0.0.1:$PORT/healthz" | cut -d: -f1)" = \
  "200 ok"
expect "/" "$(code GET /)" -eq 200
expect "another path" "$(code GET /metrics/)" -eq 404
expect "a query is no other path" "$(code GET '/metrics?a=b')" -eq 200
expect "HEAD" "$(get -o /dev/null -w '%{http_code}' -I "http://127.0.0.1:$PORT/metrics")" -eq 405
for method in POST PUT DELETE OPTIONS TRACE; do
  expect "$method" "$(code $method /metrics)" -eq 405
done
expect "a port alone is the loopback's" "$(lab_in box ss -Hltn "sport = :$PORT" | awk '{ print $4 }')" = \
  "127.0.0.1:$PORT"

# A run that does not turn any more says so itself.
mkfifo "$WORK/hold"
exec 7<>"$WORK/hold"
python3 "$HELPER" halt "$WATCH" <"$WORK/hold" >"$WORK/halt" 2>&1 7>&- &
halter=$!
lab_wait_for "$WORK/halt" halted
becomes "/healthz of a run that is halted" 503 /healthz
expect "it says why" "$(get "http://127.0.0.1:$PORT/healthz" | sed 's/[0-9.]* s ago/SOME ago/')" = \
  "stuck: the last tick was SOME ago, and one is due every 1.0 s"
expect "its numbers are still there" "$(code GET /metrics)" -eq 200
kill "$halter"
wait "$halter" 2>/dev/null
exec 7>&-
becomes "/healthz when it turns again" 200 /healthz

stop_watch 0
check_sums "metrics"
told "every scrape is what the ticks say, the last one the summary" \
  "$HELPER" compare "$WORK/records" "$SCRAPES"/?????
expect "losses between are in them" "$(summary '.to_cucm.lost_between')" -ge 100
expect "unregistrations are in them" \
  "$(grep -E '^kaloss_unregistrations_total\{reason="(keepAliveTimeout|callManagerReset|other)"' \
    "$SCRAPES/99999" | awk '{ printf "%s ", $2 }')" = "1 2 1 "
expect "MACs that moved are in them" \
  "$(grep 'source="syslog",event="moved"' "$SCRAPES/99999" | awk '{ print $2 }')" -eq 1

# ---- Who asks too much ----

lab_up routed 4
keep_trap
lab_drop_rule box inet to_cucm 2000 sccp_keepalive 20
start_watch --prometheus 127.0.0.1:$PORT
lab_bg box "$WORK/holder" "$HELPER" hold $PORT 1000
holder=$LAB_LAST_PID
lab_wait_for "$WORK/holder" "held 1000" 60 || fail "$(cat "$WORK/holder")"
(
  answered=0
  for _ in $(seq 20); do
    get "http://127.0.0.1:$PORT/metrics" | grep -q '^kaloss_phones' && answered=$((answered + 1))
  done
  echo $answered >"$WORK/answered"
  lab_in box "$HELPER" garbage $PORT >"$WORK/garbage" 2>&1
) &
asker=$!
run_sccp 100 200 5000
wait $asker
# One may be the oldest by the time that it has said what it wants.
expect "beside 1000 slow connections: answered of 20" "$(cat "$WORK/answered")" -ge 18
expect "beside garbage: sent" "$(grep -c connections "$WORK/garbage")" -eq 1
expect "the slow ones are still at it" "$(kill -0 "$holder" && echo yes)" = yes
expect "connections at most" \
  "$(lab_in box ss -Htn state established "sport = :$PORT" | wc -l)" -le $((256 + 128 + 1))
lab_stop "$holder"
get "http://127.0.0.1:$PORT/metrics" >/dev/null
expect "afterwards" "$(code GET /metrics) $(code GET /healthz)" = "200 200"
stop_watch
expect "lost meanwhile, by nftables" "$(summary .to_cucm.lost_between)" -eq \
  "$(lab_dropped box to_cucm_sccp_keepalive)"
expect "nothing was missed meanwhile" \
  "$(summary '.integrity | .events_lost + .unpaired + .records_dropped')" -eq 0
check_sums "beside hostile requests"

# ---- Addresses ----

start_watch --prometheus "[::1]:$PORT"
expect "IPv6" "$(get -o /dev/null -w '%{http_code}' "http://[::1]:$PORT/healthz")" -eq 200
# refused NAME ADDRESS WANT: one line and exit status 2, before any interface is looked at.
refused() {
  lab_in box timeout 60 "$KALOSS" watch --access nope0 --cucm nope1 --prometheus "$2" \
    >"$WORK/out" 2>"$WORK/err"
  expect "$1: exit status" $? -eq 2
  expect "$1" "$(cat "$WORK/out" "$WORK/err")" = "kaloss watch: --prometheus$3"
}
refused "an address that is taken" "[::1]:$PORT" " [::1]:$PORT: Address already in use"
refused "an address of somebody else" 10.9.9.9:1 " 10.9.9.9:1: Cannot assign requested address"
for bad in 127.0.0.1 ::1:$PORT localhost:$PORT : 0 :65536 x; do
  refused "no address: $bad" $bad \
    ": $bad is no ADDRESS:PORT (such as 127.0.0.1:9105, [::1]:9105 or :9105)"
done
stop_watch 0
# The next run may have it at once.
lab_in box timeout 60 "$KALOSS" watch --access nope0 --cucm nope1 --prometheus "[::1]:$PORT" \
  >"$WORK/out" 2>"$WORK/err"
expect "an address that was just in use" "$(cat "$WORK/out" "$WORK/err")" = \
  "kaloss watch: nope0: no such interface"

# ---- Ticks that come further apart from now on; an interface that is gone ----

echo "prometheus = :$PORT" >"$WORK/watch.conf"
start_watch --config "$WORK/watch.conf"
echo "interval = 8s" >>"$WORK/watch.conf"
kill -HUP "$WATCH"
lab_wait_for "$WORK/watch.err" "interval is now 8s" || fail "not reloaded: $(tail -3 "$WORK/watch.err")"
lab_in box ip link del acc0
# Longer than it is well without a tick at an interval of one second.
sleep 6.5
expect "/healthz, where a reload has made the interval longer" "$(code GET /healthz)" -eq 200
metric() { get "http://127.0.0.1:$PORT/metrics" | sed -n "s/^$1 //p"; }
missing() { [ "$(metric 'kaloss_integrity_total{what="missing_ms"}')" -gt 2000 ]; }
tries=100
until missing 2>/dev/null || [ $((tries--)) -eq 0 ]; do sleep 0.2; done
expect "an interface that is missing: ms of it" "$(metric 'kaloss_integrity_total{what="missing_ms"}')" -gt 2000
stop_watch 0
finish_tests
