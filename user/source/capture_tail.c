// SPDX-License-Identifier: GPL-2.0-only
#include "source/capture_tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_STATISTICS = 5,
	BLOCK_SHORTEST = 12, /* type, length, length */
	SECTION_SHORTEST = 28,
};

struct place {
	uint64_t at;
	uint32_t len;
};

static uint32_t get32(const struct kl_blocks *b, const uint8_t *p)
{
	return b->big_endian ? kl_be32(p) : kl_le32(p);
}

/* The block that ends at `end`. Returns whether there is one. */
static bool block_before(const struct kl_stream *s, const struct kl_blocks *b, uint64_t end,
			 struct place *ret, uint32_t *ret_type)
{
	uint8_t head[8], tail[4];

	if (end < SECTION_SHORTEST + BLOCK_SHORTEST ||
	    !kl_stream_peek(s, end - sizeof(tail), tail, sizeof(tail)))
		return false;
	ret->len = get32(b, tail);
	if (ret->len < BLOCK_SHORTEST || ret->len % 4 || ret->len > end)
		return false;
	ret->at = end - ret->len;
	if (!kl_stream_peek(s, ret->at, head, sizeof(head)) || get32(b, head + 4) != ret->len)
		return false;
	*ret_type = get32(b, head);
	return true;
}

/* Statistics blocks from the end, the last one first. */
static size_t find_statistics(const struct kl_stream *s, const struct kl_blocks *b,
			      struct place ret[KL_TAIL_BLOCKS])
{
	uint64_t end = kl_stream_size(s);
	size_t found = 0;
	uint32_t type;

	for (int i = 0; i < KL_TAIL_BLOCKS; i++) {
		if (!block_before(s, b, end, &ret[found], &type) || type == BLOCK_SECTION)
			break;
		end = ret[found].at;
		if (type == BLOCK_STATISTICS && ret[found].len <= KL_BLOCKS_BODY_MAX)
			found++;
	}
	return found;
}

static void blocks_freep(struct kl_blocks *b)
{
	kl_blocks_free(b);
}

/* The start of a file, as seen by b, to which its end is given. */
static int copy_interfaces(const struct kl_blocks *b, struct kl_blocks *ret)
{
	ret->is_ng = ret->has_section = true;
	ret->big_endian = b->big_endian;
	ret->interfaces = b->interfaces;
	ret->interface = calloc(b->interfaces ?: 1, sizeof(*ret->interface));
	if (!ret->interface)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->interfaces; i++) {
		ret->interface[i] = b->interface[i];
		ret->interface[i].dropped = ret->interface[i].dropped_ns = 0;
	}
	return 0;
}

int kl_tail_drops(const struct kl_stream *s, struct kl_capture_drop **ret, size_t *ret_count)
{
	struct kl_blocks tail __attribute__((cleanup(blocks_freep))) = {};
	const struct kl_blocks *b = kl_stream_blocks(s);
	uint8_t block[KL_BLOCKS_BODY_MAX];
	struct place places[KL_TAIL_BLOCKS];
	size_t count;

	if (!b->is_ng || !b->has_section || !b->interfaces || kl_stream_is_packed(s))
		return 0;
	count = find_statistics(s, b, places);
	if (!count)
		return 0;
	if (copy_interfaces(b, &tail))
		return -ENOMEM;
	while (count--) {
		if (kl_stream_peek(s, places[count].at, block, places[count].len))
			kl_blocks_feed(&tail, block, places[count].len);
	}
	if (tail.out_of_memory)
		return -ENOMEM;
	if (!tail.drops)
		return 0;
	*ret = malloc(tail.drops * sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	memcpy(*ret, tail.drop, tail.drops * sizeof(**ret));
	*ret_count = tail.drops;
	return 0;
}
