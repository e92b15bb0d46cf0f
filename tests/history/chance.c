// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random histories. First such where the losses have nothing to do with anything else that happens
 * at the same time: flushes, ageing, silence, lengths, conflicts, alarms, ends. What is said then
 * with high confidence is wrong. Then such with a true cause, and noise: is it found?
 *
 *   chance [-v] [COUNT [FIRST]]     1000 and 1 if not told
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/kept.h"

enum {
	COUNT = 1000,
	EXCHANGES = 3000, /* of one history, about */
	BURSTS = 200,
	KEEP_EVERY = 10,
};

/* ---- Losses by chance ---- */

struct burst {
	uint64_t from_ns, to_ns;
	uint32_t phone; /* UINT32_MAX: all */
};

struct chance {
	double rate;	   /* outside of bursts */
	double burst_rate; /* in them */
	struct burst burst[BURSTS];
	int bursts;
	double to_phone;		/* the rate is so many times that to the CUCM */
	double where[KL_WHERE_UNKNOWN]; /* shares */
	double by_phone;		/* of the phones, so many lose at all */
};

static int by_chance(struct scene *s, const struct chance *c, const struct scene_copy *copy)
{
	double rate = c->rate, at;

	if (fmod(copy->phone * 0.6180339887, 1) >= c->by_phone)
		return SCENE_DELIVERED;
	for (int i = 0; i < c->bursts; i++) {
		const struct burst *b = &c->burst[i];

		if (copy->time_ns >= b->from_ns && copy->time_ns < b->to_ns &&
		    (b->phone == UINT32_MAX || b->phone == copy->phone))
			rate = c->burst_rate;
	}
	if (copy->direction == KL_TO_PHONE)
		rate *= c->to_phone;
	if (scene_random(s) >= rate)
		return SCENE_DELIVERED;
	at = scene_random(s) * (c->where[0] + c->where[1] + c->where[2]);
	return at < c->where[0] ? 0 : at < c->where[0] + c->where[1] ? 1 : 2;
}

static double log_between(struct scene *s, double min, double max)
{
	return min * pow(max / min, scene_random(s));
}

static bool coin(struct scene *s, double p)
{
	return scene_random(s) < p;
}

static void set_chance(struct scene *s, struct chance *c, uint32_t phones, uint64_t duration_ns,
		       double most)
{
	*c = (struct chance){ .rate = log_between(s, 0.001, most), .by_phone = 1 };
	for (int w = 0; w < KL_WHERE_UNKNOWN; w++)
		c->where[w] = coin(s, 0.5) ? scene_random(s) : 0;
	c->where[scene_between(s, 0, KL_WHERE_UNKNOWN)] += 0.5;
	c->to_phone = coin(s, 0.5) ? 0 : scene_random(s);
	if (coin(s, 0.3))
		c->by_phone = 0.1 + 0.9 * scene_random(s);
	if (!coin(s, 0.5))
		return;
	c->bursts = (int)scene_between(s, 1, coin(s, 0.5) ? 10 : BURSTS);
	c->burst_rate = 0.5 + 0.5 * scene_random(s);
	if (coin(s, 0.5))
		c->rate = 0;
	for (int i = 0; i < c->bursts; i++) {
		struct burst *b = &c->burst[i];

		b->from_ns = SCENE_START + scene_between(s, 0, duration_ns);
		b->to_ns = b->from_ns + (uint64_t)(log_between(s, 0.05, 90) * 1e9);
		b->phone = coin(s, 0.5) ? UINT32_MAX : (uint32_t)scene_between(s, 0, phones);
	}
}

/* ---- A history ---- */

struct history {
	struct scene s;
	struct chance noise;
	uint32_t phones;
	uint64_t duration_ns;
	uint64_t period_ns[3]; /* of the phones, by turns */
	uint32_t length[3];
	bool together;	  /* they began at the same moment */
	double chatter_s; /* mean time between their other frames; 0: none */
	double asks;	  /* the server speaks first so often */
	uint64_t ages_ns; /* a table ages so, harmlessly or not; 0: it is not told */
	bool told_ages;
	/* the true cause, if any */
	uint64_t truth_ns; /* ageing time */
	struct burst flush[BURSTS];
	int flushes;
	uint32_t too_long;
	uint64_t from_ns;
	bool wrong_box;
};

static const uint8_t firewall[6] = { 2, 0, 0, 0, 0xf, 1 }, server[6] = { 2, 0, 0, 0, 2, 1 };

static int fate(struct scene *s, const struct scene_copy *c)
{
	struct history *h = s->arg;

	if (c->direction == KL_TO_CUCM) {
		if (h->truth_ns && c->idle_ns >= h->truth_ns)
			return KL_PHONE_SIDE;
		for (int i = 0; i < h->flushes; i++) {
			if (h->flush[i].phone == c->phone && h->flush[i].from_ns <= c->time_ns &&
			    h->flush[i].from_ns > c->time_ns - c->idle_ns)
				return KL_PHONE_SIDE;
		}
		if (h->too_long && c->length >= h->too_long && c->time_ns >= h->from_ns)
			return KL_CUCM_SIDE;
		if (h->wrong_box && coin(s, 0.3) &&
		    !memcmp(s->phone[c->phone].session->next_mac, firewall, 6))
			return KL_CUCM_SIDE;
	}
	return by_chance(s, &h->noise, c);
}

static void set_phones(struct history *h)
{
	static const uint64_t periods_s[] = { 30, 60, 115 };
	struct scene *s = &h->s;
	bool mixed = coin(s, 0.5);
	double shortest_s = 1e9;

	h->phones = (uint32_t)log_between(s, 1, 200);
	for (int i = 0; i < 3; i++) {
		h->period_ns[i] = periods_s[scene_between(s, 0, 3)] * SCENE_S;
		h->length[i] = coin(s, 0.5) ? 12 : (uint32_t)scene_between(s, 300, 1400);
		if (!mixed && i) {
			h->period_ns[i] = h->period_ns[0];
			h->length[i] = coin(s, 0.5) ? h->length[0] : h->length[i];
		}
		shortest_s = fmin(shortest_s, (double)h->period_ns[i] / 1e9);
	}
	h->duration_ns = (uint64_t)(log_between(s, 300, 14400) * 1e9);
	if ((double)h->duration_ns / 1e9 > EXCHANGES * shortest_s / h->phones)
		h->duration_ns = (uint64_t)(EXCHANGES * shortest_s / h->phones * 1e9);
	if (h->duration_ns < 300 * SCENE_S)
		h->duration_ns = 300 * SCENE_S;
	h->together = coin(s, 0.2);
	h->chatter_s = coin(s, 0.5) ? 0 : log_between(s, 1, 200);
	h->asks = coin(s, 0.7) ? 0 : scene_random(s);
	s->idle_known = coin(s, 0.5) ? KL_IDLE_ALL : KL_IDLE_SIGNALLING;
}

/* Other frames of the phone, which only the table sees. */
static void chat(struct history *h, struct scene_phone *p, uint64_t now_ns)
{
	uint64_t before_ns;

	if (h->chatter_s <= 0 || h->s.idle_known != KL_IDLE_ALL)
		return;
	before_ns = (uint64_t)(-log(1 - scene_random(&h->s)) * h->chatter_s * 1e9);
	if (before_ns < now_ns - p->last_ns)
		p->last_ns = now_ns - before_ns;
}

static void age(struct history *h, struct scene_phone *p, uint64_t now_ns)
{
	struct scene *s = &h->s;

	if (!h->told_ages || !p->last_ns || now_ns - p->last_ns < h->ages_ns)
		return;
	scene_removal(s, p->last_ns + h->ages_ns, KL_MAC_AGED, KL_MAC_FROM_BRIDGE, p);
	s->d.evidence.mac.item[s->d.evidence.mac.count - 1].silent_ms = (uint32_t)(h->ages_ns /
										   SCENE_MS);
}

static void live(struct history *h)
{
	struct scene *s = &h->s;
	const struct kl_ageing_evidence set = { .time_ns = SCENE_START,
						.ageing_ms = h->ages_ns / SCENE_MS,
						.told_by = "br0" };

	if (h->told_ages)
		kl_evidence_ageing(&s->d.evidence, &set);
	for (uint32_t i = 0; i < h->phones; i++) {
		struct scene_phone *p = scene_phone(s, h->period_ns[i % 3], h->length[i % 3]);
		uint64_t t = SCENE_START, end_ns = SCENE_START + h->duration_ns;

		if (h->wrong_box && i % 3)
			memcpy(p->session->next_mac, firewall, 6);
		t += h->together ? scene_between(s, 0, SCENE_S) : scene_between(s, 0, p->period_ns);
		for (; t < end_ns; t += p->period_ns) {
			if (p->last_ns && coin(s, h->asks)) {
				uint64_t at = scene_between(s, p->last_ns, t);

				chat(h, p, at);
				age(h, p, at);
				if (scene_send(s, p, at, KL_TO_PHONE, KL_SIP_OPTIONS, 400, 3))
					p->last_ns = at + 3 * SCENE_S < t ? at + 3 * SCENE_S
									  : t - 1;
			}
			if (p->last_ns && p->last_ns >= t)
				continue; /* it is still sending the one before */
			if (p->last_ns) {
				chat(h, p, t);
				age(h, p, t);
			}
			scene_exchange(s, p, t);
		}
	}
}

/* ---- What else happens ---- */

static void add_removals(struct history *h)
{
	struct scene *s = &h->s;
	double every_s = log_between(s, 2, 2000), t = 0;
	bool regular = coin(s, 0.3), whole = coin(s, 0.3);
	enum kl_mac_source source = (enum kl_mac_source)scene_between(s, 0, KL_MAC_SOURCES);
	enum kl_mac_happening one = (enum kl_mac_happening)scene_between(s, KL_MAC_MOVED,
									 KL_MAC_HAPPENINGS);

	if (coin(s, 0.3))
		return;
	if (regular && coin(s, 0.7))
		every_s = (double)h->period_ns[0] / 1e9 * (coin(s, 0.5) ? 1 : 2);
	for (int n = 0; n < 5000; n++) {
		const struct scene_phone *p = &s->phone[scene_between(s, 0, h->phones)];
		uint64_t at;

		t += regular ? every_s : -log(1 - scene_random(s)) * every_s;
		if (t * 1e9 > (double)h->duration_ns)
			break;
		at = SCENE_START + (uint64_t)(t * 1e9);
		scene_removal(s, at, whole ? KL_MAC_TOPOLOGY_CHANGE : one, source,
			      whole ? NULL : p);
		/* A port or a switch of many phones at once. */
		for (uint32_t i = 0; !whole && coin(s, 0.05) && i < h->phones; i++)
			scene_removal(s, at, one, source, &s->phone[i]);
	}
}

static struct kl_arp_conflict conflict(uint32_t requests)
{
	struct kl_arp_conflict c = {
		.time_ns = SCENE_START,
		.address = { .word = { 0x0a020001 }, .family = 4 },
		.mac_count = 2,
		.answers = { requests, requests },
		.first_answers = { requests - requests / 3, requests / 3 },
		.requests = requests,
	};

	memcpy(c.mac[0], firewall, 6);
	memcpy(c.mac[1], server, 6);
	return c;
}

static void add_others(struct history *h)
{
	struct scene *s = &h->s;
	double jitter = coin(s, 0.5) ? 0 : scene_random(s),
	       end = coin(s, 0.5) ? scene_random(s) : 0;

	if (coin(s, 0.3)) {
		struct kl_arp_conflict c = conflict((uint32_t)scene_between(s, 1, 10));

		kl_evidence_arp(&s->d.evidence, &c);
	}
	if (coin(s, 0.3)) {
		struct kl_arp_conflict c = conflict(100);

		c.address.word[0] = 0x0a090909;
		memset(c.mac, 7, sizeof(c.mac));
		kl_evidence_arp(&s->d.evidence, &c);
	}
	for (int i = 0; i < 100 && coin(s, 0.95); i++) {
		struct kl_drop drop = { .time_ns = SCENE_START +
						   scene_between(s, 0, h->duration_ns),
					.reason = "NETFILTER_DROP" };

		kl_evidence_drop(&s->d.evidence, &drop, NULL);
	}
	for (int i = 0; i < 200 && coin(s, 0.98); i++) {
		struct kl_alarm alarm = {
			.time_ns = SCENE_START + scene_between(s, 0, h->duration_ns),
			.type = KL_ALARM_UNREGISTERED,
			.reason = coin(s, 0.5) ? 13 : (int)scene_between(s, 0, 30),
			.session = scene_between(s, 0, h->phones + 1),
			.matched_loss = coin(s, 0.5),
		};

		kl_evidence_alarm(&s->d.evidence, &alarm);
	}
	for (uint32_t i = 0; i < h->phones; i++) {
		uint8_t usual = coin(s, jitter) ? 63 : 64, ttl = coin(s, jitter) ? 63 : 64;

		if (coin(s, end))
			scene_end(s, &s->phone[i],
				  SCENE_START + scene_between(s, 0, h->duration_ns),
				  coin(s, 0.5) ? KL_BY_CUCM : KL_BY_PHONE,
				  coin(s, 0.5) ? KL_HOW_RST : KL_HOW_FIN, ttl, usual);
	}
}

/* Of some, what was kept of them must come to the same. */
static struct kept kept;
static uint64_t kept_count, kept_different;

static void begin(struct history *h, uint64_t seed, double most)
{
	*h = (struct history){};
	scene_init(&h->s, seed, fate, h);
	if (seed % KEEP_EVERY == 0)
		kept_begin(&kept, &h->s);
	set_phones(h);
	set_chance(&h->s, &h->noise, h->phones, h->duration_ns, most);
}

static void conclude(struct history *h, uint64_t seed)
{
	bool is_kept = h->s.history;
	unsigned different;

	if (is_kept)
		kept_end(&kept);
	scene_conclude(&h->s);
	if (!is_kept)
		return;
	different = kept_compare(&kept);
	if (different)
		fprintf(stderr, "seed %llu: %u differences\n", (unsigned long long)seed, different);
	kept_count++;
	kept_different += different > 0;
	kept_done(&kept);
}

static void by_chance_alone(struct history *h, uint64_t seed)
{
	begin(h, seed, 0.3);
	if (coin(&h->s, 0.4)) {
		/* It ages, but floods what it does not know. */
		h->told_ages = true;
		h->ages_ns = (uint64_t)(log_between(&h->s, 5, 300) * 1e9);
	}
	live(h);
	add_removals(h);
	add_others(h);
	conclude(h, seed);
}

/* ---- With a true cause ---- */

static void little_noise(struct history *h)
{
	h->noise.rate *= 0.1;
	h->noise.bursts = 0;
	h->noise.by_phone = 1;
	if (h->phones < 4)
		h->phones = 4;
	if (h->duration_ns < 1500 * SCENE_S)
		h->duration_ns = 1500 * SCENE_S;
}

static void with_ageing(struct history *h)
{
	h->truth_ns = (uint64_t)(log_between(&h->s, 15, 110) * 1e9);
	h->period_ns[0] = 115 * SCENE_S;
	h->s.idle_known = KL_IDLE_ALL;
	/* (Phones that chat more often than that never age.) */
	if (h->chatter_s > 0 && h->chatter_s < 60)
		h->chatter_s = 60;
}

static void with_flushes(struct history *h)
{
	for (; h->flushes < 100; h->flushes++) {
		h->flush[h->flushes].from_ns = SCENE_START +
					       scene_between(&h->s, 120 * SCENE_S, h->duration_ns);
		h->flush[h->flushes].phone = (uint32_t)scene_between(&h->s, 0, h->phones);
	}
}

static void tell_flushes(struct history *h)
{
	for (int i = 0; i < h->flushes; i++)
		scene_removal(&h->s, h->flush[i].from_ns, KL_MAC_FLUSHED, KL_MAC_FROM_BRIDGE,
			      &h->s.phone[h->flush[i].phone]);
}

static void with_long_lost(struct history *h)
{
	h->too_long = 1200;
	h->length[0] = 1300;
	h->length[1] = h->length[2] = 600;
	h->from_ns = SCENE_START + h->duration_ns / 4;
	if (h->phones < 9)
		h->phones = 9;
}

static void with_wrong_box(struct history *h)
{
	h->wrong_box = true;
}

static void tell_conflict(struct history *h)
{
	struct kl_arp_conflict c = conflict(30);

	kl_evidence_arp(&h->s.d.evidence, &c);
}

static const struct truth {
	enum kl_cause cause;
	void (*before)(struct history *h);
	void (*after)(struct history *h);
} truths[] = {
	{ KL_CAUSE_MAC_AGEING, with_ageing, NULL },
	{ KL_CAUSE_MAC_FLUSH, with_flushes, tell_flushes },
	{ KL_CAUSE_MTU_BLACK_HOLE, with_long_lost, NULL },
	{ KL_CAUSE_PROXY_ARP, with_wrong_box, tell_conflict },
};

enum {
	TRUTHS = sizeof(truths) / sizeof(*truths)
};

/* ---- Counting ---- */

/* What nothing in a history by chance can be: the rest says only what was seen. */
static bool is_specific(enum kl_cause cause)
{
	switch (cause) {
	case KL_CAUSE_MAC_AGEING:
	case KL_CAUSE_MAC_FLUSH:
	case KL_CAUSE_PROXY_ARP:
	case KL_CAUSE_IN_HOST_DROP:
	case KL_CAUSE_MTU_BLACK_HOLE:
	case KL_CAUSE_MIDDLEBOX_RESET:
	case KL_CAUSE_CUCM_SILENT:
	case KL_CAUSE_FAILOVER_TOO_TIGHT:
		return true;
	default:
		return false;
	}
}

static unsigned passed, failed;

static void expect(bool ok, const char *what)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	*(ok ? &passed : &failed) += 1;
}

static void try_chance(uint64_t first, uint64_t count, bool verbose)
{
	uint64_t said[KL_CAUSES][3] = {}, lost = 0, copies = 0;
	static struct history h;
	char text[200];

	for (uint64_t seed = first; seed < first + count; seed++) {
		by_chance_alone(&h, seed);
		for (size_t i = 0; i < h.s.findings; i++) {
			const struct kl_finding *f = &h.s.finding[i];

			said[f->cause][f->confidence]++;
			if (verbose && is_specific(f->cause) &&
			    f->confidence >= KL_CONFIDENCE_HIGH) {
				fprintf(stderr, "seed %llu:\n", (unsigned long long)seed);
				scene_print(&h.s);
			}
		}
		copies += h.s.d.observed_seen;
		lost += h.s.lost[0] + h.s.lost[1] + h.s.lost[2];
		scene_done(&h.s);
	}
	printf("%llu histories by chance, %llu copies, %llu of them lost; said of specific causes, "
	       "which is wrong:\n",
	       (unsigned long long)count, (unsigned long long)copies, (unsigned long long)lost);
	for (int cause = 0; cause < KL_CAUSES; cause++) {
		if (!is_specific((enum kl_cause)cause))
			continue;
		snprintf(text, sizeof(text), "%-20s high %llu (%.3f %%), medium %llu, low %llu",
			 kl_cause_name((enum kl_cause)cause), (unsigned long long)said[cause][2],
			 100.0 * (double)said[cause][2] / (double)count,
			 (unsigned long long)said[cause][1], (unsigned long long)said[cause][0]);
		expect((double)said[cause][2] < 0.001 * (double)count, text);
	}
}

static bool is_within(const struct history *h, const struct kl_finding *f)
{
	double truth_s = (double)h->truth_ns / 1e9, above = scene_figure(f, "ageing_above_s");

	return (isnan(above) || above < truth_s) &&
	       scene_figure(f, "ageing_at_most_s") >= truth_s - 1e-3;
}

static void try_truth(const struct truth *t, uint64_t first, uint64_t count, bool verbose)
{
	uint64_t high = 0, foremost = 0, any = 0, within = 0;
	static struct history h;
	char text[200];

	for (uint64_t seed = first; seed < first + count; seed++) {
		const struct kl_finding *f;

		begin(&h, seed, 0.3);
		little_noise(&h);
		t->before(&h);
		live(&h);
		if (t->after)
			t->after(&h);
		conclude(&h, seed);
		f = scene_finding(&h.s, t->cause);
		any += f != NULL;
		high += f && f->confidence == KL_CONFIDENCE_HIGH;
		foremost += f == h.s.finding;
		within += f && h.truth_ns && is_within(&h, f);
		if (verbose && (!f || f != h.s.finding || (h.truth_ns && !is_within(&h, f)))) {
			fprintf(stderr, "seed %llu (truth %.1f s):\n", (unsigned long long)seed,
				(double)h.truth_ns / 1e9);
			scene_print(&h.s);
		}
		scene_done(&h.s);
	}
	snprintf(text, sizeof(text),
		 "%-20s in %llu histories: found %.1f %%, high %.1f %%, first %.1f %%%s",
		 kl_cause_name(t->cause), (unsigned long long)count,
		 100.0 * (double)any / (double)count, 100.0 * (double)high / (double)count,
		 100.0 * (double)foremost / (double)count,
		 t->cause == KL_CAUSE_MAC_AGEING ? "" : "");
	expect((double)foremost >= 0.9 * (double)count, text);
	if (t->cause != KL_CAUSE_MAC_AGEING)
		return;
	snprintf(text, sizeof(text),
		 "the ageing time lies within the bounds in %.1f %% of those found",
		 any ? 100.0 * (double)within / (double)any : 0);
	expect(any && (double)within >= 0.95 * (double)any, text);
}

int main(int argc, char **argv)
{
	bool verbose = argc > 1 && !strcmp(argv[1], "-v");
	uint64_t count, first;
	char text[200];

	argv += verbose;
	argc -= verbose;
	count = argc > 1 ? strtoull(argv[1], NULL, 10) : COUNT;
	first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	try_chance(first, count, verbose);
	for (int i = 0; i < TRUTHS; i++)
		try_truth(&truths[i], first, count / 10 + 1, verbose);
	snprintf(text, sizeof(text), "%llu were kept; %llu of them say something else when read",
		 (unsigned long long)kept_count, (unsigned long long)kept_different);
	expect(kept_count && !kept_different, text);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
