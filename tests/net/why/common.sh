# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the scenarios of why.sh share: a site, a diagnosis of it, and what is asked of its document.

DIAGNOSIS=''

# site MODE PHONES [arp], see lab_site.
site() {
  LAB_LOGS=$WORK
  lab_site "$@" || { fail "${FUNCNAME[1]}: no site"; finish_tests; }
  keep_trap
}

# diagnose_start OPTION…: in the box. Returns once it is counting.
diagnose_start() {
  local tries=600
  lab_bg box "$WORK/diagnose.err" "$KALOSS" diagnose --access acc0 --cucm cucm0 --for 5m \
    --format json --output "$WORK/document" "$@"
  DIAGNOSIS=$LAB_LAST_PID
  until grep -q '^looking for' "$WORK/diagnose.err" 2>/dev/null; do
    sleep 0.1
    [ $((tries--)) -gt 0 ] && kill -0 "$DIAGNOSIS" 2>/dev/null || {
      fail "diagnose did not start: $(tail -3 "$WORK/diagnose.err")"
      finish_tests
    }
  done
}

# diagnose_end NAME STATUS [SECONDS]: after so many more seconds ends it as Ctrl-C does; without them
# it ends by itself. The document is as the schema says, and complete.
diagnose_end() {
  local status said
  [ -z "${3:-}" ] || {
    sleep "$3"
    kill -INT "$DIAGNOSIS"
  }
  wait "$DIAGNOSIS"
  status=$?
  [ -z "${WHY_KEEP:-}" ] || {
    mkdir -p "$WHY_KEEP"
    cp "$WORK/document" "$WHY_KEEP/$1.json"
    cp "$WORK/diagnose.err" "$WHY_KEEP/$1.err"
  }
  [ -s "$WORK/document" ] || { fail "$1: no document: $(tail -3 "$WORK/diagnose.err")"; finish_tests; }
  # Healthy or not as the findings say; and as the scenario says, where it does.
  expect "$1: exit status" "$status" -eq "$(asked '[.findings[] | select(.fault)] | if . == [] then 0 else 1 end')"
  [ -z "$2" ] || expect "$1: exit status" "$status" -eq "$2"
  if said=$("$ROOT/tests/captures/check_document.py" "$ROOT/docs/diagnosis.schema.json" \
    "$WORK/document"); then
    pass "$1: the document is as in the schema"
  else
    fail "$1: the document is not as in the schema: $said"
  fi
  expect "$1: events lost" "$(asked .integrity.events_lost)" -eq 0
}

# asked FILTER: of the document. finding CAUSE FILTER: of the finding of that cause.
asked() {
  jq -r "$1" "$WORK/document"
}

finding() {
  jq -r --arg cause "$1" ".findings[] | select(.cause == \$cause) | $2" "$WORK/document"
}

# All findings in one line, for what went wrong.
all_findings() {
  jq -r '[.findings[] | "\(.cause) \(.confidence) (\(.phones) phones, \(.losses) losses)"] |
    if . == [] then "no findings" else join(", ") end' "$WORK/document"
}

# first_is NAME CAUSE CONFIDENCE: the likeliest one.
first_is() {
  local got
  got=$(asked '.findings[0] | "\(.cause) \(.confidence)"')
  if [ "$got" = "$2 $3" ]; then
    pass "$1: the first finding is $got"
  else
    fail "$1: the first finding is not $2 $3: $(all_findings)"
  fi
}

# not_found NAME CAUSE…: none of these, of whatever confidence.
not_found() {
  local name=$1 cause
  shift
  for cause in "$@"; do
    if [ -z "$(finding "$cause" .cause)" ]; then
      pass "$name: no $cause"
    else
      fail "$name: $cause, which it is not: $(all_findings): $(finding "$cause" '.evidence | map(.text) | join("; ")')"
    fi
  done
}

# high_only NAME CAUSE…: of high confidence are none but these.
high_only() {
  local name=$1 got cause wrong=''
  shift
  for got in $(asked '.findings[] | select(.confidence == "high" and .fault) | .cause'); do
    for cause in "$@"; do [ "$got" != "$cause" ] || continue 2; done
    wrong+=" $got"
  done
  if [ -z "$wrong" ]; then
    pass "$name: nothing else is said with high confidence"
  else
    fail "$name: with high confidence, too:$wrong: $(all_findings)"
  fi
}

# says NAME CAUSE PLACE TEXT…: PLACE of the finding (remedy, explanation, evidence) has these words.
says() {
  local name=$1 cause=$2 place=$3 text filter=".$3"
  shift 3
  [ "$place" != evidence ] || filter='.evidence | map(.text) | join("; ")'
  text=$(finding "$cause" "$filter")
  for word in "$@"; do
    case ${text,,} in
    *"${word,,}"*) pass "$name: the $place of $cause says $word" ;;
    *) fail "$name: the $place of $cause does not say $word: $text" ;;
    esac
  done
}

# says_not NAME CAUSE PLACE WORD: it does not have this word.
says_not() {
  local text
  text=$(finding "$2" ".$3")
  case $text in
  *"$4"*) fail "$1: the $3 of $2 says $4: $text" ;;
  *) pass "$1: the $3 of $2 does not say $4" ;;
  esac
}

# none_against NAME CAUSE: nothing is said to speak against it.
none_against() {
  local text
  text=$(finding "$2" '[.evidence[] | select(.against) | .text] | join("; ")')
  if [ -z "$text" ]; then
    pass "$1: nothing speaks against $2"
  else
    fail "$1: against $2 is said to speak: $text"
  fi
}

# figure CAUSE NAME: a figure of its evidence; the first, where there are several.
figure() {
  finding "$1" "[.evidence[] | .$2 // empty] | first // empty"
}

# between NAME VALUE FROM TO: a number within these bounds.
between() {
  if [ -n "$2" ] && awk -v v="$2" -v a="$3" -v b="$4" 'BEGIN { exit !(v >= a && v <= b) }'; then
    pass "$1: $2"
  else
    fail "$1: ${2:-nothing}, want $3 to $4"
  fi
}

# What the site's own links dropped, because this machine had no room for more: real losses.
site_dropped() {
  local ns
  for ns in "${!LAB_PID[@]}"; do
    lab_in "$ns" ip -j -s link show type veth
  done | jq -s '[.[][].stats64.tx.dropped] | add'
}

# server_start sccp|sip OPTION…: the call server; its log is $WORK/server.
server_start() {
  local kind=$1
  shift
  lab_bg server "$WORK/server" "$LAB_BIN/$kind-server" "$@"
  SERVER=$LAB_LAST_PID
  lab_wait_for "$WORK/server" ready || fail "the server did not start"
}

# passing NS IF WORD NAME: counts the segments that come in there and whose payload starts with these
# four bytes (hex), in a counter of that name.
passing() {
  lab_in "$1" nft -f - <<-EOT
	table netdev lab {
		counter $4 { }
		chain $4 {
			type filter hook ingress device "$2" priority -20
			meta l4proto tcp @ih,0,32 0x$3 counter name $4
		}
	}
EOT
}

# phones FROM TO KIND OPTION…: these phones, one after the other.
phones() {
  local n from=$1 to=$2
  shift 2
  for ((n = from; n <= to; n++)); do
    lab_phone "$n" "$@"
    sleep "0.$((n * 3 % 5 + 1))"
  done
}
