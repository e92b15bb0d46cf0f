// SPDX-License-Identifier: GPL-2.0-only
/* batcher.h: every sighting goes out once, in order, in batches that cover all of the time. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/batcher.h"

#define START_NS 1790000000000000000ULL
#define MS KL_NS_PER_MS
#define S (1000 * MS)

enum {
	PARTITIONS = 4,
};

static struct kl_batcher *batcher;
static struct kl_wire_batch *read;
/* Of what came out, by partition. */
static uint64_t number[PARTITIONS], to_ns[PARTITIONS], sightings[PARTITIONS], misses[PARTITIONS];
static uint64_t missed_from_ns, missed_to_ns;
static uint32_t batches;

static void take(const struct kl_made_batch *made, void *arg)
{
	struct kl_error err = {};
	uint32_t p = made->partition;
	uint64_t last_ns = 0;

	(void)arg;
	cr_assert_eq(kl_wire_decode(made->data, made->len, read, &err), 0, "%s", err.text);
	cr_assert_eq(read->boot, made->boot);
	cr_assert_eq(read->number, made->number);
	cr_assert_eq(read->partition, p);
	cr_assert_eq(read->count, made->sightings);
	/* One behind the other, without a hole. */
	cr_assert_eq(read->number, ++number[p]);
	cr_assert_eq(read->from_ns, to_ns[p]);
	to_ns[p] = read->to_ns;
	for (uint32_t i = 0; i < read->count; i++) {
		cr_assert_geq(read->of[i].sighted.time_ns, last_ns);
		last_ns = read->of[i].sighted.time_ns;
	}
	sightings[p] += read->count;
	misses[p] += read->misses;
	if (read->misses) {
		missed_from_ns = read->missed[0].from_ns;
		missed_to_ns = read->missed[0].to_ns;
	}
	batches++;
}

static void setup(void)
{
	const struct kl_batcher_config config = {
		.boot = 7,
		.start_ns = START_NS,
		.side = KL_ACCESS,
		.partitions = PARTITIONS,
		.every_ns = S,
		.idle_ns = 5 * S,
		.handler = take,
	};

	read = kl_wire_new();
	cr_assert(read);
	cr_assert_eq(kl_batcher_new(&config, &batcher), 0);
	for (int i = 0; i < PARTITIONS; i++)
		to_ns[i] = START_NS;
}

static void teardown(void)
{
	kl_batcher_free(batcher);
	kl_wire_free(read);
}

TestSuite(batcher, .init = setup, .fini = teardown);

static uint32_t add(uint64_t after_ns, uint32_t phone)
{
	struct kl_sighted s = {
		.time_ns = START_NS + after_ns,
		.ends = { .phone = { phone },
			  .cucm = { 99 },
			  .phone_port = 4000,
			  .cucm_port = 2000,
			  .family = 4 },
		.kind = KL_SCCP_KEEPALIVE,
		.flags = KL_ACK,
		.payload_len = 12,
	};

	cr_assert_eq(kl_batcher_add(batcher, &s, ""), 0);
	return kl_partition_of(&s.ends, KL_WIRE_BY_CONNECTION, PARTITIONS);
}

static void advance(uint64_t after_ns, bool all)
{
	cr_assert_eq(kl_batcher_advance(batcher, START_NS + after_ns, 0, all), 0);
}

static uint64_t total(const uint64_t of[PARTITIONS])
{
	return of[0] + of[1] + of[2] + of[3];
}

Test(batcher, nothing_for_a_while)
{
	advance(4 * S, false);
	cr_expect_eq(batches, 0);
	advance(5 * S, false);
	cr_expect_eq(batches, PARTITIONS);
	advance(9 * S, false);
	cr_expect_eq(batches, PARTITIONS);
	advance(10 * S, false);
	cr_expect_eq(batches, 2 * PARTITIONS);
	for (int i = 0; i < PARTITIONS; i++)
		cr_expect_eq(to_ns[i], START_NS + 10 * S);
}

Test(batcher, sightings_wait_to_go_together)
{
	uint32_t p = add(100 * MS, 1);

	add(200 * MS, 1);
	advance(1000 * MS, false);
	cr_expect_eq(batches, 0);
	advance(1100 * MS, false);
	cr_expect_eq(batches, 1);
	cr_expect_eq(sightings[p], 2);
	cr_expect_eq(to_ns[p], START_NS + 1100 * MS);
}

Test(batcher, what_is_not_settled_stays)
{
	uint32_t p = add(500 * MS, 1);

	add(1600 * MS, 1);
	advance(1550 * MS, false);
	cr_expect_eq(sightings[p], 1);
	advance(2000 * MS, true);
	cr_expect_eq(sightings[p], 2);
}

Test(batcher, out_of_order)
{
	uint32_t p = add(500 * MS, 1);
	struct kl_batcher_stats stats;

	add(400 * MS, 1);
	add(600 * MS, 1);
	add(450 * MS, 1);
	advance(1 * S, true);
	cr_expect_eq(sightings[p], 4);
	kl_batcher_stats(batcher, &stats);
	cr_expect_eq(stats.late, 0);
}

/* A little too late: nothing to speak of. By much: something of that time may be missing. */
Test(batcher, late)
{
	struct kl_batcher_stats stats;
	uint32_t p = 0;

	advance(1 * S, true);
	p = add(995 * MS, 1);
	advance(2 * S, true);
	cr_expect_eq(sightings[p], 1);
	cr_expect_eq(total(misses), 0);
	add(1500 * MS, 1);
	advance(3 * S, true);
	cr_expect_eq(sightings[p], 2);
	cr_expect_eq(misses[p], 1);
	kl_batcher_stats(batcher, &stats);
	cr_expect_eq(stats.late, 2);
}

Test(batcher, more_than_a_batch_holds)
{
	uint32_t p = 0;

	for (uint32_t i = 0; i < 3 * KL_WIRE_SIGHTINGS + 1; i++)
		p = add(MS + i * 1000, 1);
	advance(500 * MS, false);
	cr_expect_eq(sightings[p], 3 * KL_WIRE_SIGHTINGS, "full ones do not wait");
	advance(500 * MS, true);
	cr_expect_eq(sightings[p], 3 * KL_WIRE_SIGHTINGS + 1);
}

/* All at the same time, which is the end of each batch of them. */
Test(batcher, more_of_one_time_than_a_batch_holds)
{
	uint32_t p = 0;

	for (uint32_t i = 0; i < 2 * KL_WIRE_SIGHTINGS + 1; i++)
		p = add(MS, 1);
	advance(500 * MS, true);
	cr_expect_eq(sightings[p], 2 * KL_WIRE_SIGHTINGS + 1);
}

Test(batcher, a_flood_is_bounded_and_declared)
{
	struct kl_batcher_stats stats;
	uint32_t p = 0;

	for (uint32_t i = 0; i < 65536 + 10; i++)
		p = add(MS + i * 1000, 1);
	kl_batcher_stats(batcher, &stats);
	cr_expect_eq(stats.refused, 10);
	advance(1 * S, true);
	cr_expect_eq(sightings[p], 65536);
	cr_expect_eq(misses[p], 1);
}

Test(batcher, missed_is_told_by_every_partition)
{
	kl_batcher_missed(batcher, START_NS + 1 * S, START_NS + 2 * S, KL_WIRE_OVERFLOW);
	kl_batcher_missed(batcher, START_NS + 2 * S, START_NS + 3 * S, KL_WIRE_OVERFLOW);
	advance(4 * S, true);
	for (int i = 0; i < PARTITIONS; i++)
		cr_expect_eq(misses[i], 1);
	cr_expect_eq(missed_from_ns, START_NS + 1 * S);
	cr_expect_eq(missed_to_ns, START_NS + 3 * S);
	advance(5 * S, true);
	cr_expect_eq(total(misses), PARTITIONS);
}

Test(batcher, missed_over_a_batch_s_end)
{
	kl_batcher_missed(batcher, START_NS + 1 * S, START_NS + 3 * S, KL_WIRE_INTERFACE);
	advance(2 * S, true);
	cr_expect_eq(missed_to_ns, START_NS + 2 * S);
	advance(4 * S, true);
	cr_expect_eq(missed_from_ns, START_NS + 2 * S);
	cr_expect_eq(missed_to_ns, START_NS + 3 * S);
	cr_expect_eq(total(misses), 2 * PARTITIONS);
}

/* However many there are: what is declared covers each. */
Test(batcher, missed_many_times)
{
	for (uint64_t i = 0; i < 1000; i++)
		kl_batcher_missed(batcher, START_NS + 2 * i * MS, START_NS + (2 * i + 1) * MS,
				  KL_WIRE_OVERFLOW);
	advance(4 * S, true);
	cr_expect_leq(misses[0], KL_WIRE_MISSED);
	cr_expect_geq(misses[0], 1);
	cr_expect_eq(missed_from_ns, START_NS);
}

/* Longer than a batch may cover, as where a process stood still. */
Test(batcher, a_long_time)
{
	advance(3 * 3600 * S, false);
	for (int i = 0; i < PARTITIONS; i++)
		cr_expect_eq(to_ns[i], START_NS + 3 * 3600 * S);
}
