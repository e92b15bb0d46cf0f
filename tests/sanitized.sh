#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# What of the suite runs in a few minutes under ASan and UBSan, leaks included: a build of its own, and
# in it the unit tests, the pairs and histories by chance, captures, and watch on interfaces.
#
#   tests/sanitized.sh [NAME…]     names of tests/run.sh; `all`: whatever can run that way
set -u
cd "$(dirname "$0")/.." || exit 1
main=${BUILD:-$PWD/build}
asan=${ASAN_BUILD:-$PWD/build-asan}
log=$(mktemp)

few=(unit pair history study damage clocks)
# (fuzz is built with them anyway; kernel, lab, build and the like run no code of the program's own;
# faults preloads what a sanitizer does.)
all=("${few[@]}" usage pairs evidence html bad_input interfaces no_false_loss exact why syslog
  traps evidence_host neighbours special check sessions nothing_left soak)
tools=sanitized-tools
case "${1:-}" in
'') set -- "${few[@]}" ;;
all) set -- "${all[@]}" && tools=test-tools ;;
esac

if ! make --no-print-directory -j"$(nproc)" SANITIZE=1 BUILD="$asan" CFLAGS='-O1 -g1' $tools \
  >"$log" 2>&1; then
  tail -20 "$log"
  rm -f "$log"
  echo "0 passed, 1 failed"
  exit 1
fi
rm -f "$log"
# What the sanitizers find ends a program with a status that no test takes for another one's.
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LAB_BIN=${LAB_BIN:-$main/tests/lab}
BUILD=$asan exec tests/run.sh "$@"
