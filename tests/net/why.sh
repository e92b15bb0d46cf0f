#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What `kaloss diagnose` says live of networks that are broken in a known way, each with a control:
# the same network where that is not so. Everything is about 20 times as fast as with real phones.
#
#   tests/net/why.sh [SCENARIO…]     all of them, several at a time; WHY_KEEP=DIR keeps documents
#   tests/net/why.sh --one SCENARIO  in this process
#
# A scenario is a function in why/*.sh. Each has a site of its own (tests/lab/site.sh), and first
# shows that the network did what it claims.
set -u
. "$(dirname "$0")/lib.sh"
. "$ROOT/tests/lab/site.sh"
. "$ROOT/tests/net/why/common.sh"
for part in ageing arp host server inputs; do
  . "$ROOT/tests/net/why/$part.sh"
done

AT_A_TIME=${WHY_AT_A_TIME:-6}
SCENARIOS=(ageing_bridge ageing_switch ageing_security ageing_security_control ageing_bridge_control
  flush flush_control flush_switch proxy_arp failover server_silent server_resets middlebox phone_ends mtu healthy healthy_text
  inputs host_filter host_rp_filter host_queue host_queue_stuck host_route host_isolated)

if [ "${1:-}" = --one ]; then
  $2
  finish_tests
fi

[ $# -eq 0 ] || SCENARIOS=("$@")
running=0
for s in "${SCENARIOS[@]}"; do
  if [ $running -ge "$AT_A_TIME" ]; then
    wait -n
    running=$((running - 1))
  fi
  "$0" --one "$s" >"$WORK/$s" 2>&1 </dev/null &
  running=$((running + 1))
done
wait
for s in "${SCENARIOS[@]}"; do
  last=$(tail -1 "$WORK/$s")
  sed '$d' "$WORK/$s"
  case $last in
  *' passed, '*' failed')
    f=${last#*, }
    PASSED=$((PASSED + ${last%% passed*})) FAILED=$((FAILED + ${f%% failed*}))
    ;;
  *) fail "$s ended early: $last" ;;
  esac
done
finish_tests
