// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's table of connections, as seen from user space: bpf/conns.bpf.h has its other half. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>

#include "source/live_state.h"
#include "util/cleanup.h"

static __u64 *find_way(const struct kl_live *l, uint64_t id)
{
	__u32 bucket = kl_conn_bucket_of(id, (__u32)l->conn_buckets - 1);

	for (int i = 0; i < 2 * KL_CONN_WAYS; i++) {
		if (i == KL_CONN_WAYS)
			bucket = kl_conn_neighbour(bucket);
		if (kl_conn_is_word_of(l->conn_index[bucket].way[i % KL_CONN_WAYS], id))
			return &l->conn_index[bucket].way[i % KL_CONN_WAYS];
	}
	return NULL;
}

/* Is this the connection's place still? */
static bool is_indexed(const struct kl_live *l, uint64_t id, __u32 number)
{
	const __u64 *way = find_way(l, id);

	return way && (__u32)*way == number + 1;
}

void kl_live_release_forgotten(struct kl_live *l)
{
	static const struct kl_conn none;
	struct kl_forgotten *f = &l->forgotten[1], empty = *f;
	int conns = bpf_map__fd(l->skel->maps.kl_conns);
	int places = bpf_map__fd(l->skel->maps.kl_conn_free);

	for (size_t i = 0; i < f->count; i++) {
		bpf_map_update_elem(conns, &f->numbers[i], &none, BPF_ANY);
		bpf_map_update_elem(places, NULL, &f->numbers[i], BPF_ANY);
	}
	empty.count = 0;
	l->forgotten[1] = l->forgotten[0];
	l->forgotten[0] = empty;
}

int kl_live_connections(struct kl_live *l, kl_conn_handler handler, void *arg)
{
	enum {
		BATCH = 256
	};
	__u32 left = __atomic_load_n(&l->skel->bss->kl_control.conns_used, __ATOMIC_RELAXED);
	int fd = bpf_map__fd(l->skel->maps.kl_conns), r = 0;
	_cleanup_free_ struct kl_conn *conns = calloc(BATCH, sizeof(*conns));
	__u32 cursor = 0, next = 0, count, numbers[BATCH];

	if (!conns)
		return -ENOMEM;
	for (bool first = true; left && r != -ENOENT; first = false) {
		count = left < BATCH ? left : BATCH;
		r = bpf_map_lookup_batch(fd, first ? NULL : &cursor, &next, numbers, conns, &count,
					 NULL);
		if (r && r != -ENOENT)
			return r;
		for (__u32 i = 0; i < count; i++) {
			if (conns[i].id && is_indexed(l, conns[i].id, numbers[i]))
				handler(conns[i].id, &conns[i], arg);
		}
		left -= count;
		cursor = next;
	}
	return 0;
}

void kl_live_forget(struct kl_live *l, uint64_t id)
{
	__u64 word, *way = find_way(l, id);
	struct kl_forgotten *f = &l->forgotten[0];

	if (!way)
		return;
	if (f->count == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		__u32 *numbers = reallocarray(f->numbers, room, sizeof(*numbers));

		/* Without memory for its number it stays, and the next walk comes back to it. */
		if (!numbers)
			return;
		f->numbers = numbers;
		f->room = room;
	}
	word = *way;
	if (__atomic_compare_exchange_n(way, &word, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		f->numbers[f->count++] = (__u32)word - 1;
}
