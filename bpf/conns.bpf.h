/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of connections: an index (kaloss/conns.h) and an array. A hash map of the kernel would
 * take a call for each lookup, which costs as much as all else that most segments need; lookups in
 * arrays are compiled in.
 *
 * Connections are made here and removed by user space, which takes the word out of the index first
 * and gives the place back a while later, when no hook can be at it any more.
 */
#pragma once

#include "walk.bpf.h"

static __always_inline struct kl_conn_bucket *conn_bucket(__u32 index)
{
	return bpf_map_lookup_elem(&kl_conn_index, &index);
}

/* The number of the connection plus one; 0: it is not known. */
static __always_inline __u32 conn_number(__u64 id)
{
	__u32 index = kl_conn_bucket_of(id, kl_settings.conn_mask);
	struct kl_conn_bucket *b = conn_bucket(index);
	__u32 found = b ? kl_conn_find(b, id) : 0;

	if (found)
		return found;
	b = conn_bucket(kl_conn_neighbour(index));
	return b ? kl_conn_find(b, id) : 0;
}

/* What the index says; its id may be another one. */
static __always_inline struct kl_conn *indexed_conn(__u64 id)
{
	__u32 number = conn_number(id);

	if (!number)
		return NULL;
	number--;
	return bpf_map_lookup_elem(&kl_conns, &number);
}

static __always_inline struct kl_conn *find_conn(__u64 id)
{
	struct kl_conn *c = indexed_conn(id);

	return c && c->id == id ? c : NULL;
}

static __always_inline bool take_number(__u32 *ret)
{
	if (!bpf_map_pop_elem(&kl_conn_free, ret))
		return true;
	*ret = __sync_fetch_and_add(&kl_control.conns_used, 1);
	if (*ret < kl_settings.connections)
		return true;
	__sync_fetch_and_add(&kl_control.conns_used, -1);
	return false;
}

/* Puts the word into the bucket. Returns its place; NULL: there is none. */
static __always_inline __u64 *fill_way(struct kl_conn_bucket *b, __u64 word)
{
	KL_UNROLL
	for (int i = 0; i < KL_CONN_WAYS; i++) {
		if (!b->way[i] && !__sync_val_compare_and_swap(&b->way[i], 0, word))
			return &b->way[i];
	}
	return NULL;
}

/*
 * Puts a connection that is complete into the index. Returns false where it found no place or
 * another CPU was first: then its number is free again.
 */
static __noinline bool index_conn(__u64 id, __u32 number)
{
	__u32 index = kl_conn_bucket_of(id, kl_settings.conn_mask);
	__u64 word = kl_conn_word(id, number), *way = NULL;
	struct kl_conn_bucket *b = conn_bucket(index);

	if (b)
		way = fill_way(b, word);
	if (!way) {
		b = conn_bucket(kl_conn_neighbour(index));
		if (b)
			way = fill_way(b, word);
	}
	if (way && conn_number(id) == number + 1)
		return true;
	if (way)
		__sync_lock_test_and_set(way, 0);
	bpf_map_push_elem(&kl_conn_free, &number, BPF_ANY);
	return false;
}

static __noinline struct kl_conn *new_conn(const struct kl_endpoints *ends, __u64 id, __u32 flags,
					   __u64 now)
{
	struct kl_conn *c = NULL;
	__u32 number;

	if (take_number(&number))
		c = bpf_map_lookup_elem(&kl_conns, &number);
	if (!c) {
		count_incident(KL_CONNS_REFUSED);
		return NULL;
	}
	KL_MEMSET(c, 0, sizeof(*c));
	c->id = id;
	c->ends = *ends;
	c->created_ns = now;
	c->seen_ns = now;
	c->flags = (__u16)flags;
	index_conn(id, number);
	c = find_conn(id);
	if (!c)
		count_incident(KL_CONNS_REFUSED);
	return c;
}
