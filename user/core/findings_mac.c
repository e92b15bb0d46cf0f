// SPDX-License-Identifier: GPL-2.0-only
/* The rule about removals other than by ageing, and what both rules about MAC tables share. */
#include "core/findings_mac.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/duration.h"

enum {
	MOMENTS_ENOUGH = 5, /* removals apart in time: not one that came together with one outage */
	LOOK_BACK_S = 3600, /* an entry that is missing for so long is not missed by phones */
};

/* ---- Losses of which the kernel says that it knew no port for the MAC ---- */

void kl_missing_done(struct kl_missing *d)
{
	kl_removals_done(&d->history);
}

/* What became of the entry of this MAC last, where that was a removal. */
static const struct kl_mac_evidence *removed(const struct kl_missing *d, uint64_t key,
					     uint64_t time_ns)
{
	const struct kl_mac_evidence *m =
		key ? kl_removals_find(&d->history, key,
				       kl_since(time_ns, LOOK_BACK_S * KL_NS_PER_S), time_ns)
		    : NULL;

	return m && m->happening != KL_MAC_LEARNED ? m : NULL;
}

const struct kl_mac_evidence *kl_missing_entry(const struct kl_facts *f, const struct kl_missing *d,
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

bool kl_is_missing(const struct kl_facts *f, const struct kl_missing *d, size_t loss)
{
	const struct kl_mac_evidence *m = kl_missing_entry(f, d, loss);

	return m && (d->happenings >> m->happening & 1);
}

int kl_missing_new(const struct kl_facts *f, unsigned happenings, uint64_t late_ns,
		   struct kl_missing *ret)
{
	ret->happenings = happenings;
	return kl_removals_new(&f->d->evidence, KL_REMOVED | 1 << KL_MAC_LEARNED, late_ns,
			       &ret->history);
}

uint64_t kl_count_missing(const struct kl_facts *f, const struct kl_missing *d)
{
	uint64_t count = 0;

	for (size_t i = 0; d->history.count && i < f->d->lost_count; i++)
		count += kl_is_missing(f, d, i);
	return count;
}

/* A removal of which it is not told why, always after the same silence, is ageing. */
bool kl_is_like_ageing(const struct kl_link *l)
{
	return l->lost_after[KL_MAC_FLUSHED] >= KL_CASES_ENOUGH && l->silent_min_ms &&
	       l->lost_after[KL_MAC_FLUSHED] == l->table.lost_with &&
	       l->silent_max_ms <= l->silent_min_ms + l->silent_min_ms / 5;
}

/* Most losses came after a removal, and most copies after one were lost. */
static bool is_strong(const struct kl_link *l)
{
	uint64_t delivered_with = l->table.delivered_with * l->stride;

	return l->table.lost_with > l->table.lost_without && l->table.lost_with > delivered_with;
}

enum kl_confidence kl_link_confidence(const struct kl_link *l, bool *ret_found)
{
	*ret_found = l->p < KL_PERHAPS && l->chance <= 0.05 && l->table.lost_with >= 4 &&
		     l->moments >= 2;
	if (l->p < KL_SURE && l->chance <= 0.02 && l->table.lost_with >= KL_CASES_ENOUGH &&
	    l->moments >= MOMENTS_ENOUGH && is_strong(l))
		return KL_CONFIDENCE_HIGH;
	return l->p < KL_LIKELY ? KL_CONFIDENCE_MEDIUM : KL_CONFIDENCE_LOW;
}

/* ---- How it is said ---- */

const char *kl_way(uint32_t direction)
{
	return direction == KL_TO_CUCM ? "to the CUCM" : "to the phones";
}

void kl_say_link(const struct kl_link *l, struct kl_finding *ret)
{
	static const char *const names[4] = { "lost_with_flush", "lost_without_flush",
					      "delivered_with_flush", "delivered_without_flush" };
	struct kl_finding_evidence *e = kl_say(
		ret,
		"%" PRIu64 " of %" PRIu64 " lost first copies %s came after a removal from a "
		"MAC table since the phone's last frame, of the delivered ones %" PRIu64
		" of %" PRIu64 " (Fisher's exact test: p = %.2g; odds %.3g)",
		l->table.lost_with, l->table.lost_with + l->table.lost_without,
		kl_way(l->direction), l->table.delivered_with * l->stride,
		(l->table.delivered_with + l->table.delivered_without) * l->stride, l->p, l->odds);

	kl_say_table(e, &l->table, l->stride, names);
	kl_say_figure(e, "fisher_p", l->p);
	kl_say_figure(e, "fisher_p_two_sided", l->p_two_sided);
	kl_say_figure(e, "odds", l->odds);
	kl_say_figure(e, "removals", (double)l->moments);
}

/* Where the entry was: as text, "port Gi0/7 of 10.0.0.2". */
void kl_name_place(const struct kl_mac_evidence *m, const struct kl_ageing_evidence *set, char *ret,
		   size_t size)
{
	if (m && m->port[0] && m->told_by[0])
		snprintf(ret, size, "port %s of %s", m->port, m->told_by);
	else if (m && (m->port[0] || m->told_by[0]))
		snprintf(ret, size, "%s%s", m->port[0] ? "port " : "",
			 m->port[0] ? m->port : m->told_by);
	else if (set && set->told_by[0])
		snprintf(ret, size, "%s", set->told_by);
	else
		snprintf(ret, size,
			 "the switches between the phones and here (MAC table and port "
			 "security)");
}

/* ---- Other removals ---- */

struct flush {
	const struct kl_missing *direct;
	const struct kl_link *link; /* NULL: only what the kernel itself says */
};

static bool is_flushed(const struct kl_facts *f, size_t loss, const void *arg)
{
	const struct flush *u = arg;
	const struct kl_lost *l = &f->d->lost[loss];
	uint64_t from_ns = kl_since(l->time_ns, l->idle_ns);

	if (kl_is_missing(f, u->direct, loss))
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
	__attribute__((cleanup(kl_missing_done))) struct kl_missing direct = {};
	bool found;
	struct flush u = { .direct = &direct };
	enum kl_mac_happening happening;
	struct kl_link link;
	uint64_t cases;
	char place[160];

	/* What ageing explains is not compared once more. */
	if (kl_link_removals(f->d, KL_REMOVED_OTHERWISE, f->ageing_split, &link) ||
	    kl_missing_new(f, KL_REMOVED_OTHERWISE, link.late_ns, &direct))
		return false;
	cases = kl_count_missing(f, &direct);
	ret->confidence = kl_link_confidence(&link, &found);
	if (f->ageing_found && kl_is_like_ageing(&link))
		found = false;
	if (found)
		u.link = &link;
	else if (cases < KL_MISSING_ENOUGH)
		return false;
	if (!found || cases >= KL_CASES_ENOUGH)
		ret->confidence = kl_by_cases(cases);
	ret->fault = true;
	kl_concern(f, is_flushed, &u, ret->confidence >= KL_CONFIDENCE_MEDIUM, ret);
	if (found)
		kl_say_link(&link, ret);
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
	kl_name_place(link.example, NULL, place, sizeof(place));
	kl_explain_by(
		ret,
		"Entries of the phones are removed from a MAC table (%s, %s) before they have "
		"aged, and what is sent to or by the phone next is lost. After that the phone "
		"is learnt again.",
		kl_mac_happening_name(happening), place);
	kl_remedy_is(ret, "%s", remedy_of(happening));
	return true;
}
