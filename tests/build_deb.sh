#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Builds the Debian packages of what is in the tree, without its tests: build_deb.sh DIR. The tree is
# copied to DIR/tree, the packages are in DIR.
set -eu
to=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
mkdir -p "$to/tree"
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
  xargs -0 cp --parents -t "$to/tree" 2>/dev/null || true
cd "$to/tree"
DEB_BUILD_OPTIONS="nocheck parallel=2" LC_ALL=C.UTF-8 dpkg-buildpackage -us -uc -b
