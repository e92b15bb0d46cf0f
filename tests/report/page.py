#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Looks at an HTML report without a browser, at the DOM that a browser made of one, or at a picture.

  page.py file FILE [CASE]   the file as kaloss wrote it
  page.py dom FILE [CASE]    what the browser made of it (opened with #selftest)
  page.py picture FILE       prints how many colours there are, and how many pixels have those of
                             losses and of keepalives
  page.py paper FILE         prints how often a PDF draws in the colour of losses

Prints "ok …" and "FAIL …" lines.
"""
import base64
import hashlib
import json
import re
import struct
import sys
import zlib
from html.parser import HTMLParser

LANES = {"small": 3, "hostile": 19, "healthy": 5, "empty": 0, "many": 3, "large": 500}
LOSSES = {"small": 16, "hostile": 16, "healthy": 0, "empty": 0, "many": 60000}
FINDINGS = {"small": 3, "hostile": 4, "healthy": 0, "empty": 0, "many": 0, "large": 3}
ROWS = 50000


def expect(name, got, want):
    ok = got == want
    print(f"{'ok   ' if ok else 'FAIL '} {name}: {got}" + ("" if ok else f", want {want}"))


class Page(HTMLParser):
    """Counts elements, and keeps the texts of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.findings, self.root, self.policy = {}, [], 0, {}, ""
        self.handlers, self.inside, self.selftest, self.failed = 0, None, "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.handlers += sum(name.startswith("on") for name in attrs)
        if tag == "html":
            self.root = attrs
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy":
            self.policy = attrs["content"]
        if tag in ("script", "style"):
            self.texts.append((tag, attrs.get("type"), ""))
        self.findings += "finding" in (attrs.get("class") or "").split()
        self.inside = attrs.get("id") if tag == "pre" else tag
        if self.inside == "selftest":
            self.failed = attrs.get("data-failed")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside in ("script", "style"):
            tag, kind, text = self.texts[-1]
            self.texts[-1] = (tag, kind, text + data)
        if self.inside == "selftest":
            self.selftest += data


def count_series(text):
    """Numbers in a packed series: the bytes that end one."""
    return sum(byte < 128 for byte in base64.b64decode(text, validate=True))


def look_at_file(text, case):
    page = Page(text)
    expect(f"{case}: findings in the file", page.findings, FINDINGS[case])
    expect(f"{case}: scripts and styles", [(t, k) for t, k, _ in page.texts],
           [("style", None), ("script", "application/json"), ("script", None)])
    for tag, kind, content in page.texts:
        if kind:
            continue
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        expect(f"{case}: the policy names the {tag}'s hash", f"{tag}-src 'sha256-{digest}'" in page.policy, True)
    expect(f"{case}: nothing else may be loaded", "default-src 'none'" in page.policy
           and "connect-src 'none'" in page.policy and "unsafe" not in page.policy, True)
    expect(f"{case}: elements that load something",
           {t: page.tags.get(t, 0) for t in ("img", "iframe", "link", "object", "embed", "base", "a", "b-id")},
           dict.fromkeys(("img", "iframe", "link", "object", "embed", "base", "a", "b-id"), 0))
    expect(f"{case}: handlers in attributes", page.handlers, 0)
    own = "".join(content for _, kind, content in page.texts if not kind)
    expect(f"{case}: addresses in style and script", re.findall(r"https?:|url\(|@import|fetch\(|XMLHttp|WebSocket|import\(", own), [])
    raw = next(content for _, kind, content in page.texts if kind)
    expect(f"{case}: what may end a script", re.findall(r"[<>&\u2028\u2029]|[^\x00-\x7f]", raw), [])
    data = json.loads(raw)
    expect(f"{case}: lanes", len(data["lanes"]), LANES[case])
    if case in LOSSES:
        expect(f"{case}: losses", len(data["losses"]), min(LOSSES[case], ROWS))
        unlisted = sum(count_series(lane[11]) for lane in data["lanes"])
        expect(f"{case}: losses drawn without a row", unlisted, max(0, LOSSES[case] - ROWS))
    drawn = sum(count_series(lane[7]) for lane in data["lanes"])
    expect(f"{case}: keepalives drawn are those of the sessions", drawn, sum(s[12] for s in data["sessions"]))
    expect(f"{case}: messages of traces drawn", sum(count_series(lane[12]) for lane in data["lanes"]),
           100 if case in ("small", "hostile") else 0)
    expect(f"{case}: what has no lane is counted", data["undrawn"], 1 if case == "hostile" else 0)
    weights = [(lane[3], lane[1]) for lane in data["lanes"]]
    expect(f"{case}: the worst lanes first", weights, sorted(weights, reverse=True))
    if case == "hostile":
        names = "".join(lane[4] or "" for lane in data["lanes"])
        expect("hostile: every printable byte of the names is there",
               [c for c in map(chr, range(0x20, 0x7f)) if c not in names], [])
        expect("hostile: and no control character", [c for c in names if ord(c) < 0x20 and c not in "\t\n"], [])
    print(f"info  {case}: {len(text)} bytes, {drawn} keepalives")


def look_at_dom(text, case):
    page = Page(text)
    expect(f"{case}: the script ran to its end", page.root.get("data-ready"), "yes")
    expect(f"{case}: lanes in the browser", page.root.get("data-lanes"), str(LANES[case]))
    expect(f"{case}: something is drawn", int(page.root.get("data-drawn-marks", 0)) > 0, case != "empty")
    expect(f"{case}: findings in the browser", page.findings, FINDINGS[case])
    expect(f"{case}: scripts in the browser", page.tags.get("script"), 2)
    expect(f"{case}: what was not there before",
           {t: page.tags.get(t, 0) for t in ("img", "iframe", "link")}, {"img": 0, "iframe": 0, "link": 0})
    title = re.search(r"<title>(.*?)</title>", text)
    expect(f"{case}: the title", title and title.group(1), "kaloss: diagnosis")
    if page.failed is None:
        expect(f"{case}: the page used itself", False, True)
    for line in page.selftest.splitlines():
        state, what = line.split(" ", 1)
        print(f"{'ok   ' if state == 'ok' else 'FAIL '} {case}: {what[:150]}")


def pixels(path):
    """The pixels of a PNG of 8-bit RGB or RGBA, as bytes of three."""
    data = open(path, "rb").read()
    at, packed, channels, width = 8, b"", 3, 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, _, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6)
            channels = 3 if colour == 2 else 4
        if kind == b"IDAT":
            packed += body
        at += size + 12
    raw, stride = zlib.decompress(packed), width * channels
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        how, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        if how == 1:
            for i in range(channels, stride):
                line[i] = (line[i] + line[i - channels]) & 255
        elif how == 2:
            line = bytearray((a + b) & 255 for a, b in zip(line, above))
        elif how == 3:
            for i in range(stride):
                left = line[i - channels] if i >= channels else 0
                line[i] = (line[i] + (left + above[i]) // 2) & 255
        elif how == 4:
            for i in range(stride):
                a = line[i - channels] if i >= channels else 0
                b, c = above[i], above[i - channels] if i >= channels else 0
                p = a + b - c
                near = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
                line[i] = (line[i] + near) & 255
        above = line
        for i in range(0, stride, channels):
            yield bytes(line[i:i + 3])


def look_at_picture(path):
    seen = {}
    for pixel in pixels(path):
        seen[pixel] = seen.get(pixel, 0) + 1
    print(len(seen), seen.get(b"\xc4\x3c\x00", 0), seen.get(b"\x00\x72\xb2", 0))


def look_at_paper(path):
    """How often something is drawn in the colour of losses, in a PDF."""
    data, drawn = open(path, "rb").read(), 0
    for stream in re.finditer(rb"stream\r?\n", data):
        try:
            text = zlib.decompressobj().decompress(data[stream.end():])
        except zlib.error:
            continue
        drawn += len(re.findall(rb"\.768\d* \.235\d* 0 (?:rg|RG|scn|SCN)", text))
    print(drawn)


def main():
    what, path = sys.argv[1:3]
    if what == "paper":
        look_at_paper(path)
        return
    if what == "picture":
        look_at_picture(path)
        return
    with open(path, encoding="utf-8") as f:
        text = f.read()
    (look_at_file if what == "file" else look_at_dom)(text, sys.argv[3])


main()
