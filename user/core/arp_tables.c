// SPDX-License-Identifier: GPL-2.0-only
#include "core/arp_tables.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
	PLACES = 2 * KL_ARP_ADDRESSES, /* an address may be in several VLANs */
	EVICT_STEPS = 64,
	/* An address as a key: what pads it is not looked at. */
	ADDRESS_KEY = offsetof(struct kl_address, family) + 1,
};

int kl_arp_new(const struct kl_arp_config *config, struct kl_arp **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	(*ret)->config = *config;
	return 0;
}

void kl_arp_free(struct kl_arp *a)
{
	struct kl_arp_watch *w, *next_watch;
	struct kl_arp_place *p, *next_place;
	struct kl_arp_pending *q, *next_pending;

	if (!a)
		return;
	HASH_ITER(hh, a->watches, w, next_watch)
	{
		HASH_DEL(a->watches, w);
		free(w);
	}
	HASH_ITER(hh, a->places, p, next_place)
	{
		HASH_DEL(a->places, p);
		free(p);
	}
	HASH_ITER(hh, a->pending, q, next_pending)
	{
		HASH_DEL(a->pending, q);
		free(q);
	}
	free(a);
}

/* Some callers leave more than the first word of an IPv4 address undefined. */
struct kl_address kl_arp_address(uint8_t family, const uint32_t word[4])
{
	struct kl_address ret;

	memset(&ret, 0, sizeof(ret));
	ret.family = family;
	memcpy(ret.word, word, family == 4 ? sizeof(word[0]) : sizeof(ret.word));
	return ret;
}

/* ---- What is watched ---- */

struct kl_arp_watch *kl_arp_find_watch(struct kl_arp *a, const struct kl_address *address)
{
	struct kl_arp_watch *w;

	HASH_FIND(hh, a->watches, address, ADDRESS_KEY, w);
	return w;
}

/* The table is in the order in which addresses were asked for. */
static void touch_watch(struct kl_arp *a, struct kl_arp_watch *w)
{
	HASH_DEL(a->watches, w);
	HASH_ADD(hh, a->watches, address, ADDRESS_KEY, w);
}

/* Makes room for one. Those that must stay go to the end, so that the next search is short. */
static bool evict_watch(struct kl_arp *a)
{
	for (int i = 0; i < EVICT_STEPS; i++) {
		struct kl_arp_watch *w = a->watches;

		a->stats.unlisted += i == 0;
		if (!w->server && !w->in_conflict) {
			HASH_DEL(a->watches, w);
			free(w);
			return true;
		}
		touch_watch(a, w);
	}
	return false;
}

int kl_arp_add_watch(struct kl_arp *a, const struct kl_address *address, bool server)
{
	struct kl_arp_watch *w = kl_arp_find_watch(a, address);

	if (w) {
		w->server |= server;
		touch_watch(a, w);
		return 0;
	}
	if (HASH_COUNT(a->watches) >= KL_ARP_ADDRESSES && !evict_watch(a))
		return -ENOSPC;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->address = *address;
	w->server = server;
	HASH_ADD(hh, a->watches, address, ADDRESS_KEY, w);
	return 0;
}

/* ---- Addresses in VLANs, and who claims them ---- */

static struct kl_arp_place *find_place(struct kl_arp *a, const struct kl_arp_place_key *key)
{
	struct kl_arp_place *p;

	HASH_FIND(hh, a->places, key, sizeof(*key), p);
	return p;
}

static bool evict_place(struct kl_arp *a)
{
	for (int i = 0; i < EVICT_STEPS; i++) {
		struct kl_arp_place *p = a->places;

		HASH_DEL(a->places, p);
		if (!p->first_ns) {
			free(p);
			return true;
		}
		HASH_ADD(hh, a->places, key, sizeof(p->key), p);
	}
	return false;
}

/* NULL and 0: there is no room for it. */
int kl_arp_get_place(struct kl_arp *a, const struct kl_arp_place_key *key,
		     struct kl_arp_place **ret)
{
	struct kl_arp_place *p = find_place(a, key);

	*ret = p;
	if (p)
		return 0;
	if (HASH_COUNT(a->places) >= PLACES && !evict_place(a)) {
		a->stats.unlisted++;
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->key = *key;
	p->birth = ++a->births;
	p->current = p->before = p->first = p->told_first = KL_ARP_NOBODY;
	HASH_ADD(hh, a->places, key, sizeof(p->key), p);
	*ret = p;
	return 0;
}

static void forget_claimant(struct kl_arp_place *p, int index)
{
	for (int j = 0; j < KL_ARP_MACS; j++)
		p->both[index][j] = p->both[j][index] = 0;
	if (p->current == index)
		p->current = KL_ARP_NOBODY;
	if (p->before == index)
		p->before = KL_ARP_NOBODY;
}

/* Its index, or KL_ARP_NOBODY where there is no room. */
int kl_arp_get_claimant(struct kl_arp *a, struct kl_arp_place *p, const uint8_t mac[6],
			uint64_t now_ns)
{
	int index = KL_ARP_NOBODY;

	for (int i = 0; i < p->count; i++) {
		if (!memcmp(p->claimant[i].mac, mac, 6)) {
			p->claimant[i].last_ns = now_ns;
			return i;
		}
	}
	if (p->count < KL_ARP_MACS)
		index = p->count++;
	for (int i = 0; index == KL_ARP_NOBODY && i < p->count; i++) {
		const struct kl_arp_claimant *c = &p->claimant[i];

		if (!c->in_conflict && now_ns > c->last_ns &&
		    now_ns - c->last_ns > KL_ARP_LONG_AGO_NS)
			index = i;
	}
	if (index == KL_ARP_NOBODY) {
		a->stats.unlisted++;
		return KL_ARP_NOBODY;
	}
	forget_claimant(p, index);
	p->claimant[index] = (struct kl_arp_claimant){ .since_ns = now_ns,
						       .last_ns = now_ns,
						       .is_virtual = kl_arp_mac_is_virtual(mac) };
	memcpy(p->claimant[index].mac, mac, 6);
	return index;
}

/* ---- Requests ---- */

struct kl_arp_pending_key kl_arp_pending_key(const struct kl_arp_place_key *place,
					     const uint32_t asker[4])
{
	struct kl_arp_pending_key ret = { .place = *place };

	memcpy(ret.asker, asker, place->family == 4 ? sizeof(asker[0]) : sizeof(ret.asker));
	return ret;
}

static bool is_over(const struct kl_arp_pending *q, uint64_t now_ns)
{
	return now_ns > q->start_ns && now_ns - q->start_ns > KL_ARP_REQUEST_NS;
}

/* The table is in the order of the requests, so the first ones are over. */
int kl_arp_open_pending(struct kl_arp *a, const struct kl_arp_pending_key *key, uint64_t now_ns,
			struct kl_arp_pending **ret)
{
	struct kl_arp_pending *q = a->pending;

	while (q && (is_over(q, now_ns) || HASH_COUNT(a->pending) >= KL_ARP_PENDING)) {
		HASH_DEL(a->pending, q);
		free(q);
		q = a->pending;
	}
	HASH_FIND(hh, a->pending, key, sizeof(*key), q);
	if (q)
		HASH_DEL(a->pending, q);
	else
		q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	*q = (struct kl_arp_pending){ .key = *key, .start_ns = now_ns, .first = KL_ARP_NOBODY };
	HASH_ADD(hh, a->pending, key, sizeof(q->key), q);
	*ret = q;
	return 0;
}

struct kl_arp_pending *kl_arp_find_pending(struct kl_arp *a, const struct kl_arp_pending_key *key,
					   uint64_t now_ns)
{
	struct kl_arp_pending *q;

	HASH_FIND(hh, a->pending, key, sizeof(*key), q);
	return q && !is_over(q, now_ns) ? q : NULL;
}
