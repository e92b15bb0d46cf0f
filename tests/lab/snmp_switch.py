#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""snmp_switch.py ADDRESS PORT ROWS [--community C] [--user NAME KEY]

A switch's SNMP agent, as far as polling needs one: GETNEXT and GETBULK, v2c, or v3 with SHA. What it
has is read anew from the file ROWS for each request: lines of OID, type (i or s) and value. A line
"mode WORD" makes it misbehave: circle (names do not grow), garbage, error, silent.
"""
import hashlib
import hmac
import socket
import sys
import time

ENGINE = bytes.fromhex('8000000001020304aa')


def tlv(tag, content):
    n = len(content)
    size = bytes([n]) if n < 128 else bytes([0x82, n >> 8, n & 255])
    return bytes([tag]) + size + content


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, 'big', signed=True))


def name(oid):
    out = bytes([oid[0] * 40 + oid[1]])
    for part in oid[2:]:
        digits = [part & 127]
        while part := part >> 7:
            digits.append(part & 127 | 128)
        out += bytes(reversed(digits))
    return tlv(6, out)


class Reader:
    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def next(self):
        """The next element's tag, content, and where the content begins."""
        tag, n = self.data[self.at], self.data[self.at + 1]
        self.at += 2
        if n & 128:
            octets = n & 127
            n = int.from_bytes(self.data[self.at:self.at + octets], 'big')
            self.at += octets
        begin = self.at
        self.at += n
        return tag, self.data[begin:self.at], begin

    def integer(self):
        return int.from_bytes(self.next()[1], 'big', signed=True)


def parse_name(content):
    oid, part = [content[0] // 40, content[0] % 40], 0
    for octet in content[1:]:
        part = part << 7 | octet & 127
        if not octet & 128:
            oid.append(part)
            part = 0
    return tuple(oid)


def read_rows(path):
    rows, mode = [], ''
    with open(path, encoding='ascii') as file:
        for line in file:
            words = line.split(None, 2)
            if words and words[0] == 'mode':
                mode = words[1]
            elif words:
                value = words[2].strip()
                value = integer(int(value)) if words[1] == 'i' else tlv(4, value.encode())
                rows.append((tuple(map(int, words[0].split('.'))), value))
    return sorted(rows), mode


def answer_pdu(pdu_tag, pdu, path, report=None):
    reader = Reader(pdu)
    request, first, second = reader.integer(), reader.integer(), reader.integer()
    if report:
        body = integer(request) + integer(0) + integer(0) + tlv(
            0x30, tlv(0x30, name(report) + tlv(0x41, b'\1')))
        return tlv(0xa8, body)
    wanted = parse_name(Reader(Reader(Reader(reader.next()[1]).next()[1]).data).next()[1])
    rows, mode = read_rows(path)
    if mode == 'silent':
        return None
    count = second if pdu_tag == 0xa5 else 1
    found = [r for r in rows if r[0] > wanted][:count]
    if mode == 'circle':
        found = [r for r in rows if r[0][:len(wanted)] == wanted or r[0] >= wanted][:1] * 2
    varbinds = b''.join(tlv(0x30, name(oid) + value) for oid, value in found)
    if not found:
        varbinds = tlv(0x30, name(wanted) + b'\x82\0')
    return tlv(0xa2, integer(request) + integer(5 if mode == 'error' else 0) + integer(0) +
               tlv(0x30, varbinds))


def localised(password):
    text = (password.encode() * (1048576 // len(password) + 1))[:1048576]
    key = hashlib.sha1(text).digest()
    return hashlib.sha1(key + ENGINE + key).digest()


def v3(message, reader, path, user, key, began):
    header = Reader(reader.next()[1])
    number, _ = header.integer(), header.integer()
    flags = header.next()[1][0]
    _, wrapped, at = reader.next()
    usm = Reader(message, at)
    usm_content = usm.next()
    usm = Reader(message, usm_content[2])
    engine = usm.next()[1]
    usm.integer(), usm.integer()
    who = usm.next()[1]
    _, digest, where = usm.next()
    scoped = Reader(reader.next()[1])
    context_engine, context = scoped.next()[1], scoped.next()[1]
    tag, pdu, _ = scoped.next()
    report, signed = None, False
    if engine != ENGINE:
        report = (1, 3, 6, 1, 6, 3, 15, 1, 1, 4, 0)
    elif who != user:
        report = (1, 3, 6, 1, 6, 3, 15, 1, 1, 3, 0)
    else:
        blank = message[:where] + bytes(12) + message[where + 12:]
        signed = flags & 1 and hmac.new(key, blank, 'sha1').digest()[:12] == digest
        if not signed:
            report = (1, 3, 6, 1, 6, 3, 15, 1, 1, 5, 0)
    out = answer_pdu(tag, pdu, path, report)
    if out is None:
        return None

    def build(mac):
        security = tlv(0x30, tlv(4, ENGINE) + integer(3) + integer(int(time.time() - began)) +
                       tlv(4, who) + tlv(4, mac) + tlv(4, b''))
        return tlv(0x30, integer(3) +
                   tlv(0x30, integer(number) + integer(65507) +
                       tlv(4, b'\1' if signed else b'\0') + integer(3)) +
                   tlv(4, security) +
                   tlv(0x30, tlv(4, context_engine or ENGINE) + tlv(4, context) + out))
    if not signed:
        return build(b'')
    return build(hmac.new(key, build(bytes(12)), 'sha1').digest()[:12])


def main():
    options = sys.argv[4:]
    community = b'public'
    user, key = None, None
    while options:
        if options[0] == '--community':
            community, options = options[1].encode(), options[2:]
        else:
            user, key, options = options[1].encode(), localised(options[2]), options[3:]
    family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((sys.argv[1], int(sys.argv[2])))
    print('ready', flush=True)
    began = time.time()
    while True:
        message, peer = sock.recvfrom(65536)
        reader = Reader(Reader(message).next()[1])
        version = reader.integer()
        if version == 3:
            # Offsets are into the whole message.
            reader = Reader(message, Reader(message).next()[2])
            reader.integer()
            reply = v3(message, reader, sys.argv[3], user, key, began)
        else:
            who = reader.next()[1]
            if who != community:
                continue
            tag, pdu, _ = reader.next()
            pdu = answer_pdu(tag, pdu, sys.argv[3])
            reply = pdu and tlv(0x30, integer(version) + tlv(4, who) + pdu)
        if read_rows(sys.argv[3])[1] == 'garbage':
            reply = b'\x30\x82\xff\xff' + bytes(20)
        if reply:
            sock.sendto(reply, peer)


main()
