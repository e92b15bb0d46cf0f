#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The manual pages and the completions against the program: tests/package/options.py.
cd "$(dirname "$0")/../.." || exit 1
exec python3 -B tests/package/options.py "${BUILD:-build}"
