#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What runs on another kernel, as the first process there (init): guest.sh TEST…, each a script
# beside this one. It speaks on the second serial line. From the test "systemd" on, the first process
# is systemd, and this a service of it.
set -u
cd "$(dirname "$0")/../.." || exit
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LC_ALL=C
stty -F /dev/ttyS1 raw
exec >/dev/ttyS1 2>&1 </dev/null
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd

# become_systemd TEST…: with what a service needs, and nothing that this machine's own system has to do.
become_systemd() {
  local units=/run/systemd/system u
  mount -t tmpfs -o mode=755 run /run
  mkdir -p $units
  cat >$units/guest.service <<-UNIT
	[Unit]
	Requires=basic.target
	After=basic.target
	[Service]
	Type=oneshot
	Environment=BUILD=$BUILD
	ExecStart=/bin/bash $PWD/tests/kernels/guest.sh $*
	UNIT
  # (It would empty /tmp, which this may be in.)
  for u in systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-udevd.service \
    systemd-udev-trigger.service systemd-timesyncd.service systemd-pstore.service \
    systemd-firstboot.service systemd-binfmt.service timers.target; do
    ln -s /dev/null $units/$u
  done
  # (By which packages start and stop nothing in a container.)
  rm -f /usr/sbin/policy-rc.d
  exec /lib/systemd/systemd --unit=guest.service </dev/console >/dev/console 2>&1
}

while [ $# -gt 0 ]; do
  [ "$1" != systemd ] || [ $$ -ne 1 ] || become_systemd "$@"
  echo "-- $1"
  "tests/kernels/$1.sh" || [ $? -eq 1 ] || echo "0 passed, 1 failed"
  echo "   $(cut -d. -f1 /proc/uptime) s after the start"
  shift
done
echo "guest: done"
echo o >/proc/sysrq-trigger
# Until the power goes off, when the root may be gone already: with nothing that has to be read from it.
while :; do
  read -r -t 5 _ </dev/ttyS1
done
