/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a session counted in a stretch of time, packed: what it counts now, less what it did at the
 * beginning. Pure, owns nothing.
 */
#pragma once

#include "core/session.h"
#include "util/bytes.h"

enum {
	KL_SESSION_COUNTS = 19,
};

struct kl_session_counts {
	uint64_t n[KL_SESSION_COUNTS];
	uint32_t longest_us;
	uint16_t slot[KL_ANSWERS_SLOTS];
};

void kl_session_counts_read(const struct kl_session *s, struct kl_session_counts *ret);

/* Packs it under this number, behind what is there; nothing where nothing was counted. */
void kl_session_counts_pack(const struct kl_session_counts *now,
			    const struct kl_session_counts *before, uint64_t number,
			    struct kl_bytes *to);

/* The next one's number; 0: there is none, or u->bad. */
uint64_t kl_session_counts_next(struct kl_unpack *u);
/* Adds what was counted to a session that was made for it; NULL: passes it over. */
void kl_session_counts_unpack(struct kl_unpack *u, struct kl_session *ret);
