// SPDX-License-Identifier: GPL-2.0-only
/*
 * Months of it: what is counted in a few bits runs over, numbers wrap, and nothing may be told that
 * did not happen, nor less be found than in the first days. And what is kept does not grow.
 */
#include <criterion/criterion.h>
#include <malloc.h>
#include <string.h>

#include "core/tally.h"
#include "stage.h"

enum {
	DAYS = 70,
	BLOCK_DAYS = 10,
	A_DAY = 86400,
};

#define PERIOD_NS (30 * STAGE_S)
#define RTO_NS (220 * STAGE_MS)

struct days {
	enum stage_numbers numbers;
	unsigned odd_permill;  /* of the keepalives have another packet's number before them */
	unsigned lost_permill; /* of the keepalives lose their first copy before they are seen */
	unsigned found[DAYS / BLOCK_DAYS], lost[DAYS / BLOCK_DAYS], all[DAYS / BLOCK_DAYS];
	unsigned keepalives;
};

static void live(struct stage *st, struct days *d)
{
	const struct stage_setup setup = { .phone = d->numbers,
					   .server = d->numbers,
					   .tick_ns = STAGE_S };
	__u64 at = STAGE_START_NS + STAGE_S;
	unsigned before, told;

	stage_init(st, &setup);
	/* All numbers go through zero in the first days, and again later. */
	st->end[KL_TO_CUCM].seq = 0xffffffffU - 12 * 3000;
	st->end[KL_TO_PHONE].seq = st->end[KL_TO_PHONE].ack = 0xffffffffU - 12 * 5000;
	st->end[KL_TO_CUCM].ack = st->end[KL_TO_PHONE].seq;
	st->end[KL_TO_PHONE].ack = st->end[KL_TO_CUCM].seq;
	stage_connect(st, STAGE_START_NS);
	for (unsigned i = 0; i < DAYS * (A_DAY / 30); i++, at += PERIOD_NS) {
		unsigned block = i / (BLOCK_DAYS * (A_DAY / 30));
		bool lost = i > 100 && stage_random(st) * 1000 < d->lost_permill;

		told = st->inferred[KL_TO_CUCM][KL_PHONE_SIDE];
		before = stage_losses(st);
		if (stage_random(st) * 1000 < d->odd_permill)
			st->end[KL_TO_CUCM].id++;
		stage_struggle(st, at, RTO_NS, lost, LOST_BEFORE);
		stage_until(st, at + PERIOD_NS - STAGE_S);
		d->lost[block] += lost;
		d->found[block] += st->inferred[KL_TO_CUCM][KL_PHONE_SIDE] - told;
		d->all[block] += stage_losses(st) - before;
		cr_assert_leq(stage_losses(st) - before, lost, "keepalive %u: told of %u losses", i,
			      stage_losses(st) - before);
		d->keepalives++;
		/* The stage keeps what it was told; we do not need it. */
		st->count = 0;
	}
}

static void find_as_in_the_first_days(struct days *d)
{
	struct stage st;
	const unsigned last = DAYS / BLOCK_DAYS - 1;

	live(&st, d);
	for (unsigned i = 0; i <= last; i++)
		cr_log_info("days %u to %u: %u lost, %u found of %u", i * BLOCK_DAYS,
			    (i + 1) * BLOCK_DAYS, d->lost[i], d->found[i], d->all[i]);
	cr_expect_eq(stage_session(&st)->keepalives, d->keepalives, "%u of %u keepalives",
		     stage_session(&st)->keepalives, d->keepalives);
	cr_expect_eq(stage_session(&st)->answered, d->keepalives);
	/* As many of a hundred, but for chance. */
	for (unsigned i = 1; i <= last; i++)
		cr_expect_geq(100 * d->found[i] / (d->lost[i] ?: 1) + 5,
			      100 * d->found[0] / (d->lost[0] ?: 1),
			      "days %u to %u: %u of %u found, in the first ones %u of %u",
			      i * BLOCK_DAYS, (i + 1) * BLOCK_DAYS, d->found[i], d->lost[i],
			      d->found[0], d->lost[0]);
	if (d->lost_permill && d->numbers != AT_RANDOM)
		cr_expect_gt(d->found[0], d->lost[0] / 2);
	stage_done(&st);
}

Test(long_run, seventy_days_without_a_loss)
{
	find_as_in_the_first_days(&(struct days){ .numbers = BY_CONNECTION });
}

Test(long_run, seventy_days_with_losses)
{
	find_as_in_the_first_days(&(struct days){ .numbers = BY_CONNECTION, .lost_permill = 20 });
}

/* Numbering that is one by one nearly always: the few exceptions add up, and so does the rest. */
Test(long_run, seventy_days_of_almost_whole_numbers)
{
	find_as_in_the_first_days(
		&(struct days){ .numbers = BY_ONE, .odd_permill = 3, .lost_permill = 20 });
}

Test(long_run, seventy_days_of_random_numbers)
{
	find_as_in_the_first_days(&(struct days){ .numbers = AT_RANDOM, .lost_permill = 20 });
}

/* (AddressSanitizer has an allocator of its own.) */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t bytes_in_use(void)
{
	return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes()
						       : mallinfo2().uordblks;
}

/* Phones come, stay a day, and go, a new connection each: 40 days of 200 of them. */
Test(long_run, connections_come_and_go)
{
	enum {
		PHONES = 200,
		ROUNDS = 40,
	};
	struct kl_sessions_config config = { .max = 2 * PHONES,
					     .deadline_ns = STAGE_S,
					     .two_sided = true };
	struct kl_event e = { .ends.family = 4, .steps = 200, .own_numbers = true };
	struct kl_sessions *s;
	size_t after_first = 0, in_use;
	__u64 now = STAGE_START_NS;

	cr_assert_eq(kl_sessions_new(&config, &s), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned k = 0; k < 96; k++, now += 900 * STAGE_S) {
			for (unsigned i = 0; i < PHONES; i++) {
				e.conn_id = 1 + round * PHONES + i;
				e.ends.phone[0] = i;
				e.ends.phone_port = (__u16)(1024 + round);
				e.ends.cucm_port = 2000;
				e.time_ns = now + i * STAGE_MS;
				e.direction = KL_TO_CUCM;
				e.type = k ? KL_EVENT_SEGMENT : KL_EVENT_OPEN;
				e.tcp_flags = k ? KL_ACK | KL_PSH : KL_SYN;
				e.kind = KL_SCCP_KEEPALIVE;
				e.payload_len = k ? 12 : 0;
				e.seq = 12 * k;
				cr_assert_eq(kl_sessions_feed(s, &e, NULL, 0), 0);
			}
			kl_sessions_advance(s, now + STAGE_S);
		}
		in_use = bytes_in_use();
		if (round == 2)
			after_first = in_use;
		cr_assert(round < 3 || in_use < after_first + after_first / 10,
			  "round %u: %zu bytes, %zu after the third", round, in_use, after_first);
		cr_assert_leq(kl_sessions_phones(s), 2U * PHONES);
	}
	kl_sessions_free(s);
}

/* Counters of years do not disturb a tick, nor does one that runs over 32 bits. */
Test(long_run, counters_of_years)
{
	struct kl_tally_state *s = calloc(1, sizeof(*s));
	struct kl_counters *n = calloc(1, sizeof(*n));
	struct kl_tally_report *tick = calloc(1, sizeof(*tick));
	struct kl_maxima max = { .transit_ns = 10000 };
	const __u64 many = 0xfffffff0ULL;

	cr_assert(s && n && tick);
	for (unsigned i = 0; i < 100; i++) {
		n->tally[KL_SENT][KL_TO_CUCM][KL_SCCP_KEEPALIVE] += many / 50 + 1;
		n->tally[KL_DELIVERED][KL_TO_CUCM][KL_SCCP_KEEPALIVE] += many / 50;
		n->tally[KL_LOST_BETWEEN][KL_TO_CUCM][KL_SCCP_KEEPALIVE] += 1;
		n->transit[10] += many / 50;
		n->unpaired[KL_UNPAIRED_GAP] += many;
		kl_tally_tick(s, n, &max, tick);
		cr_assert_eq(tick->direction[KL_TO_CUCM].sent, many / 50 + 1);
		cr_assert_eq(tick->direction[KL_TO_CUCM].lost_between, 1U);
		cr_assert_eq(tick->direction[KL_TO_CUCM].pending, 0U);
		cr_assert_eq(tick->integrity.unpaired, many);
		cr_assert_eq(tick->transit.count, many / 50);
	}
	cr_assert_eq(s->total.direction[KL_TO_CUCM].sent, 100 * (many / 50 + 1));
	cr_assert_eq(s->total.integrity.unpaired, 100 * many);
	free(tick);
	free(n);
	free(s);
}
