// SPDX-License-Identifier: GPL-2.0-only
#include "history/copies.h"

#include <errno.h>
#include <stdlib.h>

enum {
	FLAG_DIRECTION = 1 << 0,
	FLAG_LOST = 1 << 1,
	FLAG_AGAIN = 1 << 2,
	WHERE_SHIFT = 3,
	KNOWN_SHIFT = 5,
};

void kl_copies_done(struct kl_copies *c)
{
	free(c->list);
	*c = (struct kl_copies){};
}

void kl_copies_clear(struct kl_copies *c)
{
	c->count = c->lost = 0;
	c->level = 0;
	c->unlisted = 0;
}

static uint8_t level_of(const struct kl_observed *o)
{
	uint64_t x = o->session ^ (uint64_t)o->seq << 32 ^ (uint64_t)o->direction << 31;
	uint8_t level;

	if (o->lost)
		return KL_COPY_LOST;
	/* Probes have one and the same number. */
	if (o->length <= 1)
		x ^= o->time_ns;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	x ^= x >> 31;
	level = x ? (uint8_t)__builtin_ctzll(x) : KL_COPY_LEVELS;
	return level < KL_COPY_LEVELS ? level : KL_COPY_LEVELS - 1;
}

static void thin_out(struct kl_copies *c)
{
	size_t kept = 0;

	c->level++;
	for (size_t i = 0; i < c->count; i++) {
		if (c->list[i].level >= c->level)
			c->list[kept++] = c->list[i];
	}
	c->count = kept;
}

int kl_copies_add(struct kl_copies *c, const struct kl_observed *o)
{
	const struct kl_copy copy = { .o = *o, .level = level_of(o) };

	if (o->lost && c->lost == KL_COPIES_LOST) {
		c->unlisted++;
		return 0;
	}
	while (!o->lost && c->count - c->lost >= KL_COPIES_KEPT && c->level + 1 < KL_COPY_LEVELS)
		thin_out(c);
	if (copy.level < c->level)
		return 0;
	if (c->count == c->room) {
		size_t room = c->room ? 2 * c->room : 256;
		struct kl_copy *grown = reallocarray(c->list, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->list = grown;
		c->room = room;
	}
	c->list[c->count++] = copy;
	c->lost += o->lost;
	return 0;
}

size_t kl_copies_pack(const struct kl_copies *c, unsigned level, struct kl_bytes *to)
{
	uint64_t last_ns = 0;
	size_t count = 0;

	for (size_t i = 0; i < c->count; i++) {
		const struct kl_observed *o = &c->list[i].o;
		uint8_t head[6] = { o->direction | (o->lost ? FLAG_LOST : 0) |
					    (o->again ? FLAG_AGAIN : 0) | o->where << WHERE_SHIFT |
					    o->idle_known << KNOWN_SHIFT,
				    o->kind,
				    (uint8_t)o->seq,
				    (uint8_t)(o->seq >> 8),
				    (uint8_t)(o->seq >> 16),
				    (uint8_t)(o->seq >> 24) };

		if (c->list[i].level != level)
			continue;
		kl_bytes_add(to, head, sizeof(head));
		kl_bytes_signed(to, (int64_t)(o->time_ns - last_ns));
		kl_bytes_number(to, o->session);
		kl_bytes_number(to, o->length);
		/* (What is not known takes one byte.) */
		kl_bytes_number(to, (uint32_t)(o->idle_ms + 1));
		last_ns = o->time_ns;
		count++;
	}
	return count;
}

int kl_copies_unpack(struct kl_unpack *u, uint64_t *last_ns, struct kl_observed *ret)
{
	const uint8_t *head;

	if (u->at == u->end)
		return 0;
	head = kl_unpack_bytes(u, 6);
	if (!head)
		return -EBADMSG;
	*last_ns += (uint64_t)kl_unpack_signed(u);
	*ret = (struct kl_observed){
		.time_ns = *last_ns,
		.session = kl_unpack_number(u),
		.seq = (uint32_t)head[2] | (uint32_t)head[3] << 8 | (uint32_t)head[4] << 16 |
		       (uint32_t)head[5] << 24,
		.direction = head[0] & FLAG_DIRECTION,
		.lost = !!(head[0] & FLAG_LOST),
		.again = !!(head[0] & FLAG_AGAIN),
		.where = head[0] >> WHERE_SHIFT & 3,
		.idle_known = head[0] >> KNOWN_SHIFT & 3,
		.kind = head[1],
	};
	ret->length = (uint16_t)kl_unpack_number(u);
	ret->idle_ms = (uint32_t)kl_unpack_number(u) - 1;
	return u->bad || ret->kind >= KL_KINDS || ret->idle_known > KL_IDLE_ALL ? -EBADMSG : 1;
}
