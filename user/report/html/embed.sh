#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Prints the C header with what each HTML report carries: its style, its body and its script, and
# the hashes by which the page's policy (CSP) knows the style and the script.
#
#   embed.sh STYLE BODY SCRIPT…
set -euo pipefail
export LC_ALL=C

# array NAME < TEXT
array() {
  echo "static const char $1[] = {"
  od -An -v -tx1 | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
  echo "};"
}

# hash < TEXT: as CSP wants it.
hash() {
  local hex
  hex=$(sha256sum | cut -c1-64)
  # shellcheck disable=SC2059
  printf "$(sed 's/../\\x&/g' <<<"$hex")" | base64 -w0
}

style=$1 body=$2
shift 2
scripts() {
  echo '"use strict";'
  cat "$@"
}

echo "/* Made by user/report/html/embed.sh. */"
echo "#define KL_PAGE_STYLE_SHA256 \"$(hash <"$style")\""
echo "#define KL_PAGE_SCRIPT_SHA256 \"$(scripts "$@" | hash)\""
array kl_page_style <"$style"
array kl_page_body <"$body"
scripts "$@" | array kl_page_script
