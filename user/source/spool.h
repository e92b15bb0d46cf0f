/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Batches that are not acknowledged yet, in the order in which they were made: in memory while they
 * go out at once, in files of a directory where they have to wait, and there also over the end of the
 * program. At most so many bytes: the oldest make room, and are counted.
 *
 * Files are read as they may be after a crash: one ends where its next record is not whole. What was
 * acknowledged of a file and not of its end comes again after a restart: receivers know a batch by
 * its numbers.
 *
 * A struct kl_spool owns its files, and the directory's lock: one at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct kl_spool;

struct kl_spool_config {
	const char *directory; /* made where it is missing; NULL: memory only */
	uint64_t max_bytes;
	uint32_t partitions; /* of entries: less than this */
};

struct kl_spool_entry {
	uint64_t boot, number;
	uint32_t partition;
	uint32_t sightings;
	uint32_t len;
	uint8_t *data; /* the spool's */
};

struct kl_spool_status {
	uint64_t waiting; /* entries that are not acknowledged, as far as known */
	uint64_t bytes;	  /* of them, and of files */
	uint64_t dropped; /* entries for which there was no room */
	uint64_t dropped_sightings;
	uint64_t damaged; /* bytes of files that could not be read */
};

int kl_spool_open(const struct kl_spool_config *config, struct kl_spool **ret,
		  struct kl_error *err);
/* What is not acknowledged is written to files first, where there are any. NULL is fine. */
int kl_spool_close(struct kl_spool *s, struct kl_error *err);

/* Takes an entry; its data is copied. An error: it, or an older one, is dropped, and counted. */
int kl_spool_put(struct kl_spool *s, const struct kl_spool_entry *entry, uint64_t now_ns,
		 struct kl_error *err);

/*
 * The oldest entry of which nothing older of the same partition is under way: so those of one
 * partition arrive in their order. NULL: none. Valid until it is done or failed.
 */
const struct kl_spool_entry *kl_spool_next(struct kl_spool *s);
/* It is under way, from now on until one of the other two. */
void kl_spool_sent(struct kl_spool *s, const struct kl_spool_entry *entry);
void kl_spool_done(struct kl_spool *s, uint64_t boot, uint32_t partition, uint64_t number);
void kl_spool_failed(struct kl_spool *s, uint64_t boot, uint32_t partition, uint64_t number);

/* Writes to a file what waits for longer than is good. Call it about once a second. */
int kl_spool_keep(struct kl_spool *s, uint64_t now_ns, struct kl_error *err);

void kl_spool_status(const struct kl_spool *s, struct kl_spool_status *ret);
