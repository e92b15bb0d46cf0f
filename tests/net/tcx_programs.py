#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Prints the ids of the tcx programs on an interface of this network namespace, which Debian 12's
bpftool cannot list: tcx_programs.py INTERFACE…"""
import ctypes
import errno
import os
import socket
import struct
import sys

SYS_BPF = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
BPF_PROG_QUERY = 16
ATTACH_TYPES = {"ingress": 46, "egress": 47}

libc = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:
    try:
        ifindex = socket.if_nametoindex(name)
    except OSError:
        continue
    for where, attach_type in ATTACH_TYPES.items():
        ids = (ctypes.c_uint32 * 64)()
        attr = ctypes.create_string_buffer(
            struct.pack("=IIIIQI", ifindex, attach_type, 0, 0, ctypes.addressof(ids), 64), 96)
        if libc.syscall(SYS_BPF, BPF_PROG_QUERY, attr, 96):
            if ctypes.get_errno() == errno.EINVAL:
                break  # a kernel without tcx
            sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
        count = struct.unpack_from("=I", attr, 24)[0]
        for i in range(count):
            print(name, where, ids[i])
