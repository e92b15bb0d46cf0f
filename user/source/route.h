/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which way this host would send a packet, and whether it would: the kernel's own answer, with its
 * forwarding switches and its reverse path filter. Needs no privilege. Owns nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kl_route {
	int error;    /* negative errno: it would not be sent */
	bool local;   /* it is for this host itself */
	unsigned out; /* ifindex; 0: none */
};

/*
 * A packet that comes in on an interface; from NULL: one of this host's own. Addresses as in struct
 * kl_endpoints; family 4 or 6.
 */
void kl_ask_route(uint8_t family, const uint32_t from[4], const uint32_t to[4], unsigned in,
		  struct kl_route *ret);
