#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tests/net/metrics.sh asks of the metrics of `kaloss watch --prometheus`:

  metrics.py scrape PORT DIRECTORY        fetches /metrics again and again, each into a file
  metrics.py compare RECORDS SCRAPE…      each scrape is what the ticks up to it say; the last one is
                                          the summary
  metrics.py names SCRAPE FILE…           dashboards and rules use metrics that there are
  metrics.py stored PORT SCRAPE           a Prometheus at PORT holds what the scrape says
  metrics.py evaluate PORT DASHBOARD      it can evaluate each expression of a dashboard
  metrics.py hold PORT COUNT              holds so many connections, a byte at a time, till its end
  metrics.py garbage PORT                 what is no request, or one that nobody should make
  metrics.py halt PID                     halts the first thread of a process till its end

Prints what is wrong, and how much was looked at. Exit status 1: something was wrong."""
import collections
import ctypes
import http.client
import json
import os
import random
import re
import resource
import signal
import socket
import sys
import time
import urllib.parse

SERIES = re.compile(r'^([a-z_:]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z_]+)="([^"]*)"')


def read_scrape(path):
    """The series of a scrape: {(name, ((label, value), …)): number}. Faults of the format end it."""
    series, types, helps = {}, {}, set()
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert text.endswith("\n"), f"{path}: the last line has no end"
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line[7:].split()
            assert name in helps, f"{path}: {name}: TYPE without HELP"
            assert name not in types, f"{path}: {name}: TYPE twice"
            types[name] = kind
        elif line.startswith("# HELP "):
            helps.add(line.split(" ", 3)[2])
        else:
            match = SERIES.match(line)
            assert match, f"{path}: {line}"
            key = (match[1], tuple(sorted(LABEL.findall(match[2] or ""))))
            assert key not in series, f"{path}: {line}: twice"
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in types or types.get(base) == "histogram", f"{path}: {line}: no TYPE"
            series[key] = float(match[3])
    return series, types


def total(series, name, **labels):
    """The sum of the series that have these labels."""
    return sum(v for (n, have), v in series.items()
               if n == name and set(labels.items()) <= set(have))


def check_histogram(series, name):
    buckets = sorted((float(dict(labels)["le"]), v) for (n, labels), v in series.items()
                     if n == name + "_bucket")
    count = series[name + "_count", ()]
    counts = [v for _, v in buckets]
    assert buckets[-1] == (float("inf"), count), f"{name}: +Inf is not the count"
    assert counts == sorted(counts), f"{name}: not cumulative"
    # The sum cannot be outside what the buckets say.
    low = high = before = 0
    bound = 0.0
    for le, v in buckets:
        low += (v - before) * bound
        high += (v - before) * (le if le != float("inf") else 4300)
        before, bound = v, le
    assert low <= series[name + "_sum", ()] <= high, f"{name}: its sum is not possible"
    return buckets, count


DIRECTIONS = ("to_cucm", "to_phone")


class Sums:
    """What the ticks up to one say."""

    def __init__(self):
        self.n = collections.Counter()
        self.now = {}
        self.seen = set()

    def add(self, tick):
        for d in DIRECTIONS:
            for field, value in tick[d].items():
                self.n[d, field] += value
        for kind, directions in tick["by_kind"].items():
            self.seen.add(kind)
            for d in DIRECTIONS:
                for field, value in directions[d].items():
                    self.n[d, kind, field] += value
                self.now[d, kind] = directions[d]["pending"]
        for what, value in tick["integrity"].items():
            if what == "unpaired_by":
                for reason, count in value.items():
                    self.n["unpaired", reason] += count
            else:
                self.n["integrity", what] += value
        self.n["mac_flushes"] += tick["mac_flushes"] or 0
        self.now["phones"] = tick["phones"]

    def differs(self, s):
        """Yields each number that the scrape has otherwise."""
        for d in DIRECTIONS:
            want = {
                ("kaloss_segments_total", ()): "segments",
                ("kaloss_keepalives_sent_total", ()): "sent",
                ("kaloss_keepalives_delivered_total", ()): "delivered",
                ("kaloss_keepalives_lost_total", (("where", "between"),)): "lost_between",
                ("kaloss_keepalives_lost_total", (("where", "phone_side"),)): "lost_phone_side",
                ("kaloss_keepalives_lost_total", (("where", "cucm_side"),)): "lost_cucm_side",
                ("kaloss_keepalives_lost_total", (("where", "unknown"),)): "lost_unknown",
                ("kaloss_retransmissions_total", ()): "retransmitted",
                ("kaloss_duplicates_total", ()): "duplicates",
            }
            for (name, labels), field in want.items():
                yield f"{d} {field}", total(s, name, direction=d, **dict(labels)), self.n[d, field]
            for kind in self.seen:
                at = {"direction": d, "kind": kind}
                for field, name, more in (
                        ("sent", "kaloss_keepalives_sent_total", {}),
                        ("delivered", "kaloss_keepalives_delivered_total", {}),
                        ("lost_between", "kaloss_keepalives_lost_total", {"where": "between"})):
                    yield (f"{d} {kind} {field}", total(s, name, **at, **more),
                           self.n[d, kind, field])
                pending = total(s, "kaloss_keepalives_pending", **at)
                yield f"{d} {kind} pending", pending, self.now[d, kind]
                yield (f"{d} {kind} adds up", total(s, "kaloss_keepalives_sent_total", **at),
                       total(s, "kaloss_keepalives_delivered_total", **at) + pending +
                       total(s, "kaloss_keepalives_lost_total", where="between", **at))
        for (group, what), want in ((k, v) for k, v in self.n.items() if len(k) == 2):
            if group == "integrity":
                yield what, total(s, "kaloss_integrity_total", what=what), want
            elif group == "unpaired":
                yield f"unpaired {what}", total(s, "kaloss_unpaired_total", reason=what), want
        yield "mac_flushes", total(s, "kaloss_mac_flushes_total"), self.n["mac_flushes"]
        yield "phones", s["kaloss_phones", ()], self.now["phones"]


def check_records(records, s):
    """What is counted as it happens is what the records say, kind by kind and name by name."""
    known = {dict(labels)["reason"] for n, labels in s if n == "kaloss_unregistrations_total"}
    n = collections.Counter()
    for r in records:
        if r["type"] == "loss":
            n["kaloss_keepalives_lost_total", "direction", r["direction"], "kind", r["kind"],
              "where", r["where"]] += 1
        elif r["type"] == "retransmission" and r["inferred"]:
            n["retransmitted", r["kind"]] += 1
        elif r["type"] == "forecast":
            n["kaloss_forecasts_total", "state", r["state"]] += 1
        elif r["type"] == "unregistration":
            name = r["reason_name"] if r["reason_name"] in known else "other"
            n["kaloss_unregistrations_total", "reason", name] += 1
        elif r["type"] == "mac" and r["event"] != "learned":
            name = "flushes" if r["event"] in ("aged", "flushed") else "events"
            n[f"kaloss_mac_{name}_total", "source", r["source"], "event", r["event"]] += 1
    for key, want in n.items():
        if key[0].startswith("kaloss_"):
            labels = dict(zip(key[1::2], key[2::2]))
            yield f"records: {key}", total(s, key[0], **labels), want
    for name in ("kaloss_forecasts_total", "kaloss_unregistrations_total"):
        yield name, total(s, name), sum(v for k, v in n.items() if k[0] == name)


def compare(records_path, *paths):
    with open(records_path, encoding="utf-8") as f:
        records = [json.loads(line) for line in f]
    ticks = [r for r in records if r["type"] == "tick"]
    summary = records[-1]
    assert summary["type"] == "summary"
    by_time, sums = {}, Sums()
    for tick in ticks:
        sums.add(tick)
        copy = Sums()
        copy.n, copy.now, copy.seen = sums.n.copy(), dict(sums.now), set(sums.seen)
        by_time[tick["time"]] = copy
    wrong, before, different = [], {}, set()
    for path in paths:
        s, types = read_scrape(path)
        at = s["kaloss_last_tick_time_seconds", ()]
        with open(path, encoding="utf-8") as f:
            text = re.search(r"^kaloss_last_tick_time_seconds (\d+)\.(\d{6})", f.read(), re.M)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(int(text[1]))) + f".{text[2]}Z"
        different.add(stamp)
        if at:
            wrong += [f"{path}: {name}: {got}, the ticks say {want}"
                      for name, got, want in by_time[stamp].differs(s) if got != want]
        for name in ("kaloss_transit_seconds", "kaloss_keepalive_rtt_seconds"):
            check_histogram(s, name)
        for key, value in before.items():
            kind = types.get(re.sub(r"_(bucket|sum|count)$", "", key[0]), types.get(key[0]))
            if key not in s:
                wrong.append(f"{path}: {key} is gone")
            elif kind != "gauge" and s[key] < value:
                wrong.append(f"{path}: {key} fell from {value} to {s[key]}")
        before = s
    # Nothing happened any more since the last scrape.
    last = Sums()
    last.add({**summary, "phones": before["kaloss_phones", ()]})
    wrong += [f"last scrape: {name}: {got}, the summary says {want}"
              for name, got, want in last.differs(before) if got != want]
    wrong += [f"last scrape: {name}: {got}, want {want}"
              for name, got, want in check_records(records, before) if got != want]
    for name, field, unit in (("kaloss_transit_seconds", "transit_us", 1e6),
                              ("kaloss_keepalive_rtt_seconds", "rtt_ms", 1e3)):
        buckets, count = check_histogram(before, name)
        if count:
            le = next(le for le, v in buckets if 2 * v > count)
            if summary[field]["p50"] / unit > le:
                wrong.append(f"{name}: the median is not in the bucket up to {le}")
            mean = before[name + "_sum", ()] / count
            if not 0 < mean <= 1.0625 * summary[field]["max"] / unit + 1e-6:
                wrong.append(f"{name}: a mean of {mean}")
    if len(different) < min(len(paths), 3):
        wrong.append(f"only {len(different)} different scrapes")
    for line in wrong[:5]:
        print(line)
    print(f"{len(paths)} scrapes of {len(different)} ticks, {len(before)} series")
    return not wrong


def scrape(port, directory):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    for number in range(100000):
        c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
        c.request("GET", "/metrics")
        body = c.getresponse().read()
        with open(f"{directory}/{number:05}.part", "wb") as f:
            f.write(body)
        os.rename(f"{directory}/{number:05}.part", f"{directory}/{number:05}")
        time.sleep(0.1)
    return True


def names(scrape_path, *paths):
    s, types = read_scrape(scrape_path)
    known = {name for name, _ in s} | set(types) | {"up"}
    unknown, used = [], set()
    for path in paths:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if path.endswith(".json"):
            text = "\n".join(t["expr"] for p in json.loads(text)["panels"]
                             for t in p.get("targets", []))
        for name in re.findall(r"\bkaloss_[a-z_]+", text):
            used.add(name)
            if name not in known:
                unknown.append(f"{path}: there is no metric {name}")
    for line in unknown[:5]:
        print(line)
    unused = {n for n in types if not any(u.startswith(n) for u in used)}
    print(f"{len(used)} metrics used, {len(unused)} not: {' '.join(sorted(unused))}")
    return not unknown and bool(used)


def ask(port, path, **query):
    c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=20)
    c.request("GET", path + "?" + urllib.parse.urlencode(query))
    answer = json.loads(c.getresponse().read())
    assert answer["status"] == "success", answer
    return answer["data"]


def stored(port, scrape_path):
    s, _ = read_scrape(scrape_path)
    have = {}
    for entry in ask(port, "/api/v1/query", query='{__name__=~"kaloss_.*"}')["result"]:
        metric = entry["metric"]
        labels = {k: v for k, v in metric.items() if k not in ("__name__", "job", "instance")}
        if "le" in labels:
            labels["le"] = f"{float(labels['le']):g}"
        have[metric["__name__"], tuple(sorted(labels.items()))] = float(entry["value"][1])
    wrong = []
    for (name, labels), value in s.items():
        labels = dict(labels)
        if "le" in labels:
            labels["le"] = f"{float(labels['le']):g}"
        got = have.get((name, tuple(sorted(labels.items()))))
        # Time goes on, and so do our own programs' sweeps.
        if name.startswith(("kaloss_last_tick", "kaloss_bpf_")):
            if got is None:
                wrong.append(f"{name} is missing")
        elif got != value:
            wrong.append(f"{name} {labels}: {got}, the scrape says {value}")
    for line in wrong[:5]:
        print(line)
    print(f"{len(s)} series, {len(have)} stored")
    return not wrong and len(have) == len(s)


def evaluate(port, dashboard):
    wrong, count, filled = [], 0, 0
    with open(dashboard, encoding="utf-8") as f:
        panels = json.load(f)["panels"]
    for panel in panels:
        for target in panel.get("targets", []):
            expr = target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1m")
            expr = expr.replace("$instance", ".*")
            try:
                filled += bool(ask(port, "/api/v1/query", query=expr)["result"])
            except AssertionError as error:
                wrong.append(f"{panel['title']}: {error}")
            count += 1
    for group in ask(port, "/api/v1/rules")["groups"]:
        for rule in group["rules"]:
            count += 1
            if rule["health"] == "err":
                wrong.append(f"{rule['name']}: {rule.get('lastError')}")
    for line in wrong[:5]:
        print(line)
    print(f"{count} expressions, {filled} of the dashboard with a result")
    return not wrong and filled > 0


def connect(port):
    c = socket.socket()
    c.settimeout(20)
    c.connect(("127.0.0.1", int(port)))
    return c


def hold(port, count):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, int(count) + 100), hard))
    held = []

    def another():
        c = connect(port)
        c.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        c.setblocking(False)
        held.append(c)

    while len(held) < int(count):
        another()
    print(f"held {len(held)}", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        alive = []
        for c in held:
            try:
                c.send(b"x")
                alive.append(c)
            except OSError:
                c.close()
        held[:] = alive
        # Whoever is shut out comes again.
        for _ in range(min(20, int(count) - len(held))):
            another()
        time.sleep(0.2)
    return True


def garbage(port):
    rng = random.Random(1)
    host = b"Host: x\r\n\r\n"
    sent = [
        b"\r\n\r\n", b"\0" * 5000, b"GET", b"GET /metrics", b"GET /metrics\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n" + host, b"GET  /metrics  HTTP/1.1\r\n" + host,
        b"GET /" + b"a" * 1000000 + b" HTTP/1.1\r\n" + host,
        b"GET /?" + b"a=b&" * 100000 + b" HTTP/1.1\r\n" + host,
        b"GET /%00%ff%zz/../../etc/passwd HTTP/1.1\r\n" + host,
        b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"a" * 1000000 + b"\r\n" + host,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100000 + host,
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n" + host,
        b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n" + host,
        b"GET /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n" + host + b"a" * 1000,
        b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + host + b"ffffffffffff\r\n",
        b"POST /metrics HTTP/1.1\r\nContent-Length: 100000\r\n" + host + b"a" * 100000,
        b"CONNECT x:1 HTTP/1.1\r\n" + host, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /metrics HTTP/1.1\r\n" + host * 1,
        (b"GET /metrics HTTP/1.1\r\n" + host) * 100,
        b"HEAD /metrics HTTP/1.1\r\n" + host, b"OPTIONS * HTTP/1.1\r\n" + host,
    ] + [rng.randbytes(rng.randrange(1, 3000)) for _ in range(300)]
    for data in sent:
        c = connect(port)
        try:
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            while c.recv(65536):
                pass
        except OSError:
            pass
        c.close()
    print(f"{len(sent)} connections")
    return True


def halt(pid):
    # All other threads go on.
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    libc.ptrace.restype = ctypes.c_long
    for request in (0x4206, 0x4207):  # PTRACE_SEIZE, PTRACE_INTERRUPT
        assert libc.ptrace(request, int(pid), 0, 0) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(int(pid), 0x40000000)  # __WALL
    print("halted", flush=True)
    sys.stdin.read()
    return True


def main():
    commands = {f.__name__: f
                for f in (scrape, compare, names, stored, evaluate, hold, garbage, halt)}
    try:
        return 0 if commands[sys.argv[1]](*sys.argv[2:]) else 1
    except AssertionError as error:
        print(error)
        return 1


sys.exit(main())
