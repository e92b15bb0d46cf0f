#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The suite under ASan and UBSan, leaks included, in a build of its own: what of it is quick (the unit
# tests, pairs and histories by chance, captures and their evidence, watch on interfaces through wrong
# inputs, set clocks and pauses), or whatever can run that way.
#
#   tests/sanitized.sh [few|all|NAME…]     names of tests/run.sh; few unless told
#
# SANITIZED_SECONDS is how long the tests may take (few: 600, which is for a busy machine).
set -u
cd "$(dirname "$0")/.." || exit 1
main=${BUILD:-$PWD/build}
asan=${ASAN_BUILD:-$PWD/build-asan}
log=$(mktemp)

few=(unit pair history study usage evidence clocks bad_input)
# Left out are lint, build, package, demos, kernels and paths, which build or boot something else; lab
# and bench, of what the tests themselves consist of; fuzz, which is built with sanitizers anyway;
# faults, which preloads what a sanitizer would; service, whose system calls and memory are what the unit allows, and no
# sanitizer's; and soak_day, which measures memory.
all=("${few[@]}" damage pairs kills power html metrics options kernel interfaces no_false_loss exact why
  syslog traps evidence_host neighbours special check sessions stuck nothing_left kept soak agent units
  sites sites_cluster)
tools=sanitized-tools
most=${SANITIZED_SECONDS:-0}
case "${1:-few}" in
few) set -- "${few[@]}" && most=${SANITIZED_SECONDS:-600} ;;
all) set -- "${all[@]}" && tools=test-tools ;;
*) tools=test-tools ;;
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
BUILD=$asan exec timeout "$most" tests/run.sh "$@"
