/* SPDX-License-Identifier: GPL-2.0-only */
/* What both directions of the wire share: see docs/wire.md, which says it all for other programs. */
#pragma once

#include "core/wire.h"

#define KL_WIRE_MAGIC "KLS" /* and the version */

enum {
	KL_WIRE_MAGIC_LEN = 3,
	/* A shorter payload's hash tells nothing: SCCP KeepAlives are all alike. */
	KL_WIRE_CONTENT_MIN = 24,
};

/* The first byte of a sighting. */
enum {
	KL_WIRE_KIND = 0x0f,
	KL_WIRE_TO_PHONE = 1 << 4,
	KL_WIRE_FLAGS = 1 << 5, /* a byte of TCP flags follows; else they are the usual ones */
	KL_WIRE_EXTRAS = 1 << 6,
	KL_WIRE_LONG_STAMP = 1 << 7, /* four bytes; else two: an IP ID */
};

enum {
	KL_WIRE_ASKS_AGAIN = 1 << 0,
	KL_WIRE_FRAGMENT = 1 << 1,
	KL_WIRE_CONTENT = 1 << 2,
	KL_WIRE_CALL = 1 << 3,
	KL_WIRE_DEVICE = 1 << 4,
	KL_WIRE_ALL_EXTRAS = (1 << 5) - 1,
};

/* Where each direction's numbers stand, as far as a batch told: the next are told from there. */
struct kl_wire_numbers {
	uint32_t next[KL_DIRECTIONS];
	bool known[KL_DIRECTIONS];
};

static inline uint8_t kl_wire_usual_flags(uint32_t payload_len)
{
	return payload_len ? KL_ACK | KL_PSH : KL_ACK;
}

/* Behind a segment; seq and ack are known. */
static inline void kl_wire_advance(struct kl_wire_numbers *n, const struct kl_sighted *s)
{
	n->next[s->direction] = s->seq + s->payload_len + !!(s->flags & KL_SYN) +
				!!(s->flags & KL_FIN);
	n->known[s->direction] = true;
	if (s->flags & KL_ACK) {
		n->next[s->direction ^ 1] = s->ack;
		n->known[s->direction ^ 1] = true;
	}
}

static inline bool kl_wire_has_content(const struct kl_wire_sighting *s)
{
	return s->sighted.content && !s->sighted.call && !s->device[0] &&
	       s->sighted.payload_len >= KL_WIRE_CONTENT_MIN;
}
