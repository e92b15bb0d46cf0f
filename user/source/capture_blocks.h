/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Watches the bytes of a capture on their way to libpcap, for what libpcap reads but does not tell,
 * and for what it refuses though it could be read:
 *
 *  - a pcapng's statistics blocks (packets that the capture dropped) are skipped by libpcap;
 *  - it gives up on a pcapng whose interfaces differ in link type or snap length, as every capture
 *    on several interfaces may. So all interfaces are made to look like the first one, and the link
 *    type of each packet is kept here;
 *  - it cuts packets at the snap length of the file's header, and gives up on those in a pcapng.
 *    The header may be wrong, so it is changed to "no limit".
 *
 * Pure: bytes in, notes out. It follows the block structure only; whatever is wrong with it, libpcap
 * finds on the same bytes, and the watcher just stops.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "source/capture.h"
#include "source/capture_link.h"

enum {
	/* Never hand on more than this before libpcap has taken what came before. */
	KL_BLOCKS_AHEAD_BYTES = 256 * 1024,
	KL_BLOCKS_BODY_MAX = 4096, /* of an interface or statistics block, options included */
	KL_BLOCKS_DROPS_MAX = 64,
};

struct kl_blocks_interface {
	enum kl_framing framing;
	uint8_t resolution; /* if_tsresol */
	int64_t offset_s;
	uint64_t dropped;    /* up to the last statistics block */
	uint64_t dropped_ns; /* its time; 0: none yet */
};

struct kl_blocks {
	uint64_t at; /* bytes seen; only counted up to the end of a pcap's header */
	bool is_ng;
	bool stopped;
	bool out_of_memory;
	bool big_endian;
	bool has_section;
	bool has_link;
	uint16_t link;	   /* of the first interface */
	uint32_t type;	   /* of the block under way */
	uint32_t left;	   /* bytes of it still to come, but for its head */
	uint32_t head_len; /* bytes of head[] that are there */
	uint8_t head[12];
	uint32_t body_len;
	uint32_t body_want;
	uint8_t *body;
	struct kl_blocks_interface *interface;
	uint32_t interfaces;
	uint64_t packets;
	uint8_t *framings; /* of packets under way, by their number; NULL while all have the same */
	bool knows_framing; /* some interface has a link type that is read */
	uint32_t drops;
	struct kl_capture_drop drop[KL_BLOCKS_DROPS_MAX];
};

/* A zeroed struct is ready. The next bytes of the file, which are changed in place. */
void kl_blocks_feed(struct kl_blocks *b, uint8_t *bytes, size_t n);
void kl_blocks_free(struct kl_blocks *b);

/*
 * What stands before the IP header of packet `number` (from 1), which libpcap has just delivered.
 * Only of a pcapng in which link types differ (framings is set).
 */
enum kl_framing kl_blocks_framing(const struct kl_blocks *b, uint64_t number);
