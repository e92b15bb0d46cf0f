# SPDX-License-Identifier: GPL-2.0-only
"""Senders of syslog that no real one would be: syslog_send.py PORT WHAT [ARGUMENT…]

garbage          bytes that are no text, and lines that are too long, by UDP and TCP
idle N           N connections that say nothing, then half a line each; held until stdin ends
udp N            N lines of no use, as fast as they go; a last one shows what was lost before
tcp N ALARMS     N lines by TCP, ALARMS of them alarms, evenly, and an alarm of SEPEND
split TEXT       one line by TCP, a byte at a time
"""
import random
import socket
import sys
import time

PORT, WHAT = int(sys.argv[1]), sys.argv[2]
HERE = ("127.0.0.1", PORT)


def alarm(device):
    return (f"<187>41679: cucm1 Jul 02 2015 06:22:31 UTC :  %UC_CALLMANAGER-3-EndPointUnregistered: "
            f"%[DeviceName={device}][IPAddress=10.1.0.2][Reason=13][NodeID=cucm1]: gone")


def tcp():
    return socket.create_connection(HERE)


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(HERE)
    return s


if WHAT == "garbage":
    rng = random.Random(1)
    u = udp()
    for _ in range(200):
        u.send(b"<189>\x01" + rng.randbytes(rng.randrange(1, 1200)).replace(b"\n", b"\x02"))
    u.send(b"<189>" + b"A" * 9000)
    u.send(b"<999>Nov 22 10:11:12 sw1 %SPANTREE-5-TOPOTRAP: x")
    time.sleep(0.5)  # the first of all is one of these
    t = tcp()
    t.sendall(b"<189>\x01" + rng.randbytes(5000).replace(b"\n", b"\x02") + b"\n")
    t.sendall(b"B" * 100000 + b"\n")
    t.sendall(b"9000 <13>" + b"C" * 8996)
    t.sendall(alarm("SEPAFTERGARBAGE").encode() + b"\n")
    time.sleep(0.2)
elif WHAT == "idle":
    held = [tcp() for _ in range(int(sys.argv[3]))]
    for s in held[-40:]:
        s.sendall(b"<189>half a line")
    print("held", flush=True)
    sys.stdin.read()
elif WHAT == "udp":
    u = udp()
    for i in range(int(sys.argv[3])):
        u.send(b"<189>%d: Nov 22 10:11:12.123: %%SYS-5-CONFIG_I: Configured from console" % i)
elif WHAT == "tcp":
    n, alarms = int(sys.argv[3]), int(sys.argv[4])
    t = tcp()
    out = []
    for i in range(n):
        if i % (n // alarms) == 0:
            out.append(alarm(f"SEP{i:012X}"))
        else:
            out.append(f"<189>{i}: Nov 22 10:11:12.123: %SYS-5-CONFIG_I: Configured from console")
    t.sendall(("\n".join([*out, alarm("SEPEND")]) + "\n").encode())
elif WHAT == "split":
    t = tcp()
    t.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in alarm(sys.argv[3]).encode():
        t.send(bytes([byte]))
        time.sleep(0.0005)
    t.close()
