#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares what `diagnose --format json` found with the truth that write-pair wrote:
check_pair.py TRUTH DIAGNOSIS FACTS

FACTS is what write-pair printed. One line for each fault; the last line says how many losses there
were."""
import collections
import datetime
import json
import sys


def seconds(time):
    """Of a record's time, since 1970."""
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        diagnosis = json.load(f)
    facts = json.loads(sys.argv[3])
    clocks = diagnosis["summary"]["clocks"]
    # A firewall's shift is learnt from the traffic; until then, nothing can be said.
    sure = not facts["shift"] or (clocks is not None and not clocks["steps"])
    found, faults, must_all = collections.Counter(), [], 0
    for loss in diagnosis["timeline"]:
        if loss["where"] == "between":
            found[loss["direction"], loss["phone"]["port"], loss["seq"], loss["length"], loss["kind"]] += 1
    left = dict(found)
    with open(sys.argv[1], encoding="utf-8") as f:
        for line in f:
            way, port, seq, length, kind, must, may = line.split()
            key = way, int(port), int(seq), int(length), kind
            must, may = int(must) if sure else 0, int(may)
            must_all += must
            count = left.pop(key, 0)
            if count < must:
                faults.append(f"{key}: {must} lost, {count} found")
            if count > may:
                faults.append(f"{key}: {may} lost, {count} said to be")
    faults += [f"{key}: said to be lost, and was not" for key in left]
    inferred = [loss for loss in diagnosis["timeline"] if loss["where"] != "between"]
    if clocks and clocks["pairs"] >= 20:
        middle = seconds(diagnosis["summary"]["time"]) - diagnosis["summary"]["duration_s"] / 2
        drift = facts["drift_ppm"] / 1e6
        # The offset holds at a time inside the captures that is not said: the drift bounds it.
        slack = abs(drift) * (diagnosis["summary"]["duration_s"] / 2 + 5) + clocks["offset_error_s"] + 0.002
        off = clocks["offset_s"] - facts["offset_s"] - drift * (middle - facts["start_s"])
        if abs(off) > slack:
            faults.append(f"the offset is {off:.6f} s off, with {slack:.6f} s allowed")
    for fault in faults[:5]:
        print(fault)
    print(f"{sum(found.values())} found, {must_all} had to be, {len(inferred)} inferred, {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
