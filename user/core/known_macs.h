/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MAC addresses that matter: of phones, and of what their frames go to. Only grows, up to its
 * bound; what finds no room there is not known. Pure. Owns its set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	KL_KNOWN_MACS_MAX = 1 << 20,
};

struct kl_known_macs {
	uint64_t *mac; /* 0: free; a power of two of places */
	size_t places;
	size_t count;
};

void kl_known_macs_done(struct kl_known_macs *k);
/* A MAC that is all zero is not taken. phone: else of a server or gateway. -ENOMEM, -ENOSPC. */
int kl_known_macs_add(struct kl_known_macs *k, const uint8_t mac[6], bool phone);
bool kl_known_macs_has(const struct kl_known_macs *k, const uint8_t mac[6]);
bool kl_known_macs_is_phone(const struct kl_known_macs *k, const uint8_t mac[6]);
