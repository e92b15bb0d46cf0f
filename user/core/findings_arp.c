// SPDX-License-Identifier: GPL-2.0-only
/* The rule about addresses that two answer for: proxy ARP, or an address given twice. */
#include "core/findings_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "util/cleanup.h"

/* Losses that go with one of the MACs so by chance explain nothing. */
#define LIKELY 1e-3
/* Where it is known that two answer, less is needed. */
#define LIKELY_KNOWN 1e-2

enum {
	FOLLOWERS_MIN = 2, /* claimants that phones follow, before their losses are compared */
};

/* Who follows which of the claimants, and how they fare. */
struct following {
	const struct kl_facts *facts;
	const struct kl_arp_conflict *conflict;
	uint64_t sessions[KL_ARP_MACS];
	uint64_t lost[KL_ARP_MACS], delivered[KL_ARP_MACS];
	uint64_t *phone; /* keys of those that follow `of` */
	size_t phones;
	int of; /* -1: none is wanted */
	bool is_server;
};

static int claimant_of(const struct kl_arp_conflict *c, const uint8_t mac[6])
{
	for (int i = 0; i < c->mac_count && i < KL_ARP_MACS; i++) {
		if (!memcmp(c->mac[i], mac, 6))
			return i;
	}
	return -1;
}

static void follow(const struct kl_session *s, void *arg)
{
	struct following *w = arg;
	struct kl_address server = kl_address_of(s->ends.family, s->ends.cucm);
	int who = claimant_of(w->conflict, s->next_mac);

	w->is_server |= kl_address_equal(&server, &w->conflict->address);
	if (who < 0)
		return;
	w->sessions[who]++;
	if (w->phone && who == w->of)
		w->phone[w->phones++] = kl_phone_key(&s->ends);
}

/* Copies to the server, of those who follow each of them. */
static void compare(struct following *w)
{
	const struct kl_diagnosis *d = w->facts->d;

	for (size_t i = 0; i < d->observed_count; i++) {
		const struct kl_observed *o = &d->observed[i];
		const struct kl_session *s;
		int who;

		if (o->direction != KL_TO_CUCM || o->where == KL_PHONE_SIDE ||
		    o->where == KL_WHERE_UNKNOWN)
			continue;
		s = kl_sessions_find(d->sessions, o->session);
		who = s ? claimant_of(w->conflict, s->next_mac) : -1;
		if (who >= 0)
			*(o->lost ? &w->lost[who] : &w->delivered[who]) += 1;
	}
}

static double share_lost(const struct following *w, int who)
{
	uint64_t all = w->lost[who] + w->delivered[who];

	return all ? (double)w->lost[who] / (double)all : 0;
}

/* The one whose followers lose most; where none does, the one that answers first most often. */
static int find_worst(const struct following *w)
{
	const struct kl_arp_conflict *c = w->conflict;
	int worst = 0, first = 0;

	for (int i = 1; i < c->mac_count && i < KL_ARP_MACS; i++) {
		if (share_lost(w, i) > share_lost(w, worst))
			worst = i;
		if (c->first_answers[i] > c->first_answers[first])
			first = i;
	}
	return share_lost(w, worst) > 0 ? worst : first;
}

/* Do its followers lose more than the others' by more than chance? */
static double chance_of(const struct following *w, int who)
{
	struct kl_fourfold t = {};

	for (int i = 0; i < KL_ARP_MACS; i++) {
		*(i == who ? &t.lost_with : &t.lost_without) += w->lost[i];
		*(i == who ? &t.delivered_with : &t.delivered_without) += w->delivered[i];
	}
	return t.lost_without + t.delivered_without ? fmin(1, 2 * kl_fisher_greater(&t)) : 1;
}

struct blamed {
	const struct following *w;
	int who;
};

static bool is_followers(const struct kl_facts *f, size_t loss, const void *arg)
{
	const struct blamed *b = arg;
	const struct kl_lost *l = &f->d->lost[loss];
	const struct kl_session *s = kl_sessions_find(f->d->sessions, l->conn_id);

	return s && l->direction == KL_TO_CUCM && l->where != KL_PHONE_SIDE &&
	       claimant_of(b->w->conflict, s->next_mac) == b->who;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t count_followers(struct following *w, int who)
{
	const struct kl_sessions *sessions = w->facts->d->sessions;
	_cleanup_free_ uint64_t *phone = calloc(kl_sessions_count(sessions) ?: 1, sizeof(*phone));
	struct following again = {
		.facts = w->facts, .conflict = w->conflict, .phone = phone, .of = who
	};
	uint64_t count = 0;

	kl_sessions_visit(sessions, follow, &again);
	if (again.phones)
		qsort(phone, again.phones, sizeof(*phone), by_number);
	for (size_t i = 0; i < again.phones; i++)
		count += !i || phone[i] != phone[i - 1];
	return count;
}

/* The conflict that concerns most: of a server, with the most requests. NULL: none concerns phones. */
static const struct kl_arp_conflict *find_conflict(const struct kl_facts *f, struct following *ret)
{
	const struct kl_evidence *e = &f->d->evidence;
	const struct kl_arp_conflict *best = NULL;

	for (size_t i = 0; i < e->arp.count; i++) {
		const struct kl_arp_conflict *c = &e->arp.item[i];
		struct following w = { .facts = f, .conflict = c, .of = -1 };
		uint64_t followed = 0;

		kl_sessions_visit(f->d->sessions, follow, &w);
		for (int k = 0; k < KL_ARP_MACS; k++)
			followed += w.sessions[k];
		if (c->mac_count < 2 || (!followed && !w.is_server) ||
		    (best && (ret->is_server > w.is_server ||
			      (ret->is_server == w.is_server && best->requests >= c->requests))))
			continue;
		best = c;
		*ret = w;
	}
	return best;
}

bool kl_rule_proxy_arp(struct kl_facts *f, struct kl_finding *ret)
{
	struct following w;
	const struct kl_arp_conflict *c = find_conflict(f, &w);
	char address[KL_ADDRESS_TEXT], mac[KL_ARP_MACS][KL_MAC_TEXT] = {};
	uint64_t followed_by = 0, followers;
	struct kl_finding_evidence *e;
	struct blamed blamed;
	double p, enough;
	int who;

	if (!c)
		return false;
	compare(&w);
	who = find_worst(&w);
	p = chance_of(&w, who);
	enough = c->requests >= KL_CASES_ENOUGH ? LIKELY_KNOWN : LIKELY;
	followers = count_followers(&w, who);
	for (int i = 0; i < c->mac_count && i < KL_ARP_MACS; i++) {
		kl_format_mac(c->mac[i], mac[i]);
		followed_by += w.sessions[i] > 0;
	}
	kl_format_address(c->address.family, c->address.word, address);
	blamed = (struct blamed){ &w, who };
	kl_concern(f, is_followers, &blamed, p < enough, ret);
	ret->fault = true;
	ret->phones = followers;
	ret->confidence = c->requests >= KL_CASES_ENOUGH ||
					  (p < LIKELY && w.lost[who] >= KL_CASES_ENOUGH)
				  ? KL_CONFIDENCE_HIGH
			  : c->requests >= 3 ? KL_CONFIDENCE_MEDIUM
					     : KL_CONFIDENCE_LOW;
	if (p >= enough)
		ret->losses = ret->own_losses = 0;
	for (int i = 0; i < c->mac_count && i < KL_ARP_MACS; i++) {
		e = kl_say(ret,
			   "%s answered %u times for %s, and was the first to answer %u of %u "
			   "requests that more than one answered; %" PRIu64 " sessions of phones "
			   "follow it",
			   mac[i], c->answers[i], address, c->first_answers[i], c->requests,
			   w.sessions[i]);
		kl_say_figure(e, "answers", c->answers[i]);
		kl_say_figure(e, "first_answers", c->first_answers[i]);
		kl_say_figure(e, "requests", c->requests);
		kl_say_figure(e, "followers", (double)w.sessions[i]);
	}
	if (followed_by >= FOLLOWERS_MIN) {
		uint64_t others_lost = 0, others = 0;

		for (int i = 0; i < KL_ARP_MACS; i++) {
			others_lost += i == who ? 0 : w.lost[i];
			others += i == who ? 0 : w.lost[i] + w.delivered[i];
		}
		e = (p < enough ? kl_say : kl_say_against)(
			ret,
			"of %" PRIu64 " copies that went to %s %" PRIu64
			" were lost after here, of "
			"%" PRIu64 " that went elsewhere %" PRIu64 " (chance: p = %.2g)",
			w.lost[who] + w.delivered[who], mac[who], w.lost[who], others, others_lost,
			p);
		kl_say_figure(e, "fisher_p", p);
	}
	kl_explain_by(
		ret,
		"%s is claimed by more than one MAC: %s and %s. %s answered first in %u of %u "
		"cases, and %" PRIu64 " phones send to it. One of them is not the owner of the "
		"address, but answers ARP in its place (proxy ARP), and what it is sent goes "
		"the wrong way.",
		address, mac[0], mac[1], mac[who], c->first_answers[who], c->requests, followers);
	kl_remedy_is(
		ret,
		"See which of %s and %s is not that of %s (probably %s), and turn proxy ARP off "
		"there: no ip proxy-arp on the router's interface, sysopt noproxyarp INTERFACE "
		"on a firewall, net.ipv4.conf.IF.proxy_arp = 0. If it is a host, the address is "
		"given twice.",
		mac[0], mac[1], address, mac[who]);
	return true;
}
