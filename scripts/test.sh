#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs every test of kaloss: installs what is missing (Debian 12, apt), builds, runs, and ends with
# one line that counts. As root; without it what needs the kernel is skipped and said to be.
#
#   sudo scripts/test.sh [--no-skips]     --no-skips: what cannot run has failed (CI)
#   sudo scripts/test.sh --sanitize       whatever can, under ASan and UBSan with leaks looked for; long
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh
make --no-print-directory -j"$(nproc)" test-tools
[ "${1:-}" != --sanitize ] || exec tests/sanitized.sh all
exec tests/run.sh "$@"
