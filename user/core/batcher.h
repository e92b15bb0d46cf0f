/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From sightings to batches (wire.h), one run of them for each partition. Pure: told the time, and
 * what it makes goes to a handler.
 *
 * Sightings come mostly in the order of time; they are put in order. What is before settled_ns of
 * kl_batcher_advance() is complete, and a batch covers nothing beyond. One that comes later than
 * that all the same goes into the next batch, with the time that begins it, and is counted.
 *
 * A struct kl_batcher owns what waits, a bounded number of sightings: what there is no room for is
 * declared as missed.
 */
#pragma once

#include "core/wire.h"

struct kl_batcher;

/* A batch, encoded. The bytes are valid during the call. */
struct kl_made_batch {
	uint64_t boot, number;
	uint32_t partition;
	uint32_t sightings;
	const uint8_t *data;
	size_t len;
};
typedef void (*kl_batch_handler)(const struct kl_made_batch *batch, void *arg);

struct kl_batcher_config {
	uint64_t boot;
	uint64_t start_ns; /* covered from here on; the agent's clock, as all times here */
	uint32_t side;
	uint32_t rule; /* enum kl_wire_rule */
	uint32_t partitions;
	uint64_t every_ns; /* sightings wait for so long, at most */
	uint64_t idle_ns;  /* a batch goes out after this, though there is nothing in it */
	kl_batch_handler handler;
	void *arg;
};

struct kl_batcher_stats {
	uint64_t sightings; /* taken */
	uint64_t batches;   /* made */
	uint64_t bytes;
	uint64_t late;	  /* came when their time was over */
	uint64_t refused; /* for which there was no room */
	uint64_t missed;  /* intervals that were declared */
};

/* -ENOMEM, -EINVAL. */
int kl_batcher_new(const struct kl_batcher_config *config, struct kl_batcher **ret);
void kl_batcher_free(struct kl_batcher *b); /* NULL is fine */
static inline void kl_batcher_freep(struct kl_batcher **b)
{
	kl_batcher_free(*b);
}

int kl_batcher_add(struct kl_batcher *b, const struct kl_sighted *s, const char *device);
/* Something was not seen then; what is before the last settled_ns is left out. */
void kl_batcher_missed(struct kl_batcher *b, uint64_t from_ns, uint64_t to_ns,
		       enum kl_wire_why why);
/*
 * All until settled_ns was added. wall_ns: see kl_wire_batch. all: whatever there is goes out now.
 * -ENOMEM; the handler's batches are lost then, and the next ones say so.
 */
int kl_batcher_advance(struct kl_batcher *b, uint64_t settled_ns, int64_t wall_ns, bool all);

void kl_batcher_stats(const struct kl_batcher *b, struct kl_batcher_stats *ret);
