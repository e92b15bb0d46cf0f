#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Both demos, as somebody who tries kaloss sees them: each ends with what nftables counted beside what
# kaloss said, and with 0 only where the two agree.
set -u
if [ "$(id -u)" -ne 0 ]; then
  echo "SKIP: needs root (BPF programs and network namespaces)"
  exit 77
fi
# shellcheck source=tests/captures/lib.sh
. "$(dirname "$0")/../captures/lib.sh"

for demo in demo demo-sites; do
  if timeout 300 "$ROOT/scripts/$demo.sh" >"$WORK/$demo" 2>&1; then
    pass "$demo"
  else
    fail "$demo: exit status $?: $(tail -40 "$WORK/$demo")"
  fi
  expect "$demo: rows that agree" "$(grep -c ' equal$' "$WORK/$demo")" 4
done
finish_tests
