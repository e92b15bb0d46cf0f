// SPDX-License-Identifier: GPL-2.0-only
#include "core/arp.h"

#include <errno.h>
#include <string.h>

#include "core/arp_tables.h"

/* The same request again so soon is the same frame, seen at both interfaces. */
#define SAME_FRAME_NS (10 * KL_NS_PER_MS)

bool kl_arp_mac_is_virtual(const uint8_t mac[6])
{
	static const uint8_t vrrp[] = { 0x00, 0x00, 0x5e, 0x00 };
	static const uint8_t hsrp[] = { 0x00, 0x00, 0x0c, 0x07, 0xac };
	static const uint8_t hsrp2[] = { 0x00, 0x00, 0x0c, 0x9f };
	static const uint8_t hsrp6[] = { 0x00, 0x05, 0x73, 0xa0 };
	static const uint8_t glbp[] = { 0x00, 0x07, 0xb4 };

	return (!memcmp(mac, vrrp, sizeof(vrrp)) && (mac[4] == 1 || mac[4] == 2)) ||
	       !memcmp(mac, hsrp, sizeof(hsrp)) ||
	       (!memcmp(mac, hsrp2, sizeof(hsrp2)) && mac[4] >> 4 == 0xf) ||
	       (!memcmp(mac, hsrp6, sizeof(hsrp6)) && mac[4] >> 4 == 0) ||
	       !memcmp(mac, glbp, sizeof(glbp));
}

/* ---- Conflicts ---- */

static void describe(const struct kl_arp_place *p, struct kl_arp_conflict *ret)
{
	int order[KL_ARP_MACS];
	int count = 0;

	*ret = (struct kl_arp_conflict){ .time_ns = p->time_ns,
					 .first_ns = p->first_ns,
					 .requests = p->requests };
	ret->address = kl_address_of((uint8_t)p->key.family, p->key.address);
	for (int i = 0; i < p->count; i++) {
		int at = count;

		if (!p->claimant[i].in_conflict)
			continue;
		for (; at && p->claimant[order[at - 1]].since_ns > p->claimant[i].since_ns; at--)
			order[at] = order[at - 1];
		order[at] = i;
		count++;
	}
	ret->mac_count = (uint8_t)count;
	for (int k = 0; k < count; k++) {
		const struct kl_arp_claimant *c = &p->claimant[order[k]];

		memcpy(ret->mac[k], c->mac, 6);
		ret->answers[k] = c->answers;
		ret->first_answers[k] = c->first_answers;
		if (order[k] == p->first)
			ret->first = (uint8_t)k;
	}
}

static void tell(const struct kl_arp *a, struct kl_arp_place *p)
{
	struct kl_arp_conflict c;

	p->told_ns = p->time_ns;
	p->told_first = p->first;
	if (!a->config.handler)
		return;
	describe(p, &c);
	a->config.handler(&c, a->config.arg);
}

/* Two of them are in conflict. Returns whether that is news. */
static bool join_conflict(struct kl_arp *a, struct kl_arp_place *p, int i, int j)
{
	struct kl_address address = kl_arp_address((uint8_t)p->key.family, p->key.address);
	struct kl_arp_watch *w = kl_arp_find_watch(a, &address);
	bool news = !p->claimant[i].in_conflict || !p->claimant[j].in_conflict;

	p->claimant[i].in_conflict = p->claimant[j].in_conflict = true;
	if (w)
		w->in_conflict = true;
	return news;
}

/* It was shown once more, and `first` answered first this time. */
static void conflict_shown(const struct kl_arp *a, struct kl_arp_place *p, bool news, int first,
			   uint64_t now_ns)
{
	p->time_ns = now_ns;
	if (!p->first_ns)
		p->first_ns = now_ns;
	p->first = first;
	if (news || (first != p->told_first && now_ns > p->told_ns &&
		     now_ns - p->told_ns >= KL_ARP_TELL_NS))
		tell(a, p);
}

/* Both answered the same request. Returns whether they are in conflict. */
static bool note_both(struct kl_arp_place *p, int i, int j, uint64_t now_ns)
{
	bool one_is_virtual = p->claimant[i].is_virtual || p->claimant[j].is_virtual;

	if (now_ns > p->both_ns[i][j] && now_ns - p->both_ns[i][j] > KL_ARP_LONG_AGO_NS)
		p->both[i][j] = 0;
	p->both[j][i] = ++p->both[i][j];
	p->both_ns[j][i] = p->both_ns[i][j] = now_ns;
	return p->both[i][j] >= (one_is_virtual ? KL_ARP_VIRTUAL_REQUESTS : 1U);
}

static bool may_conflict(const struct kl_arp_place *p, int i, int j, uint64_t now_ns)
{
	return !(p->claimant[i].is_virtual && p->claimant[j].is_virtual) && now_ns >= p->grace_ns;
}

/* Claimant i answered a request that others have answered, too. */
static void see_both(struct kl_arp *a, struct kl_arp_place *p, struct kl_arp_pending *q, int i,
		     uint64_t now_ns)
{
	bool shown = false, news = false;

	for (int j = 0; j < p->count; j++) {
		if (j == i || !(q->answered & 1U << j) || !may_conflict(p, i, j, now_ns))
			continue;
		if (!q->counted) {
			q->counted = true;
			p->requests++;
			p->claimant[q->first].first_answers++;
		}
		if (note_both(p, i, j, now_ns)) {
			news |= join_conflict(a, p, i, j);
			shown = true;
		}
	}
	if (shown)
		conflict_shown(a, p, news, q->first, now_ns);
}

/* Claimant i answered: is that to and fro? */
static void see_change(struct kl_arp *a, struct kl_arp_place *p, int i, uint64_t last_ns,
		       uint64_t now_ns)
{
	int other = p->current;

	if (other == i)
		return;
	if (other == KL_ARP_NOBODY || now_ns < p->grace_ns) {
		if (other == KL_ARP_NOBODY)
			p->current = i;
		return;
	}
	if (p->before == i && now_ns - p->before_ns <= KL_ARP_BACK_NS &&
	    !p->claimant[i].is_virtual && !p->claimant[other].is_virtual) {
		bool news = join_conflict(a, p, i, other);

		/* Where both answer the same requests, those say who is first. */
		if (news || !p->requests)
			conflict_shown(a, p, news, i, now_ns);
	}
	p->before = other;
	p->before_ns = last_ns;
	p->current = i;
}

/* ---- What is heard ---- */

int kl_arp_watch_add_server(struct kl_arp *a, const struct kl_address *address)
{
	struct kl_address clean = kl_arp_address(address->family, address->word);

	return kl_arp_add_watch(a, &clean, true);
}

static int hear_request(struct kl_arp *a, const struct kl_arp_place_key *place,
			const struct kl_arp_event *event)
{
	struct kl_arp_pending_key key = kl_arp_pending_key(place, event->to);
	struct kl_arp_pending *q = kl_arp_find_pending(a, &key, event->time_ns);

	if (q && event->time_ns < q->start_ns + SAME_FRAME_NS)
		return 0;
	return kl_arp_open_pending(a, &key, event->time_ns, &q);
}

static int hear_answer(struct kl_arp *a, struct kl_arp_place *p, int i, uint64_t last_ns,
		       const struct kl_arp_event *event)
{
	struct kl_arp_pending_key key = kl_arp_pending_key(&p->key, event->to);
	struct kl_arp_pending *q = kl_arp_find_pending(a, &key, event->time_ns);
	uint64_t now_ns = event->time_ns;

	if (!q || (q->birth && q->birth != p->birth)) {
		int r = kl_arp_open_pending(a, &key, now_ns, &q);

		if (r)
			return r;
	}
	q->birth = p->birth;
	if (q->answered & 1U << i)
		return 0; /* again, or at the other interface */
	p->claimant[i].answers++;
	if (q->first == KL_ARP_NOBODY || now_ns < q->first_ns) {
		if (q->counted) {
			p->claimant[q->first].first_answers--;
			p->claimant[i].first_answers++;
		}
		q->first = i;
		q->first_ns = now_ns;
	}
	see_both(a, p, q, i, now_ns);
	q->answered |= 1U << i;
	see_change(a, p, i, last_ns, now_ns);
	return 0;
}

/*
 * It says that the address is its own now: what came before is no matter any more. Until all have
 * understood, both may answer; but one who takes over again and again is given no such grace.
 */
static void hear_announcement(struct kl_arp_place *p, int i, uint64_t now_ns)
{
	if (p->current != KL_ARP_NOBODY && p->current != i) {
		if (!p->takeover_ns ||
		    (now_ns > p->takeover_ns && now_ns - p->takeover_ns > KL_ARP_BACK_NS))
			p->grace_ns = now_ns + KL_ARP_REQUEST_NS;
		p->takeover_ns = now_ns;
	}
	p->current = i;
	p->before = KL_ARP_NOBODY;
}

static bool is_zero(const uint32_t word[4])
{
	return !(word[0] | word[1] | word[2] | word[3]);
}

static bool is_possible(const uint8_t mac[6])
{
	static const uint8_t none[6], all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return memcmp(mac, none, 6) && memcmp(mac, all, 6);
}

int kl_arp_feed(struct kl_arp *a, const struct kl_arp_event *event)
{
	struct kl_address address = kl_arp_address(event->family, event->address);
	struct kl_arp_place_key key = { .family = event->family, .vlan = event->vlan };
	uint64_t last_ns = 0;
	struct kl_arp_place *p;
	int r, i;

	a->stats.events++;
	if (!is_possible(event->mac) || (event->family != 4 && event->family != 6) ||
	    is_zero(address.word)) {
		a->stats.malformed++;
		return 0;
	}
	if (event->what == KL_ARP_REQUEST && a->config.is_phone &&
	    a->config.is_phone(event->mac, a->config.arg)) {
		r = kl_arp_add_watch(a, &address, false);
		if (r == -ENOMEM)
			return r;
	}
	if (!kl_arp_find_watch(a, &address))
		return 0;
	memcpy(key.address, address.word, sizeof(key.address));
	if (event->what == KL_ARP_REQUEST)
		return hear_request(a, &key, event);
	r = kl_arp_get_place(a, &key, &p);
	if (r || !p)
		return r;
	if (p->current != KL_ARP_NOBODY)
		last_ns = p->claimant[p->current].last_ns;
	i = kl_arp_get_claimant(a, p, event->mac, event->time_ns);
	if (i == KL_ARP_NOBODY)
		return 0;
	/* An answer to nobody is one to a probe. */
	if (event->what == KL_ARP_ANSWER && !is_zero(event->to))
		return hear_answer(a, p, i, last_ns, event);
	hear_announcement(p, i, event->time_ns);
	return 0;
}

void kl_arp_visit(const struct kl_arp *a, kl_arp_handler visit, void *arg)
{
	for (const struct kl_arp_place *p = a->places; p; p = p->hh.next) {
		struct kl_arp_conflict c;

		if (!p->first_ns)
			continue;
		describe(p, &c);
		visit(&c, arg);
	}
}

void kl_arp_read_stats(const struct kl_arp *a, struct kl_arp_stats *ret)
{
	*ret = a->stats;
	ret->watched = HASH_COUNT(a->watches);
	ret->conflicts = 0;
	for (const struct kl_arp_place *p = a->places; p; p = p->hh.next)
		ret->conflicts += p->first_ns != 0;
}
