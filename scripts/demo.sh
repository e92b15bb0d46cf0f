#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The main job, live: phones, a switch, a router and a call server in network namespaces of their
# own, real TCP, real drops, and kaloss on the router naming each one. Ends by comparing what kaloss
# counted with nftables' own counters; exit status 0 only if they agree. As root; installs what is
# missing (Debian 12, apt), builds, and takes about 25 seconds then.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
  echo "demo: needs root, for network namespaces and BPF: sudo scripts/demo.sh" >&2
  exit 2
fi
scripts/setup.sh
make --no-print-directory -j"$(nproc)" all lab-tools >build.log 2>&1 || { cat build.log >&2; exit 1; }
rm -f build.log

ROOT=$PWD
. tests/lab/lab.sh
work=$(mktemp -d)
finish() {
  lab_down
  rm -rf "$work"
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "1. The network: phones -- switch -- router (kaloss runs here) -- call server"
lab_up routed 4
lab_add_switch
trap finish EXIT
echo "phones 10.1.0.2-5, router acc0 10.1.0.1 | cucm0 10.2.0.1, call server $LAB_SERVER"

say "2. On the router, nftables drops some keepalives and some answers on their way through"
drops=(
  "to_cucm 2000 sccp_keepalive 20"
  "to_phone 2000 sccp_keepalive_ack 25"
  "to_cucm 5060 sip_register 20"
  "to_phone 5060 sip_response 50"
)
for d in "${drops[@]}"; do
  # shellcheck disable=SC2086
  lab_drop_rule box inet $d
  # shellcheck disable=SC2086
  set -- $d
  echo "every ${4}th $3 $1"
done

say "3. kaloss watch --access acc0 --cucm cucm0"
color=never
[ ! -t 1 ] || color=always
lab_bg box "$work/watch" "$ROOT/build/kaloss" watch --access acc0 --cucm cucm0 --color $color
watch=$LAB_LAST_PID
tail -n +1 -f --pid="$watch" "$work/watch" &
lab_wait_for "$work/watch" "come in" 20
sleep 1

# 25 SCCP phones with a keepalive every 500 ms, 25 SIP phones that refresh every 500 ms: the real
# ones take 30 s and 115 s.
lab_bg server "$work/sccp-server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$work/sccp-server" ready
cd "$work"
lab_bg server "$work/sip-server" sipp -sf "$ROOT/tests/lab/sipp/server.xml" -i "$LAB_SERVER" \
  -p 5060 -t tn -max_socket 500 -nostdin
sleep 0.5
lab_bg phones "$work/sccp-phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" \
  --bind "$LAB_PHONES" --port 2000 --phones 25 --period 500 --duration 12000
sccp=$LAB_LAST_PID
lab_bg phones "$work/sip-phones" timeout 60 sipp -sf "$ROOT/tests/lab/sipp/phone.xml" \
  -inf "$ROOT/tests/lab/sipp/phones.csv" -set loops 20 -set period 500 -t tn -max_socket 500 \
  -m 25 -r 25 -l 25 -i "$LAB_PHONE" -nostdin "$LAB_SERVER:5060"
sip=$LAB_LAST_PID
wait "$sccp" || { echo "demo: the SCCP phones failed: $(cat "$work/sccp-phones")" >&2; exit 1; }
wait "$sip" || { echo "demo: sipp failed: $(tail -3 "$work/sip-phones")" >&2; exit 1; }
lab_settle box 1.5
lab_stop "$watch" 5
sleep 0.3
cd "$ROOT"

say "4. The same, by nftables' own counters"
# What kaloss says was lost of a kind and direction, from its summary.
said() {
  sed 's/\x1b\[[0-9;]*m//g' "$work/watch" | awk -v kind="$1" -v way="$2" '
    $1 == kind && $2 " " $3 == way && $NF == "lost" { n = $(NF - 1) } END { print n + 0 }'
}
status=0
printf '%-20s %-9s %10s %10s\n' kind direction nftables kaloss
for d in "${drops[@]}"; do
  # shellcheck disable=SC2086
  set -- $d
  way="to CUCM"
  [ "$1" = to_cucm ] || way="to phone"
  truth=$(lab_dropped box "${1}_$3")
  got=$(said "$3" "$way")
  printf '%-20s %-9s %10s %10s' "$3" "$way" "$truth" "$got"
  if [ "$truth" -eq "$got" ] && [ "$truth" -gt 0 ]; then
    echo "   equal"
  else
    echo "   DIFFERENT"
    status=1
  fi
done
named=$(grep -c 'LOST' "$work/watch" || true)
total=0
for d in "${drops[@]}"; do
  # shellcheck disable=SC2086
  set -- $d
  total=$((total + $(lab_dropped box "${1}_$3")))
done
echo "$total dropped, $named named one by one"
[ "$named" -eq "$total" ] || status=1

say "5. And why? kaloss diagnose --access acc0 --cucm cucm0 --for 8s"
lab_bg box "$work/diagnosis" "$ROOT/build/kaloss" diagnose --access acc0 --cucm cucm0 --for 8s \
  --color $color
diagnose=$LAB_LAST_PID
lab_wait_for "$work/diagnosis" "come in" 20
lab_bg phones "$work/sccp-phones" "$LAB_BIN/sccp-phones" --server "$LAB_SERVER" \
  --bind "$LAB_PHONES" --port 2000 --phones 25 --period 500 --duration 8000
wait "$diagnose" || true # 1: it found a fault
sed -n '/VERDICT/,/^$/p' "$work/diagnosis"
if ! grep -q 'in_host_drop' "$work/diagnosis"; then
  echo "demo: the verdict does not name the packet filter" >&2
  status=1
fi
exit $status
