/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers packed into bytes, and out of them: 7 bits a byte, the low ones first, the same on every
 * machine. Pure.
 *
 * A struct kl_bytes owns its data. Where there is no memory it takes nothing more and says so: it is
 * enough to look once, at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kl_bytes {
	uint8_t *data;
	size_t len, room;
	bool failed;
};

void kl_bytes_done(struct kl_bytes *b);
void kl_bytes_add(struct kl_bytes *b, const void *data, size_t len);
void kl_bytes_number(struct kl_bytes *b, uint64_t n);
/* Small numbers of either sign take little room. */
void kl_bytes_signed(struct kl_bytes *b, int64_t n);

/* Bytes of somebody else that are read. bad: they ended early, and what was read since is zero. */
struct kl_unpack {
	const uint8_t *at, *end;
	bool bad;
};

uint64_t kl_unpack_long_number(struct kl_unpack *u);
/* (Most take one byte, and there are millions.) */
static inline uint64_t kl_unpack_number(struct kl_unpack *u)
{
	if (!u->bad && u->at < u->end && *u->at < 0x80)
		return *u->at++;
	return kl_unpack_long_number(u);
}
int64_t kl_unpack_signed(struct kl_unpack *u);
/* NULL: there are not so many. */
const uint8_t *kl_unpack_bytes(struct kl_unpack *u, size_t len);
