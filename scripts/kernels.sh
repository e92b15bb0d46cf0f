#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Boots other kernels of Debian's under qemu, on this machine's own files, shared read-only, and runs
# tests/kernels/ there: do the programs load, do they say what they should, are their losses exact,
# and is nothing left of them? Ends with "N passed, N failed"; docs/kernels.md has what came out.
#
#   scripts/kernels.sh [--build DIR] [--record] [SERIES…] [-- TEST…]
#
# DIR has what `make test-tools` built (build). SERIES: 6.1 (bookworm's) and 6.12
# (bookworm-backports'); both without any. TEST: parity, paths, and systemd, with which the guest is one
# of systemd's, and this tree's Debian package a service there; all without any. --record writes
# tests/kernels/budget anew from what was seen, and prints the rows for docs/kernels.md.
#
# The kernels are downloaded with apt, and stay in DIR/kernels; nothing is installed. It needs qemu,
# busybox, kmod and xz (scripts/setup.sh), but no root. Exit status: 0 all passed, 1 not, 2 it could
# not run, 77 a kernel could not be had (what could, passed).
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
BUILD=${BUILD:-$ROOT/build}
SECONDS_MAX=${KERNELS_SECONDS:-900}
PATH=$PATH:/usr/sbin:/sbin

series=() tests=() record=false
while [ $# -gt 0 ]; do
  case $1 in
  --build) BUILD=${2:?--build needs a directory}; shift ;;
  --record) record=true ;;
  --) shift; tests=("$@"); break ;;
  6.*) series+=("$1") ;;
  *) echo "kernels: unknown argument $1" >&2; exit 2 ;;
  esac
  shift
done
[ ${#tests[@]} -gt 0 ] || tests=(parity paths systemd)
[ ${#series[@]} -gt 0 ] || series=(6.1 6.12)
[ -x "$BUILD/tests/kernel/same-verdict" ] && [ -x "$BUILD/kaloss" ] || {
  echo "kernels: $BUILD lacks the program or its tests (make test-tools)" >&2
  exit 2
}
BUILD=$(cd "$BUILD" && pwd)
STORE=$BUILD/kernels
mkdir -p "$STORE"
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

missing=()
for c in qemu-system-x86_64 busybox depmod xz; do
  command -v $c >/dev/null || missing+=("$c")
done
[ ${#missing[@]} -eq 0 ] || {
  echo "kernels: not installed: ${missing[*]} (scripts/setup.sh)" >&2
  exit 77
}

# ---- Kernels, by apt ----

# suite_of SERIES: where Debian 12 has it.
suite_of() {
  case $1 in
  6.1) echo bookworm ;;
  6.12) echo bookworm-backports ;;
  *) echo "kernels: Debian 12 has no $1" >&2; return 1 ;;
  esac
}

# mirror LABEL: where this machine's apt has that archive of Debian's from.
mirror() {
  # shellcheck disable=SC2016 # apt's own words
  apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)' 'Created-By: Packages' |
    awk -F'|' -v l="$1" '$2 == "Debian" && $3 == l && $4 == "main" { print $1; exit }'
}

# stanza URI SUITE
stanza() {
  local keys=/usr/share/keyrings/debian-archive-keyring.gpg
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "$1" "$2"
  [ ! -e $keys ] || echo "Signed-By: $keys"
  echo
}

# apt_options SUITE: into ${apt[@]}, a view of that suite alone, from where this machine has Debian.
apt_options() {
  local suite=$1 dir=$STORE/apt-$1 uri
  uri=$(mirror Debian)
  [ -n "$uri" ] || { echo "kernels: apt has no index of Debian's (apt-get update)" >&2; return 1; }
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  stanza "$uri" "$suite" >"$dir/debian.sources"
  uri=$(mirror Debian-Security)
  [ "$suite" != bookworm ] || [ -z "$uri" ] ||
    stanza "$uri" bookworm-security >>"$dir/debian.sources"
  apt=(-qq -o "Dir::Etc::sourcelist=$dir/debian.sources" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$dir/lists" -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root
    -o Acquire::Retries=3 -o APT::Update::Error-Mode=any)
}

# fetch SERIES: its kernel, and the modules that a network takes, to $STORE/SERIES; what is there is
# not asked for again.
fetch() {
  local series=$1 to=$STORE/$1.new suite package deb apt
  [ ! -e "$STORE/$series/release" ] || return 0
  rm -rf "$to"
  mkdir -p "$to"
  suite=$(suite_of "$series") && apt_options "$suite" && apt-get "${apt[@]}" update || return 1
  package=$(apt-cache "${apt[@]}" depends linux-image-amd64 |
    sed -n "s/^ *Depends: \(linux-image-${series//./\\.}\.[^ ]*\)$/\1/p" | head -1)
  [ -n "$package" ] || { echo "kernels: $suite has no $series" >&2; return 1; }
  (cd "$to" && apt-get "${apt[@]}" download "$package") || return 1
  deb=$(echo "$to"/*.deb)
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$to" --wildcards './boot/vmlinuz-*' \
    './lib/modules/*/modules.*' './lib/modules/*/kernel/'{net,fs,lib,crypto,arch}'/*' \
    './lib/modules/*/kernel/drivers/'{net,virtio}'/*' || return 1
  dpkg-deb -f "$deb" Version >"$to/version"
  rm "$deb"
  ls "$to/lib/modules" >"$to/release"
  depmod -b "$to" "$(cat "$to/release")" || return 1
  mv "$to" "$STORE/$series"
}

# ---- The package, for the guest that is to be one of systemd's ----

# package: to $STORE/deb, unless it is there and newer than all that it is made of.
package() {
  local to=$STORE/deb
  [ ! -e "$to/built" ] || [ -n "$(find user bpf include systemd debian conf man completion Makefile \
    VERSION -newer "$to/built" -print -quit)" ] || return 0
  rm -rf "$to"
  mkdir -p "$to"
  nice -n 5 tests/build_deb.sh "$to" >"$DIR/package" 2>&1 ||
    { tail -20 "$DIR/package" >&2; return 1; }
  rm -rf "$to/tree"
  touch "$to/built"
}

# ---- A guest ----

# initramfs SERIES: busybox, the modules that a shared root takes, tests/kernels/init and its task.
initramfs() {
  local root=$DIR/root n=10 m release
  release=$(cat "$STORE/$1/release")
  rm -rf "$root"
  mkdir -p "$root/bin" "$root/modules"
  cp "$(command -v busybox)" "$root/bin/busybox"
  cp tests/kernels/init "$root/init"
  for m in virtio_pci 9pnet_virtio 9p overlay; do
    modprobe -d "$STORE/$1" -S "$release" --show-depends $m
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$DIR/modules"
  while read -r m; do
    case $m in
    *.xz) xz -dc "$m" >"$root/modules/$n.ko" ;;
    *) cp "$m" "$root/modules/$n.ko" ;;
    esac
    n=$((n + 1))
  done <"$DIR/modules"
  {
    printf 'MODULES=%q\n' "$STORE/$1/lib/modules/$release"
    printf 'GUEST=%q\n' "$ROOT/tests/kernels/guest.sh"
    printf 'TESTS=%q\n' "${tests[*]}"
    printf 'export BUILD=%q\n' "$BUILD"
  } >"$root/task"
  (cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) | gzip -1 >"$DIR/initramfs"
}

# boot SERIES: $DIR/out is what the tests say, $DIR/console what the kernel says. The processor is an
# old one: what newer ones can do takes longer to emulate. On a busy machine its clocks run unevenly;
# the kernel is told not to check them.
boot() {
  : >"$DIR/out" >"$DIR/console"
  nice -n 5 timeout --foreground "$SECONDS_MAX" qemu-system-x86_64 -nodefaults -no-reboot \
    -display none -machine q35 -accel tcg,thread=multi -cpu Nehalem -smp 2 -m 1536 \
    -kernel "$STORE/$1/boot/vmlinuz-$(cat "$STORE/$1/release")" -initrd "$DIR/initramfs" \
    -append "console=ttyS0 quiet loglevel=5 panic=-1 oops=panic nowatchdog tsc=unstable \
no_timer_check rcupdate.rcu_cpu_stall_suppress=1 mitigations=off init_on_alloc=0" \
    -serial "file:$DIR/console" -serial "file:$DIR/out" \
    -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
    >"$DIR/qemu" 2>&1 </dev/null
}

# run SERIES: what its tests said goes to $DIR/SERIES, and is shown.
run() {
  local rc=0 start=$SECONDS release
  release=$(cat "$STORE/$1/release")
  echo "== $1: $release ($(cat "$STORE/$1/version"))"
  initramfs "$1"
  boot "$1" || rc=$?
  tr -d '\r' <"$DIR/out" >"$DIR/$1"
  grep -v '^[0-9]* passed, [0-9]* failed$' "$DIR/$1" || true
  # The kernel's own word on what it found wrong with itself counts, too.
  if grep -E 'BUG:|WARNING:|Oops|general protection|Kernel panic' "$DIR/console"; then
    echo "FAIL  $1: the kernel's console has the lines above" | tee -a "$DIR/$1"
  fi
  if [ $rc -ne 0 ] || ! grep -q '^guest: done' "$DIR/$1"; then
    echo "FAIL  $1: the guest did not end by itself (qemu's status: $rc); the end of its console:" |
      tee -a "$DIR/$1"
    tail -n 25 "$DIR/console"
    cat "$DIR/qemu"
  fi
  echo "   $((SECONDS - start)) s with $1"
}

# ---- What came out ----

# said SERIES NAME: the figure of a check, or "failed".
said() {
  local line
  line=$(grep -F "  $2: " "$DIR/$1" | head -1)
  case $line in
  ok*) echo "${line##*: }" ;;
  FAIL*) echo failed ;;
  *) echo "not run" ;;
  esac
}

kinds() {
  sed -n "s/.*frames that $2: //p" "$DIR/$1" | sort -u | paste -sd, | sed 's/,/, /g'
}

row() {
  local left
  left=$(said "$1" "the next start: filters left")
  [ "$left" = "not run" ] && left=$(said "$1" "SIGKILL: programs left") ||
    left="$(said "$1" "SIGKILL: filters left") filters, after the next start $left"
  echo "| $(cat "$STORE/$1/release") | $(said "$1" "verdicts") | $(kinds "$1" "come in") |" \
    "$(kinds "$1" leave) | $(said "$1" "routed: losses") | $(said "$1" "bridged: losses") |" \
    "$(said "$1" "bridged: losses by netem") | $(said "$1" "routed from a VLAN trunk: losses") |" \
    "$(said "$1" "bridged, tagged: losses") | $(said "$1" "routed, hook on a VLAN device: losses") |" \
    "$(said "$1" "SIGTERM: programs left") | $left |"
}

# Each program's cost on each kernel that ran, a quarter more; the other kernels' lines stay.
record() {
  local costs=$DIR/costs
  [ "$(id -u)" -ne 0 ] || BUILD=$BUILD tests/kernels/parity.sh >"$DIR/host" || true
  cat "$DIR"/host "${series[@]/#/$DIR/}" 2>/dev/null |
    sed -nE 's/^(ok|FAIL) +cost ([^ ]+ [^ ]+ [0-9]+ [0-9]+).*/\2/p' >"$costs"
  {
    sed -n '/^#/p' tests/kernels/budget
    awk 'NR == FNR { seen[$1]; print $1, $2, int($3 * 1.25 / 1000 + 1) * 1000, int($4 * 1.25); next }
      !/^#/ && !($1 in seen)' "$costs" tests/kernels/budget | sort -s -t. -k1,1n -k2,2n
  } >"$DIR/budget"
  cp "$DIR/budget" tests/kernels/budget
  echo "tests/kernels/budget is written anew; measured:"
  cat "$costs"
  for s in "${series[@]}"; do [ ! -e "$DIR/$s" ] || row "$s"; done
}

unobtainable=()
if [[ " ${tests[*]} " == *" systemd "* ]]; then
  if [ -x /lib/systemd/systemd ]; then
    package || { echo "kernels: the package could not be built" >&2; exit 2; }
  else
    echo "SKIP: systemd is not installed"
    unobtainable+=(systemd)
    mapfile -t tests < <(printf '%s\n' "${tests[@]}" | grep -vx systemd)
    [ ${#tests[@]} -gt 0 ] || exit 77
  fi
fi
for s in "${series[@]}"; do
  if fetch "$s"; then
    run "$s"
  else
    echo "SKIP: $s could not be had by apt"
    unobtainable+=("$s")
  fi
done
! $record || record
passed=0 failed=0
for s in "${series[@]}"; do
  [ -e "$DIR/$s" ] || continue
  p=$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$DIR/$s" | paste -sd+)
  f=$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$DIR/$s" | paste -sd+)
  passed=$((passed + ${p:-0}))
  # What failed outside of the tests.
  failed=$((failed + ${f:-1} + $(grep -c "^FAIL  $s: the" "$DIR/$s" || true)))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] || exit 1
[ ${#unobtainable[@]} -eq 0 ] || exit 77
