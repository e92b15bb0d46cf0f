#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs with apt what building and testing kaloss needs and is missing. Without root it only says
# what is missing, and goes on.
set -euo pipefail

packages=(
  # to build
  make gcc clang llvm bpftool pkg-config libc6-dev linux-libc-dev
  libbpf-dev libelf-dev zlib1g-dev libmnl-dev libjansson-dev uthash-dev libpcap-dev
  libsnmp-dev libnftables-dev libmicrohttpd-dev libinih-dev libsystemd-dev libcap-ng-dev
  libsqlite3-dev libnats-dev
  # to test
  libcriterion-dev libclang-rt-14-dev clang-format clang-tidy
  sqlite3 iproute2 util-linux procps nftables ethtool sip-tester tcpdump strace jq
  python3 python3-jsonschema python3-seccomp snmp bsdutils systemd chromium-headless-shell
  prometheus curl nats-server openssl
  qemu-system-x86 busybox-static kmod xz-utils
  man-db mandoc zsh fish debhelper dpkg-dev lintian
)

missing=()
for p in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "setup: not installed: ${missing[*]} (as root, this script installs them)" >&2
  exit 0
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The tests want the programs of these packages, not services of theirs on this host.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$log" "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
  >"$log" 2>&1; then
  tail -20 "$log" >&2
  echo "setup: apt-get could not install ${missing[*]}" >&2
  exit 1
fi
for service in prometheus nats-server; do
  if [[ " ${missing[*]} " == *" $service "* ]] && command -v systemctl >/dev/null; then
    systemctl --quiet disable "$service" 2>/dev/null || true
  fi
done
