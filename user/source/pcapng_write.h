/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes a pcapng: one section, interfaces as they come up, packets with comments. Times are ns
 * since 1970. The FILE is the caller's.
 *
 * Functions return 0 or a negative errno, that of the write.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

struct kl_pcapng {
	FILE *out;
	uint32_t interfaces;
};

struct kl_pcapng_packet {
	uint32_t interface; /* as kl_pcapng_interface() numbered it */
	uint64_t time_ns;
	const uint8_t *data;
	uint32_t captured;
	uint32_t len;	     /* on the wire */
	const char *comment; /* NULL: none */
};

/* Writes the section's header. comment: NULL for none. */
int kl_pcapng_start(struct kl_pcapng *w, FILE *out, const char *application, const char *comment);

/* link: its LINKTYPE. */
int kl_pcapng_interface(struct kl_pcapng *w, uint16_t link, const char *name,
			const char *description, uint32_t *ret_number);
int kl_pcapng_packet(struct kl_pcapng *w, const struct kl_pcapng_packet *p);
