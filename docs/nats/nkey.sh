#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
# Makes a user's NKEY, where the tool `nk` is not at hand: the seed and the public key as two lines of
# FILE, which only its owner may read, as kaloss reads it (--nkey-seed FILE). Prints the public key,
# which the server has to know (users.conf). Needs openssl and python3.
#
#   nkey.sh FILE
set -euo pipefail
[ $# -eq 1 ] || { echo "nkey.sh FILE" >&2; exit 2; }
umask 077

openssl genpkey -algorithm ed25519 -outform DER | python3 -c '
import base64, subprocess, sys

der = sys.stdin.buffer.read()  # PKCS #8: its last 32 bytes are the seed
public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"],
                        input=der, capture_output=True, check=True).stdout[-32:]

def text(data):
    crc = 0  # CRC-16/XMODEM
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xffff
    return base64.b32encode(data + crc.to_bytes(2, "little")).rstrip(b"=").decode()

SEED, USER = 18 << 3, 20 << 3
print(text(bytes([SEED | USER >> 5, (USER & 31) << 3]) + der[-32:]))
print(text(bytes([USER]) + public))
' >"$1"
tail -1 "$1"
