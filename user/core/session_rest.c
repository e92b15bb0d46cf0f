// SPDX-License-Identifier: GPL-2.0-only
/*
 * A record is a brief of the session, and corrections: the words of the node that are not as the
 * brief makes expect, each by its distance from that.
 *
 * Whoever wakes a session among thousands finds neither this code nor its branches remembered by the
 * processor: so there is little of both, and what is done is done to all words alike.
 */
#include "core/session_rest.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/session_rest_brief.h"

typedef uint64_t __attribute__((may_alias)) word_t;
typedef uint64_t __attribute__((may_alias, vector_size(16), aligned(8))) pair_t;

enum {
	WORD = sizeof(word_t),
	WORDS = offsetof(struct kl_node, heard) / WORD,
	AT_ONCE = 8, /* words are looked at */
	CORRECTION_MAX = 2 + WORD,
	/* With the zero at the end; and each is written as if it were a whole word. */
	RECORD_MAX = sizeof(uint16_t) + KL_BRIEF_MAX + WORDS * CORRECTION_MAX + 1 + WORD,
	USUAL_SIZE = 192, /* of a record */
	CACHE_LINE = 64,
	REUSE_SLACK = 64, /* a record this much shorter is a waste of its memory */
};

_Static_assert(offsetof(struct kl_node, session.id) == 0, "the word that is never corrected");
_Static_assert(offsetof(struct kl_node, heard) % WORD == 0, "all before are whole words");
_Static_assert(WORDS <= UINT8_MAX, "a correction says which word by one byte");

/* ---- Corrections: which word, how many bytes, by how many it is shifted; a zero at the end ---- */

static uint8_t *put_correction(uint8_t *at, unsigned word, uint64_t off)
{
	uint64_t all = off << 1 ^ -(off >> 63);
	unsigned shift = (unsigned)__builtin_ctzll(all) / 8;
	unsigned len = 8 - shift - (unsigned)__builtin_clzll(all) / 8;

	all = htole64(all >> 8 * shift);
	at[0] = (uint8_t)word;
	at[1] = (uint8_t)(shift << 4 | len);
	memcpy(at + 2, &all, sizeof(all));
	return at + 2 + len;
}

/* Which of these words are not zero: without branches, for nothing tells in advance. */
static inline unsigned note(const word_t *off, unsigned from, unsigned end, unsigned count,
			    uint8_t *ret_which)
{
#pragma GCC unroll 8
	for (unsigned i = from; i < end; i++) {
		ret_which[count] = (uint8_t)i;
		count += off[i] != 0;
	}
	return count;
}

/* off: what is expected; then, what the node is beyond that. Returns in how many words it is. */
static unsigned find_corrections(const word_t *node, word_t *off, uint8_t ret_which[WORDS])
{
	unsigned count = 0, i;

	for (i = 0; i + AT_ONCE <= WORDS; i += AT_ONCE) {
		pair_t all = {};

#pragma GCC unroll 4
		for (unsigned k = i; k < i + AT_ONCE; k += 2) {
			pair_t *pair = (pair_t *)&off[k];

			*pair = *(const pair_t *)&node[k] - *pair;
			all |= *pair;
		}
		if (all[0] | all[1])
			count = note(off, i, i + AT_ONCE, count, ret_which);
	}
	for (unsigned k = i; k < WORDS; k++)
		off[k] = node[k] - off[k];
	return note(off, i, WORDS, count, ret_which);
}

/* (Bytes are read with those before them, for behind the last one memory may end.) */
static void correct(const uint8_t *at, word_t *ret)
{
	for (; *at; at += 2 + (at[1] & 15)) {
		unsigned len = at[1] & 15, shift = at[1] >> 4;
		uint64_t off;

		memcpy(&off, at + 2 + len - sizeof(off), sizeof(off));
		off = le64toh(off) >> 8 * (WORD - len) << 8 * shift;
		ret[*at] += off >> 1 ^ -(off & 1);
	}
}

/* ---- Records ---- */

struct record {
	uint16_t room; /* of all */
	struct kl_brief brief;
} __attribute__((packed));

/* `before`, if it is of the right size; else another one in its place. NULL: no memory. */
static struct record *make_room(struct record *before, size_t len)
{
	struct record *ret;
	size_t room;

	if (before && len <= before->room && len + REUSE_SLACK >= before->room)
		return before;
	/* What malloc() has in its pieces, without what it keeps for itself. */
	room = ((len + 7) | 15) - 7;
	ret = malloc(room);
	if (!ret)
		return NULL;
	ret->room = (uint16_t)room;
	free(before);
	return ret;
}

void *kl_rest_pack(const struct kl_node *n, void *before)
{
	union {
		struct record record;
		uint8_t bytes[RECORD_MAX];
	} b;
	struct record *rest;
	struct kl_node off;
	uint8_t which[WORDS];
	unsigned count;
	uint8_t *at;
	size_t len;

	kl_brief_of(n, &b.record.brief);
	at = (uint8_t *)&b.record.brief + kl_brief_size(&b.record.brief);
	kl_brief_expect(&b.record.brief, &off);
	off.session.id = n->session.id; /* (The table knows it.) */
	count = find_corrections((const word_t *)n, (word_t *)&off, which);
	for (unsigned i = 0; i < count; i++)
		at = put_correction(at, which[i], ((const word_t *)&off)[which[i]]);
	*at++ = 0;
	len = (size_t)(at - b.bytes);
	rest = make_room(before, len);
	if (rest)
		memcpy(&rest->brief, &b.record.brief, len - offsetof(struct record, brief));
	return rest;
}

void kl_rest_fetch(const void *rest)
{
	for (size_t at = 0; at < USUAL_SIZE; at += CACHE_LINE)
		__builtin_prefetch((const uint8_t *)rest + at);
}

void kl_rest_unpack(const void *rest, struct kl_node *ret)
{
	const struct kl_brief *brief = &((const struct record *)rest)->brief;

	kl_brief_expect(brief, ret);
	correct((const uint8_t *)brief + kl_brief_size(brief), (word_t *)ret);
}

const uint8_t *kl_rest_next_mac(const void *rest)
{
	return ((const struct record *)rest)->brief.next_mac;
}
