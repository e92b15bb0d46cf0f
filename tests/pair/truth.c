// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two-clock join against worlds whose truth is known: every loss that can be known is found,
 * and nothing else is called one.
 *
 *   truth [-v] [FIRST [COUNT]]     seeds; 240 from 1 on if not told
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "view.h"

#define TOLERANCE (2 * GEN_S)
/* Of what the join must know for certain, at the edges of what is covered. */
#define MARGIN (500 * GEN_MS)

enum {
	SEEDS = 240,
};

struct scenario {
	struct gen_options gen;
	struct view_options view;
	bool strangers; /* the cucm side saw another network */
	bool same_file; /* both sides were given the same capture */
	bool declares;	/* both captures say that they dropped something, but not when */
	char text[160];
};

struct sums {
	uint64_t sightings, segments, near, lost, must, found, false_lost, missed, uncovered;
	uint64_t delivered, duplicates;
	uint64_t declared_lost, declared_found; /* where the captures say that they dropped */
	uint64_t by_reason[KL_PAIR_REASONS];
	double seconds;
};

struct seen {
	uint8_t fate; /* plus one; 0: nothing was said */
	uint8_t reason;
};

struct trial {
	const struct scenario *sc;
	struct gen_world w;
	struct view v;
	struct seen *seen; /* of near sightings, by packet */
	size_t *order;
	bool *pairs[KL_DIRECTIONS]; /* by connection: seen on both sides often enough */
	struct sums *sums;
	uint64_t near_ns;
	uint64_t duplicates, items;
	bool disorder;
	uint32_t errors;
	bool verbose;
	bool clock_known;
	uint32_t steps;
	uint64_t seed;
};

static int64_t pick(struct gen_rng *r, double chance, int64_t min, int64_t max)
{
	return gen_chance(r, chance) ? gen_between(r, min, max) : 0;
}

static void set_side(struct view_side *s, struct gen_rng *r, int64_t duration)
{
	s->from_ns = pick(r, 0.3, 0, duration / 3);
	s->to_ns = duration - pick(r, 0.3, 0, duration / 3);
	s->duplicates = gen_chance(r, 0.15) ? 1 : gen_chance(r, 0.2) ? 0.1 : 0;
	s->vlan = (uint16_t)pick(r, 0.3, 1, 4094);
	s->disorder_ns = pick(r, 0.3, 0, 50000);
	s->drops = gen_chance(r, 0.12) ? 0.0005 + gen_unit(r) * 0.01 : 0;
	s->blind = gen_chance(r, 0.08) ? 0.05 : 0;
	s->gaps = gen_chance(r, 0.25) ? 1 + (uint32_t)gen_below(r, VIEW_GAPS) : 0;
	for (uint32_t i = 0; i < s->gaps; i++) {
		s->gap[i].from_ns = gen_between(r, 0, duration);
		s->gap[i].to_ns = s->gap[i].from_ns + gen_between(r, 50 * GEN_MS, 90 * GEN_S);
	}
}

static void set_scenario(struct scenario *sc, struct gen_rng *r, uint64_t seed)
{
	static const uint32_t phones[] = { 1, 2, 5, 20, 60, 150 };
	struct gen_options *g = &sc->gen;
	struct view_side *side = sc->view.side;
	bool large = seed % 80 == 7;

	memset(sc, 0, sizeof(*sc));
	g->phones = large ? 500 : phones[gen_below(r, 6)];
	g->duration_ns = large ? 7200 * GEN_S
			       : gen_between(r, 600, g->phones > 20 ? 1500 : 7200) * GEN_S;
	g->loss = gen_chance(r, 0.1) ? 0 : gen_unit(r) * gen_unit(r) * 0.15;
	g->sip = gen_chance(r, 0.2) ? 1 : gen_chance(r, 0.3) ? 0 : gen_unit(r);
	g->reconnects = gen_chance(r, 0.4) ? 0.3 : 0;
	g->outages = gen_chance(r, 0.3) ? 0.1 : 0;
	g->probes = gen_chance(r, 0.3) ? 0.2 : 0;
	g->slow = gen_chance(r, 0.3) ? 0.01 : 0;
	g->jitter_ns = gen_between(r, 0, 20 * GEN_MS);
	for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
		g->way_ns[d] = gen_chance(r, 0.3) ? gen_between(r, 20000, 200000)
						  : gen_between(r, 100000, 60 * GEN_MS);
	g->ipv6 = gen_chance(r, 0.25);
	g->no_ids = g->ipv6 || gen_chance(r, 0.2);
	set_side(&side[KL_ACCESS], r, g->duration_ns);
	set_side(&side[KL_CUCM], r, g->duration_ns);
	side[KL_CUCM].clock_ns = gen_chance(r, 0.2) ? gen_between(r, -20 * GEN_MS, 20 * GEN_MS)
						    : gen_between(r, -3600 * GEN_S, 3600 * GEN_S);
	side[KL_CUCM].drift = (gen_unit(r) * 2 - 1) * 200e-6;
	if (gen_chance(r, 0.1)) {
		struct view_side *s = &side[gen_below(r, 2)];

		s->step_at_ns = gen_between(r, g->duration_ns / 3, g->duration_ns);
		s->step_ns = gen_between(r, 200 * GEN_MS, 30 * GEN_S) *
			     (gen_chance(r, 0.5) ? 1 : -1);
	}
	sc->view.nat = gen_chance(r, 0.2);
	sc->view.shift = gen_chance(r, 0.25);
	sc->view.no_content = gen_chance(r, 0.15);
	sc->declares = seed % 3 == 0;
	sc->strangers = gen_chance(r, 0.03);
	sc->same_file = !sc->strangers && gen_chance(r, 0.03);
	if (sc->same_file) {
		side[KL_ACCESS] = side[KL_CUCM];
		side[KL_ACCESS].drops = side[KL_ACCESS].blind = 0;
		side[KL_CUCM] = side[KL_ACCESS];
		sc->view.nat = sc->view.shift = false;
	}
	snprintf(sc->text, sizeof(sc->text),
		 "%u phones %lds loss %.3f offset %.3f%s%s%s%s%s%s%s%s%s%s%s", g->phones,
		 (long)(g->duration_ns / GEN_S), g->loss, (double)side[KL_CUCM].clock_ns / 1e9,
		 sc->view.nat ? " nat" : "", sc->view.shift ? " shift" : "",
		 sc->view.no_content ? " no-content" : "", g->ipv6 ? " v6" : "",
		 side[0].step_ns || side[1].step_ns ? " step" : "",
		 side[0].drops > 0 || side[1].drops > 0 ? " drops" : "",
		 side[0].blind > 0 || side[1].blind > 0 ? " blind" : "",
		 side[0].gaps || side[1].gaps ? " gaps" : "", sc->strangers ? " strangers" : "",
		 sc->same_file ? " same-file" : "", sc->declares ? " declares" : "");
}

/* Both sides are one capture: what the access side saw, said by the cucm side. */
static void copy_side(struct view *v, const struct gen_world *w)
{
	pair_stream_free(&v->stream[KL_CUCM]);
	for (size_t i = 0; i < v->stream[KL_ACCESS].count; i++) {
		struct kl_sighted s = v->stream[KL_ACCESS].s[i];

		s.side = KL_CUCM;
		pair_stream_add(&v->stream[KL_CUCM], &s);
	}
	v->stream[KL_CUCM].began_ns = v->stream[KL_ACCESS].began_ns;
	v->stream[KL_CUCM].ended_ns = v->stream[KL_ACCESS].ended_ns;
	memcpy(v->seen[KL_CUCM], v->seen[KL_ACCESS], w->packets * sizeof(bool));
}

static void complain(struct trial *t, size_t i, const char *what)
{
	const struct gen_packet *p = &t->w.packet[i];

	t->errors++;
	if (!t->verbose && t->errors > 3)
		return;
	printf("seed %lu: %s: conn %u %s kind %u seq %u at %.6f far %.6f, said fate %d reason %s\n",
	       t->seed, what, p->conn, p->direction ? "to_phone" : "to_cucm", p->kind, p->seq,
	       (double)p->near_ns / 1e9, (double)p->far_ns / 1e9, t->seen[i].fate - 1,
	       kl_pair_reason_name(t->seen[i].reason));
}

static void take(void *arg, const struct kl_paired *item)
{
	struct trial *t = arg;
	size_t i = item->cookie - 1;

	t->items++;
	t->sums->by_reason[item->reason] += item->fate == KL_PAIR_UNPAIRED;
	if (item->fate == KL_PAIR_DUPLICATE) {
		t->duplicates++;
		return;
	}
	if (!kl_is_near(item->side, item->direction)) {
		if (item->fate == KL_PAIR_LOST || item->fate == KL_PAIR_DELIVERED)
			complain(t, i, "a far copy is neither lost nor delivered");
		return;
	}
	if (t->seen[i].fate) {
		/* A double that could not be told from a retransmission is one more near copy. */
		if (item->fate == KL_PAIR_LOST)
			complain(t, i, "lost twice");
		return;
	}
	t->seen[i].fate = item->fate + 1;
	t->seen[i].reason = item->reason;
	t->disorder |= item->near_ns + 100 * GEN_MS < t->near_ns;
	t->near_ns = item->near_ns;
}

static const struct view_side *side_of(const struct trial *t, uint32_t side)
{
	return &t->sc->view.side[side];
}

/* Neither addresses nor numbers nor, for the most part, payloads tell who is who. */
static bool is_by_time(const struct scenario *sc)
{
	return sc->view.nat && sc->view.shift;
}

/* Where the loss of this copy has to be found. */
static bool is_certain(const struct trial *t, const struct gen_packet *p)
{
	const struct scenario *sc = t->sc;
	uint32_t far = p->direction ^ 1;

	if (p->kind == KL_TCP_PROBE_ACK || !t->pairs[p->direction][p->conn])
		return false;
	if (!view_covers(side_of(t, far), p->near_ns - MARGIN, p->near_ns + TOLERANCE + MARGIN))
		return false;
	/* Where SYNs alone told the clocks, one that was lost may have told them wrong at first. */
	if (sc->view.shift && (!t->clock_known || t->steps))
		return false;
	/* Where the partner was found by times alone, nothing is called lost. */
	if (is_by_time(sc))
		return false;
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct view_side *s = side_of(t, side);

		if (s->drops > 0 || s->blind > 0 || sc->declares)
			return false;
		if (s->step_ns && llabs(p->near_ns - s->step_at_ns) < 400 * GEN_S)
			return false;
	}
	return true;
}

static int by_segment(const void *a, const void *b, void *arg)
{
	const struct gen_packet *w = arg;
	const struct gen_packet *x = &w[*(const size_t *)a], *y = &w[*(const size_t *)b];

	if (x->conn != y->conn)
		return x->conn < y->conn ? -1 : 1;
	if (x->direction != y->direction)
		return x->direction < y->direction ? -1 : 1;
	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return (x->near_ns > y->near_ns) - (x->near_ns < y->near_ns);
}

static bool same_segment(const struct gen_packet *a, const struct gen_packet *b)
{
	return a->conn == b->conn && a->direction == b->direction && a->seq == b->seq &&
	       a->len == b->len;
}

static void list_copies(const struct trial *t, size_t from, size_t to)
{
	for (size_t k = from; k < to; k++) {
		size_t i = t->order[k];
		const struct gen_packet *p = &t->w.packet[i];

		printf("  copy at %.6f far %.6f id %u seen %d %d certain %d: fate %d reason %s\n",
		       (double)p->near_ns / 1e9, (double)p->far_ns / 1e9, p->ip_id,
		       t->v.seen[p->direction][i], t->v.seen[p->direction ^ 1][i], is_certain(t, p),
		       t->seen[i].fate - 1, kl_pair_reason_name(t->seen[i].reason));
	}
}

/* All copies of one segment, from order[from] on. */
static void check_segment(struct trial *t, size_t from, size_t to)
{
	struct sums *s = t->sums;
	uint32_t lost = 0, must = 0, said = 0, delivered = 0, arrived = 0;
	size_t culprit = t->order[from];
	uint32_t errors = t->errors;
	bool whole = true;

	s->segments++;
	for (size_t k = from; k < to; k++) {
		size_t i = t->order[k];
		const struct gen_packet *p = &t->w.packet[i];
		uint32_t near = p->direction, far = near ^ 1;
		const struct seen *seen = &t->seen[i];
		bool uncovered;

		whole &= t->v.seen[near][i] && (!p->far_ns || t->v.seen[far][i]);
		if (!t->v.seen[near][i])
			continue;
		s->near++;
		if (!seen->fate)
			complain(t, i, "nothing was said of a sighting");
		uncovered = !t->sc->strangers && !t->sc->same_file &&
			    !view_covers(side_of(t, far), p->near_ns + MARGIN,
					 p->near_ns + TOLERANCE - MARGIN) &&
			    !t->v.seen[far][i];
		if (uncovered) {
			s->uncovered++;
			if (seen->fate - 1 == KL_PAIR_LOST) {
				s->false_lost++;
				complain(t, i, "lost where the other capture does not cover it");
			}
		}
		arrived += p->far_ns && t->v.seen[far][i];
		lost += !p->far_ns;
		if (!p->far_ns && is_certain(t, p))
			must++;
		if (seen->fate - 1 == KL_PAIR_LOST) {
			said++;
			culprit = i;
		}
		delivered += seen->fate - 1 == KL_PAIR_DELIVERED;
		if (!p->far_ns && seen->fate - 1 != KL_PAIR_LOST && is_certain(t, p))
			culprit = i;
	}
	if (t->sc->strangers || t->sc->same_file)
		lost = must = 0;
	s->lost += lost;
	s->declared_lost += t->sc->declares ? lost : 0;
	s->declared_found += t->sc->declares ? said : 0;
	s->delivered += delivered;
	if (said > lost) {
		s->false_lost += said - lost;
		complain(t, culprit, "called lost, but arrived");
	}
	if (!whole)
		return;
	s->must += must;
	s->found += said;
	if (said < must) {
		s->missed += must - said;
		complain(t, culprit, "a loss was not found");
	}
	/* A partner found by times alone may be a neighbour in step: see is_certain(). */
	if (!t->sc->same_file && !is_by_time(t->sc) && delivered > arrived)
		complain(t, culprit, "more delivered than arrived");
	if (t->verbose && t->errors > errors)
		list_copies(t, from, to);
}

static void check(struct trial *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->w.packets; i++) {
		if (kl_kind_is_joined(t->w.packet[i].kind))
			t->order[n++] = i;
	}
	qsort_r(t->order, n, sizeof(*t->order), by_segment, t->w.packet);
	for (size_t i = 0, j; i < n; i = j) {
		for (j = i + 1;
		     j < n && same_segment(&t->w.packet[t->order[i]], &t->w.packet[t->order[j]]);
		     j++)
			;
		check_segment(t, i, j);
	}
}

/* Which connections can be joined at all. */
static void find_pairs(struct trial *t)
{
	uint32_t *count = calloc(t->w.conns * 2 + 1, sizeof(*count));
	uint32_t needed = t->sc->view.shift ? 8 : t->sc->view.nat ? 6 : 1;

	if (!count)
		abort();
	for (size_t i = 0; i < t->w.packets; i++) {
		const struct gen_packet *p = &t->w.packet[i];

		if (t->v.seen[0][i] && t->v.seen[1][i] && p->len)
			count[p->conn * 2 + p->direction]++;
	}
	for (uint32_t c = 0; c < t->w.conns; c++) {
		bool both = count[c * 2] + count[c * 2 + 1] >= needed;

		for (uint32_t d = 0; d < KL_DIRECTIONS; d++)
			t->pairs[d][c] = both && count[c * 2 + d];
	}
	free(count);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check_clock(struct trial *t, const struct kl_pair_clock *clock)
{
	const struct view_side *a = side_of(t, KL_ACCESS), *b = side_of(t, KL_CUCM);
	int64_t want, off, slack;

	if (!clock->known || clock->pairs < 20 || t->sc->strangers || t->sc->same_file ||
	    is_by_time(t->sc) || a->step_ns || b->step_ns)
		return;
	want = (int64_t)(view_clock(b, (int64_t)(clock->at_ns - view_clock(a, 0))) -
			 view_clock(a, (int64_t)(clock->at_ns - view_clock(a, 0))));
	off = clock->offset_ns - want;
	/* What goes there and what comes back share the error of a path that is not symmetric. */
	slack = (int64_t)clock->offset_error_ns + 2 * GEN_MS;
	if (llabs(off) > slack) {
		t->errors++;
		printf("seed %lu: the offset is %.3f ms off, said to be within %.3f ms\n", t->seed,
		       (double)off / 1e6, (double)slack / 1e6);
	}
}

static uint32_t run_seed(uint64_t seed, bool verbose, struct sums *sums)
{
	struct gen_rng rng = { seed * 7919 };
	struct scenario sc;
	struct trial t = { .sc = &sc, .sums = sums, .verbose = verbose, .seed = seed };
	struct kl_pair_config config = { .seed = seed, .tolerance_ns = TOLERANCE };
	struct kl_pair *p;
	struct kl_pair_clock clock;
	struct kl_pair_stats stats;
	double start;

	set_scenario(&sc, &rng, seed);
	gen_make(&t.w, &sc.gen, &rng);
	view_make(&t.v, &t.w, &sc.view, &rng);
	if (sc.strangers) {
		for (size_t i = 0; i < t.v.stream[KL_CUCM].count; i++) {
			t.v.stream[KL_CUCM].s[i].ends.phone[0] ^= 0x5000;
			t.v.stream[KL_CUCM].s[i].seq += 0x12345 +
							t.v.stream[KL_CUCM].s[i].ends.phone[0];
			t.v.stream[KL_CUCM].s[i].ack += 0x54321 +
							t.v.stream[KL_CUCM].s[i].ends.phone[0];
			t.v.stream[KL_CUCM].s[i].content = t.v.stream[KL_CUCM].s[i].call = 0;
			t.v.stream[KL_CUCM].s[i].device = 0;
		}
	}
	if (sc.same_file)
		copy_side(&t.v, &t.w);
	t.seen = calloc(t.w.packets + 1, sizeof(*t.seen));
	t.order = calloc(t.w.packets + 1, sizeof(*t.order));
	t.pairs[0] = calloc(t.w.conns + 1, sizeof(bool));
	t.pairs[1] = calloc(t.w.conns + 1, sizeof(bool));
	if (!t.seen || !t.order || !t.pairs[0] || !t.pairs[1] || kl_pair_new(&config, &p))
		abort();
	find_pairs(&t);
	for (uint32_t side = 0; side < KL_SIDES; side++) {
		const struct view_side *s = &sc.view.side[side];

		for (uint32_t i = 0; i < s->gaps; i++)
			kl_pair_cover(p, side, KL_COVER_GAP, view_clock(s, s->gap[i].from_ns),
				      view_clock(s, s->gap[i].to_ns));
		if (sc.declares)
			kl_pair_cover(p, side, KL_COVER_DROPPED, view_clock(s, s->from_ns),
				      view_clock(s, s->to_ns));
	}
	start = now();
	pair_run(p, t.v.stream, take, &t);
	sums->seconds += now() - start;
	sums->sightings += t.v.stream[0].count + t.v.stream[1].count;
	sums->duplicates += t.duplicates;
	kl_pair_clock(p, &clock);
	kl_pair_stats(p, &stats);
	t.clock_known = clock.known;
	t.steps = clock.steps;
	/*
	 * In order of time, but for steps of a clock and for the error of the offset. What looks
	 * like a step may be none: the clock that was learnt from SYNs that were lost is mended.
	 */
	if (t.disorder && !clock.steps && !sc.view.side[0].step_ns && !sc.view.side[1].step_ns) {
		t.errors++;
		printf("seed %lu: not in order of time\n", seed);
	}
	check(&t);
	check_clock(&t, &clock);
	if (verbose || t.errors) {
		printf("seed %lu: %s: %u wrong; clock %d offset %.6f s ± %.3f ms drift %.1f (%.1f) "
		       "ppm, "
		       "%lu pairs, %u steps; paired",
		       seed, sc.text, t.errors, clock.known, (double)clock.offset_ns / 1e9,
		       (double)clock.offset_error_ns / 1e6, clock.drift_ppm,
		       sc.view.side[KL_CUCM].drift * 1e6, clock.pairs, clock.steps);
		for (uint32_t i = 0; i < KL_PAIR_HOWS; i++)
			printf(" %lu", stats.paired[i]);
		printf(" of %lu/%lu, shifted %lu, held %u\n", stats.conns[0], stats.conns[1],
		       stats.shifted, stats.held_most);
		if (verbose) {
			for (uint32_t i = 1; i < KL_PAIR_REASONS; i++)
				printf("  %s %lu (alone %lu)\n", kl_pair_reason_name(i),
				       stats.reasons[i], stats.alone[i]);
		}
	}
	kl_pair_free(p);
	free(t.seen);
	free(t.order);
	free(t.pairs[0]);
	free(t.pairs[1]);
	view_free(&t.v);
	gen_free(&t.w);
	return t.errors;
}

int main(int argc, char **argv)
{
	struct sums s = { 0 };
	uint64_t first = 1, count = SEEDS, bad = 0;
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");

	argv += verbose;
	argc -= verbose;
	if (argc > 1)
		first = count = strtoull(argv[1], NULL, 10);
	if (argc > 1)
		count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	for (uint64_t seed = first; seed < first + count; seed++)
		bad += run_seed(seed, verbose, &s) > 0;
	printf("%lu seeds, %lu sightings, %.3f us each; %lu segments, %lu near copies, %lu "
	       "duplicates\n",
	       count, s.sightings, s.seconds * 1e6 / (double)(s.sightings ? s.sightings : 1),
	       s.segments, s.near, s.duplicates);
	printf("lost %lu, to be found for certain %lu, found %lu, not found %lu, false %lu; not "
	       "covered %lu\n",
	       s.lost, s.must, s.found, s.missed, s.false_lost, s.uncovered);
	printf("where drops were declared: lost %lu, found %lu\n", s.declared_lost,
	       s.declared_found);
	printf("unpaired:");
	for (uint32_t i = 1; i < KL_PAIR_REASONS; i++)
		printf(" %s %lu", kl_pair_reason_name(i), s.by_reason[i]);
	printf("\n%lu passed, %lu failed\n", count - bad, bad);
	return bad > 0;
}
