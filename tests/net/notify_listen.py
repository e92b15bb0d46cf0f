#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""notify_listen.py SOCKET: prints what a service tells its manager, KEY=VALUE lines, until SIGTERM."""
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o777)
    print("ready", flush=True)
    while True:
        print(s.recv(4096).decode(), flush=True)
