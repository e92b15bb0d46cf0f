// SPDX-License-Identifier: GPL-2.0-only
/*
 * join_internal.h: however many losses come at once, each has its record, in commits that fit; and
 * whoever takes over after any of these commits tells the rest, and nothing twice.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/join_internal.h"
#include "sites_world.h"
#include "util/duration.h"

#define S KL_NS_PER_S

enum {
	AT_ONCE = 256, /* batches that a joiner reads before it looks at what came of them */
};

static struct world world;

/* Ids of what was published. */
struct ids {
	char (*of)[KL_JOIN_ID];
	size_t count, room;
};

static void add_ids(struct ids *ids, const struct kl_join_outs *outs)
{
	for (size_t i = 0; i < outs->count; i++) {
		cr_assert(strstr(outs->of[i].text, "\"type\":\"loss\""), "%s", outs->of[i].text);
		if (ids->count == ids->room) {
			ids->room = ids->room ? 2 * ids->room : 256;
			ids->of = realloc(ids->of, ids->room * sizeof(*ids->of));
			cr_assert(ids->of);
		}
		memcpy(ids->of[ids->count++], outs->of[i].id, KL_JOIN_ID);
	}
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, KL_JOIN_ID);
}

/* One agent of two comes back after ten minutes with all that it saw. */
static void make_world(double loss)
{
	struct world_config config = {
		.seed = 31,
		.span_ns = 1000 * S,
		.period_ns = 10 * S,
		.loss = loss,
		.agent = { { .site = "north", .name = "n1", .side = KL_ACCESS },
			   { .site = "centre", .name = "c1", .side = KL_CUCM } },
		.agents = 2,
		.phones = { { .count = 40, .access = 0, .cucm = { 1 } } },
		.groups = 1,
	};

	config.agent[0].cut[0].from_ns = WORLD_START_NS + 200 * S;
	config.agent[0].cut[0].to_ns = WORLD_START_NS + 800 * S;
	config.agent[0].cuts = 1;
	world_make(&world, &config);
}

static void begin(struct kl_join_partition *p, const char *text)
{
	struct kl_sites_config config = {
		.tolerance_ns = S / 2,
		.linger_ns = 20 * S,
		.warm_up_ns = 120 * S,
		.settled = kl_join_settled,
		.gap = kl_join_gap,
		.arg = p,
	};
	struct kl_error err = {};

	*p = (struct kl_join_partition){};
	/* So that a record has little room. */
	p->record_bytes = KL_JOIN_RECORD_BYTES;
	if (text)
		cr_assert_eq(kl_join_state_read(text, &p->state, &err), 0, "%s", err.text);
	cr_assert_eq(kl_sites_new(&config, &p->sites), 0);
	cr_assert_eq(kl_sites_resume(p->sites, &p->state.point, p->state.cuts, p->state.cut_count),
		     0);
}

static void end(struct kl_join_partition *p)
{
	kl_join_steps_free(p);
	kl_sites_free(p->sites);
	kl_join_outs_clear(&p->fresh);
	kl_join_state_done(&p->state);
}

/* As a joiner commits; the record is the caller's. */
static char *commit(struct kl_join_partition *p)
{
	char *text;

	cr_assert_eq(kl_join_gathered(p), 0);
	kl_join_outs_clear(&p->state.outs);
	p->state.outs = p->fresh;
	p->fresh = (struct kl_join_outs){};
	text = kl_join_state_write(&p->state);
	cr_assert(text);
	for (struct kl_join_site *x = p->state.sites; x; x = x->hh.next) {
		kl_site_counts_add(&x->total, &x->fresh);
		x->fresh = (struct kl_site_counts){};
	}
	p->fresh_counts = (struct kl_site_counts){};
	return text;
}

/* Reads on, and dies after so many commits that were not the last ones of their batch; 0: does not. */
static char *read_on(struct kl_join_partition *p, struct ids *ids, size_t dies_after,
		     size_t *ret_steps)
{
	struct kl_wire_batch *b = kl_wire_new();
	size_t at = p->state.point.floor ? p->state.point.floor - 1 : 0;
	char *last = NULL;

	while (at < world.messages) {
		for (size_t i = 0; i < AT_ONCE && at < world.messages; i++)
			world_feed(&world, at++, p->sites, b);
		while (p->steps || p->fresh.count) {
			bool more = p->steps;

			free(last);
			last = commit(p);
			cr_expect_leq(p->state.outs.bytes, KL_JOIN_OUT_BYTES_MIN + 1500);
			add_ids(ids, &p->state.outs);
			*ret_steps += more;
			if (more && dies_after && !--dies_after) {
				kl_wire_free(b);
				return last;
			}
		}
	}
	free(last);
	last = commit(p);
	kl_wire_free(b);
	return last;
}

static uint64_t lost_of(const char *text, uint64_t *ret_unsaid)
{
	struct kl_join_state s;
	struct kl_error err = {};
	uint64_t lost = 0;

	*ret_unsaid = 0;
	cr_assert_eq(kl_join_state_read(text, &s, &err), 0, "%s", err.text);
	for (const struct kl_join_site *x = s.sites; x; x = x->hh.next) {
		lost += kl_site_counts_lost(&x->total);
		*ret_unsaid += x->total.unsaid;
	}
	kl_join_state_done(&s);
	return lost;
}

static void expect_each_once(struct ids *ids, const char *last)
{
	uint64_t unsaid;

	qsort(ids->of, ids->count, sizeof(*ids->of), by_id);
	for (size_t i = 1; i < ids->count; i++)
		cr_expect(strcmp(ids->of[i - 1], ids->of[i]), "%s twice", ids->of[i]);
	cr_expect_eq(lost_of(last, &unsaid), ids->count);
	cr_expect_eq(unsaid, 0);
}

Test(join_gather, each_loss_has_its_record)
{
	struct kl_join_partition p;
	struct ids ids = {};
	size_t steps = 0;
	char *last;

	make_world(0.1);
	begin(&p, NULL);
	last = read_on(&p, &ids, 0, &steps);
	cr_expect_gt(steps, 10);
	cr_expect_gt(ids.count, 700);
	expect_each_once(&ids, last);
	cr_log_info("%zu losses, %zu steps", ids.count, steps);
	end(&p);
	free(last);
	free(ids.of);
	world_free(&world);
}

Test(join_gather, who_takes_over_between_two_steps_tells_the_rest)
{
	struct ids straight = {};
	struct kl_join_partition p;
	size_t steps = 0, all;
	char *last;

	make_world(0.1);
	begin(&p, NULL);
	last = read_on(&p, &straight, 0, &all);
	qsort(straight.of, straight.count, sizeof(*straight.of), by_id);
	end(&p);
	free(last);
	for (size_t dies_after = 1; dies_after <= 5; dies_after++) {
		struct ids ids = {};
		size_t deaths = 0;

		last = NULL;
		for (bool died = true; died; deaths += died) {
			char *before = last;

			begin(&p, before);
			steps = 0;
			/* (The first one that has all to do dies, and so do those after it.) */
			last = read_on(&p, &ids, dies_after, &steps);
			died = steps == dies_after;
			end(&p);
			free(before);
		}
		cr_expect_gt(deaths, 1);
		expect_each_once(&ids, last);
		cr_expect_eq(ids.count, straight.count);
		for (size_t i = 0; i < ids.count && i < straight.count; i++)
			cr_expect_str_eq(ids.of[i], straight.of[i]);
		free(last);
		free(ids.of);
	}
	free(straight.of);
	world_free(&world);
}

/* Beyond what a joiner holds it is counted, and said to be. */
Test(join_gather, what_is_too_much_is_declared)
{
	struct kl_join_partition p;
	struct kl_wire_batch *b = kl_wire_new();
	struct ids ids = {};
	uint64_t lost, unsaid;
	char *last = NULL;

	make_world(0.4);
	begin(&p, NULL);
	for (size_t at = 0; at < world.messages; at++)
		world_feed(&world, at, p.sites, b);
	while (!last || p.steps || p.fresh.count) {
		free(last);
		last = commit(&p);
		add_ids(&ids, &p.state.outs);
	}
	lost = lost_of(last, &unsaid);
	cr_expect_gt(unsaid, 0);
	cr_expect_eq(ids.count + unsaid, lost);
	end(&p);
	free(last);
	free(ids.of);
	kl_wire_free(b);
	world_free(&world);
}

/* ---- what is told of two agents' clocks ---- */

static json_t *record_of(const struct kl_join_out *o)
{
	json_t *record = json_loads(o->text, 0, NULL);

	cr_assert(record);
	cr_expect_str_eq(json_string_value(json_object_get(record, "type")), "pair");
	cr_expect_str_eq(json_string_value(json_object_get(record, "id")), o->id);
	return record;
}

static double number_of(const json_t *record, const char *member)
{
	return json_number_value(json_object_get(record, member));
}

Test(join_gather, clocks_are_told_of)
{
	struct world_config config = {
		.seed = 32,
		.span_ns = 900 * S,
		.period_ns = 10 * S,
		.agent = { { .site = "north", .name = "n1", .side = KL_ACCESS },
			   { .site = "centre", .name = "c1", .side = KL_CUCM } },
		.agents = 2,
		.phones = { { .count = 20, .access = 0, .cucm = { 1 } } },
		.groups = 1,
	};
	struct kl_wire_batch *b = kl_wire_new();
	struct kl_join join = { .realtime_ns = WORLD_START_NS };
	struct kl_join_partition p;
	json_t *o, *ways;

	config.agent[0].ahead_ns = 3600 * (int64_t)S;
	config.agent[1].drift_ppm = 40;
	world_make(&world, &config);
	begin(&p, NULL);
	p.join = &join;
	for (size_t at = 0; at < 7; at++)
		world_feed(&world, at, p.sites, b);
	cr_assert_eq(kl_join_add_pairs(&p), 0);
	cr_assert_eq(p.fresh.count, 1);
	o = record_of(&p.fresh.of[0]);
	cr_expect(json_is_null(json_object_get(o, "offset_us")));
	cr_expect(json_is_null(json_object_get(o, "transit_us")));
	json_decref(o);
	kl_join_outs_clear(&p.fresh);

	for (size_t at = 7; at < world.messages; at++)
		world_feed(&world, at, p.sites, b);
	join.now_ns = S;
	cr_assert_eq(kl_join_add_pairs(&p), 0);
	cr_expect_eq(p.paired_ns, S);
	cr_assert_eq(p.fresh.count, 1);
	o = record_of(&p.fresh.of[0]);
	/* (As of the middle of the time; ways are of 2 to 5 ms.) */
	cr_expect_float_eq(number_of(o, "offset_us"), -3600e6 + 40 * 450, 3000);
	cr_expect_lt(number_of(o, "offset_error_us"), 5000);
	cr_expect_float_eq(number_of(o, "drift_ppm"), 40, 5);
	cr_expect_gt(number_of(o, "segments"), 1000);
	cr_expect_eq(number_of(o, "steps"), 0);
	ways = json_object_get(o, "transit_us");
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++) {
		const json_t *way = json_object_get(ways, d == KL_TO_CUCM ? "to_cucm" : "to_phone");

		cr_expect(number_of(way, "min") > 1000 && number_of(way, "min") < 5000);
		cr_expect(number_of(way, "p50") > 2000 && number_of(way, "p50") < 6000);
	}
	json_decref(o);
	end(&p);
	kl_wire_free(b);
	world_free(&world);
}

/* Those for which a commit has no room are told with the next ones. */
Test(join_gather, many_pairs_are_told_in_turn)
{
	static char name[WORLD_GROUPS][8];
	static struct world_config config;
	struct kl_wire_batch *b = kl_wire_new();
	struct kl_join join = { .realtime_ns = WORLD_START_NS, .now_ns = S };
	struct kl_join_partition p;
	size_t told = 0, rounds = 0;

	config = (struct world_config){ .seed = 33, .span_ns = 60 * S, .period_ns = 10 * S };
	for (uint32_t i = 0; i < 200; i++) {
		snprintf(name[i], sizeof(name[i]), "s%u", i);
		config.agent[i] =
			(struct world_agent){ .site = name[i], .name = "a", .side = KL_ACCESS };
		config.phones[i] = (struct world_phones){
			.count = 2, .access = i, .cucm = { 200 }, .first = i * 100
		};
	}
	config.agent[200] = (struct world_agent){ .site = "c", .name = "a", .side = KL_CUCM };
	config.agents = 201;
	config.groups = 200;
	world_make(&world, &config);
	begin(&p, NULL);
	p.join = &join;
	for (size_t at = 0; at < world.messages; at++)
		world_feed(&world, at, p.sites, b);
	kl_join_outs_clear(&p.fresh);
	for (; !p.paired_ns && rounds < 100; rounds++) {
		cr_assert_eq(kl_join_add_pairs(&p), 0);
		cr_expect_leq(p.fresh.bytes, KL_JOIN_OUT_BYTES_MIN);
		told += p.fresh.count;
		kl_join_outs_clear(&p.fresh);
	}
	cr_expect_eq(told, 200);
	cr_expect_gt(rounds, 3);
	end(&p);
	kl_wire_free(b);
	world_free(&world);
}

/* ---- names of ticks ---- */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* One that had the name of an earlier one would not be taken by the stream. */
Test(join_gather, each_tick_has_a_name_of_its_own)
{
	static uint64_t ids[40 * 400 * 2];
	struct kl_join_partition p = { .number = 3 };
	size_t n = 0;

	for (p.state.generation = 1; p.state.generation <= 40; p.state.generation++) {
		for (p.state.number = 1; p.state.number <= 400; p.state.number++) {
			ids[n++] = kl_join_tick_id(&p, "north");
			ids[n++] = kl_join_tick_id(&p, "south");
		}
	}
	qsort(ids, n, sizeof(*ids), by_number);
	for (size_t i = 1; i < n; i++)
		cr_assert_neq(ids[i - 1], ids[i]);
}
