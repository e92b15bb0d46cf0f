// SPDX-License-Identifier: GPL-2.0-only
/* The rule about entries of MAC tables that age out between two keepalives. */
#include "core/findings_mac.h"

#include <inttypes.h>
#include <math.h>

#include "util/duration.h"

enum {
	RUNS_ENOUGH = 4,    /* times that losses came by themselves: not one outage */
	CASES_SHARP = 30,   /* that separate without exception carry it alone */
	STEP_S = 10,	    /* ageing times are set in such steps */
	SHORTEST_MS = 1000, /* no table forgets sooner */
};

static bool is_sharp(const struct kl_split *s)
{
	return s->table.lost_with && kl_split_lost_above(s) >= 0.9 && kl_split_lost_below(s) <= 0.1;
}

/* What is known about the entries' ageing, put together. */
struct ageing {
	struct kl_missing direct;
	const struct kl_split *split; /* NULL: no threshold */
	const struct kl_link *link;   /* NULL: no removals that go with the losses */
	uint64_t direct_cases;
	double above_s, at_most_s; /* bounds; 0: not known */
	uint64_t agree, differ;	   /* ageing times that are set, in and out of the bounds */
	enum kl_confidence confidence;
};

static bool is_aged(const struct kl_facts *f, size_t loss, const void *arg)
{
	const struct ageing *a = arg;
	const struct kl_lost *l = &f->d->lost[loss];

	if (a->split && l->idle_known &&
	    kl_split_explains(a->split, l->direction, l->where, l->idle_ns / KL_NS_PER_MS))
		return true;
	if (a->link && l->idle_known && l->direction == a->link->direction &&
	    l->where != KL_CUCM_SIDE) {
		const struct kl_mac_evidence *m = kl_removals_find(
			&a->direct.history, kl_mac_key(l->mac), kl_since(l->time_ns, l->idle_ns),
			l->time_ns);

		if (m && m->happening != KL_MAC_LEARNED)
			return true;
	}
	return kl_is_missing(f, &a->direct, loss);
}

/* The shortest silence of an entry that aged, and the longest after which a first copy came through. */
static void find_bounds(const struct kl_facts *f, struct ageing *a)
{
	const struct kl_evidence *e = &f->d->evidence;
	uint32_t shortest = 0;

	if (a->split) {
		a->above_s = a->split->below / 1e3;
		a->at_most_s = a->split->above / 1e3;
		return;
	}
	for (size_t i = 0; i < e->mac.count; i++) {
		const struct kl_mac_evidence *m = &e->mac.item[i];

		if (m->happening == KL_MAC_AGED && m->silent_ms &&
		    (!shortest || m->silent_ms < shortest))
			shortest = m->silent_ms;
	}
	a->at_most_s = (shortest ?: a->link ? a->link->silent_min_ms : 0) / 1e3;
}

static bool fits(const struct ageing *a, const struct kl_ageing_evidence *g)
{
	double s = (double)g->ageing_ms / 1e3;

	return s >= a->above_s * 0.9 && (!a->at_most_s || s <= a->at_most_s * 1.1);
}

/*
 * Were the entries removed otherwise before nearly all of what the threshold explains? This host's
 * bridge knows why it removed one; and one that was removed after a silence that others outlive had
 * no time to age.
 */
static bool is_refuted(const struct kl_facts *f, const struct ageing *a)
{
	uint64_t explained = 0, flushed = 0;

	for (size_t i = 0; a->split && a->direct.history.count && i < f->d->lost_count; i++) {
		const struct kl_lost *l = &f->d->lost[i];
		const struct kl_mac_evidence *m;

		if (!l->idle_known ||
		    !kl_split_explains(a->split, l->direction, l->where, l->idle_ns / KL_NS_PER_MS))
			continue;
		explained++;
		m = kl_removals_find(&a->direct.history, kl_mac_key(l->mac),
				     kl_since(l->time_ns, l->idle_ns), l->time_ns);
		flushed += m && (KL_REMOVED_OTHERWISE >> m->happening & 1) &&
			   (m->source == KL_MAC_FROM_BRIDGE ||
			    m->time_ns + l->idle_ns < l->time_ns + a->split->below * KL_NS_PER_MS);
	}
	return explained && flushed * 10 >= explained * 8;
}

static bool judge_ageing(const struct kl_facts *f, struct ageing *a)
{
	const struct kl_split *s = &f->idle;
	enum kl_confidence by_split = KL_CONFIDENCE_LOW, by_link = KL_CONFIDENCE_LOW;
	bool linked = false, confirmed;

	a->link = kl_is_like_ageing(&f->removed) && f->removed.p < f->aged.p ? &f->removed
									     : &f->aged;
	by_link = kl_link_confidence(a->link, &linked);
	if (!linked)
		a->link = NULL;
	if (is_sharp(s) && s->above >= SHORTEST_MS && s->p < KL_PERHAPS &&
	    s->table.lost_with >= 4 && s->runs >= 2)
		a->split = s;
	if (is_refuted(f, a))
		a->split = NULL;
	if (!a->split && !a->link && a->direct_cases < KL_MISSING_ENOUGH)
		return false;
	find_bounds(f, a);
	for (size_t i = 0; i < f->d->evidence.ageing.count; i++)
		*(fits(a, &f->d->evidence.ageing.item[i]) ? &a->agree : &a->differ) += 1;
	confirmed = (a->split && a->agree) || linked || a->direct_cases >= KL_MISSING_ENOUGH;
	if (a->split && s->p < KL_SURE && s->table.lost_with >= KL_CASES_ENOUGH + s->again_lost &&
	    s->runs >= RUNS_ENOUGH &&
	    (s->idle_all || confirmed ||
	     (s->table.lost_with >= CASES_SHARP && !s->table.delivered_with &&
	      !s->table.lost_without)))
		by_split = KL_CONFIDENCE_HIGH;
	else if (a->split && s->p < KL_LIKELY && s->table.lost_with >= 5 && s->runs >= 3)
		by_split = KL_CONFIDENCE_MEDIUM;
	if (!linked)
		by_link = KL_CONFIDENCE_LOW;
	a->confidence = by_split > by_link ? by_split : by_link;
	if (a->direct_cases >= KL_CASES_ENOUGH)
		a->confidence = KL_CONFIDENCE_HIGH;
	else if (a->direct_cases >= KL_MISSING_ENOUGH && a->confidence < KL_CONFIDENCE_MEDIUM)
		a->confidence = KL_CONFIDENCE_MEDIUM;
	return true;
}

static void say_split(const struct ageing *a, struct kl_finding *ret)
{
	static const char *const names[4] = { "lost_after_silence", "lost_without_silence",
					      "delivered_after_silence",
					      "delivered_without_silence" };
	const struct kl_split *s = a->split;
	struct kl_finding_evidence *e;

	if (!s)
		return;
	e = kl_say(ret,
		   "of %" PRIu64 " copies %s after a silence of %.1f s or more %" PRIu64
		   " were lost, of %" PRIu64 " after a shorter one %" PRIu64
		   "%s (chance: p = %.2g)",
		   s->table.lost_with + s->table.delivered_with * s->stride, kl_way(s->direction),
		   a->at_most_s, s->table.lost_with,
		   s->table.lost_without + s->table.delivered_without * s->stride,
		   s->table.lost_without, s->some ? ", of the phones that lose so" : "", s->p);
	kl_say_table(e, &s->table, s->stride, names);
	kl_say_figure(e, "fisher_p", s->p);
	if (!s->idle_all)
		kl_say(ret, "the silence is that of the signalling connection only: the phone may "
			    "have sent something else meanwhile");
}

static void say_bounds(const struct ageing *a, struct kl_finding *ret)
{
	struct kl_finding_evidence *e;

	if (!a->at_most_s)
		return;
	e = a->above_s ? kl_say(ret, "so the ageing time is more than %.1f s and at most %.1f s",
				a->above_s, a->at_most_s)
		       : kl_say(ret, "so the ageing time is at most %.1f s", a->at_most_s);
	if (a->above_s)
		kl_say_figure(e, "ageing_above_s", a->above_s);
	kl_say_figure(e, "ageing_at_most_s", a->at_most_s);
}

/* What is set somewhere agrees with that, or does not. */
static void say_settings(const struct kl_facts *f, const struct ageing *a, struct kl_finding *ret)
{
	const struct kl_evidence *e = &f->d->evidence;
	bool said[2] = {};

	for (size_t i = 0; i < e->ageing.count; i++) {
		const struct kl_ageing_evidence *g = &e->ageing.item[i];
		bool agrees = fits(a, g);

		/* (Where one agrees, the others are of other tables.) */
		if (said[agrees] || (!agrees && a->agree))
			continue;
		said[agrees] = true;
		kl_say_figure((agrees ? kl_say : kl_say_against)(
				      ret, "the ageing time that is set %s%s%s%s is %.1f s, %s",
				      g->port_security ? "by port security " : "",
				      g->port[0] ? "on " : "in ", g->port[0] ? g->port : g->told_by,
				      g->absolute ? " (counted from the learning)" : "",
				      (double)g->ageing_ms / 1e3,
				      agrees ? "which agrees" : "so it would be another table's"),
			      "ageing_set_s", (double)g->ageing_ms / 1e3);
	}
}

/* A bridge of this host has nothing to do with what is lost elsewhere. */
static bool may_be_here(const struct ageing *a)
{
	return !a->split || (a->split->wheres & 1 << KL_BETWEEN);
}

/* A removal of a MAC for which losses are counted here. */
static const struct kl_mac_evidence *example_of(const struct kl_facts *f, const struct ageing *a)
{
	if (a->link && a->link->example &&
	    (a->link->example->source != KL_MAC_FROM_BRIDGE || may_be_here(a)))
		return a->link->example;
	for (size_t i = 0; a->direct.history.count && i < f->d->lost_count; i++) {
		const struct kl_mac_evidence *m = kl_missing_entry(f, &a->direct, i);

		if (m && m->happening == KL_MAC_AGED)
			return m;
	}
	return NULL;
}

static const struct kl_ageing_evidence *setting_of(const struct kl_facts *f, const struct ageing *a)
{
	const struct kl_evidence *e = &f->d->evidence;

	for (size_t i = 0; i < e->ageing.count; i++) {
		const struct kl_ageing_evidence *g = &e->ageing.item[i];

		if (fits(a, g) && (g->source != KL_MAC_FROM_BRIDGE || may_be_here(a)))
			return g;
	}
	return NULL;
}

static void say_what_to_do(const struct kl_facts *f, const struct ageing *a, struct kl_finding *ret)
{
	double period_s = kl_longest_period_s(f, KL_CAUSE_MAC_AGEING);
	double enough_s = period_s > a->at_most_s ? period_s : a->at_most_s;
	char place[160];

	/* Twice the period: one lost keepalive shall not age the entry out, either. */
	enough_s = ceil(2 * enough_s / STEP_S) * STEP_S;
	kl_name_place(example_of(f, a), setting_of(f, a), place, sizeof(place));
	kl_remedy_is(
		ret,
		"Raise the ageing time of %s above %.0f s, twice the longest time that these "
		"phones are silent%s.",
		place, enough_s,
		f->idle.wheres & 1 << KL_BETWEEN && a->split
			? ""
			: ", also that of port security (switchport port-security aging time)");
	if (period_s)
		kl_say_figure(kl_say(ret, "the longest keepalive period of these phones is %.1f s",
				     period_s),
			      "period_s", period_s);
}

bool kl_rule_mac_ageing(struct kl_facts *f, struct kl_finding *ret)
{
	__attribute__((cleanup(kl_missing_done))) struct kl_missing direct = {};
	struct ageing a = {};

	if (kl_missing_new(f, KL_REMOVED_AGED, KL_LATE_NS, &direct))
		return false;
	a.direct = direct;
	a.direct_cases = kl_count_missing(f, &direct);
	if (!judge_ageing(f, &a))
		return false;
	ret->fault = true;
	ret->confidence = a.confidence;
	f->ageing_found = a.confidence >= KL_CONFIDENCE_MEDIUM;
	f->ageing_split = f->ageing_found ? a.split : NULL;
	kl_concern(f, is_aged, &a, f->ageing_found, ret);
	say_split(&a, ret);
	if (a.link)
		kl_say_link(a.link, ret);
	if (a.direct_cases)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " of the losses were dropped by this kernel "
				     "because it knew no port for a MAC that had aged out "
				     "(NO_TX_TARGET)",
				     a.direct_cases),
			      "dropped_after_ageing", (double)a.direct_cases);
	say_bounds(&a, ret);
	say_settings(f, &a, ret);
	if (a.split && a.split->table.lost_without)
		kl_say_against(ret, "%" PRIu64 " losses came after a shorter silence",
			       a.split->table.lost_without);
	kl_explain_by(ret,
		      "A MAC table forgets these phones when they are silent for %.1f s, and they "
		      "are silent for longer between two keepalives. So what is sent next is "
		      "dropped until the phone is learnt again; what is sent again gets through.",
		      a.at_most_s);
	say_what_to_do(f, &a, ret);
	return true;
}
