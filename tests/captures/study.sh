#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# The case study's two tables as captures: the clocks' difference is found, all that lies in both is
# paired, nothing is lost; and what is taken out of the one is lost, in both numberings.
set -u
. "$(dirname "$0")/lib.sh"

A=$WORK/phone.pcap B=$WORK/cucm.pcap

# study NAME OPTION… [-- OPTION…]: the rest are of diagnose.
study() {
  local name=$1 words=()
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do words+=("$1"); shift; done
  [ $# -eq 0 ] || shift
  "$TOOLS/write-study" "$A" "$B" "${words[@]}" || fail "$name: write-study"
  diagnose --access-capture "$A" --cucm-capture "$B" "$@"
  local status=$?
  [ $status -le 1 ] && [ ! -s "$WORK/err" ] || fail "$name: exit status $status: $(cat "$WORK/err")"
}

lost='[.timeline[] | select(.where == "between")]'
n=0
for variant in "" "shift=305419896,2596069104" "shift=4294967280,1" "nat=1" \
  "nat=1 shift=305419896,2596069104" "format=pcapng"; do
  n=$((n + 1))
  name="variant $n (${variant:-as it is})"
  # shellcheck disable=SC2086
  study "$name" $variant
  expect "$name: offset within 5 ms" "$(said '(.summary.clocks.offset_s - 5.32) | fabs < 0.005')" true
  expect "$name: paired" "$(said '.summary | [.to_cucm.delivered, .to_phone.delivered] | join("+")')" 2+4
  expect "$name: lost" "$(said "$lost | length")" 0
  expect "$name: from before the phone's capture" "$(said .integrity.unpaired_by.before)" 3
  expect "$name: device" "$(said '.phones[0].phone.device // .phones[0].device')" SEPE0D1730A8137

  # The server acknowledged it all the same: alone it is called lost, and that is said with it.
  # shellcheck disable=SC2086
  study "$name" $variant without=5
  expect "$name: without frame 5, that is lost, with what speaks against it" \
    "$(said "[.integrity.unpaired_by.acknowledged, ($lost | length), ($lost[0] | .seq),
      ($lost[0] | .evidence | test(\"acknowledged\")), .findings[0].confidence] | join(\" \")")" \
    "0 1 2991996107 true low"
  # shellcheck disable=SC2086
  study "$name" $variant without=5 -- --complete cucm --write-lost "$WORK/lost.pcapng"
  shift=$(sed -nE 's/.*shift=([0-9]+),.*/\1/p' <<<"$variant")
  expect "$name: without frame 5, exactly that is lost" \
    "$(said "$lost | map(\"\(.direction) \(.kind) \(.seq) \(.seq_other) \(.length)\") | join(\";\")")" \
    "to_cucm sip_register 2991996107 $(((2991996107 + ${shift:-0}) % 4294967296)) 890"
  expect "$name: its time" "$(said "$lost[0].time")" 2015-07-02T18:14:49.051041Z
  # Its neighbours: the answers and their acknowledgement, on both sides.
  expect "$name: packets written" "$("$KALOSS" diagnose --access-capture "$WORK/lost.pcapng" \
    --format json | jq .integrity.captures.access.packets)" 7
  expect "$name: and marked" "$(grep -ac 'lost: never seen in the cucm capture' "$WORK/lost.pcapng")" 1
done

# What the end of a pcapng says is known before its losses are judged.
study "drops" format=pcapng without=5 dropped=3 -- --complete cucm
expect "dropped by the capture" \
  "$(said "[.integrity.unpaired_by.capture_dropped, ($lost | length)] | join(\" \")")" "1 0"
expect "the capture's own count" "$(said .integrity.captures.cucm.dropped)" 3
gzip -kf "$B"
diagnose --access-capture "$A" --cucm-capture "$B.gz" --complete cucm
expect "packed: the same, in so short a capture" \
  "$(said "[.integrity.unpaired_by.capture_dropped, ($lost | length)] | join(\" \")")" "1 0"

# One capture alone.
for side in access cucm; do
  "$TOOLS/write-study" "$A" "$B"
  file=$A
  [ $side = access ] || file=$B
  diagnose --$side-capture "$file"
  expect "$side alone: exit status" $? 0
  expect "$side alone: nothing between" "$(said '.summary.to_cucm.lost_between')" null
  expect "$side alone: no loss" "$(said '.timeline | length')" 0
  expect "$side alone: device" "$(said '.phones[0].phone.device // .phones[0].device')" SEPE0D1730A8137
done
finish_tests
