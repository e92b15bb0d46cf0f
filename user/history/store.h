/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of a history, with its one writer: opens it, makes or migrates its tables, writes batches
 * of rows, each wholly or not at all, and keeps it within its bounds.
 *
 * A struct kl_store owns the file's lock and connection. What _apply() returned 0 for is on the disk
 * (WAL, synchronous=FULL). Readers are never waited for.
 */
#pragma once

#include "history/clock.h"
#include "history/rows.h"
#include "util/error.h"

struct sqlite3;
struct kl_store;

struct kl_store_config {
	const char *path;
	uint64_t keep_ns;   /* what is older goes; 0: nothing */
	uint64_t max_bytes; /* of the file and its WAL; what is oldest goes; 0: no bound */
};

enum {
	KL_STORE_BYTES_MIN = 16 << 20,
};

/* -EBUSY: another one writes it. */
int kl_store_open(const struct kl_store_config *config, struct kl_store **ret,
		  struct kl_error *err);
void kl_store_close(struct kl_store *s); /* NULL is fine */

/*
 * -ENOSPC: no room, on the disk or within the bound; -EAGAIN: somebody holds it. Then nothing of it
 * is written, and it may be tried again. Other errors do not go away by themselves.
 */
int kl_store_apply(struct kl_store *s, const struct kl_rows *rows, struct kl_error *err);

/*
 * Forgets what is too old, a bounded part of it. now_ns: CLOCK_REALTIME; it is believed as far as
 * kl_lived_now() says. 1: there is more. *ret_doubt: the pause for which what would be too old by the
 * clock was left there; else all zero.
 */
int kl_store_forget(struct kl_store *s, uint64_t now_ns, struct kl_pause *ret_doubt,
		    struct kl_error *err);

/* The largest batch that fits in any case. */
size_t kl_store_batch_bytes(const struct kl_store_config *config);

/* What comes behind: numbers for the next run and the next session. */
int kl_store_next(struct kl_store *s, int64_t *ret_run, int64_t *ret_session, struct kl_error *err);

/* ---- For reading, beside a writer or without one ---- */

/* Never makes a file; one of older tables is migrated, where nobody writes it. */
int kl_store_open_to_read(const char *path, struct sqlite3 **ret, struct kl_error *err);
