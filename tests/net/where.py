#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares the loss records of a watch with what was really dropped, by place:

    where.py [--require PLACE=RECALL/PRECISION]… RECORDS PLACE=CAPTURE…

RECORDS are kaloss's JSON lines. A CAPTURE (as lab_witness writes it: classic pcap, Ethernet)
holds the frames that were dropped at PLACE: phone_side, between or cucm_side. A dropped frame is a
true loss if it carries a keepalive or an answer to one; whatever else was dropped there (a bare
ACK, a SYN) is none, and a loss reported for it is a false one. A report is matched by place,
direction, both ends and sequence number, and as often as that segment was dropped there. Prints a
table, then the first reports that are false and the first losses that were missed.

--require fails (exit status 1) if less than so many percent are reached; - asks for nothing. Where
nothing was reported, nothing was false."""
import argparse
import collections
import json
import socket
import struct
import sys

PLACES = ("phone_side", "between", "cucm_side")
PORTS = {2000, 5060}
LISTED = 20

Frame = collections.namedtuple("Frame", "time direction phone cucm seq length ident flags kind")


def frames(path):
    """Every TCP segment of a capture."""
    with open(path, "rb") as f:
        head = f.read(24)
        magic, link = struct.unpack("<I", head[:4])[0], struct.unpack("<I", head[20:24])[0]
        per_second = {0xA1B2C3D4: 1e6, 0xA1B23C4D: 1e9}[magic]
        if link != 1:
            raise SystemExit(f"{path}: not a capture of Ethernet frames")
        while len(record := f.read(16)) == 16:
            seconds, fraction, kept, _ = struct.unpack("<IIII", record)
            data = f.read(kept)
            if len(data) < kept:
                return  # the last one is still being written
            frame = segment(seconds + fraction / per_second, data)
            if frame:
                yield frame


def segment(time, data):
    ip = data[14:]
    if data[12:14] == b"\x08\x00" and ip[9] == 6:
        family, ends, ident = socket.AF_INET, ip[12:20], struct.unpack(">H", ip[4:6])[0]
        tcp = ip[(ip[0] & 15) * 4 : struct.unpack(">H", ip[2:4])[0]]
    elif data[12:14] == b"\x86\xdd" and ip[6] == 6:
        family, ends, ident = socket.AF_INET6, ip[8:40], 0
        tcp = ip[40 : 40 + struct.unpack(">H", ip[4:6])[0]]
    else:
        return None
    source, target, seq = struct.unpack(">HHI", tcp[:8])
    payload = tcp[(tcp[12] >> 4) * 4 :]
    half = len(ends) // 2
    src = f"{socket.inet_ntop(family, ends[:half])}:{source}"
    dst = f"{socket.inet_ntop(family, ends[half:])}:{target}"
    up = target in PORTS
    if not up and source not in PORTS:
        return None
    return Frame(
        time,
        "to_cucm" if up else "to_phone",
        src if up else dst,
        dst if up else src,
        seq,
        len(payload),
        ident,
        tcp[13],
        kind(payload, target if up else source),
    )


def kind(payload, port):
    """What a watch would count it as; None for what is neither a keepalive nor an answer."""
    if port == 2000:
        at = 0
        while at + 12 <= len(payload):
            length, _, message = struct.unpack("<III", payload[at : at + 12])
            if length == 4 and message in (0x0000, 0x0100):
                return "sccp_keepalive" if message == 0 else "sccp_keepalive_ack"
            at += length + 8
        return None
    text = payload.lstrip(b"\r\n")
    if payload and not text:
        return "crlf_ping" if len(payload) >= 4 else "crlf_pong"
    if text.startswith(b"REGISTER "):
        return "sip_register"
    if text.startswith(b"OPTIONS "):
        return "sip_options"
    if text.startswith(b"SIP/2.0 ") and (b" REGISTER\r\n" in text or b" OPTIONS\r\n" in text):
        return "sip_response"
    return None


def end(e):
    return f"{e['ip']}:{e['port']}"


def reports(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            record = json.loads(line)
            if record["type"] == "loss":
                yield record


def key_of_report(r):
    return r["direction"], end(r["phone"]), end(r["cucm"]), r["seq"]


def percent(part, whole):
    return 100.0 * part / whole if whole else None


def rate(value):
    return f"{'-':>10}" if value is None else f"{value:>8.2f} %"


class Comparison:
    def __init__(self, truth, records):
        self.dropped = {p: truth.get(p, []) for p in PLACES}
        self.true = {p: [f for f in self.dropped[p] if f.kind] for p in PLACES}
        self.by_key = {p: self._index(self.true[p]) for p in PLACES}
        self.reported = collections.defaultdict(list)
        for r in records:
            self.reported[r["where"]].append(r)
        self.matched, self.false, self.missed = {}, [], []
        for place in PLACES:
            left = {k: list(v) for k, v in self.by_key[place].items()}
            for r in self.reported[place]:
                if left.get(key_of_report(r)):
                    left[key_of_report(r)].pop()
                    self.matched[place] = self.matched.get(place, 0) + 1
                else:
                    self.false.append(r)
            self.missed += [(place, f) for v in left.values() for f in v]

    @staticmethod
    def _index(dropped):
        index = collections.defaultdict(list)
        for f in dropped:
            index[f.direction, f.phone, f.cucm, f.seq].append(f)
        return index

    def recall(self, place):
        return percent(self.matched.get(place, 0), len(self.true[place]))

    def precision(self, place):
        return percent(self.matched.get(place, 0), len(self.reported[place]))

    def table(self):
        print(f"{'where':<12}{'dropped':>9}{'losses':>9}{'reported':>10}{'matched':>9}"
              f"{'recall':>10}{'precision':>11}")
        for p in PLACES:
            print(f"{p:<12}{len(self.dropped[p]):>9}{len(self.true[p]):>9}"
                  f"{len(self.reported[p]):>10}{self.matched.get(p, 0):>9}"
                  f"{rate(self.recall(p))} {rate(self.precision(p))}")
        for p in sorted(set(self.reported) - set(PLACES), key=str):
            print(f"{p!s:<12}{'-':>9}{'-':>9}{len(self.reported[p]):>10}")

    def explain(self):
        others = collections.defaultdict(list)
        for p in PLACES:
            for f in self.dropped[p]:
                others[f.phone, f.cucm].append((p, f))
        if self.false:
            print(f"{len(self.false)} false reports:")
        for r in self.false[:LISTED]:
            print(json.dumps(r))
            self._nearby(others[end(r["phone"]), end(r["cucm"])], r["direction"], r["seq"])
        self.missed.sort(key=lambda m: m[1].time)
        if self.missed:
            print(f"{len(self.missed)} missed losses:")
        for place, f in self.missed[:LISTED]:
            print(f"  {place}: {describe(f)}")
            for w, rs in self.reported.items():
                for r in rs:
                    if key_of_report(r) == (f.direction, f.phone, f.cucm, f.seq):
                        print(f"    reported as {w}: {json.dumps(r)}")

    @staticmethod
    def _nearby(dropped, direction, seq):
        """What was dropped of that segment, and of its acknowledgements."""
        for place, f in dropped:
            if abs((f.seq - seq + 2**31) % 2**32 - 2**31) < 3000 and f.direction == direction:
                print(f"    dropped at {place}: {describe(f)}")
        around = [(p, f) for p, f in dropped if f.direction != direction]
        for place, f in around[-6:]:
            print(f"    dropped the other way at {place}: {describe(f)}")


def describe(f):
    return (f"{f.time:.6f} {f.direction} {f.phone} {f.cucm} seq {f.seq} length {f.length} "
            f"id {f.ident} flags 0x{f.flags:02x} {f.kind or '-'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--require", action="append", default=[])
    parser.add_argument("records")
    parser.add_argument("captures", nargs="*")
    args = parser.parse_args()
    truth = {}
    for capture in args.captures:
        place, _, path = capture.partition("=")
        if place not in PLACES:
            parser.error(f"{place}: not one of {', '.join(PLACES)}")
        truth.setdefault(place, []).extend(frames(path))
    comparison = Comparison(truth, reports(args.records))
    comparison.table()
    comparison.explain()
    status = 0
    for wanted in args.require:
        place, _, rates = wanted.partition("=")
        recall, _, precision = rates.partition("/")
        for name, want, got in (
            ("recall", recall, comparison.recall(place)),
            ("precision", precision, comparison.precision(place)),
        ):
            if got is None and name == "precision":
                continue
            if want != "-" and (got is None or got < float(want)):
                print(f"{place}: {name} {rate(got).strip()}, want {want} %")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
