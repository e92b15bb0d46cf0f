#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# switch_agent.sh ADDRESS PORT AGEING: this namespace's bridge br0 as a switch's SNMP agent shows it: its
# forwarding table, as it is now, and its ageing time in seconds.
set -u
ROOT=$(cd "$(dirname "$0")/../../.." && pwd)
state=$(mktemp -d)
trap 'rm -rf "$state"; kill $(jobs -p) 2>/dev/null' EXIT
trap 'exit 0' TERM

rows() {
  local mac port octets
  echo "1.3.6.1.2.1.17.4.2.0 i $1"
  bridge fdb show br br0 | awk '/^00:24:14/ && /master br0/ { print $1, $3 }' | sort |
    while read -r mac port; do
      printf -v octets '.%d' $((16#${mac:0:2})) $((16#${mac:3:2})) $((16#${mac:6:2})) \
        $((16#${mac:9:2})) $((16#${mac:12:2})) $((16#${mac:15:2}))
      echo "1.3.6.1.2.1.17.7.1.2.2.1.2.1$octets i ${port#p}"
    done
}

rows "$3" >"$state/rows"
"$ROOT/tests/lab/snmp_switch.py" "$1" "$2" "$state/rows" --community public &
echo ready
while sleep 0.1; do
  rows "$3" >"$state/new"
  mv "$state/new" "$state/rows"
done
