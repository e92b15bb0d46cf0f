#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Puts a tcx program before all others on an interface's egress, which Debian 12's tools cannot:
tcx_before.py INTERFACE. It lets every frame pass and no further program look at it. It says "ready"
and stays until it is killed."""
import ctypes
import os
import signal
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
SCHED_CLS, TCX_EGRESS, BEFORE = 3, 47, 1 << 3

libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, attr, size):
    fd = libc.syscall(SYS_BPF, command, attr, size)
    if fd < 0:
        sys.exit(f"bpf command {command}: {os.strerror(ctypes.get_errno())}")
    return fd


# r0 = 0 (TCX_PASS: what follows does not run); exit
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0), 16)
text = ctypes.create_string_buffer(b"GPL")
attr = struct.pack("=IIQQIIQII16s", SCHED_CLS, 2, ctypes.addressof(code), ctypes.addressof(text),
                   0, 0, 0, 0, 0, b"other_tcx")
prog = bpf(BPF_PROG_LOAD, ctypes.create_string_buffer(attr, 128), 128)
attr = struct.pack("=IIII", prog, socket.if_nametoindex(sys.argv[1]), TCX_EGRESS, BEFORE)
link = bpf(BPF_LINK_CREATE, ctypes.create_string_buffer(attr, 64), 64)
print("ready", flush=True)
signal.pause()
