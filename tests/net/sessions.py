#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What really happened behind the switch of sessions.sh, and whether kaloss's records say so.

Prints the truth, phone by phone and cycle by cycle, then a line "ok …" or "FAIL …" for each check."""
import argparse
import collections
import datetime
import json

from where import end, frames, key_of_report

# A timeout is told in ticks of the kernel's clock (4 ms), and waits for its turn on a busy machine.
# The period, which is solved from the first intervals, is off by as much, and so is what comes late.
SLACK, SHARE = 0.08, 0.15


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def check(good, name, detail=""):
    print(f"{'ok   ' if good else 'FAIL '} {name}" + (f": {detail}" if detail else ""))


class Cycle:
    """One keepalive of a phone: when its first copy was sent, how many copies the switch dropped,
    and how much later than the first the first one passed (None: never)."""

    def __init__(self, frame):
        self.frame, self.start, self.dropped, self.late = frame, frame.time, 0, None

    def __str__(self):
        late = "never passed" if self.late is None else f"passed {self.late * 1000:7.1f} ms late"
        return f"{self.frame.kind:<15} seq {self.frame.seq:<10} {self.dropped} dropped, {late}"


def truth(dropped, passed):
    """Connection (as the phone's end) -> its keepalives, in order."""
    sightings = [(f, True) for f in frames(dropped)] + [(f, False) for f in frames(passed)]
    connections = collections.defaultdict(dict)
    for frame, was_dropped in sorted(sightings, key=lambda s: s[0].time):
        if frame.direction != "to_cucm" or not frame.kind:
            continue
        cycle = connections[frame.phone].setdefault(frame.seq, Cycle(frame))
        if was_dropped:
            cycle.dropped += 1
        elif cycle.late is None:
            cycle.late = frame.time - cycle.start
    return {phone: list(cycles.values()) for phone, cycles in connections.items()}


def unregistrations(logs):
    for log in logs:
        with open(log, encoding="utf-8") as f:
            for line in f:
                if line.startswith('{"event":"unregistered"'):
                    event = json.loads(line)
                    yield f"{event['ip']}:{event['port']}", seconds(event["time"])


def doubles(times):
    """Beside what the clock's ticks and a busy machine add."""
    return all(1.7 * a - SLACK < b < 2.4 * a + SLACK for a, b in zip(times, times[1:]))


def ms(times):
    return " ".join(f"{t * 1000:.0f}" for t in times) + " ms"


class Case:
    def __init__(self, args):
        self.args = args
        self.truth = truth(args.dropped, args.passed)
        self.gone = dict(unregistrations(args.server))
        with open(args.records, encoding="utf-8") as f:
            self.records = [json.loads(line) for line in f]

    def connections(self, addresses):
        return {p: c for p, c in self.truth.items() if p.rsplit(":", 1)[0] in addresses.split(",")}

    def of(self, kind, phone):
        return [r for r in self.records if r["type"] == kind and r.get("phone") and
                end(r["phone"]) == phone]

    def late(self, cycles):
        return [c.late for c in cycles if c.dropped and c.late is not None]

    def print_truth(self):
        for phone, cycles in sorted(self.truth.items()):
            if not any(c.dropped for c in cycles):
                print(f"{phone}: {len(cycles)} keepalives, none dropped")
                continue
            print(f"{phone}")
            for n, c in enumerate(cycles):
                print(f"  {n:>3} +{c.start - cycles[0].start:7.3f} s  {c}")
            if phone in self.gone:
                print(f"      +{self.gone[phone] - cycles[0].start:7.3f} s  unregistered")

    def losses(self, phone, cycles):
        """Each copy that the switch dropped and another copy of which passed."""
        want = sorted(c.frame.seq for c in cycles for _ in range(c.dropped) if c.late is not None)
        never = {c.frame.seq for c in cycles if c.late is None}
        got = sorted(r["seq"] for r in self.of("loss", phone)
                     if r["where"] == "phone_side" and r["direction"] == "to_cucm" and
                     r["seq"] not in never)
        check(got == want, f"{phone}: losses on the phone's side", f"{len(got)} of {len(want)}")
        other = [r for r in self.of("loss", phone) if r["where"] != "phone_side"]
        check(not other, f"{phone}: no losses elsewhere", f"{len(other)}")

    def backoff(self, phone, cycles):
        """The timeouts, as kaloss tells them, against how late the first passing copies came. It
        tells none while it does not know the period; what it tells is right, and doubles."""
        want = self.late(cycles)
        told = {r["seq"]: r["rto_ms"] / 1000 for r in self.of("retransmission", phone)
                if r["direction"] == "to_cucm" and r["rto_ms"] is not None}
        true = {c.frame.seq: c.late for c in cycles if c.dropped and c.late is not None}
        got = [told.get(seq) for seq in true]
        right = all(seq in true and abs(t - true[seq]) < max(SLACK, SHARE * true[seq])
                    for seq, t in told.items())
        enough = len(told) >= len(want) - 3 and got and got[-1]
        double = all(doubles(pair) for pair in zip(got, got[1:]) if all(pair))
        check(right and enough and double, f"{phone}: the timeouts",
              f"{ms(t or 0 for t in got)}, truly {ms(want)}")

    def unregistered(self, phone, cycles):
        period, at = self.args.period_ms / 1000, self.gone[phone]
        late = self.late(cycles)
        # (Six, where a handshake took so long that the first timeout is more than 34 ms.)
        check(6 <= len(late) <= 7 and doubles(late),
              f"{phone} (the lab): six or seven timeouts that double", ms(late))
        check(cycles[-1].late is None, f"{phone} (the lab): the last REGISTER never arrives")
        self.losses(phone, cycles)
        self.backoff(phone, cycles)
        forecasts = [f for f in self.of("forecast", phone)
                     if f["state"] in ("expected", "changed") and seconds(f["time"]) < at]
        early = [f for f in forecasts if seconds(f["time"]) < cycles[-1].start]
        check(early, f"{phone}: a forecast before the cycle in which it is unregistered",
              f"{len(early)}")
        if early:
            error = seconds(early[-1]["unregisters_at"]) - at
            check(abs(error) < period / 4, f"{phone}: the last one of them is right",
                  f"{error:+.3f} s")
            check(cycles[-1].start - seconds(early[0]["time"]) > period / 2,
                  f"{phone}: the first one comes in time",
                  f"{at - seconds(early[0]['time']):.1f} s before")
        stops = [r for r in self.of("session", phone) if r["event"] == "stop"]
        check(len(stops) == 1 and stops[0]["by"] == "cucm" and stops[0]["how"] == "fin" and
              abs(seconds(stops[0]["time"]) - at) < 0.5,
              f"{phone}: the server is seen to close the session", json.dumps(stops))

    def run(self):
        args = self.args
        self.print_truth()
        victims = self.connections(args.unregistered)
        first = {p: c for p, c in victims.items() if p in self.gone}
        check(len(first) == len(args.unregistered.split(",")),
              "the lab: each SIP phone is unregistered once", f"{len(first)}")
        for phone, cycles in sorted(first.items()):
            self.unregistered(phone, cycles)
        for phone, cycles in sorted(victims.items()):
            if phone not in first:
                self.losses(phone, cycles)
        for phone, cycles in sorted(self.connections(args.patient).items()):
            late = self.late(cycles)
            check(len(late) >= 6 and doubles(late), f"{phone} (the lab): timeouts that double",
                  ms(late))
            self.losses(phone, cycles)
            self.backoff(phone, cycles)
        lively = self.connections(args.lively)
        check(len(lively) == len(args.lively.split(",")), "the lab: lively phones", f"{len(lively)}")
        for phone, cycles in sorted(lively.items()):
            check(not any(c.dropped for c in cycles), f"{phone} (the lab): nothing was dropped")
            said = self.of("loss", phone) + self.of("forecast", phone)
            check(not said, f"{phone}: neither a loss nor a forecast", f"{len(said)}")
        known = {(f.direction, f.phone, f.cucm, f.seq) for f in frames(args.dropped)}
        invented = [r for r in self.records if r["type"] == "loss" and key_of_report(r) not in known]
        check(not invented, "no loss that did not happen", json.dumps(invented[:3]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    for name in ("records", "dropped", "passed", "unregistered", "patient", "lively"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--server", action="append", required=True)
    parser.add_argument("--period-ms", type=int, required=True)
    Case(parser.parse_args()).run()


if __name__ == "__main__":
    main()
