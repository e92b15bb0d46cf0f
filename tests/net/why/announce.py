#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Gratuitous ARP: announce.py INTERFACE MAC ADDRESS says to all who has this address now."""
import socket
import sys


def main():
    interface, mac, address = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), sys.argv[3]
    ip = socket.inet_aton(address)
    frame = (b"\xff" * 6 + mac + bytes.fromhex("0806 0001 0800 06 04 0002")
             + mac + ip + b"\xff" * 6 + ip)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((interface, 0))
        s.send(frame.ljust(60, b"\0"))


main()
