// SPDX-License-Identifier: GPL-2.0-only
/* wire.h: what is written is read, and nothing else is. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/sight.h"
#include "core/wire.h"

#define FROM_NS 1790000000000000000ULL
#define MS KL_NS_PER_MS

static struct kl_wire_batch *batch, *back;
static struct kl_bytes bytes;
static struct kl_error err;

static void setup(void)
{
	batch = kl_wire_new();
	back = kl_wire_new();
	cr_assert(batch && back);
	batch->boot = 0x1122334455667788;
	batch->number = 7;
	batch->from_ns = FROM_NS;
	batch->to_ns = FROM_NS + 1000 * MS;
	batch->wall_ns = -1500 * (int64_t)MS;
	batch->side = KL_CUCM;
	batch->partitions = 1;
}

static void teardown(void)
{
	kl_wire_free(batch);
	kl_wire_free(back);
	kl_bytes_done(&bytes);
}

TestSuite(wire, .init = setup, .fini = teardown);

static struct kl_endpoints ends_of(uint32_t phone)
{
	return (struct kl_endpoints){
		.phone = { 0x0a000000 + phone },
		.cucm = { 0x0a630001 },
		.phone_port = (uint16_t)(40000 + phone),
		.cucm_port = 2000,
		.family = 4,
	};
}

static struct kl_wire_sighting *add(uint64_t after_ms, uint32_t phone)
{
	struct kl_wire_sighting *w = &batch->of[batch->count++];

	*w = (struct kl_wire_sighting){ .sighted = {
						.time_ns = FROM_NS + after_ms * MS,
						.ends = ends_of(phone),
						.side = KL_CUCM,
						.flags = KL_ACK | KL_PSH,
						.stamp = 4711,
						.kind = KL_SCCP_KEEPALIVE,
						.payload_len = 12,
					} };
	return w;
}

/* A keepalive, its answer, and the acknowledgement of that. */
static void add_exchange(uint64_t at_ms, uint32_t phone, uint32_t seq, uint32_t ack)
{
	struct kl_sighted *s = &add(at_ms, phone)->sighted;

	s->seq = seq;
	s->ack = ack;
	s = &add(at_ms + 1, phone)->sighted;
	s->direction = KL_TO_PHONE;
	s->kind = KL_SCCP_KEEPALIVE_ACK;
	s->seq = ack;
	s->ack = seq + 12;
	s = &add(at_ms + 2, phone)->sighted;
	s->kind = KL_OTHER;
	s->flags = KL_ACK;
	s->payload_len = 0;
	s->seq = seq + 12;
	s->ack = ack + 12;
}

static void expect_same_sighting(const struct kl_wire_sighting *a, const struct kl_wire_sighting *b)
{
	const struct kl_sighted *x = &a->sighted, *y = &b->sighted;

	cr_expect_eq(x->time_ns, y->time_ns);
	cr_expect(kl_endpoints_equal(&x->ends, &y->ends));
	cr_expect_eq(x->seq, y->seq);
	cr_expect_eq(x->ack, y->ack);
	cr_expect_eq(x->payload_len, y->payload_len);
	cr_expect_eq(x->stamp, y->stamp);
	cr_expect_eq(x->content, y->content);
	cr_expect_eq(x->call, y->call);
	cr_expect_eq(x->device, y->device);
	cr_expect_eq(x->vlan, y->vlan);
	cr_expect_eq(x->side, y->side);
	cr_expect_eq(x->direction, y->direction);
	cr_expect_eq(x->kind, y->kind);
	cr_expect_eq(x->flags, y->flags);
	cr_expect_eq(x->asks_again, y->asks_again);
	cr_expect_eq(x->fragment, y->fragment);
	cr_expect_str_eq(a->device, b->device);
}

static void expect_same(void)
{
	cr_assert_eq(back->boot, batch->boot);
	cr_assert_eq(back->number, batch->number);
	cr_assert_eq(back->from_ns, batch->from_ns);
	cr_assert_eq(back->to_ns, batch->to_ns);
	cr_assert_eq(back->wall_ns, batch->wall_ns);
	cr_assert_eq(back->side, batch->side);
	cr_assert_eq(back->rule, batch->rule);
	cr_assert_eq(back->partitions, batch->partitions);
	cr_assert_eq(back->partition, batch->partition);
	cr_assert_eq(back->misses, batch->misses);
	for (uint32_t i = 0; i < batch->misses; i++) {
		cr_expect_eq(back->missed[i].from_ns, batch->missed[i].from_ns);
		cr_expect_eq(back->missed[i].to_ns, batch->missed[i].to_ns);
		cr_expect_eq(back->missed[i].why, batch->missed[i].why);
	}
	cr_assert_eq(back->count, batch->count);
	for (uint32_t i = 0; i < batch->count; i++)
		expect_same_sighting(&back->of[i], &batch->of[i]);
}

static void there_and_back(void)
{
	bytes.len = 0;
	cr_assert_eq(kl_wire_encode(batch, &bytes), 0);
	cr_assert_leq(bytes.len, KL_WIRE_BYTES);
	cr_assert_eq(kl_wire_decode(bytes.data, bytes.len, back, &err), 0, "%s", err.text);
	expect_same();
}

Test(wire, empty)
{
	there_and_back();
	batch->to_ns = batch->from_ns;
	there_and_back();
}

Test(wire, exchanges)
{
	for (uint32_t i = 0; i < 100; i++)
		add_exchange(i * 9, i % 7, 0xfffffff0 + i * 100, i * 1000);
	there_and_back();
}

/* docs/wire.md says how much an exchange takes: here it is held to it. */
Test(wire, is_small)
{
	size_t empty;

	there_and_back();
	empty = bytes.len;
	cr_expect_leq(empty, 48, "%zu", empty);
	for (uint32_t i = 0; i < 300; i++)
		add_exchange(i * 3, i, i * 7919 * 65537, i * 104729 * 6151);
	there_and_back();
	cr_expect_leq((bytes.len - empty) / 300, 44, "%zu", (bytes.len - empty) / 300);
}

Test(wire, everything_a_sighting_may_have)
{
	struct kl_wire_sighting *w = add(10, 1);

	w->sighted.ends.family = 6;
	for (int i = 0; i < 4; i++) {
		w->sighted.ends.phone[i] = 0x20010db8 + i;
		w->sighted.ends.cucm[i] = 0xfd000000 + i;
	}
	w->sighted.kind = KL_SIP_REGISTER;
	w->sighted.vlan = 110;
	w->sighted.stamp = 0x80001234;
	w->sighted.call = 0xfedcba9876543210;
	w->sighted.payload_len = 890;
	w->sighted.asks_again = true;
	strcpy(w->device, "SEP0024142DDF24");
	w->sighted.device = kl_sight_hash(KL_WIRE_SEED, (const uint8_t *)w->device, 15);
	w = add(5, 1);
	w->sighted.kind = KL_TLS_RECORD;
	w->sighted.payload_len = 69;
	w->sighted.content = 12345;
	w->sighted.stamp = 0;
	w = add(6, 1);
	w->sighted.fragment = true;
	w->sighted.kind = KL_OTHER;
	w = add(7, 2);
	w->sighted.flags = KL_SYN;
	w->sighted.kind = KL_OTHER;
	w->sighted.payload_len = 0;
	w = add(8, 2);
	w->sighted.flags = KL_RST;
	w->sighted.kind = KL_OTHER;
	w->sighted.payload_len = 0;
	batch->missed[0] = (struct kl_wire_missed){ FROM_NS, FROM_NS, KL_WIRE_OVERFLOW };
	batch->missed[1] = (struct kl_wire_missed){ FROM_NS + MS, batch->to_ns, KL_WIRE_INTERFACE };
	batch->misses = 2;
	there_and_back();
}

Test(wire, of_a_short_payload_the_content_stays_behind)
{
	add(1, 1)->sighted.content = 99;
	cr_assert_eq(kl_wire_encode(batch, &bytes), 0);
	cr_assert_eq(kl_wire_decode(bytes.data, bytes.len, back, &err), 0);
	cr_expect_eq(back->of[0].sighted.content, 0);
}

Test(wire, times_are_rounded_down)
{
	add(1, 1)->sighted.time_ns += 1999;
	cr_assert_eq(kl_wire_encode(batch, &bytes), 0);
	cr_assert_eq(kl_wire_decode(bytes.data, bytes.len, back, &err), 0);
	cr_expect_eq(back->of[0].sighted.time_ns, FROM_NS + MS + 1000);
}

/* Each of another connection, server, and whatever takes room: the largest batch that can be. */
Test(wire, full)
{
	for (uint32_t i = 0; i < KL_WIRE_SIGHTINGS; i++) {
		struct kl_wire_sighting *w = add(i % 2 ? 1000 : 0, i);

		w->sighted.ends.family = 6;
		for (int word = 1; word < 4; word++)
			w->sighted.ends.phone[word] = w->sighted.ends.cucm[word] = i + 1;
		w->sighted.vlan = 4000;
		w->sighted.stamp = 0x80000000 + i;
		w->sighted.call = UINT64_MAX - i;
		w->sighted.payload_len = KL_WIRE_PAYLOAD;
		w->sighted.flags = KL_ACK | KL_FIN;
		strcpy(w->device, "SEP0024142DDF240");
		w->sighted.device = kl_sight_hash(KL_WIRE_SEED, (const uint8_t *)w->device, 16);
	}
	for (uint32_t i = 0; i < KL_WIRE_MISSED; i++)
		batch->missed[i] = (struct kl_wire_missed){ batch->to_ns, batch->to_ns, 0 };
	batch->misses = KL_WIRE_MISSED;
	there_and_back();
}

Test(wire, nothing_unsound_is_written)
{
	batch->number = 0;
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL);
	batch->number = 1;
	batch->to_ns = batch->from_ns - 1;
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL);
	batch->to_ns = FROM_NS + 1000 * MS;
	add(1001, 1);
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL, "behind the end");
	batch->of[0].sighted.time_ns = FROM_NS - 1;
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL, "before the beginning");
	batch->of[0].sighted.time_ns = FROM_NS;
	strcpy(batch->of[0].device, "SEP 1");
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL, "not a name");
	batch->of[0].device[0] = 0;
	batch->partitions = 64;
	batch->partition = kl_partition_of(&batch->of[0].sighted.ends, 0, 64) ^ 1;
	cr_expect_eq(kl_wire_encode(batch, &bytes), -EINVAL, "of another partition");
	batch->partition ^= 1;
	cr_expect_eq(kl_wire_encode(batch, &bytes), 0);
}

Test(wire, another_version_is_named)
{
	there_and_back();
	bytes.data[3] = 2;
	cr_expect_eq(kl_wire_decode(bytes.data, bytes.len, back, &err), -EPROTO);
	cr_expect_str_eq(err.text, "the batch is of version 2 of the format, and this program "
				   "reads version 1");
	bytes.data[0] = 'X';
	cr_expect_eq(kl_wire_decode(bytes.data, bytes.len, back, &err), -EBADMSG);
	cr_expect_eq(kl_wire_decode(bytes.data, 0, back, &err), -EBADMSG);
}

Test(wire, cut_anywhere_or_longer_is_damaged)
{
	_Alignas(8) uint8_t copy[4096] = { 0 };

	add_exchange(1, 1, 5, 6);
	add_exchange(9, 2, 5, 6);
	there_and_back();
	for (size_t len = 0; len < bytes.len; len++)
		cr_expect_eq(kl_wire_decode(bytes.data, len, back, &err), -EBADMSG, "%zu", len);
	memcpy(copy, bytes.data, bytes.len);
	cr_expect_eq(kl_wire_decode(copy, bytes.len + 1, back, &err), -EBADMSG);
}

/* Whatever one byte is changed to: an error, or a batch that keeps the promises. */
Test(wire, any_byte_changed)
{
	add_exchange(1, 1, 5, 6);
	add_exchange(9, 2, 5, 6);
	batch->missed[0] = (struct kl_wire_missed){ FROM_NS, FROM_NS + MS, 0 };
	batch->misses = 1;
	there_and_back();
	for (size_t i = 0; i < bytes.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			struct kl_bytes again = {};

			bytes.data[i] ^= (uint8_t)(1 << bit);
			if (!kl_wire_decode(bytes.data, bytes.len, back, &err))
				cr_expect_eq(kl_wire_encode(back, &again), 0, "byte %zu", i);
			bytes.data[i] ^= (uint8_t)(1 << bit);
			kl_bytes_done(&again);
		}
	}
}

Test(partition, is_within_and_even)
{
	uint32_t count[8] = { 0 };

	for (uint32_t phone = 0; phone < 8000; phone++) {
		struct kl_endpoints ends = ends_of(phone);
		uint32_t p = kl_partition_of(&ends, KL_WIRE_BY_CONNECTION, 8);

		cr_assert_lt(p, 8);
		count[p]++;
	}
	for (int i = 0; i < 8; i++)
		cr_expect(count[i] > 850 && count[i] < 1150, "%u in partition %d", count[i], i);
}

/* It is part of the format: agents and joiners of all releases must agree. */
Test(partition, stays_what_it_is)
{
	struct kl_endpoints ends = { .phone = { 0x0100000a },
				     .cucm = { 0x0200000a },
				     .phone_port = 50000,
				     .cucm_port = 2000,
				     .family = 4 };

	cr_expect_eq(kl_partition_of(&ends, KL_WIRE_BY_CONNECTION, 1024), 974);
	cr_expect_eq(kl_partition_of(&ends, KL_WIRE_BY_SERVER, 1024), 139);
}

Test(partition, either_end_may_be_the_phone)
{
	struct kl_endpoints a = ends_of(1), b = a;

	a.phone_port = 5060;
	b = (struct kl_endpoints){ .phone = { a.cucm[0] },
				   .cucm = { a.phone[0] },
				   .phone_port = a.cucm_port,
				   .cucm_port = a.phone_port,
				   .family = 4 };
	cr_expect_eq(kl_partition_of(&a, KL_WIRE_BY_CONNECTION, 1000),
		     kl_partition_of(&b, KL_WIRE_BY_CONNECTION, 1000));
}

Test(partition, by_server_knows_no_phone)
{
	struct kl_endpoints a = ends_of(1), b = ends_of(2);

	cr_expect_eq(kl_partition_of(&a, KL_WIRE_BY_SERVER, 1000),
		     kl_partition_of(&b, KL_WIRE_BY_SERVER, 1000));
	b.cucm_port = 5060;
	cr_expect_neq(kl_partition_of(&a, KL_WIRE_BY_SERVER, 1000),
		      kl_partition_of(&b, KL_WIRE_BY_SERVER, 1000));
}
