// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jitter alone makes no loss: many sessions on schedules that jitter in many ways, without any
 * loss, and how many losses are inferred. Then the same schedules with losses: how many are found.
 * The dice are seeded; the numbers are the same each time.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stage.h"

enum shape {
	NONE,
	UNIFORM,
	NORMAL,
	EXPONENTIAL,
	HEAVY,	/* Pareto */
	HICCUP, /* now and then, and then much */
	SHAPES,
};

static const char *const shape_names[] = { "none",	  "uniform", "normal",
					   "exponential", "heavy",   "hiccup" };

struct tally {
	unsigned keepalives, lost, found, false_losses, sessions, growth, silence;
};

/* A delay, in seconds; size is about its mean. */
static double jitter(struct stage *st, enum shape shape, double size)
{
	double u = stage_random(st), v = stage_random(st), normal;

	switch (shape) {
	case UNIFORM:
		return 2 * size * u;
	case NORMAL:
		normal = sqrt(-2 * log(1 - u)) * cos(6.283185307 * v);
		return size + fmax(-size, fmin(normal * size / 3, 4 * size));
	case EXPONENTIAL:
		return -size * log(1 - u);
	case HEAVY:
		return fmin(size / 3 * (pow(1 - u, -1 / 1.5) - 1), 8 * size + 1);
	case HICCUP:
		return size / 20 * u + (v < 0.03 ? size * 10 * u : 0);
	default:
		return 0;
	}
}

struct way {
	const char *name;
	enum stage_numbers phone;
	bool ipv6;
	bool numbered;
};

static const struct way ways[] = {
	{ "per connection", BY_CONNECTION, false, true },
	{ "one by one, unsaid", BY_ONE, false, true },
	{ "one counter", BY_COUNTER, false, true },
	{ "constant", CONSTANT, false, false },
	{ "IPv6", NO_NUMBERS, true, false },
};

static const struct schedule {
	const char *name;
	__u32 service;
	__u32 period_s;
	bool adds_up;
} schedules[] = {
	{ "SCCP 30 s on a grid", KL_SCCP, 30, false },
	{ "SCCP 60 s adding up", KL_SCCP, 60, true },
	{ "SIP 115 s adding up", KL_SIP, 115, true },
	{ "SIP 115 s on a grid", KL_SIP, 115, false },
	{ "SCCP 60 s on a grid", KL_SCCP, 60, false },
	{ "SCCP 30 s adding up", KL_SCCP, 30, true },
};

static unsigned inferred_at_phone(const struct stage *st)
{
	return st->inferred[KL_TO_CUCM][KL_PHONE_SIDE];
}

/* One phone's life. loss_rate: of first copies, before the near side; each doubles the timeout. */
static void live(struct tally *t, const struct way *way, const struct schedule *s, enum shape shape,
		 double size, unsigned keepalives, double loss_rate, unsigned seed)
{
	struct stage_setup setup = { .service = s->service,
				     .ipv6 = way->ipv6,
				     .phone = way->phone,
				     .tick_ns = 20 * STAGE_S,
				     .id = 0x9000 + seed };
	__u64 grid, base, at = STAGE_START_NS, free_at = 0, rto = 200 * STAGE_MS;
	struct stage st;

	stage_init(&st, &setup);
	for (int i = 0; i < 20; i++)
		stage_random(&st);
	if (way->phone == BY_CONNECTION || seed % 2)
		stage_connect(&st, at);
	grid = base = at + STAGE_S;
	for (unsigned i = 0; i < keepalives; i++) {
		bool is_lost = i > 5 && stage_random(&st) < loss_rate;

		at = (s->adds_up ? base : grid) + (__u64)(1e9 * (0.02 + jitter(&st, shape, size)));
		if (at < free_at)
			at = free_at;
		/* What else the phone sends meanwhile counts along. */
		if (way->phone == BY_COUNTER)
			st.end[KL_TO_CUCM].id += (__u16)(stage_random(&st) *
							 (stage_random(&st) < 0.5 ? 3 : 40));
		rto = is_lost && rto < 6 * STAGE_S ? rto : 200 * STAGE_MS;
		base = stage_struggle(&st, at, rto, is_lost, LOST_BEFORE);
		rto = is_lost ? 2 * rto : 200 * STAGE_MS;
		t->lost += is_lost;
		free_at = base + 20 * STAGE_MS;
		base += (__u64)(s->period_s * 1e9 - 2e7);
		grid += s->period_s * STAGE_S;
	}
	t->keepalives += keepalives;
	t->sessions++;
	t->found += inferred_at_phone(&st);
	t->false_losses += stage_losses(&st);
	for (unsigned i = 0; stage_story(&st, KL_STORY_FORECAST, i); i++) {
		const struct kl_story *f = stage_story(&st, KL_STORY_FORECAST, i);

		t->growth += f->state == KL_FORECAST_EXPECTED && strstr(f->text, "doubles");
		t->silence += f->state == KL_FORECAST_EXPECTED && !strstr(f->text, "doubles");
	}
	stage_done(&st);
}

static void run(struct tally *sum, const struct way *way, unsigned sessions, double loss_rate)
{
	static const double sizes[] = { 0.001, 0.005, 0.02, 0.1, 0.5, 2 };

	for (unsigned s = 0; s < sizeof(schedules) / sizeof(schedules[0]); s++) {
		for (unsigned shape = NONE; shape < SHAPES; shape++) {
			struct tally t = { 0 };

			for (unsigned size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++) {
				struct tally before = t;

				for (unsigned i = 0; i < sessions; i++)
					live(&t, way, &schedules[s], shape, sizes[size], 100,
					     loss_rate, i * 977 + size * 31 + shape * 7 + s);
				if (getenv("JITTER_VERBOSE") &&
				    (t.false_losses != before.false_losses ||
				     t.growth != before.growth || t.silence != before.silence) &&
				    !t.lost)
					fprintf(stderr,
						"   %s, %s %g s: %u false, %u growth, %u silence\n",
						schedules[s].name, shape_names[shape], sizes[size],
						t.false_losses - before.false_losses,
						t.growth - before.growth,
						t.silence - before.silence);
			}
			sum->keepalives += t.keepalives;
			sum->sessions += t.sessions;
			sum->lost += t.lost;
			sum->found += t.found;
			sum->false_losses += t.false_losses;
			sum->growth += t.growth;
			sum->silence += t.silence;
		}
	}
}

/* With a sanitizer it takes ten times as long, and what that looks for is in the first phones. */
#ifdef __SANITIZE_ADDRESS__
enum {
	PHONES = 3
};
#else
enum {
	PHONES = 24
};
#endif

Test(session_jitter, makes_no_loss, .timeout = 600)
{
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		struct tally t = { 0 };

		run(&t, &ways[w], PHONES, 0);
		fprintf(stderr,
			"jitter without loss, %s: %u keepalives, %u inferred (%.1e each), %u "
			"forecasts of growth, %u of silence\n",
			ways[w].name, t.keepalives, t.false_losses,
			(double)t.false_losses / t.keepalives, t.growth, t.silence);
		if (ways[w].numbered)
			cr_expect_eq(t.false_losses, 0);
		cr_expect_lt(t.false_losses / (double)t.keepalives, 2e-6);
		cr_expect_lt(t.growth / (double)t.keepalives, 2e-6);
	}
}

Test(session_jitter, losses_are_found_in_it, .timeout = 600)
{
	for (unsigned w = 0; w < sizeof(ways) / sizeof(ways[0]); w++) {
		struct tally t = { 0 };

		run(&t, &ways[w], 2, 0.05);
		fprintf(stderr, "jitter with losses, %s: %u of %u found\n", ways[w].name, t.found,
			t.lost);
		if (ways[w].phone == BY_CONNECTION)
			cr_expect_eq(t.found, t.lost);
		cr_expect_leq(t.found, t.lost);
	}
}
