/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of docs/contract.md for the numbers of include/kaloss/, and addresses as text. */
#pragma once

#include <kaloss/join.h>

const char *kl_side_name(__u32 side);
const char *kl_direction_name(__u32 direction);
const char *kl_kind_name(__u32 kind);
const char *kl_fate_name(__u32 fate);

enum {
	KL_ADDRESS_TEXT = 46,
	KL_MAC_TEXT = 18
};

/* ret: KL_ADDRESS_TEXT bytes. */
void kl_format_address(__u8 family, const __u32 address[4], char *ret);
/* ret: KL_MAC_TEXT bytes. Returns false, and an empty text, for the MAC that is all zero. */
bool kl_format_mac(const __u8 mac[6], char *ret);
