#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What runs on another kernel, as the first process there (init): guest.sh TEST…, each a script
# beside this one. It speaks on the second serial line.
set -u
cd "$(dirname "$0")/../.." || exit
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C
stty -F /dev/ttyS1 raw
exec >/dev/ttyS1 2>&1 </dev/null
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd

for test; do
  echo "-- $test"
  "tests/kernels/$test.sh" || [ $? -eq 1 ] || echo "0 passed, 1 failed"
  echo "   $(cut -d. -f1 /proc/uptime) s after the start"
done
echo "guest: done"
echo o >/proc/sysrq-trigger
sleep infinity
