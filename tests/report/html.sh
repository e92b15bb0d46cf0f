#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# HTML reports in a real browser without a network: small and large ones, and such whose texts come
# from somebody who would like to break out. The pictures stay in $BUILD/report.
set -u
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=$(realpath "${BUILD:-$ROOT/build}")
OUT=$BUILD/report
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
mkdir -p "$OUT"
# Somewhere with a time of its own, without tables of such.
export TZ=LAB-3:30
log=$WORK/log
: >"$log"

say() { echo "$*" | tee -a "$log"; }

# expect NAME GOT WANT
expect() {
  if [ "$2" = "$3" ]; then say "ok    $1: $2"; else say "FAIL  $1: $2, want $3"; fi
}

# at_least NAME GOT LEAST
at_least() {
  if [ "${2:-0}" -ge "$3" ]; then say "ok    $1: $2"; else say "FAIL  $1: $2, want at least $3"; fi
}

alone=(unshare -n)
[ "$(id -u)" -eq 0 ] || alone=(unshare -rn)

# browse OPTION…: its own messages, and those of the page's console, to $WORK/err
browse() {
  HOME=$WORK timeout 240 "${alone[@]}" chromium-headless-shell --headless --no-sandbox --disable-gpu \
    --disable-dev-shm-usage --enable-logging=stderr --user-data-dir="$WORK/profile" \
    --window-size=1400,1500 --virtual-time-budget=5000 "$@" 2>"$WORK/err"
}

# quiet NAME: nothing was said on the console
quiet() { expect "$1: the console is silent" "$(grep -c ':CONSOLE' "$WORK/err")" 0; }

started=$EPOCHREALTIME
lap() {
  local now=$EPOCHREALTIME
  say "info  $1: $(((${now/./} - ${started/./}) / 1000)) ms"
  started=$EPOCHREALTIME
}

for case in small hostile healthy empty many large; do
  started=$EPOCHREALTIME
  "$BUILD/tests/report/write-report" $case "$OUT/$case.html"
  expect "$case: is written" $? 0
  lap "$case: written"
  python3 "$ROOT/tests/report/page.py" file "$OUT/$case.html" $case 2>&1 | tee -a "$log"
  started=$EPOCHREALTIME
  browse --log-net-log="$WORK/net" --dump-dom "file://$OUT/$case.html#selftest" >"$WORK/dom"
  expect "$case: the browser ends well" $? 0
  quiet $case
  expect "$case: requests to anywhere" "$(grep -oE '"url":"(https?|wss?|ftp)://[^"]*' "$WORK/net" | sort -u | tr '\n' ' ')" ""
  lap "$case: opened, used and closed"
  python3 "$ROOT/tests/report/page.py" dom "$WORK/dom" $case 2>&1 | tee -a "$log"
done

for case in small healthy large; do
  browse --screenshot="$OUT/$case.png" "file://$OUT/$case.html" >"$WORK/said"
  quiet "$case, its picture"
  python3 "$ROOT/tests/report/page.py" picture "$OUT/$case.png" >"$WORK/colours"
  read -r colours "loss_$case" keepalive <"$WORK/colours"
  at_least "$case: colours in its picture" "$colours" 100
  # (Of many keepalives there is a lighter band.)
  [ $case = large ] || at_least "$case: pixels of keepalives in it" "$keepalive" 500
done
# shellcheck disable=SC2154
at_least "pixels of losses, beyond those of the legend" $((loss_small - loss_healthy)) 100

browse --blink-settings=preferredColorScheme=0 --screenshot="$OUT/dark.png" "file://$OUT/small.html" >"$WORK/said"
quiet "dark"
if cmp -s "$OUT/dark.png" "$OUT/small.png"; then say "FAIL  dark is as light"; else say "ok    dark is not light"; fi

browse --print-to-pdf="$OUT/small.pdf" --no-pdf-header-footer "file://$OUT/small.html" >"$WORK/said"
quiet "on paper"
at_least "pages of paper" "$(grep -ac '/Type /Page$' "$OUT/small.pdf")" 1
at_least "losses drawn on paper" "$(python3 "$ROOT/tests/report/page.py" paper "$OUT/small.pdf")" 16

"$BUILD/tests/report/write-report" small /dev/full 2>"$WORK/err"
expect "a full disk is told" $? 1

passed=$(grep -c '^ok' "$log") failed=$(grep -cE '^FAIL|^Traceback' "$log")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
