/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the sessions are kept: their order, an index by id, and what each of them knows. All that
 * a session knows takes two kilobytes, of which one that goes as it should fills a tenth; so it is
 * spelled out (a struct kl_node, "awake") only while its events come, and else kept as a record of
 * a few bytes (session_rest.h). As many as the table was told stay awake; who wakes as the next one
 * sends the one to rest that has been awake longest.
 *
 * Owns its sessions. A place is a number from 1 on (0: none) and keeps it as long as it is in use.
 * A node is valid until the next one is woken; a pinned one until it is woken itself.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct kl_node;

/* Lists are threaded through the places. */
enum kl_thread {
	KL_BY_BEGINNING, /* the oldest first */
	KL_BY_EVENT,	 /* the one that is silent longest first */
	KL_BY_WAKE,	 /* in a slot of the wheel */
	KL_THREADS,
};

struct kl_chain {
	uint32_t first;
	uint32_t last;
};

struct kl_place {
	uint64_t id;
	union {
		struct kl_node *node;
		void *rest; /* NULL: the place is free */
	};
	uint64_t wake_ns : 63; /* 0: nothing to wait for */
	uint64_t awake : 1;
	struct {
		uint32_t before;
		uint32_t after;
	} link[KL_THREADS];
};

_Static_assert(sizeof(struct kl_place) == 48, "there is one for each session");

struct kl_table {
	struct kl_place *place;
	uint32_t places; /* with that of number 0 */
	uint32_t used;	 /* those beyond were never in use */
	uint32_t free;	 /* the first of those that are again, by KL_BY_WAKE */
	uint32_t count;
	uint32_t *index;     /* by the hash of the id: places; 0: none */
	uint32_t index_size; /* a power of two */
	struct kl_chain beginning;
	struct kl_chain event;
	uint32_t *awake; /* a ring of those that are, but not pinned; 0: none */
	uint32_t awake_max;
	uint32_t awake_at; /* the one that is longest */
	struct kl_node *spare;
};

int kl_table_new(uint32_t awake, struct kl_table **ret); /* awake: at least 1. -ENOMEM */
void kl_table_free(struct kl_table *t);

uint32_t kl_table_find(const struct kl_table *t, uint64_t id);
static inline struct kl_place *kl_table_at(const struct kl_table *t, uint32_t place)
{
	return &t->place[place];
}

/* A new one, of which all is zero but its id, at the end of both orders. NULL: no memory. */
struct kl_node *kl_table_add(struct kl_table *t, uint64_t id);
void kl_table_remove(struct kl_table *t, uint32_t place);

/* To go on with its events. NULL: no memory. */
struct kl_node *kl_table_wake(struct kl_table *t, uint32_t place);
/* The same; and it stays until it is woken again. */
struct kl_node *kl_table_pin(struct kl_table *t, uint32_t place);
/* Only to look at: itself, or *scratch. */
const struct kl_node *kl_table_look(const struct kl_table *t, uint32_t place,
				    struct kl_node *scratch);

void kl_chain_append(struct kl_table *t, struct kl_chain *c, enum kl_thread thread, uint32_t place);
void kl_chain_remove(struct kl_table *t, struct kl_chain *c, enum kl_thread thread, uint32_t place);
