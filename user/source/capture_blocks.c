// SPDX-License-Identifier: GPL-2.0-only
/* Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. */
#include "source/capture_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "util/duration.h"

enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete */
	BLOCK_SIMPLE_PACKET = 3,
	BLOCK_STATISTICS = 5,
	BLOCK_ENHANCED_PACKET = 6,
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,

	OPTION_END = 0,
	OPTION_IF_TSRESOL = 9,
	OPTION_IF_TSOFFSET = 14,
	OPTION_ISB_START = 2,
	OPTION_ISB_END = 3,
	OPTION_ISB_IFDROP = 5,
	OPTION_ISB_OSDROP = 7,

	LINK_RAW = 101,
	DLT_RAW = 12,

	PCAP_SNAPLEN_AT = 16, /* in a pcap's header */
	PCAP_HEADER = 24,

	INTERFACES_MAX = 65536,
	/* The shortest block with a packet has 16 bytes: no more can be under way. */
	FRAMINGS = 2 * KL_BLOCKS_AHEAD_BYTES / 16,
};

_Static_assert((FRAMINGS & (FRAMINGS - 1)) == 0, "indexed by a mask");

static uint16_t get16(const struct kl_blocks *b, const uint8_t *p)
{
	return (uint16_t)(b->big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0]);
}

static uint32_t get32(const struct kl_blocks *b, const uint8_t *p)
{
	return b->big_endian ? kl_be32(p) : kl_le32(p);
}

static uint64_t get64(const struct kl_blocks *b, const uint8_t *p)
{
	return b->big_endian ? (uint64_t)kl_be32(p) << 32 | kl_be32(p + 4) : kl_le64(p);
}

/* A time is two words, the higher one first, whatever the byte order. */
static uint64_t get_time(const struct kl_blocks *b, const uint8_t *p)
{
	return (uint64_t)get32(b, p) << 32 | get32(b, p + 4);
}

/* 0: no time that makes sense. */
static uint64_t time_ns(const struct kl_blocks_interface *i, uint64_t units)
{
	uint8_t power = i->resolution & 0x7f;
	unsigned __int128 per_s = 1, ns;
	__int128 shifted;

	if (power > (i->resolution & 0x80 ? 63 : 19))
		return 0;
	if (i->resolution & 0x80)
		per_s <<= power;
	else
		for (uint8_t n = 0; n < power; n++)
			per_s *= 10;
	ns = (unsigned __int128)units * KL_NS_PER_S / per_s;
	shifted = (__int128)ns + (__int128)i->offset_s * (__int128)KL_NS_PER_S;
	return shifted <= 0 || shifted > INT64_MAX ? 0 : (uint64_t)shifted;
}

/* An option in a block's body; returns false at the end of them. */
struct option {
	uint16_t code;
	uint16_t len;
	const uint8_t *value;
};

static bool next_option(const struct kl_blocks *b, uint32_t *at, struct option *ret)
{
	if (*at + 4 > b->body_len)
		return false;
	ret->code = get16(b, b->body + *at);
	ret->len = get16(b, b->body + *at + 2);
	ret->value = b->body + *at + 4;
	*at += 4 + ((ret->len + 3U) & ~3U);
	return ret->code != OPTION_END && *at <= b->body_len;
}

/* ---- Blocks ---- */

/* The body starts with the link type (2), 2 reserved bytes and the snap length (4). */
static void take_interface(struct kl_blocks *b)
{
	struct kl_blocks_interface i = { .resolution = 6 }, *grown;
	uint32_t at = 8;
	struct option o;
	uint16_t link;

	if (b->body_len < 8)
		return;
	link = get16(b, b->body);
	i.framing = kl_framing_of(link);
	b->knows_framing |= i.framing != KL_FRAMING_UNKNOWN;
	while (next_option(b, &at, &o)) {
		if (o.code == OPTION_IF_TSRESOL && o.len == 1)
			i.resolution = o.value[0];
		if (o.code == OPTION_IF_TSOFFSET && o.len == 8)
			i.offset_s = (int64_t)get64(b, o.value);
	}
	if (b->interfaces == INTERFACES_MAX) {
		b->stopped = b->out_of_memory = true;
		return;
	}
	if ((b->interfaces & (b->interfaces - 1)) == 0) {
		grown = realloc(b->interface, (b->interfaces ?: 1) * 2 * sizeof(*grown));
		if (!grown) {
			b->stopped = b->out_of_memory = true;
			return;
		}
		b->interface = grown;
	}
	b->interface[b->interfaces++] = i;
	if (!b->framings && i.framing != kl_framing_of(b->link)) {
		b->framings = malloc(FRAMINGS);
		if (!b->framings) {
			b->stopped = b->out_of_memory = true;
			return;
		}
		memset(b->framings, kl_framing_of(b->link), FRAMINGS);
	}
}

static void add_drop(struct kl_blocks *b, uint64_t from_ns, uint64_t to_ns, uint64_t packets)
{
	struct kl_capture_drop *last = &b->drop[KL_BLOCKS_DROPS_MAX - 1];

	if (b->drops < KL_BLOCKS_DROPS_MAX) {
		b->drop[b->drops++] = (struct kl_capture_drop){ from_ns, to_ns, packets };
		return;
	}
	last->packets += packets;
	if (!from_ns || (last->from_ns && from_ns < last->from_ns))
		last->from_ns = from_ns;
	if (!to_ns || (last->to_ns && to_ns > last->to_ns))
		last->to_ns = to_ns;
}

/* The body starts with the interface (4) and the time (8). The counters grow from block to block. */
static void take_statistics(struct kl_blocks *b)
{
	uint64_t now, start = 0, end = 0, dropped = 0;
	struct kl_blocks_interface *i;
	uint32_t at = 12, number;
	struct option o;

	if (b->body_len < 12)
		return;
	number = get32(b, b->body);
	if (number >= b->interfaces)
		return;
	i = &b->interface[number];
	now = time_ns(i, get_time(b, b->body + 4));
	while (next_option(b, &at, &o)) {
		if (o.len != 8)
			continue;
		if (o.code == OPTION_ISB_START)
			start = time_ns(i, get_time(b, o.value));
		else if (o.code == OPTION_ISB_END)
			end = time_ns(i, get_time(b, o.value));
		/* All ones: not known, as some writers say. */
		else if ((o.code == OPTION_ISB_IFDROP || o.code == OPTION_ISB_OSDROP) &&
			 get64(b, o.value) != UINT64_MAX)
			dropped += get64(b, o.value);
	}
	if (dropped > i->dropped)
		add_drop(b, i->dropped_ns ?: start, end ?: now, dropped - i->dropped);
	i->dropped = dropped;
	i->dropped_ns = end ?: now;
}

static void take_packet(struct kl_blocks *b)
{
	uint32_t interface = 0;

	b->packets++;
	if (!b->framings)
		return;
	if (b->type == BLOCK_ENHANCED_PACKET)
		interface = get32(b, b->head + 8);
	else if (b->type == BLOCK_PACKET)
		interface = get16(b, b->head + 8);
	b->framings[b->packets & (FRAMINGS - 1)] =
		(uint8_t)(interface < b->interfaces ? b->interface[interface].framing
						    : KL_FRAMING_UNKNOWN);
}

/* The first 12 bytes of a block are there: what is it, and what of it is wanted? */
static void begin_block(struct kl_blocks *b)
{
	uint32_t len;

	if (b->type == BLOCK_SECTION) {
		bool big_endian = kl_be32(b->head + 8) == BYTE_ORDER_MAGIC;

		if ((!big_endian && kl_le32(b->head + 8) != BYTE_ORDER_MAGIC) ||
		    (b->has_section && big_endian != b->big_endian)) {
			b->stopped = true;
			return;
		}
		b->big_endian = big_endian;
		b->has_section = true;
		b->interfaces = 0;
	}
	len = get32(b, b->head + 4);
	if (len < sizeof(b->head)) {
		b->stopped = true;
		return;
	}
	b->left = len - (uint32_t)sizeof(b->head);
	b->body_want = 0;
	if (b->type == BLOCK_ENHANCED_PACKET || b->type == BLOCK_SIMPLE_PACKET ||
	    b->type == BLOCK_PACKET)
		take_packet(b);
	if (b->type != BLOCK_INTERFACE && b->type != BLOCK_STATISTICS)
		return;
	if (!b->body)
		b->body = malloc(KL_BLOCKS_BODY_MAX);
	if (!b->body) {
		b->stopped = b->out_of_memory = true;
		return;
	}
	/* Four bytes of the body are in the head, and the last four are the length again. */
	memcpy(b->body, b->head + 8, 4);
	b->body_len = 4;
	b->body_want = b->left < KL_BLOCKS_BODY_MAX ? b->left : KL_BLOCKS_BODY_MAX;
}

static void end_block(struct kl_blocks *b)
{
	if (b->body_want && b->type == BLOCK_INTERFACE)
		take_interface(b);
	if (b->body_want && b->type == BLOCK_STATISTICS)
		take_statistics(b);
	b->head_len = 0;
	b->body_want = 0;
}

/* ---- Bytes ---- */

/* Writes v over bytes[where..where + len) of the block, as far as they are among the n at `at`. */
static void overlay(const struct kl_blocks *b, uint8_t *bytes, uint32_t at, size_t n,
		    uint32_t where, uint32_t len, uint32_t v)
{
	for (uint32_t i = 0; i < len; i++) {
		if (where + i >= at && where + i - at < n)
			bytes[where + i - at] = (uint8_t)(v >>
							  8 * (b->big_endian ? len - 1 - i : i));
	}
}

/*
 * Bytes of the head, of which some were there before. The length of a simple packet is that on the
 * wire, from which libpcap concludes what was captured by the snap length that is changed here: so
 * it is set to what the block holds. (Without a time the packet is of no further use anyway.)
 */
static void change_head(struct kl_blocks *b, uint8_t *bytes, uint32_t at, size_t n)
{
	/* libpcap 1.10 compares an interface's LINKTYPE with the first one's DLT. */
	uint16_t link = b->link == LINK_RAW ? DLT_RAW : b->link;
	uint32_t len;

	if (b->head_len < 8)
		return;
	len = get32(b, b->head + 4);
	if (b->type == BLOCK_INTERFACE && b->has_link)
		overlay(b, bytes, at, n, 8, 2, link);
	if (b->type == BLOCK_SIMPLE_PACKET && len >= 16)
		overlay(b, bytes, at, n, 8, 4, len - 16);
}

static size_t feed_head(struct kl_blocks *b, uint8_t *bytes, size_t n)
{
	uint32_t at = b->head_len;

	if (n > sizeof(b->head) - at)
		n = sizeof(b->head) - at;
	memcpy(b->head + at, bytes, n);
	b->head_len += (uint32_t)n;
	if (b->head_len >= 4)
		b->type = get32(b, b->head);
	change_head(b, bytes, at, n);
	if (b->head_len < sizeof(b->head))
		return n;
	begin_block(b);
	if (!b->stopped && !b->left)
		end_block(b);
	return n;
}

static size_t feed_body(struct kl_blocks *b, uint8_t *bytes, size_t n)
{
	size_t keep;

	if (n > b->left)
		n = b->left;
	if (b->body_want > b->body_len) {
		keep = b->body_want - b->body_len < n ? b->body_want - b->body_len : n;
		memcpy(b->body + b->body_len, bytes, keep);
		/* The first four of these are the snap length. */
		if (b->type == BLOCK_INTERFACE)
			overlay(b, bytes, b->body_len + 8, n, 12, 4, 0);
		b->body_len += (uint32_t)keep;
		if (b->type == BLOCK_INTERFACE && !b->has_link) {
			b->link = get16(b, b->body);
			b->has_link = true;
		}
	}
	b->left -= (uint32_t)n;
	if (!b->left)
		end_block(b);
	return n;
}

/* A pcap has a header, of which the snap length is changed, and nothing to watch behind it. */
static size_t feed_start(struct kl_blocks *b, uint8_t *bytes, size_t n)
{
	if (n > PCAP_HEADER - b->at)
		n = PCAP_HEADER - b->at;
	if (b->at == 0 && bytes[0] == (BLOCK_SECTION & 0xff)) {
		b->is_ng = true;
		return 0;
	}
	overlay(b, bytes, (uint32_t)b->at, n, PCAP_SNAPLEN_AT, 4, 0);
	b->at += n;
	b->stopped = b->at == PCAP_HEADER;
	return n;
}

void kl_blocks_feed(struct kl_blocks *b, uint8_t *bytes, size_t n)
{
	while (n && !b->stopped) {
		size_t taken;

		if (!b->is_ng) {
			taken = feed_start(b, bytes, n);
		} else if (b->left) {
			taken = feed_body(b, bytes, n);
		} else {
			taken = feed_head(b, bytes, n);
		}
		bytes += taken;
		n -= taken;
	}
}

void kl_blocks_free(struct kl_blocks *b)
{
	free(b->body);
	free(b->interface);
	free(b->framings);
	*b = (struct kl_blocks){ .stopped = true };
}

enum kl_framing kl_blocks_framing(const struct kl_blocks *b, uint64_t number)
{
	return (enum kl_framing)b->framings[number & (FRAMINGS - 1)];
}
