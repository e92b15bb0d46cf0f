// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fuzzer's target for what a joiner reads. The first byte says what the rest is: the record of a
 * partition's owner, or what the stream has of one, message by message. Nothing may crash or grow
 * beyond its bounds; no sighting is settled twice, whoever takes over; and a record that is read can
 * be written, and what is written is read as the same.
 *
 * A message is a byte that says who sent it (SITE and AGENT below) and whether a joiner commits
 * (COMMITS) or another one takes over (DIES) behind it; a byte of half seconds since the one before;
 * two bytes of length, low one first; and the batch.
 */
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>

#include "cli/join_state.h"
#include "core/sites.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size);

enum {
	SITE = 3,
	AGENT = 1 << 2,
	COMMITS = 1 << 6,
	DIES = 1 << 7,
	WAITING = 64,
	CONNS = 6,
	AGENTS = 6,
	SETTLED = 1 << 13,
	MESSAGES = 128,
};

#define HALF_SECOND_NS 500000000ULL
#define START_NS 1790000000000000000ULL

static void require(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* ---- the stream ---- */

struct message {
	const __u8 *data;
	size_t len;
	__u8 from;
	uint64_t stored_ns;
};

struct reading {
	struct kl_sites *sites;
	uint64_t id[SETTLED];
	size_t settled, committed;
	struct kl_join_state saved; /* its point and cuts */
};

static int settle(const struct kl_site_settled *s, void *arg)
{
	struct reading *r = arg;

	require(s->agent[KL_ACCESS] || s->agent[KL_CUCM]);
	require(s->paired.fate < KL_PAIR_FATES && s->paired.reason < KL_PAIR_REASONS);
	require(s->paired.fate == KL_PAIR_NOT_JOINED ||
		(s->paired.fate == KL_PAIR_UNPAIRED) == (s->paired.reason != KL_PAIR_NO_REASON));
	require(s->paired.fate != KL_PAIR_LOST || s->paired.near_ns);
	if (r->settled < SETTLED)
		r->id[r->settled++] = s->id;
	return 0;
}

static int gap(const struct kl_site_gap *g, void *arg)
{
	(void)arg;
	require(g->agent && g->why);
	return 0;
}

static void begin(struct reading *r)
{
	const struct kl_sites_config config = {
		.tolerance_ns = HALF_SECOND_NS,
		.patience_ns = 60 * HALF_SECOND_NS,
		.linger_ns = 20 * HALF_SECOND_NS,
		.warm_up_ns = 40 * HALF_SECOND_NS,
		.max_waiting = WAITING,
		.max_conns = CONNS,
		.max_agents = AGENTS,
		.settled = settle,
		.gap = gap,
		.arg = r,
	};

	require(kl_sites_new(&config, &r->sites) == 0);
	require(kl_sites_resume(r->sites, &r->saved.point, r->saved.cuts, r->saved.cut_count) == 0);
}

static int save_cut(const struct kl_sites_cut *cut, void *arg)
{
	return kl_join_state_cut(arg, cut);
}

static void commit(struct reading *r, uint64_t seq)
{
	uint64_t settled = r->saved.point.settled;

	kl_sites_point(r->sites, &r->saved.point);
	require(r->saved.point.floor <= seq && r->saved.point.settled >= settled);
	r->saved.cut_count = 0;
	require(kl_sites_cuts(r->sites, save_cut, &r->saved) == 0);
	r->committed = r->settled;
}

static void take_over(struct reading *r)
{
	kl_sites_free(r->sites);
	r->settled = r->committed;
	begin(r);
}

static void take(struct reading *r, const struct message *m, uint64_t seq,
		 struct kl_wire_batch *batch)
{
	static const char *const sites[] = { "north", "south", "centre", "" };
	struct kl_site_message message = { .site = sites[m->from & SITE],
					   .agent = m->from & AGENT ? "b" : "a",
					   .seq = seq,
					   .stored_ns = m->stored_ns,
					   .batch = batch };
	struct kl_sites_stats stats;

	if (kl_wire_decode(m->data, m->len, batch, NULL))
		return;
	require(kl_sites_take(r->sites, &message) == 0);
	kl_sites_stats(r->sites, &stats);
	require(stats.agents <= AGENTS && stats.conns <= CONNS);
}

static size_t split(const __u8 *data, size_t size, struct message *ret)
{
	uint64_t now_ns = START_NS;
	size_t count = 0;

	while (size >= 4 && count < MESSAGES) {
		size_t len = data[2] | (size_t)data[3] << 8;

		len = len < size - 4 ? len : size - 4;
		now_ns += data[1] * HALF_SECOND_NS;
		ret[count++] = (struct message){ data + 4, len, data[0], now_ns };
		data += 4 + len;
		size -= 4 + len;
	}
	return count;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void stream(const __u8 *data, size_t size)
{
	static struct kl_wire_batch *batch;
	static struct reading r;
	struct message m[MESSAGES];
	size_t count = split(data, size, m);
	__u8 done[MESSAGES] = {};

	if (!batch)
		batch = kl_wire_new();
	r.settled = r.committed = 0;
	r.saved = (struct kl_join_state){ .point.floor = 1 };
	begin(&r);
	for (size_t at = 0; at < count; at++) {
		take(&r, &m[at], at + 1, batch);
		/* (Each joiner dies once at a message, else there would be no end.) */
		if (m[at].from & COMMITS)
			commit(&r, at + 1);
		if (!(m[at].from & DIES) || done[at]++)
			continue;
		take_over(&r);
		at = r.saved.point.floor - 2;
	}
	qsort(r.id, r.settled, sizeof(*r.id), by_id);
	for (size_t i = 1; i < r.settled; i++)
		require(r.id[i - 1] != r.id[i]);
	kl_sites_free(r.sites);
	kl_join_state_done(&r.saved);
}

/* ---- the record ---- */

static void record(const __u8 *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ char *written = NULL, *again = NULL;
	struct kl_join_state s, t;
	struct kl_error err = {};
	int r;

	require(text);
	if (!kl_join_state_peek(text, &s))
		require(strnlen(s.owner, sizeof(s.owner)) < sizeof(s.owner));
	r = kl_join_state_read(text, &s, &err);
	if (r) {
		require((r == -EBADMSG || r == -EPROTO || r == -ENOMEM) && err.text[0]);
		return;
	}
	written = kl_join_state_write(&s);
	require(written && kl_join_state_read(written, &t, &err) == 0);
	again = kl_join_state_write(&t);
	require(again && !strcmp(written, again));
	kl_join_state_done(&s);
	kl_join_state_done(&t);
}

int LLVMFuzzerTestOneInput(const __u8 *data, size_t size)
{
	if (!size)
		return 0;
	if (data[0] & 1)
		record(data + 1, size - 1);
	else
		stream(data + 1, size - 1);
	return 0;
}
