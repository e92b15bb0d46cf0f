// SPDX-License-Identifier: GPL-2.0-only
#include "core/batcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

enum {
	WAITING_MAX = 64 * 1024, /* sightings of one partition */
	MISSED_MAX = KL_WIRE_MISSED,
};

/* What comes later than this out of its time may be something that was missed. */
#define LATE_NS (10 * KL_NS_PER_MS)
/* What is missing so soon after something else is one with it. */
#define NEAR_NS (10 * KL_NS_PER_MS)

struct part {
	uint64_t from_ns;	     /* of its next batch */
	uint64_t number;	     /* of its last one */
	struct kl_wire_sighting *of; /* in the order of time */
	uint32_t count, room;
};

struct kl_batcher {
	struct kl_batcher_config config;
	struct part *part;
	struct kl_wire_missed missed[MISSED_MAX]; /* in the order of time */
	uint32_t misses;
	uint64_t settled_ns;
	struct kl_wire_batch *batch;
	struct kl_bytes bytes;
	struct kl_batcher_stats stats;
};

static uint64_t round_down(uint64_t ns)
{
	return ns - ns % KL_WIRE_UNIT_NS;
}

int kl_batcher_new(const struct kl_batcher_config *config, struct kl_batcher **ret)
{
	struct kl_batcher *b;

	if (!config->boot || !config->partitions || config->partitions > KL_WIRE_PARTITIONS ||
	    config->side >= KL_SIDES || config->rule >= KL_WIRE_RULES ||
	    config->idle_ns > KL_WIRE_SPAN_NS / 2)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->config = *config;
	b->settled_ns = round_down(config->start_ns);
	b->part = calloc(config->partitions, sizeof(*b->part));
	b->batch = kl_wire_new();
	if (!b->part || !b->batch) {
		kl_batcher_free(b);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < config->partitions; i++)
		b->part[i].from_ns = b->settled_ns;
	*ret = b;
	return 0;
}

void kl_batcher_free(struct kl_batcher *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; b->part && i < b->config.partitions; i++)
		free(b->part[i].of);
	free(b->part);
	kl_wire_free(b->batch);
	kl_bytes_done(&b->bytes);
	free(b);
}

void kl_batcher_stats(const struct kl_batcher *b, struct kl_batcher_stats *ret)
{
	*ret = b->stats;
}

/* ---- What was missed ---- */

/* The two that are nearest to each other become one, with what is between them. */
static void join_nearest(struct kl_batcher *b)
{
	uint32_t at = 1;

	for (uint32_t i = 2; i < b->misses; i++) {
		if (b->missed[i].from_ns - b->missed[i - 1].to_ns <
		    b->missed[at].from_ns - b->missed[at - 1].to_ns)
			at = i;
	}
	b->missed[at - 1].to_ns = b->missed[at].to_ns;
	memmove(&b->missed[at], &b->missed[at + 1], (b->misses - at - 1) * sizeof(*b->missed));
	b->misses--;
}

void kl_batcher_missed(struct kl_batcher *b, uint64_t from_ns, uint64_t to_ns, enum kl_wire_why why)
{
	struct kl_wire_missed new = { round_down(from_ns), round_down(to_ns), why };
	struct kl_wire_missed *last = b->misses ? &b->missed[b->misses - 1] : NULL;

	if (new.from_ns < b->settled_ns)
		new.from_ns = b->settled_ns;
	if (new.to_ns < new.from_ns)
		new.to_ns = new.from_ns;
	if (last && new.from_ns <= last->to_ns + NEAR_NS) {
		last->to_ns = new.to_ns > last->to_ns ? new.to_ns : last->to_ns;
		if (new.from_ns < last->from_ns)
			last->from_ns = new.from_ns;
		return;
	}
	if (b->misses == MISSED_MAX)
		join_nearest(b);
	b->missed[b->misses++] = new;
	b->stats.missed++;
}

static uint64_t least_from(const struct kl_batcher *b)
{
	uint64_t least = UINT64_MAX;

	for (uint32_t i = 0; i < b->config.partitions; i++)
		least = b->part[i].from_ns < least ? b->part[i].from_ns : least;
	return least;
}

/* What every partition has told of. */
static void forget_missed(struct kl_batcher *b)
{
	uint64_t least = least_from(b);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < b->misses; i++) {
		/* (At its very end, it may not have been told of.) */
		if (b->missed[i].to_ns >= least)
			b->missed[kept++] = b->missed[i];
	}
	b->misses = kept;
}

static void put_missed(const struct kl_batcher *b, struct kl_wire_batch *batch)
{
	for (uint32_t i = 0; i < b->misses; i++) {
		struct kl_wire_missed m = b->missed[i];

		if (m.to_ns < batch->from_ns || m.from_ns > batch->to_ns)
			continue;
		m.from_ns = m.from_ns < batch->from_ns ? batch->from_ns : m.from_ns;
		m.to_ns = m.to_ns > batch->to_ns ? batch->to_ns : m.to_ns;
		batch->missed[batch->misses++] = m;
	}
}

/* ---- Sightings ---- */

static int make_room(struct part *p)
{
	uint32_t room = p->room ? 2 * p->room : 16;
	struct kl_wire_sighting *grown;

	if (p->count < p->room)
		return 0;
	if (p->count == WAITING_MAX)
		return -ENOSPC;
	grown = realloc(p->of, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->of = grown;
	p->room = room;
	return 0;
}

static bool is_device(const char *device)
{
	for (; *device; device++) {
		if (*device < '!' || *device > '~')
			return false;
	}
	return true;
}

int kl_batcher_add(struct kl_batcher *b, const struct kl_sighted *s, const char *device)
{
	uint32_t i = kl_partition_of(&s->ends, b->config.rule, b->config.partitions);
	struct kl_wire_sighting w = { .sighted = *s };
	struct part *p = &b->part[i];

	w.sighted.time_ns = round_down(s->time_ns);
	w.sighted.side = (uint8_t)b->config.side;
	if (device && strlen(device) < sizeof(w.device) && is_device(device))
		memcpy(w.device, device, strlen(device));
	if (w.sighted.payload_len > KL_WIRE_PAYLOAD)
		w.sighted.payload_len = KL_WIRE_PAYLOAD;
	if (make_room(p)) {
		b->stats.refused++;
		kl_batcher_missed(b, w.sighted.time_ns, w.sighted.time_ns, KL_WIRE_OVERFLOW);
		return 0;
	}
	if (w.sighted.time_ns < p->from_ns) {
		b->stats.late++;
		if (p->from_ns - w.sighted.time_ns > LATE_NS)
			kl_batcher_missed(b, p->from_ns, p->from_ns, KL_WIRE_UNKNOWN_WHY);
		w.sighted.time_ns = p->from_ns;
	}
	for (i = p->count; i && p->of[i - 1].sighted.time_ns > w.sighted.time_ns; i--)
		;
	memmove(&p->of[i + 1], &p->of[i], (p->count - i) * sizeof(*p->of));
	p->of[i] = w;
	p->count++;
	b->stats.sightings++;
	return 0;
}

/* ---- Batches ---- */

/* How many of them are settled, as far as they go into one batch. */
static uint32_t settled(const struct part *p, uint64_t until_ns)
{
	uint32_t count = 0;

	while (count < p->count && count < KL_WIRE_SIGHTINGS &&
	       p->of[count].sighted.time_ns <= until_ns)
		count++;
	return count;
}

/* The next batch of a partition, until to_ns at most. */
static int emit(struct kl_batcher *b, struct part *p, uint64_t to_ns, int64_t wall_ns)
{
	uint32_t count = settled(p, to_ns);
	struct kl_wire_batch *batch = b->batch;
	int r;

	/* There is more than a batch may hold, or cover. */
	if (count == KL_WIRE_SIGHTINGS)
		to_ns = p->of[count - 1].sighted.time_ns;
	if (to_ns - p->from_ns > KL_WIRE_SPAN_NS) {
		to_ns = p->from_ns + KL_WIRE_SPAN_NS;
		count = settled(p, to_ns);
	}
	*batch = (struct kl_wire_batch){
		.boot = b->config.boot,
		.number = ++p->number,
		.from_ns = p->from_ns,
		.to_ns = to_ns,
		.wall_ns = wall_ns,
		.side = b->config.side,
		.rule = b->config.rule,
		.partitions = b->config.partitions,
		.partition = (uint32_t)(p - b->part),
		.count = count,
		.of = batch->of,
	};
	put_missed(b, batch);
	if (count)
		memcpy(batch->of, p->of, count * sizeof(*p->of));
	b->bytes.len = 0;
	b->bytes.failed = false;
	r = kl_wire_encode(batch, &b->bytes);
	p->from_ns = to_ns;
	p->count -= count;
	if (p->count)
		memmove(p->of, p->of + count, p->count * sizeof(*p->of));
	if (r)
		return r;
	b->stats.batches++;
	b->stats.bytes += b->bytes.len;
	b->config.handler(
		&(struct kl_made_batch){
			.boot = batch->boot,
			.number = batch->number,
			.partition = batch->partition,
			.sightings = count,
			.data = b->bytes.data,
			.len = b->bytes.len,
		},
		b->config.arg);
	return 0;
}

static bool is_due(const struct kl_batcher *b, const struct part *p, bool all)
{
	uint64_t waited = b->settled_ns - p->from_ns;
	bool has_any = p->count && p->of[0].sighted.time_ns <= b->settled_ns;

	if (all || waited >= b->config.idle_ns || settled(p, b->settled_ns) == KL_WIRE_SIGHTINGS)
		return all ? waited || has_any : true;
	return has_any && b->settled_ns - p->of[0].sighted.time_ns >= b->config.every_ns;
}

int kl_batcher_advance(struct kl_batcher *b, uint64_t settled_ns, int64_t wall_ns, bool all)
{
	int r = 0;

	settled_ns = round_down(settled_ns);
	if (settled_ns > b->settled_ns)
		b->settled_ns = settled_ns;
	for (uint32_t i = 0; i < b->config.partitions; i++) {
		struct part *p = &b->part[i];

		while (is_due(b, p, all)) {
			int failed = emit(b, p, b->settled_ns, wall_ns);

			r = r ? r : failed;
			if (!p->count && p->from_ns == b->settled_ns)
				break;
		}
	}
	forget_missed(b);
	return r;
}
