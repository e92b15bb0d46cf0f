#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What a switch does that sends MAC notifications: tells of the phones' MACs that its bridge removes, by
# a cmnMacChangedNotification to the address given. Those removed within moments share one.
set -u
CMN=1.3.6.1.4.1.9.9.215
state=$(mktemp -d)
trap 'rm -rf "$state"; kill $(jobs -p) 2>/dev/null' EXIT
trap 'exit 0' TERM
while read -r _ mac _; do
  macs=("$mac")
  while [ ${#macs[@]} -lt 23 ] && read -r -t 0.1 _ mac _; do macs+=("$mac"); done
  message=''
  for mac in "${macs[@]}"; do message+="020001${mac//:/}0007"; done
  env MIBS= SNMP_PERSISTENT_DIR="$state" snmptrap -v2c -c site "$1" 4711 $CMN.2.0.1 \
    $CMN.1.1.8.1.2.1 x "${message}00" && printf 'told of %s\n' "${macs[@]}"
done < <(bridge monitor fdb | grep --line-buffered '^Deleted 00:24:14')
