// SPDX-License-Identifier: GPL-2.0-only
/* sites.h: what is reported of many hosts is what really happened, whoever reads it. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sites_world.h"
#include "util/duration.h"

#define S KL_NS_PER_S
#define TOLERANCE_NS (S / 2)
#define HOLD_NS (8 * TOLERANCE_NS)

static struct world world;

struct outcome {
	uint64_t id;
	uint64_t seen_ns;
	uint32_t seq;
	uint8_t fate, reason, direction;
	bool near;
	char site[KL_SITE_NAME];
};

struct saved {
	struct kl_sites_point point;
	struct kl_sites_cut *cuts;
	size_t count, room;
	size_t committed; /* outcomes */
};

struct outcomes {
	struct outcome *of;
	size_t count, room;
	/* Where not NULL: some losses are committed as soon as they are told. */
	struct kl_sites *sites;
	struct saved *saved;
	uint64_t random;
	size_t within; /* how often that was */
};

static int save_cut(const struct kl_sites_cut *cut, void *arg)
{
	struct saved *v = arg;

	if (v->count == v->room) {
		v->room = v->room ? v->room * 2 : 8;
		v->cuts = realloc(v->cuts, v->room * sizeof(*v->cuts));
		cr_assert(v->cuts);
	}
	v->cuts[v->count++] = *cut;
	return 0;
}

static void checkpoint(struct kl_sites *s, const struct outcomes *o, struct saved *v)
{
	kl_sites_point(s, &v->point);
	v->count = 0;
	cr_assert_eq(kl_sites_cuts(s, save_cut, v), 0);
	v->committed = o->count;
}

static int take(const struct kl_site_settled *s, void *arg)
{
	struct outcomes *o = arg;
	const struct kl_paired *p = &s->paired;
	struct outcome *x;

	if (p->fate == KL_PAIR_NOT_JOINED)
		return 0;
	if (o->count == o->room) {
		o->room = o->room ? o->room * 2 : 1024;
		o->of = realloc(o->of, o->room * sizeof(*o->of));
		cr_assert(o->of);
	}
	x = &o->of[o->count++];
	memset(x, 0, sizeof(*x));
	x->id = s->id;
	x->seen_ns = p->seen_ns;
	x->seq = p->side == KL_ACCESS ? p->seq : p->seq_other;
	x->fate = p->fate;
	x->reason = p->reason;
	x->direction = p->direction;
	x->near = p->near_ns != 0;
	if (s->agent[KL_ACCESS])
		strcpy(x->site, s->agent[KL_ACCESS]->site);
	if (!o->saved || p->fate != KL_PAIR_LOST)
		return 0;
	o->random = kl_mix(o->random, 5);
	if (o->random % 4 == 0) {
		checkpoint(o->sites, o, o->saved);
		o->within++;
	}
	return 0;
}

static struct kl_sites_config config_of(struct outcomes *o)
{
	return (struct kl_sites_config){
		.tolerance_ns = TOLERANCE_NS,
		.patience_ns = 900 * S,
		.linger_ns = 20 * S,
		.warm_up_ns = 120 * S,
		.settled = take,
		.arg = o,
	};
}

static struct kl_sites *new_sites(struct outcomes *o)
{
	struct kl_sites_config config = config_of(o);
	struct kl_sites *s;

	cr_assert_eq(kl_sites_new(&config, &s), 0);
	return s;
}

static void read_all(struct outcomes *o, struct kl_sites_stats *stats)
{
	struct kl_sites *s = new_sites(o);
	struct kl_wire_batch *b = kl_wire_new();

	for (size_t i = 0; i < world.messages; i++)
		world_feed(&world, i, s, b);
	kl_sites_stats(s, stats);
	kl_sites_free(s);
	kl_wire_free(b);
}

static int by_copy(const void *a, const void *b)
{
	const struct outcome *x = a, *y = b;

	if (x->seen_ns != y->seen_ns)
		return x->seen_ns < y->seen_ns ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->direction - y->direction;
}

static const struct outcome *outcome_of(const struct outcomes *o, const struct world_copy *c)
{
	struct outcome key = { .seen_ns = c->seen_ns, .seq = c->seq, .direction = c->direction };

	return bsearch(&key, o->of, o->count, sizeof(*o->of), by_copy);
}

static void drop_far(struct outcomes *o)
{
	size_t kept = 0;

	for (size_t i = 0; i < o->count; i++) {
		if (o->of[i].near)
			o->of[kept++] = o->of[i];
	}
	o->count = kept;
}

struct score {
	size_t right, lost, unpaired, wrong, missing;
	size_t twice;
	size_t excused; /* unpaired, where it may be */
};

typedef bool (*excuse_fn)(const struct world_copy *c);

/* Everything but the last moments: each copy once, and as it was. */
static struct score compare(struct outcomes *o, excuse_fn excuse)
{
	uint64_t until_ns = world.end_ns - HOLD_NS - 3 * S;
	struct score r = {};

	drop_far(o);
	qsort(o->of, o->count, sizeof(*o->of), by_copy);
	for (size_t i = 1; i < o->count; i++)
		r.twice += !by_copy(&o->of[i - 1], &o->of[i]);
	for (size_t i = 0; i < world.copies; i++) {
		const struct world_copy *c = &world.copy[i];
		const struct outcome *x = outcome_of(o, c);

		if (!x) {
			r.missing += c->true_ns < until_ns && !(excuse && excuse(c));
		} else if (x->fate == KL_PAIR_UNPAIRED || x->fate == KL_PAIR_DUPLICATE) {
			if (excuse && excuse(c))
				r.excused++;
			else
				r.unpaired++;
		} else if ((x->fate == KL_PAIR_LOST) != c->lost) {
			r.wrong++;
		} else {
			r.right++;
			r.lost += c->lost;
		}
	}
	return r;
}

static void assert_exact(const struct score *r)
{
	cr_expect_eq(r->wrong, 0, "%zu wrong", r->wrong);
	cr_expect_eq(r->twice, 0, "%zu twice", r->twice);
	cr_expect_eq(r->missing, 0, "%zu missing", r->missing);
	cr_expect_eq(r->unpaired, 0, "%zu unpaired", r->unpaired);
	cr_expect_gt(r->lost, 20, "%zu lost only", r->lost);
}

static struct world_config two_branches(uint64_t seed)
{
	return (struct world_config){
		.seed = seed,
		.span_ns = 300 * S,
		.period_ns = 10 * S,
		.loss = 0.05,
		.agent = { { .site = "north", .name = "n1", .side = KL_ACCESS },
			   { .site = "south", .name = "s1", .side = KL_ACCESS },
			   { .site = "centre", .name = "c1", .side = KL_CUCM } },
		.agents = 3,
		.phones = { { .count = 20, .access = 0, .cucm = { 2 } },
			    { .count = 20, .access = 1, .cucm = { 2 }, .first = 1000 } },
		.groups = 2,
	};
}

static struct score run(const struct world_config *config, excuse_fn excuse,
			struct kl_sites_stats *stats)
{
	struct outcomes o = {};
	struct score r;

	world_make(&world, config);
	read_all(&o, stats);
	r = compare(&o, excuse);
	free(o.of);
	world_free(&world);
	return r;
}

Test(sites, equal_clocks)
{
	struct world_config config = two_branches(1);
	struct kl_sites_stats stats;
	struct score r = run(&config, NULL, &stats);

	assert_exact(&r);
	cr_expect_eq(stats.joins, 2);
	cr_expect_eq(stats.gaps, 0);
}

Test(sites, clocks_an_hour_apart_that_drift)
{
	struct world_config config = two_branches(2);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 1200 * S;
	config.agent[0].ahead_ns = 3600 * (int64_t)S;
	config.agent[0].drift_ppm = 80;
	config.agent[1].ahead_ns = -1800 * (int64_t)S;
	config.agent[1].drift_ppm = -50;
	r = run(&config, NULL, &stats);
	assert_exact(&r);
}

static bool is_about_step(const struct world_copy *c)
{
	uint64_t at = WORLD_START_NS + 600 * S;

	/* Until the clocks' new difference is known. */
	return c->true_ns + 60 * S > at && c->true_ns < at + 120 * S;
}

/* An agent's own clock never steps. Should it do so, undeclared, nothing false may come of it. */
Test(sites, clocks_that_step_during_the_run)
{
	static const int64_t steps[] = { 5, 30, 60, 300, 3000 };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		for (uint32_t agent = 0; agent < 3; agent += 2) {
			struct world_config config = two_branches(20 + i);
			struct kl_sites_stats stats;
			struct score r;

			config.span_ns = 1200 * S;
			config.agent[0].ahead_ns = 3600 * (int64_t)S;
			config.agent[0].drift_ppm = 40;
			config.agent[agent].step_at_ns = WORLD_START_NS + 600 * S;
			config.agent[agent].step_ns = steps[i] * (int64_t)S;
			r = run(&config, is_about_step, &stats);
			cr_expect_eq(r.wrong, 0, "%zu wrong", r.wrong);
			cr_expect_eq(r.twice, 0, "%zu twice", r.twice);
			cr_expect_gt(r.lost, 20, "%zu lost only", r.lost);
			cr_expect_eq(r.missing, 0, "%zu missing", r.missing);
			cr_expect_eq(r.unpaired, 0, "%zu unpaired", r.unpaired);
			cr_log_info("step of %d s at agent %u: %zu lost, %zu unpaired, %zu excused",
				    (int)steps[i], agent, r.lost, r.unpaired, r.excused);
		}
	}
}

static bool is_about_restart(const struct world_copy *c)
{
	uint64_t at = WORLD_START_NS + 150 * S;

	/* What both know of each connection begins anew. */
	return c->true_ns + 10 * S > at && c->true_ns < at + 40 * S;
}

Test(sites, an_agent_starts_anew)
{
	struct world_config config = two_branches(3);
	struct kl_sites_stats stats;
	struct score r;

	config.agent[0].restart_ns = WORLD_START_NS + 150 * S;
	r = run(&config, is_about_restart, &stats);
	assert_exact(&r);
	cr_expect_gt(r.excused, 0);
	cr_expect_eq(stats.agents, 4);
}

Test(sites, an_agent_is_cut_off_and_back)
{
	struct world_config config = two_branches(4);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 1200 * S;
	config.agent[0].cut[0].from_ns = WORLD_START_NS + 200 * S;
	config.agent[0].cut[0].to_ns = WORLD_START_NS + 800 * S;
	config.agent[0].cuts = 1;
	r = run(&config, NULL, &stats);
	assert_exact(&r);
	cr_expect_eq(stats.gaps, 0);
	cr_expect_eq(stats.late, 0);
}

Test(sites, the_other_agent_is_cut_off_and_back)
{
	struct world_config config = two_branches(5);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 1200 * S;
	config.agent[2].cut[0].from_ns = WORLD_START_NS + 200 * S;
	config.agent[2].cut[0].to_ns = WORLD_START_NS + 800 * S;
	config.agent[2].cuts = 1;
	r = run(&config, NULL, &stats);
	assert_exact(&r);
}

static uint64_t gap_from, gap_to;

static bool is_in_gap(const struct world_copy *c)
{
	return c->true_ns + 2 * S > WORLD_START_NS + gap_from &&
	       c->true_ns < WORLD_START_NS + gap_to + 2 * S;
}

Test(sites, a_spool_too_small_is_a_gap)
{
	struct world_config config = two_branches(6);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 1200 * S;
	config.agent[2].cut[0].from_ns = WORLD_START_NS + 200 * S;
	config.agent[2].cut[0].to_ns = WORLD_START_NS + 800 * S;
	config.agent[2].cut[0].spool = 300;
	config.agent[2].cuts = 1;
	gap_from = 199 * S;
	gap_to = 501 * S;
	r = run(&config, is_in_gap, &stats);
	assert_exact(&r);
	cr_expect_gt(r.excused, 1000);
	cr_expect_eq(stats.gaps, 1);
	cr_expect_gt(stats.gap_ns, 290 * S);
	cr_expect_gt(stats.batches_missing, 290);
}

Test(sites, what_was_missed_is_a_gap)
{
	struct world_config config = two_branches(7);
	struct kl_sites_stats stats;
	struct score r;

	config.agent[0].blind_from_ns = WORLD_START_NS + 100 * S;
	config.agent[0].blind_to_ns = WORLD_START_NS + 130 * S;
	gap_from = 99 * S;
	gap_to = 131 * S;
	r = run(&config, is_in_gap, &stats);
	assert_exact(&r);
	cr_expect_gt(r.excused, 10);
	cr_expect_gt(stats.gaps, 0);
}

static bool is_after_patience(const struct world_copy *c)
{
	return c->true_ns > WORLD_START_NS + 195 * S && c->agent != 1;
}

/* One agent is silent for longer than anybody waits: the others go on, and nothing is made up. */
Test(sites, an_agent_falls_silent)
{
	struct world_config config = two_branches(8);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 2400 * S;
	config.agent[0].cut[0].from_ns = WORLD_START_NS + 200 * S;
	config.agent[0].cut[0].to_ns = WORLD_START_NS + 2000 * S;
	config.agent[0].cuts = 1;
	r = run(&config, is_after_patience, &stats);
	assert_exact(&r);
	cr_expect_gt(stats.late, 1000, "%zu late", (size_t)stats.late);
}

/* Connections whose way to the server changes to where another agent sees them. */
Test(sites, several_cucm_agents)
{
	struct world_config config = two_branches(9);
	struct kl_sites_stats stats;
	struct score r;

	config.span_ns = 900 * S;
	config.agent[3] = (struct world_agent){
		.site = "centre", .name = "c2", .side = KL_CUCM, .ahead_ns = 700 * (int64_t)S
	};
	config.agents = 4;
	config.phones[0].cucm[1] = 3;
	config.phones[0].switch_ns = WORLD_START_NS + 400 * S;
	config.phones[1].cucm[0] = 3;
	gap_from = 395 * S;
	gap_to = 440 * S;
	r = run(&config, is_in_gap, &stats);
	assert_exact(&r);
}

Test(sites, nat_and_shifted_numbers)
{
	struct world_config config = two_branches(10);
	struct kl_sites_stats stats;
	struct score r;

	config.rule = KL_WIRE_BY_SERVER;
	config.span_ns = 900 * S;
	config.phones[0].nat = config.phones[0].sip = true;
	config.agent[0].ahead_ns = 5 * (int64_t)S;
	gap_from = 0;
	gap_to = 200 * S;
	r = run(&config, is_in_gap, &stats);
	assert_exact(&r);
}

/* ---- takeovers ---- */

/* Joiners that die at random: what they had not committed is another's to settle. */
static size_t read_with_takeovers(struct outcomes *o, uint64_t seed, bool within)
{
	struct kl_wire_batch *b = kl_wire_new();
	struct saved v = { .point.floor = 1 };
	uint64_t random = seed;
	size_t takeovers = 0, at = 0;

	o->sites = new_sites(o);
	o->saved = within ? &v : NULL;
	o->random = seed;
	while (at < world.messages) {
		random = kl_mix(random, 99);
		world_feed(&world, at++, o->sites, b);
		if (random % (within ? 70 : 7) == 0)
			checkpoint(o->sites, o, &v);
		if (random >> 32 & 255 || at < 20)
			continue;
		kl_sites_free(o->sites);
		o->count = v.committed;
		o->sites = new_sites(o);
		cr_assert_eq(kl_sites_resume(o->sites, &v.point, v.cuts, v.count), 0);
		at = v.point.floor - 1;
		takeovers++;
	}
	kl_sites_free(o->sites);
	kl_wire_free(b);
	free(v.cuts);
	return takeovers;
}

static int by_id(const void *a, const void *b)
{
	const struct outcome *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void compare_takeovers(const struct world_config *config, uint64_t seeds)
{
	struct outcomes straight = {}, other = {};
	struct kl_sites_stats stats;

	world_make(&world, config);
	read_all(&straight, &stats);
	qsort(straight.of, straight.count, sizeof(*straight.of), by_id);
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		size_t takeovers, different = 0;
		bool within = seed % 2;

		other.count = other.within = 0;
		takeovers = read_with_takeovers(&other, seed, within);
		cr_expect_gt(takeovers, 2);
		cr_expect(!within || other.within > 10);
		cr_expect_eq(other.count, straight.count, "seed %lu: %zu, want %zu", seed,
			     other.count, straight.count);
		qsort(other.of, other.count, sizeof(*other.of), by_id);
		for (size_t i = 0; i < other.count && i < straight.count; i++)
			different += other.of[i].id != straight.of[i].id ||
				     other.of[i].fate != straight.of[i].fate;
		cr_expect_eq(different, 0, "seed %lu: %zu different", seed, different);
	}
	free(straight.of);
	free(other.of);
	world_free(&world);
}

Test(sites, takeovers_change_nothing)
{
	struct world_config config = two_branches(11);

	config.span_ns = 900 * S;
	config.agent[0].ahead_ns = 3600 * (int64_t)S;
	compare_takeovers(&config, 8);
}

Test(sites, takeovers_while_an_agent_is_cut_off)
{
	struct world_config config = two_branches(12);

	config.span_ns = 900 * S;
	config.agent[0].cut[0].from_ns = WORLD_START_NS + 300 * S;
	config.agent[0].cut[0].to_ns = WORLD_START_NS + 600 * S;
	config.agent[0].cut[0].spool = 200;
	config.agent[0].cuts = 1;
	config.agent[3] = (struct world_agent){ .site = "centre", .name = "c2", .side = KL_CUCM };
	config.agents = 4;
	config.phones[1].cucm[1] = 3;
	config.phones[1].switch_ns = WORLD_START_NS + 500 * S;
	compare_takeovers(&config, 8);
}

/* ---- strangers ---- */

static uint64_t dice;

static uint64_t roll(uint64_t sides)
{
	dice = kl_mix(dice, 7);
	return dice % sides;
}

/* As wrong as a batch can be that was read. */
static void make_nonsense(struct kl_wire_batch *b)
{
	uint64_t most = roll(4) ? 1000 * S : (uint64_t)INT64_MAX / 4;

	b->boot = 1 + roll(3);
	b->number = roll(8) ? 1 + roll(50) : UINT64_MAX - roll(3);
	b->from_ns = roll(most);
	b->to_ns = b->from_ns + roll(most - b->from_ns + 1);
	b->wall_ns = (int64_t)roll(UINT64_MAX);
	b->side = (uint32_t)roll(KL_SIDES);
	b->rule = roll(50) ? KL_WIRE_BY_CONNECTION : KL_WIRE_BY_SERVER;
	b->misses = (uint32_t)roll(3);
	for (uint32_t i = 0; i < b->misses; i++)
		b->missed[i] = (struct kl_wire_missed){ b->from_ns, b->to_ns, 0 };
	b->count = (uint32_t)roll(12);
	for (uint32_t i = 0; i < b->count; i++) {
		b->of[i] = (struct kl_wire_sighting){
			.sighted = { .time_ns = b->from_ns + roll(b->to_ns - b->from_ns + 1),
				     .seq = (uint32_t)roll(6) * 12,
				     .ack = (uint32_t)roll(6) * 12,
				     .payload_len = (uint32_t)roll(3) * 12,
				     .stamp = (uint32_t)roll(4),
				     .direction = (uint8_t)roll(KL_DIRECTIONS),
				     .kind = (uint8_t)roll(KL_KINDS),
				     .flags = (uint8_t)roll(32),
				     .fragment = roll(20) == 0 },
		};
		b->of[i].sighted.ends.family = 4;
		b->of[i].sighted.ends.phone[0] = (uint32_t)roll(6);
		b->of[i].sighted.ends.cucm_port = 2000;
	}
}

/* Nothing breaks, nothing grows beyond its bounds, and nothing is settled twice. */
Test(sites, strangers)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct kl_wire_batch *b = kl_wire_new();

	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct outcomes o = {};
		struct kl_sites_config config = config_of(&o);
		struct kl_sites_stats stats;
		struct kl_sites_point point;
		struct kl_sites *s;

		dice = seed;
		config.max_waiting = 500;
		config.max_conns = 4;
		config.max_agents = 6;
		cr_assert_eq(kl_sites_new(&config, &s), 0);
		for (uint64_t i = 1; i <= 4000; i++) {
			struct kl_site_message m = { .site = names[roll(4)],
						     .agent = names[roll(2)],
						     .seq = i,
						     .stored_ns = WORLD_START_NS + i * S / 4,
						     .batch = b };

			make_nonsense(b);
			cr_assert_eq(kl_sites_take(s, &m), 0);
			kl_sites_point(s, &point);
			cr_assert_leq(point.floor, i);
		}
		kl_sites_stats(s, &stats);
		cr_expect_leq(stats.agents, 6);
		cr_expect_leq(stats.conns, 4);
		qsort(o.of, o.count, sizeof(*o.of), by_id);
		for (size_t i = 1; i < o.count; i++)
			cr_expect_neq(o.of[i - 1].id, o.of[i].id);
		kl_sites_free(s);
		free(o.of);
	}
	kl_wire_free(b);
}
