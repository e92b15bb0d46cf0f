// SPDX-License-Identifier: GPL-2.0-only
/* Rules about MAC tables: entries that aged out between two keepalives, and such as were removed. */
#include "core/findings_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util/duration.h"

enum {
	RUNS_ENOUGH = 4,    /* times that losses came by themselves, not one outage */
	MOMENTS_ENOUGH = 5, /* removals apart in time, likewise */
	CASES_SHARP = 30,   /* that separate without exception carry it alone */
	DIRECT_ENOUGH = 3,  /* losses that the kernel itself says had no entry */
	LOOK_BACK_S = 3600, /* an entry that is missing for so long is not missed by phones */
	STEP_S = 10,	    /* ageing times are set in such steps */
};

static const double sure = 1e-6, likely = 1e-3, perhaps = 1e-2;

/* ---- Losses of which the kernel says that it knew no port for the MAC ---- */

struct direct {
	struct kl_removals history; /* with what was learnt again */
	unsigned happenings;
};

static void direct_done(struct direct *d)
{
	kl_removals_done(&d->history);
}

/* What became of the entry of this MAC last, where that was a removal. */
static const struct kl_mac_evidence *removed(const struct direct *d, uint64_t key, uint64_t time_ns)
{
	const struct kl_mac_evidence *m =
		key ? kl_removals_find(&d->history, key,
				       kl_since(time_ns, LOOK_BACK_S * KL_NS_PER_S), time_ns)
		    : NULL;

	return m && m->happening != KL_MAC_LEARNED ? m : NULL;
}

static const struct kl_mac_evidence *removed_for(const struct kl_facts *f, const struct direct *d,
						 size_t loss)
{
	const struct kl_lost *l = &f->d->lost[loss];
	const struct kl_session *s = kl_sessions_find(f->d->sessions, l->conn_id);

	if (!l->drop || l->drop > f->d->evidence.drop.count ||
	    strcmp(f->d->evidence.drop.item[l->drop - 1].reason, "NO_TX_TARGET"))
		return NULL;
	if (l->direction == KL_TO_PHONE)
		return removed(d, kl_mac_key(l->mac), l->time_ns);
	return s ? removed(d, kl_mac_key(s->next_mac), l->time_ns) : NULL;
}

static bool is_direct(const struct kl_facts *f, const struct direct *d, size_t loss)
{
	const struct kl_mac_evidence *m = removed_for(f, d, loss);

	return m && (d->happenings >> m->happening & 1);
}

static int direct_new(const struct kl_facts *f, unsigned happenings, struct direct *ret)
{
	ret->happenings = happenings;
	return kl_removals_new(&f->d->evidence, KL_REMOVED | 1 << KL_MAC_LEARNED, &ret->history);
}

static uint64_t count_direct(const struct kl_facts *f, const struct direct *d)
{
	uint64_t count = 0;

	for (size_t i = 0; d->history.count && i < f->d->lost_count; i++)
		count += is_direct(f, d, i);
	return count;
}

/* ---- Ageing ---- */

/* A removal of which it is not told why, always after the same silence, is ageing. */
static bool is_like_ageing(const struct kl_link *l)
{
	return l->lost_after[KL_MAC_FLUSHED] >= KL_CASES_ENOUGH && l->silent_min_ms &&
	       l->lost_after[KL_MAC_FLUSHED] == l->table.lost_with &&
	       l->silent_max_ms <= l->silent_min_ms + l->silent_min_ms / 5;
}

static bool is_sharp(const struct kl_split *s)
{
	return s->table.lost_with && kl_split_lost_above(s) >= 0.9 && kl_split_lost_below(s) <= 0.1;
}

/* Most losses came after a removal, and most copies after one were lost. */
static bool is_strong(const struct kl_link *l)
{
	uint64_t delivered_with = l->table.delivered_with * l->stride;

	return l->table.lost_with > l->table.lost_without && l->table.lost_with > delivered_with;
}

static enum kl_confidence link_confidence(const struct kl_link *l, bool *ret_found)
{
	*ret_found = l->p < perhaps && l->chance <= 0.1 && l->table.lost_with >= 4 &&
		     l->moments >= 2;
	if (l->p < sure && l->chance <= 0.02 && l->table.lost_with >= KL_CASES_ENOUGH &&
	    l->moments >= MOMENTS_ENOUGH && is_strong(l))
		return KL_CONFIDENCE_HIGH;
	return l->p < likely && l->chance <= 0.05 ? KL_CONFIDENCE_MEDIUM : KL_CONFIDENCE_LOW;
}

/* What is known about the entries' ageing, put together. */
struct ageing {
	struct direct direct;
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
	return is_direct(f, &a->direct, loss);
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

static bool judge_ageing(const struct kl_facts *f, struct ageing *a)
{
	const struct kl_split *s = &f->idle;
	enum kl_confidence by_split = KL_CONFIDENCE_LOW, by_link = KL_CONFIDENCE_LOW;
	bool linked = false, confirmed;

	a->link = is_like_ageing(&f->removed) && f->removed.p < f->aged.p ? &f->removed : &f->aged;
	by_link = link_confidence(a->link, &linked);
	if (!linked)
		a->link = NULL;
	if (is_sharp(s) && s->p < perhaps && s->table.lost_with >= 4 && s->runs >= 2)
		a->split = s;
	if (!a->split && !a->link && a->direct_cases < DIRECT_ENOUGH)
		return false;
	find_bounds(f, a);
	for (size_t i = 0; i < f->d->evidence.ageing.count; i++)
		*(fits(a, &f->d->evidence.ageing.item[i]) ? &a->agree : &a->differ) += 1;
	confirmed = (a->split && a->agree) || linked || a->direct_cases >= DIRECT_ENOUGH;
	if (a->split && s->p < sure && s->table.lost_with >= KL_CASES_ENOUGH &&
	    s->runs >= RUNS_ENOUGH &&
	    (s->idle_all || confirmed ||
	     (s->table.lost_with >= CASES_SHARP && !s->table.delivered_with &&
	      !s->table.lost_without)))
		by_split = KL_CONFIDENCE_HIGH;
	else if (a->split && s->p < likely && s->table.lost_with >= 5 && s->runs >= 3)
		by_split = KL_CONFIDENCE_MEDIUM;
	if (!linked)
		by_link = KL_CONFIDENCE_LOW;
	a->confidence = by_split > by_link ? by_split : by_link;
	if (a->direct_cases >= KL_CASES_ENOUGH)
		a->confidence = KL_CONFIDENCE_HIGH;
	else if (a->direct_cases >= DIRECT_ENOUGH && a->confidence < KL_CONFIDENCE_MEDIUM)
		a->confidence = KL_CONFIDENCE_MEDIUM;
	return true;
}

static const char *way(uint32_t direction)
{
	return direction == KL_TO_CUCM ? "to the CUCM" : "to the phones";
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
		   s->table.lost_with + s->table.delivered_with * s->stride, way(s->direction),
		   a->at_most_s, s->table.lost_with,
		   s->table.lost_without + s->table.delivered_without * s->stride,
		   s->table.lost_without, s->some ? ", of the phones that lose so" : "", s->p);
	kl_say_table(e, &s->table, s->stride, names);
	kl_say_figure(e, "fisher_p", s->p);
	if (!s->idle_all)
		kl_say(ret, "the silence is that of the signalling connection only: the phone may "
			    "have sent something else meanwhile");
}

static void say_link(const struct kl_link *l, struct kl_finding *ret)
{
	static const char *const names[4] = { "lost_with_flush", "lost_without_flush",
					      "delivered_with_flush", "delivered_without_flush" };
	struct kl_finding_evidence *e = kl_say(
		ret,
		"%" PRIu64 " of %" PRIu64 " lost first copies %s came after a removal from a "
		"MAC table since the phone's last frame, of the delivered ones %" PRIu64
		" of %" PRIu64 " (Fisher's exact test: p = %.2g; odds %.3g)",
		l->table.lost_with, l->table.lost_with + l->table.lost_without, way(l->direction),
		l->table.delivered_with * l->stride,
		(l->table.delivered_with + l->table.delivered_without) * l->stride, l->p, l->odds);

	kl_say_table(e, &l->table, l->stride, names);
	kl_say_figure(e, "fisher_p", l->p);
	kl_say_figure(e, "fisher_p_two_sided", l->p_two_sided);
	kl_say_figure(e, "odds", l->odds);
	kl_say_figure(e, "removals", (double)l->moments);
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

/* Where the entry was: as text, "port Gi0/7 of 10.0.0.2". */
static void name_place(const struct kl_facts *f, const struct kl_mac_evidence *m, char *ret,
		       size_t size)
{
	const struct kl_evidence *e = &f->d->evidence;

	if (m && m->port[0] && m->told_by[0])
		snprintf(ret, size, "port %s of %s", m->port, m->told_by);
	else if (m && (m->port[0] || m->told_by[0]))
		snprintf(ret, size, "%s%s", m->port[0] ? "port " : "",
			 m->port[0] ? m->port : m->told_by);
	else if (e->ageing.count == 1 && e->ageing.item[0].told_by[0])
		snprintf(ret, size, "%s", e->ageing.item[0].told_by);
	else
		snprintf(ret, size,
			 "the switches between the phones and here (MAC table and port "
			 "security)");
}

/* A removal of a MAC for which losses are counted here. */
static const struct kl_mac_evidence *example_of(const struct kl_facts *f, const struct ageing *a)
{
	if (a->link && a->link->example)
		return a->link->example;
	for (size_t i = 0; a->direct.history.count && i < f->d->lost_count; i++) {
		const struct kl_mac_evidence *m = removed_for(f, &a->direct, i);

		if (m && m->happening == KL_MAC_AGED)
			return m;
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
	name_place(f, example_of(f, a), place, sizeof(place));
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
	__attribute__((cleanup(direct_done))) struct direct direct = {};
	struct ageing a = {};

	if (direct_new(f, KL_REMOVED_AGED, &direct))
		return false;
	a.direct = direct;
	a.direct_cases = count_direct(f, &direct);
	if (!judge_ageing(f, &a))
		return false;
	ret->fault = true;
	ret->confidence = a.confidence;
	f->ageing_found = a.confidence >= KL_CONFIDENCE_MEDIUM;
	f->ageing_split = f->ageing_found ? a.split : NULL;
	kl_concern(f, is_aged, &a, f->ageing_found, ret);
	say_split(&a, ret);
	if (a.link)
		say_link(a.link, ret);
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

/* ---- Other removals ---- */

struct flush {
	const struct direct *direct;
	const struct kl_link *link; /* NULL: only what the kernel itself says */
};

static bool is_flushed(const struct kl_facts *f, size_t loss, const void *arg)
{
	const struct flush *u = arg;
	const struct kl_lost *l = &f->d->lost[loss];
	uint64_t from_ns = kl_since(l->time_ns, l->idle_ns);

	if (is_direct(f, u->direct, loss))
		return true;
	if (!u->link || !l->idle_known || l->direction != u->link->direction ||
	    l->where == KL_CUCM_SIDE || kl_is_explained(f, loss))
		return false;
	for (int i = 0; i < 2; i++) {
		uint64_t key = i ? KL_REMOVAL_TABLE : kl_mac_key(l->mac);
		const struct kl_mac_evidence *m = kl_removals_find(&u->direct->history, key,
								   from_ns, l->time_ns);

		if (m && (KL_REMOVED_OTHERWISE >> m->happening & 1))
			return true;
	}
	return false;
}

static const char *remedy_of(enum kl_mac_happening happening)
{
	switch (happening) {
	case KL_MAC_TOPOLOGY_CHANGE:
		return "Find what changes the spanning tree at these times (show spanning-tree "
		       "detail), and make the ports of phones and hosts edge ports (portfast), so "
		       "that they cause no topology change.";
	case KL_MAC_MOVED:
		return "Find why the MAC shows up on two ports: a loop, two uplinks without a "
		       "channel, or two devices of the same MAC.";
	case KL_MAC_VIOLATION:
		return "Look at port security there: raise the number of MACs that the port allows "
		       "(phone and PC), or find who else is connected.";
	default:
		return "Find what clears the MAC table at these times: a port that goes down, a "
		       "spanning-tree change, a management script or a person.";
	}
}

static enum kl_mac_happening most_frequent(const struct kl_link *l)
{
	enum kl_mac_happening most = KL_MAC_FLUSHED;

	for (int i = 0; i < KL_MAC_HAPPENINGS; i++) {
		if (l->lost_after[i] > l->lost_after[most])
			most = (enum kl_mac_happening)i;
	}
	return most;
}

bool kl_rule_mac_flush(struct kl_facts *f, struct kl_finding *ret)
{
	__attribute__((cleanup(direct_done))) struct direct direct = {};
	bool found;
	struct flush u = { .direct = &direct };
	enum kl_mac_happening happening;
	struct kl_link link;
	uint64_t cases;
	char place[160];

	/* What ageing explains is not compared once more. */
	if (direct_new(f, KL_REMOVED_OTHERWISE, &direct) ||
	    kl_link_removals(f->d, KL_REMOVED_OTHERWISE, f->ageing_split, &link))
		return false;
	cases = count_direct(f, &direct);
	ret->confidence = link_confidence(&link, &found);
	if (f->ageing_found && is_like_ageing(&link))
		found = false;
	if (found)
		u.link = &link;
	else if (cases < DIRECT_ENOUGH)
		return false;
	if (!found || cases >= KL_CASES_ENOUGH)
		ret->confidence = kl_by_cases(cases);
	ret->fault = true;
	kl_concern(f, is_flushed, &u, ret->confidence >= KL_CONFIDENCE_MEDIUM, ret);
	if (found)
		say_link(&link, ret);
	if (cases)
		kl_say_figure(kl_say(ret,
				     "%" PRIu64 " of the losses were dropped by this kernel "
				     "because it knew no port for a MAC that had been removed "
				     "(NO_TX_TARGET)",
				     cases),
			      "dropped_after_flush", (double)cases);
	if (found && link.chance > 0.005)
		kl_say_figure(
			kl_say_against(ret,
				       "shifted in time, the same removals fit as well in %.1f "
				       "%% of all cases",
				       100 * link.chance),
			"chance", link.chance);
	happening = most_frequent(&link);
	name_place(f, link.example, place, sizeof(place));
	kl_explain_by(
		ret,
		"Entries of the phones are removed from a MAC table (%s, %s) before they have "
		"aged, and what is sent to or by the phone next is lost. After that the phone "
		"is learnt again.",
		kl_mac_happening_name(happening), place);
	kl_remedy_is(ret, "%s", remedy_of(happening));
	return true;
}
