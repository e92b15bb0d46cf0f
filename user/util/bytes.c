// SPDX-License-Identifier: GPL-2.0-only
#include "util/bytes.h"

#include <stdlib.h>
#include <string.h>

void kl_bytes_done(struct kl_bytes *b)
{
	free(b->data);
	*b = (struct kl_bytes){};
}

void kl_bytes_add(struct kl_bytes *b, const void *data, size_t len)
{
	if (b->failed || !len)
		return;
	if (len > b->room - b->len) {
		size_t room = b->room ? 2 * b->room : 1024;
		uint8_t *grown;

		while (room - b->len < len)
			room *= 2;
		grown = realloc(b->data, room);
		if (!grown) {
			b->failed = true;
			return;
		}
		b->data = grown;
		b->room = room;
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void kl_bytes_number(struct kl_bytes *b, uint64_t n)
{
	uint8_t packed[10];
	size_t len = 0;

	for (; n >= 0x80; n >>= 7)
		packed[len++] = (uint8_t)(n | 0x80);
	packed[len++] = (uint8_t)n;
	kl_bytes_add(b, packed, len);
}

void kl_bytes_signed(struct kl_bytes *b, int64_t n)
{
	kl_bytes_number(b, (uint64_t)n << 1 ^ (uint64_t)(n >> 63));
}

uint64_t kl_unpack_long_number(struct kl_unpack *u)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (u->bad || u->at == u->end)
			break;
		n |= (uint64_t)(*u->at & 0x7f) << shift;
		if (!(*u->at++ & 0x80))
			return n;
	}
	u->bad = true;
	return 0;
}

int64_t kl_unpack_signed(struct kl_unpack *u)
{
	uint64_t n = kl_unpack_number(u);

	return (int64_t)(n >> 1) ^ -(int64_t)(n & 1);
}

const uint8_t *kl_unpack_bytes(struct kl_unpack *u, size_t len)
{
	const uint8_t *at = u->at;

	if (u->bad || (size_t)(u->end - u->at) < len) {
		u->bad = true;
		return NULL;
	}
	u->at += len;
	return at;
}
