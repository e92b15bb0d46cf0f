#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian package: it builds from the tree, lintian has nothing to say, and it is installed, run,
# upgraded and purged on this very system, in an overlay that is thrown away afterwards.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ "$(id -u)" -ne 0 ]; then
  echo "SKIP: needs root (an overlay over the system, and BPF programs)"
  exit 77
fi
# A mount namespace and a network namespace of its own: nothing of this stays.
[ "${1:-}" = inside ] || exec unshare --mount --net --propagation private "$0" inside

WORK=$(mktemp -d)
mount -t tmpfs tmpfs "$WORK" || exit 1
trap 'cd /; umount -R "$WORK"; rmdir "$WORK"' EXIT
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

finish() {
  echo "$passed passed, $failed failed"
  [ $failed -eq 0 ]
  exit
}

# ---- what must agree in the tree ----

needed() {
  local library
  for library in $(make -s --eval 'show:; @echo $(LIBS)' show); do
    # (libpcap-dev is what others depend on, and has no files.)
    dpkg-query -S "$(pkg-config --variable=pcfiledir "$library")/$library.pc" |
      sed 's/:.*//; s/libpcap0.8-dev/libpcap-dev/'
  done
}
declared() {
  sed -n '/^Build-Depends:/,/^[^ ]*:/p' debian/control | tr -s ', ' '\n' | grep -- '-dev$'
}
# uthash is headers only; criterion is for the unit tests.
check "Build-Depends are the libraries of the Makefile" diff \
  <(declared | grep -vx -e uthash-dev -e libcriterion-dev | sort) <(needed | sort -u)

# all_in TEXT PACKAGE…
all_in() {
  local text=$1 package
  shift
  for package; do
    [[ " $text " == *" $package "* ]] || { echo "      no $package" && return 1; }
  done
}

mapfile -t libraries < <(declared | grep -vx libcriterion-dev)
check "scripts/setup.sh installs them" all_in "$(tr '\n' ' ' <scripts/setup.sh)" "${libraries[@]}"
check "README.md names them" all_in "$(grep '^sudo apt install' README.md)" "${libraries[@]}"
check "the package has the version of the program" \
  [ "$(dpkg-parsechangelog -S Version)" = "$(cat VERSION)" ]

# ---- build ----

export LC_ALL=C.UTF-8
quietly() { "$@" >"$WORK/log" 2>&1 || { tail -20 "$WORK/log" && false; }; }

check "it builds" quietly tests/build_deb.sh "$WORK"
cd "$WORK/tree" || exit 1
first=$(echo "$WORK"/kaloss_*.deb)
[ -e "$first" ] || finish
said=$(lintian --allow-root --fail-on none -EIL +pedantic "$WORK"/*.changes 2>&1)
check "lintian has nothing to say" [ -z "$said" ]
[ -z "$said" ] || echo "$said"
check "the compiler was told to harden" grep -q -- '-fstack-protector-strong.* -c user/main.c' "$WORK/log"
check "and the linker" bash -c 'readelf -dW debian/kaloss/usr/bin/kaloss | grep -q "NOW PIE"'
check "nothing in it says where it was built" bash -c '! grep -rqF "$0" debian/kaloss' "$WORK"

# The same package a version later, with another configuration.
dpkg-deb -R "$first" "$WORK/later"
sed -i 's/^Version: .*/&+1/' "$WORK/later/DEBIAN/control"
[ ! -e conf/kaloss.conf ] || echo "# A later remark." >>"$WORK/later/etc/kaloss.conf"
second=${first/_/_later_}
quietly dpkg-deb -b "$WORK/later" "$second"

# ---- a system of its own ----

mkdir "$WORK/upper" "$WORK/work" "$WORK/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root" &&
  mount --rbind /proc "$WORK/root/proc" && mount -t sysfs sysfs "$WORK/root/sys" &&
  mount --rbind /dev "$WORK/root/dev" && mount -t tmpfs tmpfs "$WORK/root/tmp" || exit 1
mkdir "$WORK/root/tmp/debs"
cp "$first" "$second" "$WORK/root/tmp/debs"
export DEBIAN_FRONTEND=noninteractive
on() { chroot "$WORK/root" "$@"; }
# What is there now and was not before, or is changed or gone. Caches and logs are others'.
left() {
  (cd "$WORK/upper" && find . ! -type d \( -path './var/lib/dpkg/*' -o -path './var/cache/*' \
    -o -path './var/log/*' \) -prune -o ! -type d -print)
}

check "nothing is changed yet" [ -z "$(left)" ]
check "dpkg installs it" quietly on dpkg -i "/tmp/debs/${first##*/}"
check "it runs" [ "$(on kaloss --version)" = "kaloss $(cat VERSION)" ]
check "its manual page is found" bash -c 'chroot "$0" man -w kaloss-watch | grep -q kaloss-watch.1' \
  "$WORK/root"
for completion in bash-completion/completions/kaloss zsh/vendor-completions/_kaloss \
  fish/vendor_completions.d/kaloss.fish; do
  check "${completion%%/*} finds its completion" [ -s "$WORK/root/usr/share/$completion" ]
done
check "its documents lead to each other" tests/package/links.py "$WORK/root/usr/share/doc/kaloss"
check "dpkg finds all its files as they were packed" [ -z "$(on dpkg -V kaloss)" ]

ip link add acc0 type veth peer name acc1
ip link add cucm0 type veth peer name cucm1
for i in acc0 acc1 cucm0 cucm1; do ip link set "$i" up; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
on kaloss check --access acc0 --cucm cucm0 --duration 100ms >"$WORK/check" 2>&1
status=$?
check "kaloss check loads its programs here, and finds nothing in the way" [ $status -eq 0 ] ||
  cat "$WORK/check"

if [ -e conf/kaloss.conf ]; then
  echo "# Changed here." >>"$WORK/root/etc/kaloss.conf"
  edited=$(cat "$WORK/root/etc/kaloss.conf")
fi
if [ -e systemd/kaloss.service ]; then
  for unit in kaloss kaloss-agent kaloss-join; do
    check "$unit.service is there" [ -s "$WORK/root/lib/systemd/system/$unit.service" ]
    check "and is not enabled" [ "$(on systemctl --root=/ is-enabled $unit.service 2>&1)" = disabled ]
  done
  check "and starts the program where it is" on sh -c \
    '[ -x "$(sed -n "s/^ExecStart=\([^ ]*\).*/\1/p" /lib/systemd/system/kaloss.service)" ]'
  check "and would start by this configuration, once it names the interfaces" on sh -c \
    'kaloss watch --config /etc/kaloss.conf --check-config --access acc0 --cucm cucm0'
fi
check "dpkg upgrades it" quietly on dpkg -i --force-confold "/tmp/debs/${second##*/}"
check "to the later version" \
  [ "$(on dpkg-query -W -f '${Version}' kaloss)" = "$(cat VERSION)+1" ]
if [ -e conf/kaloss.conf ]; then
  check "a configuration that was changed here is kept" \
    [ "$(cat "$WORK/root/etc/kaloss.conf")" = "$edited" ]
fi
# What its services have recorded, as systemd keeps it for users that it makes up.
states='kaloss kaloss-agent kaloss-join'
for state in $states; do
  on mkdir -p /var/lib/private/$state
  on ln -s private/$state /var/lib/$state
  on touch /var/lib/$state/history.db
done
check "dpkg removes it" quietly on dpkg --remove kaloss
for state in $states; do
  check "what $state.service recorded is still there" [ -e "$WORK/root/var/lib/private/$state/history.db" ]
done
check "dpkg purges it" quietly on dpkg --purge kaloss
for state in $states; do
  check "and is gone now" bash -c '! ls -d "$0"/var/lib/"$1" "$0"/var/lib/private/"$1" 2>/dev/null' \
    "$WORK/root" $state
done
remains=$(left)
check "nothing is left behind${remains:+, but $remains}" [ -z "$remains" ]
check "dpkg has forgotten it" bash -c '! chroot "$0" dpkg-query -W kaloss >/dev/null 2>&1 &&
  [ -z "$(ls "$0"/var/lib/dpkg/info/kaloss.* 2>/dev/null)" ]' "$WORK/root"
finish
