// SPDX-License-Identifier: GPL-2.0-only
#include "core/session_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/session_rest.h"
#include "core/session_state.h"

enum {
	PLACES_MIN = 64,
	INDEX_MIN = 128,
};

/* ---- Chains ---- */

void kl_chain_append(struct kl_table *t, struct kl_chain *c, enum kl_thread thread, uint32_t place)
{
	t->place[place].link[thread].before = c->last;
	t->place[place].link[thread].after = 0;
	if (c->last)
		t->place[c->last].link[thread].after = place;
	else
		c->first = place;
	c->last = place;
}

void kl_chain_remove(struct kl_table *t, struct kl_chain *c, enum kl_thread thread, uint32_t place)
{
	uint32_t before = t->place[place].link[thread].before;
	uint32_t after = t->place[place].link[thread].after;

	if (before)
		t->place[before].link[thread].after = after;
	else
		c->first = after;
	if (after)
		t->place[after].link[thread].before = before;
	else
		c->last = before;
}

/* ---- The index: open addressing, without marks of what was removed ---- */

static uint32_t bucket_of(const struct kl_table *t, uint64_t id)
{
	return (uint32_t)kl_mix(0, id) & (t->index_size - 1);
}

/* Where it is, or would be. */
static uint32_t probe(const struct kl_table *t, uint64_t id)
{
	uint32_t i = bucket_of(t, id);

	while (t->index[i] && t->place[t->index[i]].id != id)
		i = (i + 1) & (t->index_size - 1);
	return i;
}

uint32_t kl_table_find(const struct kl_table *t, uint64_t id)
{
	return t->index[probe(t, id)];
}

static int grow_index(struct kl_table *t)
{
	uint32_t *before = t->index, size = 2 * t->index_size;
	uint32_t *index = calloc(size, sizeof(*index));

	if (!index)
		return -ENOMEM;
	t->index = index;
	t->index_size = size;
	for (uint32_t i = 0; i < size / 2; i++) {
		if (before[i])
			index[probe(t, t->place[before[i]].id)] = before[i];
	}
	free(before);
	return 0;
}

/* What stands behind it moves up, as far as it may. */
static void take_out(struct kl_table *t, uint64_t id)
{
	uint32_t mask = t->index_size - 1, hole = probe(t, id);

	for (uint32_t i = (hole + 1) & mask; t->index[i]; i = (i + 1) & mask) {
		uint32_t from_home = (i - bucket_of(t, t->place[t->index[i]].id)) & mask;

		if (from_home < ((i - hole) & mask))
			continue;
		t->index[hole] = t->index[i];
		hole = i;
	}
	t->index[hole] = 0;
}

/* ---- Awake and at rest ---- */

static struct kl_node *take_node(struct kl_table *t)
{
	struct kl_node *n = t->spare;

	t->spare = NULL;
	return n ? n : malloc(sizeof(*n));
}

static void give_node(struct kl_table *t, struct kl_node *n)
{
	if (t->spare)
		free(n);
	else
		t->spare = n;
}

/* Makes room in the ring. Without memory for its record the longest awake one stays as it is. */
static void rest_one(struct kl_table *t)
{
	uint32_t place = t->awake[t->awake_at];
	struct kl_place *p = &t->place[place];
	struct kl_node *n = p->node;
	void *rest;

	if (!place)
		return;
	t->awake[t->awake_at] = 0;
	rest = kl_rest_pack(n, n->rest);
	n->pinned = !rest;
	if (!rest)
		return;
	p->rest = rest;
	p->awake = 0;
	give_node(t, n);
}

static void enter_ring(struct kl_table *t, uint32_t place)
{
	rest_one(t);
	t->place[place].node->pinned = false;
	t->awake[t->awake_at] = place;
	t->awake_at = (t->awake_at + 1) % t->awake_max;
}

static void leave_ring(struct kl_table *t, uint32_t place)
{
	for (uint32_t i = 0; i < t->awake_max; i++) {
		if (t->awake[i] == place)
			t->awake[i] = 0;
	}
}

struct kl_node *kl_table_wake(struct kl_table *t, uint32_t place)
{
	struct kl_place *p = &t->place[place];
	struct kl_node *n;

	if (p->awake && !p->node->pinned)
		return p->node;
	if (!p->awake) {
		kl_rest_fetch(p->rest);
		rest_one(t);
		n = take_node(t);
		if (!n)
			return NULL;
		kl_rest_unpack(p->rest, n);
		n->session.id = p->id;
		n->place = place;
		n->rest = p->rest;
		p->node = n;
		p->awake = 1;
	}
	enter_ring(t, place);
	return p->node;
}

struct kl_node *kl_table_pin(struct kl_table *t, uint32_t place)
{
	struct kl_place *p = &t->place[place];
	struct kl_node *n;

	if (p->awake && p->node->pinned)
		return p->node;
	n = kl_table_wake(t, place);
	if (n && !n->pinned) {
		leave_ring(t, place);
		n->pinned = true;
	}
	return n;
}

const struct kl_node *kl_table_look(const struct kl_table *t, uint32_t place,
				    struct kl_node *scratch)
{
	const struct kl_place *p = &t->place[place];

	if (p->awake)
		return p->node;
	kl_rest_unpack(p->rest, scratch);
	scratch->session.id = p->id;
	scratch->place = place;
	return scratch;
}

/* ---- The places ---- */

int kl_table_new(uint32_t awake, struct kl_table **ret)
{
	struct kl_table *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->places = PLACES_MIN;
	t->used = 1;
	t->index_size = INDEX_MIN;
	t->awake_max = awake;
	t->place = calloc(t->places, sizeof(*t->place));
	t->index = calloc(t->index_size, sizeof(*t->index));
	t->awake = calloc(t->awake_max, sizeof(*t->awake));
	if (!t->place || !t->index || !t->awake) {
		kl_table_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

static void free_node(struct kl_node *n)
{
	free(n->rest);
	free(n);
}

void kl_table_free(struct kl_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 1; t->place && i < t->used; i++) {
		if (t->place[i].awake)
			free_node(t->place[i].node);
		else
			free(t->place[i].rest);
	}
	free(t->spare);
	free(t->awake);
	free(t->index);
	free(t->place);
	free(t);
}

/* realloc() of what is that large copies nothing, and what is not used yet takes no memory. */
static uint32_t take_place(struct kl_table *t)
{
	uint32_t place = t->free;

	if (place) {
		t->free = t->place[place].link[KL_BY_WAKE].after;
		return place;
	}
	if (t->used == t->places) {
		struct kl_place *grown;

		if (t->places > UINT32_MAX / 2)
			return 0;
		grown = realloc(t->place, 2 * t->places * sizeof(*grown));
		if (!grown)
			return 0;
		t->place = grown;
		t->places *= 2;
	}
	return t->used++;
}

static void give_place(struct kl_table *t, uint32_t place)
{
	t->place[place] = (struct kl_place){ .link[KL_BY_WAKE].after = t->free };
	t->free = place;
}

struct kl_node *kl_table_add(struct kl_table *t, uint64_t id)
{
	struct kl_node *n;
	uint32_t place;

	/* (At most four of five are in use.) */
	if (5ULL * (t->count + 1) > 4ULL * t->index_size && grow_index(t))
		return NULL;
	rest_one(t);
	n = take_node(t);
	place = n ? take_place(t) : 0;
	if (!place) {
		free(n);
		return NULL;
	}
	memset(n, 0, sizeof(*n));
	n->session.id = id;
	n->place = place;
	t->place[place] = (struct kl_place){ .id = id, .node = n, .awake = 1 };
	t->index[probe(t, id)] = place;
	t->count++;
	kl_chain_append(t, &t->beginning, KL_BY_BEGINNING, place);
	kl_chain_append(t, &t->event, KL_BY_EVENT, place);
	enter_ring(t, place);
	return n;
}

void kl_table_remove(struct kl_table *t, uint32_t place)
{
	struct kl_place *p = &t->place[place];

	take_out(t, p->id);
	t->count--;
	kl_chain_remove(t, &t->beginning, KL_BY_BEGINNING, place);
	kl_chain_remove(t, &t->event, KL_BY_EVENT, place);
	if (p->awake) {
		leave_ring(t, place);
		free_node(p->node);
	} else {
		free(p->rest);
	}
	give_place(t, place);
}
