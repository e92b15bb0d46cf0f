/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A history that is being read, in parts: load.c says in which order. Functions return 0, or a
 * negative error that is told in l->err.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"
#include "history/clock.h"
#include "history/load.h"

struct kl_load_session {
	struct kl_session s;
	bool used;
};

struct kl_load {
	sqlite3 *db;
	struct kl_history_view *v;
	struct kl_error *err;
	struct kl_load_session *sessions; /* by their number */
	size_t session_count, session_room;
	uint32_t *place; /* of a number less the first one, in that list, plus 1; 0: none */
	uint64_t first_number, numbers;
	struct kl_extent extent;
	uint64_t wanted_ns;
	unsigned level; /* of copies that are read, from this one on */
	uint64_t copies_unlisted;
	uint64_t unreadable; /* blobs that make no sense */
};

/* ---- Rows ---- */

int kl_load_fail(struct kl_load *l); /* as SQLite says */

/* 0: go on; above 0: no more rows are wanted; -ENOMEM. */
typedef int (*kl_load_taker)(struct kl_load *l, sqlite3_stmt *q);

/* Each row of what is asked for, from ?1, where the stretch begins, to ?2, behind which is what lies
 * ahead of the clock. */
int kl_load_each(struct kl_load *l, const char *sql, kl_load_taker take);

/* Runs in it. (The clock may have been set back in one.) */
#define KL_LOAD_RUNS "run WHERE end_ns >= ?1 AND min(start_ns, end_ns) <= ?2"

uint64_t kl_column_number(sqlite3_stmt *q, int column);
const char *kl_column_text(sqlite3_stmt *q, int column); /* "": NULL */
void kl_column_copy(sqlite3_stmt *q, int column, char *ret, size_t size);
struct kl_unpack kl_column_bytes(sqlite3_stmt *q, int column);

/* ---- Words ---- */

void kl_load_mac(const char *from, uint8_t ret[6]);
uint8_t kl_load_address(const char *from, uint32_t word[4]); /* the family */
unsigned kl_load_direction(const char *name);
uint8_t kl_load_kind(const char *name);
/* Of five columns. */
void kl_load_ends(sqlite3_stmt *q, int column, struct kl_endpoints *ret);

/* What is missing in it. */
__attribute__((format(printf, 2, 3))) void kl_load_remark(struct kl_load *l, const char *format,
							  ...);

/* ---- The parts ---- */

int kl_load_counts(struct kl_load *l);
int kl_load_sessions(struct kl_load *l);
/* Of this number, which is in use from now on. NULL: there is none. */
struct kl_session *kl_load_use_session(struct kl_load *l, uint64_t id);
int kl_load_restore_sessions(struct kl_load *l); /* those in use */
int kl_load_parts(struct kl_load *l);
int kl_load_losses(struct kl_load *l);
int kl_load_evidence(struct kl_load *l);
int kl_load_dropped(struct kl_load *l);
