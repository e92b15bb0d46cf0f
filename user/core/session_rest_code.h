/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a record of a session at rest is coded: bits and bytes, and what members are made of. For
 * session_rest.c and its parts alone.
 *
 * The bits (is it as expected?) and the bytes go into one stream: a word of 64 bits stands where its
 * first bit was needed, and the bytes since follow it. A number is told by its distance from what
 * was expected, with its sign in the lowest bit; the lowest three bits of its first byte say how many
 * bytes it has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	LONG_NUMBER = 7, /* in place of the length: all eight bytes follow */
};

struct coder {
	uint8_t *at;
	uint8_t *word_at; /* packing: where the bits go */
	uint64_t word;
	unsigned used; /* bits of the word */
};

#define STEP static inline __attribute__((always_inline))

/* ---- Bits and bytes ---- */

STEP void next_word(struct coder *c, bool packing)
{
	if (packing) {
		if (c->word_at)
			memcpy(c->word_at, &c->word, sizeof(c->word));
		c->word_at = c->at;
		c->word = 0;
	} else {
		memcpy(&c->word, c->at, sizeof(c->word));
	}
	c->at += sizeof(c->word);
	c->used = 0;
}

STEP uint32_t bits(struct coder *c, bool packing, uint32_t value, unsigned width)
{
	if (c->used + width > 64)
		next_word(c, packing);
	if (packing)
		c->word |= (uint64_t)value << c->used;
	else
		value = (uint32_t)(c->word >> c->used) & ((1U << width) - 1);
	c->used += width;
	return value;
}

STEP void put_number(struct coder *c, uint64_t n)
{
	unsigned bytes = (64U - (unsigned)__builtin_clzll(n) + 3 + 7) / 8;

	if (bytes <= LONG_NUMBER) {
		n = n << 3 | (bytes - 1);
		memcpy(c->at, &n, sizeof(n));
		c->at += bytes;
	} else {
		*c->at++ = LONG_NUMBER;
		memcpy(c->at, &n, sizeof(n));
		c->at += sizeof(n);
	}
}

STEP uint64_t get_number(struct coder *c)
{
	unsigned bytes = (*c->at & 7) + 1U;
	uint64_t n;

	if (bytes <= LONG_NUMBER) {
		memcpy(&n, c->at, sizeof(n));
		c->at += bytes;
		return (n & ((1ULL << 8 * bytes) - 1)) >> 3;
	}
	memcpy(&n, c->at + 1, sizeof(n));
	c->at += 1 + sizeof(n);
	return n;
}

/* ---- Members ---- */

STEP uint64_t far_number(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	uint64_t off = value - expected;

	if (packing) {
		put_number(c, off << 1 ^ -(off >> 63));
		return value;
	}
	off = get_number(c);
	return expected + (off >> 1 ^ -(off & 1));
}

STEP uint64_t number(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	if (bits(c, packing, value != expected, 1))
		return far_number(c, packing, value, expected);
	return expected;
}

/* A time, or 0 for none. */
STEP uint64_t moment(struct coder *c, bool packing, uint64_t value, uint64_t expected)
{
	enum {
		NONE,
		AS_EXPECTED,
		ANOTHER,
	};
	uint32_t what = !value ? NONE : value == expected ? AS_EXPECTED : ANOTHER;

	what = bits(c, packing, what, 2);
	if (what != ANOTHER)
		return what == NONE ? 0 : expected;
	return far_number(c, packing, value, expected);
}

/* A multiple of the unit, mostly. */
STEP uint64_t multiple(struct coder *c, bool packing, uint64_t value, uint64_t unit,
		       uint64_t expected)
{
	if (bits(c, packing, value % unit == 0, 1))
		return number(c, packing, value / unit, expected) * unit;
	return number(c, packing, value, 0);
}

/* Is there anything but zeros? */
STEP bool any(const void *value, size_t len)
{
	const uint8_t *at = value;
	uint64_t all = 0;

	for (; len >= sizeof(all); len -= sizeof(all), at += sizeof(all)) {
		uint64_t word;

		memcpy(&word, at, sizeof(word));
		all |= word;
	}
	for (; len; len--)
		all |= *at++;
	return all;
}

/* Bytes without any order: all zero, or as they are. */
STEP void bytes(struct coder *c, bool packing, void *value, size_t len)
{
	if (!bits(c, packing, packing && any(value, len), 1))
		return;
	if (packing)
		memcpy(c->at, value, len);
	else
		memcpy(value, c->at, len);
	c->at += len;
}

#define NUMBER(member, expected)                                                                   \
	((member) = (typeof(member))number(c, packing, (uint64_t)(member), (uint64_t)(expected)))
#define MOMENT(member, expected) ((member) = moment(c, packing, member, expected))
#define BITS(member, width) ((member) = (typeof(member))bits(c, packing, member, width))
/* Does a part of it follow? Else all in it is as in a node that is new. */
#define PART(condition) (bits(c, packing, packing && (condition), 1))
#define BYTES(member) bytes(c, packing, &(member), sizeof(member))

STEP void text(struct coder *c, bool packing, char *value)
{
	size_t len;

	if (!PART(value[0]))
		return;
	len = number(c, packing, packing ? strlen(value) : 0, 16);
	if (packing)
		memcpy(c->at, value, len);
	else
		memcpy(value, c->at, len);
	c->at += len;
}
