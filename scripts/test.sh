#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs every test of kaloss: installs what is missing (Debian 12, apt), builds, runs, and ends with
# one line that counts. As root; without it what needs the kernel is skipped and said to be.
#
#   sudo scripts/test.sh [--no-skips]     --no-skips: what cannot run has failed (CI)
#   sudo scripts/test.sh --sanitize [few|NAME…]   under ASan and UBSan, with leaks looked for: whatever
#                                         can (long), what is quick (minutes), or these
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
make --no-print-directory -j"$(nproc)" test-tools
if [ "${1:-}" = --sanitize ]; then
  shift
  [ $# -gt 0 ] || set -- all
  exec tests/sanitized.sh "$@"
fi
exec tests/run.sh "$@"
