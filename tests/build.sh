#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The build's own promises: a header's change rebuilds what uses it, a second make does nothing, a
# changed flag rebuilds, install puts the program where it is told, and the borders hold.
set -u
cd "$(dirname "$0")/.." || exit 1
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
passed=0 failed=0

check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name"
  fi
}

# The tree as it is, without what was built, so that touching a header touches nobody else's.
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$WORK" 2>/dev/null
cd "$WORK" || exit 1
# (Not optimized: that is no question here, and takes twice the time.)
build() { make --no-print-directory -j"$(nproc)" CFLAGS=-O0 "$@" >"$WORK/make.log" 2>&1; }
# How many files were compiled in the last run.
compiled() { grep -cE ' -c [^ ]+ -o ' "$WORK/make.log"; }

check "it builds out of tree" build BUILD=out
check "the program runs" ./out/kaloss --version
build BUILD=out
check "a second make does nothing" [ "$(compiled)" -eq 0 ]
make -q CFLAGS=-O0 BUILD=out >/dev/null 2>&1
check "make agrees that nothing is to be done" [ $? -eq 0 ]
make -q CFLAGS=-O0 BUILD="$PWD/out" >/dev/null 2>&1
check "nor where the same place is written otherwise" [ $? -eq 0 ]
sleep 1.1
touch include/kaloss/join.h
build BUILD=out
check "a header of both worlds rebuilds the BPF object" grep -q 'bpf/kaloss.bpf.c' "$WORK/make.log"
check "and the program's files that use it" grep -q ' -c user/source/live.c' "$WORK/make.log"
sleep 1.1
touch user/util/duration.h
build BUILD=out
check "a header of the program rebuilds its users" grep -q ' -c user/cli/options.c' "$WORK/make.log"
check "and nothing else" [ "$(grep -c ' -c user/source/hooks.c' "$WORK/make.log")" -eq 0 ]
unused=$(for h in include/kaloss/*.h bpf/*.h user/*/*.h; do
  make -n CFLAGS=-O0 BUILD=out -W "$h" 2>/dev/null | grep -qE ' -c [^ ]+ -o ' || echo "$h"
done)
check "each header would rebuild something${unused:+, but not $unused}" [ -z "$unused" ]
build BUILD=out CFLAGS='-O0 -g'
check "a changed flag rebuilds" [ "$(compiled)" -gt 10 ]
# Where it is installed there was something before.
mkdir -p root/usr/share/doc/other root/usr/share/man/man1
echo kept | tee root/usr/share/doc/other/README root/usr/share/man/man1/other.1 >/dev/null
files() { (cd root && find . -type f -o -type l | sort); }
before=$(files)
check "make install DESTDIR= PREFIX=" build BUILD=out CFLAGS='-O0 -g' install DESTDIR="$WORK/root" PREFIX=/usr
check "installs the program" [ -x "$WORK/root/usr/bin/kaloss" ]
for unit in kaloss kaloss-agent kaloss-join; do
  check "and $unit.service, which starts that program" grep -q '^ExecStart=/usr/bin/kaloss ' \
    root/usr/lib/systemd/system/$unit.service
done
pages=(man/*.1)
check "and a page for each verb" [ "$(find root/usr/share/man/man1 -name "kaloss*.1" -size +1k | wc -l)" -eq "${#pages[@]}" ]
check "and completions" [ "$(find root -path '*completion*' -type f -o -path '*site-functions*' -type f | wc -l)" -eq 3 ]
check "and the documents, whose links lead there" tests/package/links.py root/usr/share/doc/kaloss
check "as they do in the tree" tests/package/links.py . docs
for example in grafana/kaloss.json prometheus/kaloss.rules.yml nats/server.conf; do
  check "and $example" cmp docs/$example root/usr/share/doc/kaloss/$example
done
check "make uninstall" build BUILD=out CFLAGS='-O0 -g' uninstall DESTDIR="$WORK/root" PREFIX=/usr
check "takes away all of it and nothing else" [ "$(files)" = "$before" ]
check "and the documents' directory" [ ! -e root/usr/share/doc/kaloss ]
check "include directions" build include-directions
echo '#include <bpf/libbpf.h>' >>user/core/tally.h
check "a crossed border is found" bash -c "! make --no-print-directory include-directions >/dev/null 2>&1"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
