#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""announce.py INTERFACE ADDRESS MAC [N]: gratuitous ARP; N of them, each with another MAC."""
import socket
import sys

interface, address, mac = sys.argv[1:4]
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
ip = socket.inet_aton(address)
first = int(mac.replace(":", ""), 16)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((interface, 0))
for i in range(count):
    own = (first + i).to_bytes(6, "big")
    frame = b"\xff" * 6 + own + b"\x08\x06" + b"\0\1\x08\0\6\4\0\1" + own + ip + b"\0" * 6 + ip
    link.send(frame.ljust(60, b"\0"))
