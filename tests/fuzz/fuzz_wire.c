// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for what agents send. The first byte says what the rest is: a batch as it comes
 * from the network, or a subject. Nothing may crash; and a batch that is read keeps what wire.h
 * promises of it: then it can be written, and what is written is read as the same.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "core/subject.h"
#include "core/wire.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void check_text(const char *text, size_t size)
{
	size_t length = strnlen(text, size);

	require(length < size);
	for (size_t i = 0; i < length; i++)
		require(text[i] > ' ' && text[i] <= '~');
}

static void check_same(const struct kl_wire_batch *a, const struct kl_wire_batch *b)
{
	require(a->boot == b->boot && a->number == b->number && a->from_ns == b->from_ns &&
		a->to_ns == b->to_ns && a->wall_ns == b->wall_ns && a->side == b->side &&
		a->rule == b->rule && a->partition == b->partition && a->misses == b->misses &&
		a->count == b->count);
	require(!memcmp(a->missed, b->missed, a->misses * sizeof(*a->missed)));
	for (uint32_t i = 0; i < a->count; i++) {
		const struct kl_sighted *x = &a->of[i].sighted, *y = &b->of[i].sighted;

		require(x->time_ns == y->time_ns && x->seq == y->seq && x->ack == y->ack &&
			x->payload_len == y->payload_len && x->stamp == y->stamp &&
			x->call == y->call && x->device == y->device && x->vlan == y->vlan &&
			x->direction == y->direction && x->kind == y->kind &&
			x->flags == y->flags && x->asks_again == y->asks_again &&
			x->fragment == y->fragment);
		require(kl_endpoints_equal(&x->ends, &y->ends));
		require(!strcmp(a->of[i].device, b->of[i].device));
		check_text(a->of[i].device, sizeof(a->of[i].device));
	}
}

static void batch(const __u8 *data, size_t size)
{
	static struct kl_wire_batch *read, *again;
	struct kl_bytes bytes = {};
	struct kl_error err = {};
	int r;

	if (!read) {
		read = kl_wire_new();
		again = kl_wire_new();
	}
	r = kl_wire_decode(data, size, read, &err);
	if (r) {
		require((r == -EPROTO || r == -EBADMSG) && err.text[0]);
		return;
	}
	require(kl_wire_encode(read, &bytes) == 0);
	require(kl_wire_decode(bytes.data, bytes.len, again, &err) == 0);
	check_same(read, again);
	kl_bytes_done(&bytes);
}

static void subject(const __u8 *data, size_t size)
{
	struct kl_subject_from from;
	char text[512], made[KL_SUBJECT_SIZE];

	size = size < sizeof(text) ? size : sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	if (kl_subject_read_segments(KL_SUBJECT_PREFIX, text, &from)) {
		require(kl_token_is_valid(from.site) && kl_token_is_valid(from.agent));
		kl_subject_segments(KL_SUBJECT_PREFIX, from.site, from.agent, from.partition, made);
		require(!strcmp(made, text));
	}
	if (kl_subject_read_beat(KL_SUBJECT_PREFIX, text, &from)) {
		kl_subject_beat(KL_SUBJECT_PREFIX, from.site, from.agent, made);
		require(!strcmp(made, text));
	}
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		subject(data + 1, size - 1);
	else
		batch(data + 1, size - 1);
	return 0;
}
