#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs every test that is built, and ends with one line that counts them all: "N passed, N failed"
# (", N skipped"). Each test prints such a line itself, or is one test. Most of them wait for real
# time to pass, so they run in lanes beside each other; those that are held to the clock of real TCP
# run one by one before that. What only takes processors runs from the start on, whenever nobody
# else wants one.
#
#   tests/run.sh [--no-skips] [NAME…]    names as printed: unit, fuzz, kernel, exact, …
set -u
cd "$(dirname "$0")/.." || exit
export BUILD=${BUILD:-$PWD/build}

no_skips=false
[ "${1:-}" != --no-skips ] || { no_skips=true; shift; }
wanted=" $* "
passed=0 failed=0 skipped=0 failures=()
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# Criterion's own summary line, turned into ours.
unit() {
  local out status p f c
  out=$("$BUILD/tests/unit/unit" 2>&1 | sed 's/\x1b\[[0-9;]*m//g'
    exit "${PIPESTATUS[0]}")
  status=$?
  echo "$out" | grep -vE '^\[====\] (Running|Synthesis)|^$'
  read -r p f c < <(echo "$out" |
    sed -nE 's/.*Passing: ([0-9]+) \| Failing: ([0-9]+) \| Crashing: ([0-9]+).*/\1 \2 \3/p')
  echo "${p:-0} passed, $((${f:-1} + ${c:-0})) failed"
  return $status
}

# command NAME: what a test is, by its name.
command_of() {
  local t
  case $1 in
  unit) command=(unit) ;;
  lint) command=(chrt -i 0 make --no-print-directory --keep-going -j2 lint) ;;
  build) command=(chrt -i 0 tests/build.sh) ;;
  package) command=(chrt -i 0 tests/package/package.sh) ;;
  pair) command=("$BUILD/tests/pair/truth") ;;
  history) command=("$BUILD/tests/history/chance") ;;
  kills | power) command=("$BUILD/tests/history/$1") ;;
  kernel) command=(tests/kernels/parity.sh) ;;
  kernels) command=(chrt -i 0 scripts/kernels.sh -- parity) ;;
  paths) command=(scripts/kernels.sh 6.1 -- paths) ;;
  fuzz) command=("$BUILD/tests/fuzz/replay" tests/fuzz/corpus) ;;
  fuzz-*) command=("$BUILD/tests/fuzz/replay-${1#fuzz-}" "tests/fuzz/corpus-${1#fuzz-}") ;;
  lab) command=(tests/lab/self_test.sh) ;;
  demos) command=(tests/lab/demos.sh) ;;
  html) command=(tests/report/html.sh) ;;
  bench) command=(tests/bench/self_test.sh) ;;
  *)
    for t in tests/captures/"$1".sh tests/net/"$1".sh tests/faults/"$1".sh tests/package/"$1".sh; do
      [ ! -e "$t" ] || command=("$t")
    done
    ;;
  esac
}

# How many frames the kernel dropped because a processor's queue of received ones was full
# (net.core.netdev_max_backlog). All namespaces share it: one test's burst costs another one a segment
# that no rule dropped.
backlog_drops() {
  local _ dropped sum=0
  while read -r _ dropped _; do sum=$((sum + 0x$dropped)); done </proc/net/softnet_stat
  echo $sum
}

# run NAME…: one after the other, each into its log.
run() {
  local name start command drops
  for name; do
    [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || continue
    command_of "$name"
    start=$SECONDS drops=$(backlog_drops)
    "${command[@]}" >"$logs/$name" 2>&1 </dev/null
    echo "$? $((SECONDS - start)) $(($(backlog_drops) - drops))" >"$logs/$name.status"
  done
}

# count NAME…: shows what they said, and adds up their last lines; status 77 is a skip.
count() {
  local name status seconds drops line p f
  for name; do
    [ -e "$logs/$name.status" ] || continue
    read -r status seconds drops <"$logs/$name.status"
    echo "== $name"
    # What passed is of no interest, once it is many.
    grep -vE '^(ok |ok$)' "$logs/$name"
    echo "   $seconds s"
    [ "$drops" -eq 0 ] || echo "   $drops frames dropped meanwhile: a processor's queue was full"
    if [ "$status" -eq 77 ]; then
      if $no_skips; then
        failed=$((failed + 1)) failures+=("$name")
      else
        skipped=$((skipped + 1))
      fi
      continue
    fi
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$logs/$name" | tail -1)
    p=${line%% passed*} f=${line#*, } f=${f%% failed*}
    [ -n "$line" ] || p=0 f=0
    # lint says nothing but what is wrong.
    [ "$name$status" != lint0 ] || p=1
    # A test that fails without saying where is one failure; so is one that says nothing at all.
    [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
    [ "$status" -ne 0 ] || [ $((p + f)) -gt 0 ] || f=1
    passed=$((passed + p)) failed=$((failed + f))
    [ "$f" -eq 0 ] || failures+=("$name")
  done
}

# Once more, at the end of what may be thousands of lines: what failed.
say_failures() {
  local name
  for name in "${failures[@]}"; do
    { grep -E '^(FAIL|\[FAIL\])' "$logs/$name" || tail -3 "$logs/$name"; } | head -5 |
      cut -c -400 | sed "s/^/   $name: /"
  done
}

alone=(unit kernel sessions soak lab)
idle="lint kernels build package options faults paths" # paths: when there is quiet for its clocks
lanes=("exact service syslog stuck bench metrics traps kills power soak_day"
  "nothing_left special damage bad_input usage study pairs pair history fuzz"
  "no_false_loss why evidence_host html kept interfaces demos"
  "check agent units sites sites_cluster clocks neighbours evidence")
for corpus in tests/fuzz/corpus-*; do
  lanes[1]+=" fuzz-${corpus#*/corpus-}"
done
# Whatever is there and named nowhere would be left out without a word.
for t in tests/captures/*.sh tests/net/*.sh tests/faults/*.sh tests/package/*.sh; do
  t=$(basename "$t" .sh)
  [ "$t" = lib ] || [[ " ${alone[*]} $idle ${lanes[*]} " == *" $t "* ]] || lanes[1]+=" $t"
done

# shellcheck disable=SC2086 # a list
run $idle &
idle_pid=$!
for t in "${alone[@]}"; do
  run "$t"
  count "$t"
done
pids=()
for lane in "${lanes[@]}"; do
  # shellcheck disable=SC2086
  run $lane &
  pids+=($!)
done
for i in "${!lanes[@]}"; do
  wait "${pids[$i]}"
  # shellcheck disable=SC2086
  count ${lanes[$i]}
done
wait "$idle_pid"
# shellcheck disable=SC2086
count $idle
[ $failed -eq 0 ] || { echo "== failed" && say_failures; }
if [ $skipped -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ $failed -eq 0 ]
