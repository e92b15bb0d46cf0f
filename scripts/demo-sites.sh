#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Many hosts, live: two branches and a data centre in network namespaces of their own, an agent in
# each, a NATS server with JetStream, and two joiners. Keepalives are dropped on the way between the
# agents; one joiner is killed, and the server is started again. Ends by comparing what the stream of
# records says with nftables' own counters; exit status 0 only if they agree. As root; installs what is
# missing (Debian 12, apt), builds, and takes about a minute then.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ]; then
  echo "demo-sites: needs root, for network namespaces and BPF: sudo scripts/demo-sites.sh" >&2
  exit 2
fi
scripts/setup.sh
make --no-print-directory -j"$(nproc)" all lab-tools >build.log 2>&1 || { cat build.log >&2; exit 1; }
rm -f build.log

ROOT=$PWD
KALOSS=$ROOT/build/kaloss
. tests/lab/lab.sh
. tests/lab/sites.sh
SITES_WORK=$(mktemp -d)
finish() {
  lab_down
  rm -rf "$SITES_WORK"
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# The network, agents and all are children of this shell: their ends are told where they matter.
exec 3>&2 2>"$SITES_WORK/shell.log"
trap 'status=$?; [ $status = 0 ] || tail -5 "$SITES_WORK"/*.log >&3; finish' EXIT

say "1. The network: branches north and south -- wide area network -- centre, with the call server"
sites_up
trap 'status=$?; [ $status = 0 ] || tail -5 "$SITES_WORK"/*.log >&3; finish' EXIT

say "2. In the wide area network, nftables drops some keepalives and some answers"
sites_drop north_keepalives n0 to_cucm 9
sites_drop north_answers n0 to_phone 11
sites_drop south_keepalives s0 to_cucm 7
sites_drop south_answers s0 to_phone 13
echo "every 9th keepalive and every 11th answer of north, every 7th and every 13th of south"

say "3. A NATS server, two joiners (one, two), and an agent in each place"
join=(--tolerance 500ms --hold 4s --lease 3s --linger 20s --warm-up 1m --interval 5s --partitions 0-7)
sites_nats
sites_joiner one "${join[@]}"
sites_joiner two "${join[@]}"
sites_agent north access acc0 --partitions 8
sites_agent south access acc0 --partitions 8
sites_agent centre cucm cucm0 --partitions 8
for ns in north south centre; do
  lab_wait_for "$SITES_WORK/agent-$ns.log" connected 20
  sed 's/^/  /' "$SITES_WORK/agent-$ns.log"
done

say "4. 20 phones in each branch, with a keepalive each half second (real ones: 30 s)"
lab_bg server "$SITES_WORK/server" "$LAB_BIN/sccp-server" --port 2000
lab_wait_for "$SITES_WORK/server" ready
for n in 1 2; do
  branch=$([ $n = 1 ] && echo north || echo south)
  lab_bg "${branch}_phones" "$SITES_WORK/phones-$branch" "$LAB_BIN/sccp-phones" \
    --server "$SITES_SERVER" --bind "10.1$n.0.2,10.1$n.0.3,10.1$n.0.4,10.1$n.0.5" --port 2000 \
    --phones 20 --period 500 --duration 28000
  SITES_PID[phones_$branch]=$LAB_LAST_PID
done
sleep 8
echo "joiner one is killed (SIGKILL) ..."
kill -KILL "${SITES_PID[one]}"
sleep 6
echo "the NATS server is stopped, and started again ..."
lab_stop "${SITES_PID[nats]}" 5 || true
sleep 1
sites_nats
sleep 5
# A loss is told once something that was sent later came through: so the last ones are none.
lab_drop_end wan
wait "${SITES_PID[phones_north]}" "${SITES_PID[phones_south]}"
echo "what the joiners said:"
sed 's/^kaloss join: /  /' "$SITES_WORK"/join-*.log

say "5. The stream of records, and nftables' own counters"
truth=0
for what in north_keepalives north_answers south_keepalives south_answers; do
  truth=$((truth + $(lab_dropped wan "$what")))
done
sites_wait_for_losses "$truth" 60 || true
sleep 2
sites_records "$SITES_WORK/records"
status=0
printf '%-8s %-12s %10s %10s\n' site what nftables kaloss
for branch in north south; do
  for what in keepalives answers; do
    way=$([ $what = keepalives ] && echo to_cucm || echo to_phone)
    dropped=$(lab_dropped wan "${branch}_$what")
    got=$(jq -s "[.[] | select(.type == \"loss\" and .site == \"$branch\" and .direction == \"$way\")] |
      length" "$SITES_WORK/records")
    verdict=equal
    if [ "$dropped" -ne "$got" ] || [ "$dropped" -eq 0 ]; then
      verdict=DIFFERENT status=1
    fi
    printf '%-8s %-12s %10s %10s   %s\n' "$branch" "$what" "$dropped" "$got" "$verdict"
  done
done
twice=$(jq -r .id "$SITES_WORK/records" | sort | uniq -d | wc -l)
echo "records that came twice: $twice"
[ "$twice" -eq 0 ] || status=1
echo "one of them:"
jq -cn 'first(inputs | select(.type == "loss"))' "$SITES_WORK/records"
exit $status
