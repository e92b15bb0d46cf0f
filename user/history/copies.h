/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The copies that a diagnosis compares with its losses (struct kl_observed), of a stretch of time,
 * drawn by lot and packed. Pure.
 *
 * Each segment has a level: half of them have level 0, a quarter level 1 and so on; all copies of a
 * segment have the same one. Who keeps the levels from n on keeps one of 2^n. So a stretch that has
 * too many leaves its lowest levels out, and who reads a long time reads the higher ones only. What
 * was lost before it was seen is always kept.
 *
 * A struct kl_copies owns its list.
 */
#pragma once

#include "core/diagnosis.h"
#include "util/bytes.h"

enum {
	KL_COPIES_KEPT = 8192,	  /* of a stretch, beside those that were lost */
	KL_COPIES_LOST = 1 << 16, /* of those */
	KL_COPY_LEVELS = 24,
	KL_COPY_LOST = 255, /* the level of what is always kept */
};

struct kl_copy {
	struct kl_observed o; /* session: as the history numbers it; time: CLOCK_REALTIME */
	uint8_t level;
};

struct kl_copies {
	struct kl_copy *list;
	size_t count, room;
	size_t lost;	   /* of them */
	unsigned level;	   /* lower ones are left out */
	uint64_t unlisted; /* lost, and without room */
};

void kl_copies_done(struct kl_copies *c);
void kl_copies_clear(struct kl_copies *c);
/* -ENOMEM. */
int kl_copies_add(struct kl_copies *c, const struct kl_observed *o);

/* Those of one level, packed behind what is there. Returns how many. */
size_t kl_copies_pack(const struct kl_copies *c, unsigned level, struct kl_bytes *to);

/* Each takes back one. 0 at the end; -EBADMSG. *last_ns: 0 at first. */
int kl_copies_unpack(struct kl_unpack *u, uint64_t *last_ns, struct kl_observed *ret);
