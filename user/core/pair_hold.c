// SPDX-License-Identifier: GPL-2.0-only
/* pair_internal.h: pools, connections, entries */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <kaloss/flow.h>

#include "core/pair_internal.h"

/* A chunk begins with the pointer to the one before. */
#define CHUNK_HEAD 64

enum {
	CHUNK_ITEMS_MIN = 8,
	CHUNK_ITEMS_MAX = 512
};

/* Who holds little is given little: there may be many of these. */
static size_t chunk_items(const struct kl_pair *p, size_t size)
{
	size_t items = p->pooled_bytes / (4 * size);

	return items < CHUNK_ITEMS_MIN	 ? CHUNK_ITEMS_MIN
	       : items > CHUNK_ITEMS_MAX ? CHUNK_ITEMS_MAX
					 : items;
}

static char *new_chunk(struct kl_pair *p, size_t items, size_t size)
{
	void *chunk = calloc(1, CHUNK_HEAD + items * size);

	if (!chunk)
		return NULL;
	p->pooled_bytes += items * size;
	*(void **)chunk = p->chunks;
	p->chunks = chunk;
	return (char *)chunk + CHUNK_HEAD;
}

#define TAKE(p, free_list, link)                                                                   \
	({                                                                                         \
		__typeof__((p)->free_list) taken = (p)->free_list;                                 \
		if (!taken) {                                                                      \
			size_t items = chunk_items((p), sizeof(*taken));                           \
			taken = (void *)new_chunk((p), items, sizeof(*taken));                     \
			for (size_t i = 0; taken && i < items; i++) {                              \
				taken[i].link = (p)->free_list;                                    \
				(p)->free_list = &taken[i];                                        \
			}                                                                          \
			taken = (p)->free_list;                                                    \
		}                                                                                  \
		if (taken) {                                                                       \
			(p)->free_list = taken->link;                                              \
			memset(taken, 0, sizeof(*taken));                                          \
		}                                                                                  \
		taken;                                                                             \
	})

#define GIVE(p, free_list, link, item)                                                             \
	do {                                                                                       \
		(item)->link = (p)->free_list;                                                     \
		(p)->free_list = (item);                                                           \
	} while (0)

void kl_pair_hold_free(struct kl_pair *p)
{
	for (uint32_t side = 0; side < KL_SIDES; side++)
		HASH_CLEAR(hh, p->half[side].conns);
	HASH_CLEAR(hh, p->entries);
	while (p->chunks) {
		void *chunk = p->chunks;

		p->chunks = *(void **)chunk;
		free(chunk);
	}
}

/* ---- connections ---- */

static unsigned int hash_of(const struct kl_pair *p, const struct kl_endpoints *ends)
{
	return (unsigned int)(kl_endpoints_hash(ends, p->config.seed) >> 13);
}

struct kl_pair_conn *kl_pair_conn_at(const struct kl_pair *p, uint32_t side,
				     const struct kl_endpoints *ends)
{
	struct kl_pair_conn *c;

	HASH_FIND_BYHASHVALUE(hh, p->half[side].conns, ends, sizeof(*ends), hash_of(p, ends), c);
	return c;
}

static void lru_remove(struct kl_pair_half *h, struct kl_pair_conn *c)
{
	if (c->lru_prev)
		c->lru_prev->lru_next = c->lru_next;
	else
		h->lru_first = c->lru_next;
	if (c->lru_next)
		c->lru_next->lru_prev = c->lru_prev;
	else
		h->lru_last = c->lru_prev;
	c->lru_prev = c->lru_next = NULL;
}

static void lru_append(struct kl_pair_half *h, struct kl_pair_conn *c)
{
	c->lru_prev = h->lru_last;
	if (h->lru_last)
		h->lru_last->lru_next = c;
	else
		h->lru_first = c;
	h->lru_last = c;
}

void kl_pair_conn_touch(struct kl_pair *p, struct kl_pair_conn *c)
{
	struct kl_pair_half *h = &p->half[c->side];

	if (h->lru_last == c)
		return;
	lru_remove(h, c);
	lru_append(h, c);
}

static uint32_t why_alone(struct kl_pair *p, const struct kl_pair_conn *c)
{
	if (!p->track.known)
		return KL_PAIR_NO_CLOCK;
	return kl_pair_conn_at(p, c->side ^ 1, &c->ends) ? KL_PAIR_REWRITTEN : KL_PAIR_NO_PARTNER;
}

/* Nothing of it is held. */
void kl_pair_conn_drop(struct kl_pair *p, struct kl_pair_conn *c)
{
	struct kl_pair_half *h = &p->half[c->side];

	if (!c->partner && c->how == KL_PAIR_ALONE) {
		p->stats.alone[why_alone(p, c)]++;
		p->alone--;
	}
	if (c->partner)
		c->partner->partner = NULL;
	lru_remove(h, c);
	if (c->newer)
		c->newer->older = c->older;
	if (c->older)
		c->older->newer = c->newer;
	if (!c->newer) {
		HASH_DEL(h->conns, c);
		if (c->older)
			HASH_ADD_BYHASHVALUE(hh, h->conns, ends, sizeof(c->ends),
					     hash_of(p, &c->ends), c->older);
	}
	c->id = 0;
	p->conns--;
	GIVE(p, free_conns, next_free, c);
}

/* Room for one more: the connection that rested longest goes. */
static bool make_room(struct kl_pair *p, uint32_t side)
{
	for (uint32_t i = 0; i < KL_SIDES; i++, side ^= 1) {
		uint32_t tries = 0;

		for (struct kl_pair_conn *c = p->half[side].lru_first; c && tries < 64;
		     c = c->lru_next, tries++) {
			if (c->head || (c->partner && c->partner->head))
				continue;
			p->stats.forgotten++;
			kl_pair_conn_drop(p, c);
			return true;
		}
	}
	return false;
}

static struct kl_pair_conn *new_conn(struct kl_pair *p, const struct kl_sighted *s)
{
	struct kl_pair_half *h = &p->half[s->side];
	struct kl_pair_conn *c = NULL, *older;

	if (p->conns < p->config.max_conns || make_room(p, s->side))
		c = TAKE(p, free_conns, next_free);
	if (!c)
		return NULL;
	older = kl_pair_conn_at(p, s->side, &s->ends);
	c->ends = s->ends;
	c->side = s->side;
	c->id = ++p->next_id;
	if (older) {
		HASH_DEL(h->conns, older);
		c->older = older;
		older->newer = c;
	}
	HASH_ADD_BYHASHVALUE(hh, h->conns, ends, sizeof(c->ends), hash_of(p, &c->ends), c);
	lru_append(h, c);
	p->conns++;
	p->alone++;
	p->stats.conns[s->side]++;
	return c;
}

/* Numbers far from those before are of a new connection whose start was not seen. */
static bool is_another(const struct kl_pair_conn *c, const struct kl_sighted *s)
{
	const struct kl_pair_way *w = &c->way[s->direction];

	if (s->flags & KL_RST)
		return false;
	if ((s->flags & KL_SYN) && w->has_isn)
		return w->isn != s->seq;
	/* Nothing comes before a SYN in its direction. */
	if ((s->flags & (KL_SYN | KL_ACK)) == KL_SYN)
		return w->has_last;
	return w->has_last && s->seq - w->last + KL_PAIR_SPAN / 8 > KL_PAIR_SPAN / 4;
}

/* The connection that it belongs to: a SYN with another number starts a new one. NULL: no room. */
struct kl_pair_conn *kl_pair_conn_of(struct kl_pair *p, const struct kl_sighted *s)
{
	struct kl_pair_conn *c = kl_pair_conn_at(p, s->side, &s->ends);
	struct kl_pair_way *w;
	uint32_t tries = 0;

	/* What is late of the connection before is not of a third one. */
	while (c && is_another(c, s) && tries++ < KL_PAIR_INCARNATIONS)
		c = c->older;
	if (!c || is_another(c, s)) {
		c = new_conn(p, s);
		if (!c)
			return NULL;
	}
	kl_pair_conn_touch(p, c);
	w = &c->way[s->direction];
	if (!(s->flags & KL_RST)) {
		w->last = s->seq;
		w->has_last = true;
	}
	if (!(s->flags & KL_SYN))
		return c;
	w->isn = s->seq;
	w->has_isn = true;
	return c;
}

/* ---- nodes and entries ---- */

struct kl_pair_node *kl_pair_node_new(struct kl_pair *p)
{
	struct kl_pair_node *n = TAKE(p, free_nodes, next);

	if (!n)
		return NULL;
	p->stats.held++;
	if (p->stats.held > p->stats.held_most)
		p->stats.held_most = p->stats.held;
	return n;
}

static unsigned int key_hash(const struct kl_pair *p, const struct kl_pair_key *k)
{
	uint64_t h = kl_mix(p->config.seed ^ k->home, (uint64_t)k->seq << 32 | k->ack);

	return (unsigned int)(kl_mix(h, (uint64_t)k->len << 32 | k->what) >> 13);
}

/* False: what the numbers are at the access side is not known. */
static bool key_of(const struct kl_pair_conn *home, const struct kl_pair_node *n,
		   struct kl_pair_key *ret)
{
	uint32_t d = n->direction;
	bool shifted = n->side == KL_CUCM && home->side == KL_ACCESS;
	bool has_ack = !n->payload_len && (n->flags & KL_ACK) && !(n->flags & KL_RST);

	*ret = (struct kl_pair_key){
		.home = home->id,
		.seq = n->seq,
		.ack = has_ack ? n->ack : 0,
		.len = n->payload_len,
		.what = d << 8 | (n->flags & (KL_SYN | KL_FIN | KL_RST)),
	};
	/* Until the shifts are known only the access side's own numbers mean anything. */
	if (!shifted)
		return true;
	if (!home->shift_known[d] || (has_ack && !home->shift_known[d ^ 1]))
		return false;
	ret->seq -= home->shift[d];
	if (has_ack)
		ret->ack -= home->shift[d ^ 1];
	return true;
}

static struct kl_pair_entry *find(struct kl_pair *p, const struct kl_pair_key *k, unsigned int hash)
{
	struct kl_pair_entry *e;

	HASH_FIND_BYHASHVALUE(hh, p->entries, k, sizeof(*k), hash, e);
	return e;
}

/* The entry that n would have if its connection were that of home, with the same numbers. */
struct kl_pair_entry *kl_pair_find(struct kl_pair *p, struct kl_pair_conn *home,
				   const struct kl_pair_node *n)
{
	struct kl_pair_key k;
	struct kl_pair_node plain = *n;

	plain.side = home->side;
	if (!key_of(home, &plain, &k))
		return NULL;
	return find(p, &k, key_hash(p, &k));
}

int kl_pair_attach(struct kl_pair *p, struct kl_pair_node *n)
{
	struct kl_pair_entry *e;
	struct kl_pair_key k;
	unsigned int hash;
	uint32_t side = n->side;

	n->entry = NULL;
	n->next_copy = NULL;
	if (!key_of(kl_pair_home(n->conn), n, &k))
		return 0;
	hash = key_hash(p, &k);
	e = find(p, &k, hash);
	if (!e) {
		e = TAKE(p, free_entries, next_free);
		if (!e)
			return -ENOMEM;
		e->key = k;
		HASH_ADD_BYHASHVALUE(hh, p->entries, key, sizeof(k), hash, e);
	}
	n->entry = e;
	e->dirty = true;
	if (e->tail[side])
		e->tail[side]->next_copy = n;
	else
		e->head[side] = n;
	e->tail[side] = n;
	if (n->duplicate)
		return 0;
	e->held[side]++;
	if (e->copies[side] < UINT16_MAX)
		e->copies[side]++;
	if (n->copy < e->copies[side])
		n->copy = e->copies[side];
	if (!p->track.known && e->held[side] == 1 && e->held[side ^ 1])
		p->both++;
	return 0;
}

/* Within moments, with the same stamp: the same packet, or not to be told from it. */
void kl_pair_mark_duplicate(struct kl_pair_node *n)
{
	const uint64_t moment_ns = 5 * KL_NS_PER_MS;

	if (!n->entry)
		return;
	for (const struct kl_pair_node *c = n->entry->head[n->side]; c && c != n;
	     c = c->next_copy) {
		if (c->stamp != n->stamp || n->time_ns > c->time_ns + moment_ns ||
		    c->time_ns > n->time_ns + moment_ns)
			continue;
		n->duplicate = true;
		n->copy = 0;
		n->entry->held[n->side]--;
		n->entry->copies[n->side]--;
		return;
	}
}

static void detach(struct kl_pair *p, struct kl_pair_node *n)
{
	struct kl_pair_entry *e = n->entry;
	struct kl_pair_node **link, *before = NULL;

	if (!e)
		return;
	for (link = &e->head[n->side]; *link != n; link = &(*link)->next_copy)
		before = *link;
	*link = n->next_copy;
	if (e->tail[n->side] == n)
		e->tail[n->side] = before;
	if (!n->duplicate)
		e->held[n->side]--;
	n->entry = NULL;
	n->next_copy = NULL;
	if (e->head[0] || e->head[1])
		return;
	HASH_DEL(p->entries, e);
	GIVE(p, free_entries, next_free, e);
}

int kl_pair_reattach(struct kl_pair *p, struct kl_pair_conn *c)
{
	for (struct kl_pair_node *n = c->head; n; n = n->next_of_conn) {
		int r;

		detach(p, n);
		r = kl_pair_attach(p, n);
		if (r)
			return r;
	}
	return 0;
}

static void note_release(struct kl_pair_conn *c, const struct kl_pair_node *n)
{
	struct kl_pair_way *w = &c->way[n->direction], *back = &c->way[n->direction ^ 1];
	uint32_t end = n->seq + kl_seq_len(n->payload_len, n->flags);

	if (n->flags & KL_RST)
		return;
	if (!w->has_end || kl_seq_before(w->end, end))
		w->end = end;
	w->has_end = true;
	if (!(n->flags & KL_ACK))
		return;
	if (!back->has_acked || kl_seq_before(back->acked, n->ack))
		back->acked = n->ack;
	back->has_acked = true;
}

void kl_pair_node_release(struct kl_pair *p, struct kl_pair_node *n)
{
	struct kl_pair_half *h = &p->half[n->side];
	struct kl_pair_conn *c = n->conn;

	if (n->mate)
		n->mate->mate = NULL;
	if (n->entry && !n->paired && !n->duplicate && !kl_is_near(n->side, n->direction))
		n->entry->stray = true;
	detach(p, n);
	note_release(c, n);
	c->way[n->direction].held--;
	c->head = n->next_of_conn;
	if (!c->head)
		c->tail = NULL;
	h->head = n->next;
	if (!h->head)
		h->tail = NULL;
	if (h->cursor == n)
		h->cursor = n->next;
	p->stats.held--;
	GIVE(p, free_nodes, next, n);
	/* An older connection of the same addresses goes as soon as nothing of it is held. */
	if (!c->head && c->newer && (!c->partner || !c->partner->head))
		kl_pair_conn_drop(p, c);
}
