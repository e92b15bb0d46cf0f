/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tables of a history (docs/history.md), their versions, and the statements that fill them. A
 * history is told by SQLite's application_id, its version by user_version; versions only grow, and
 * each is made from the one before.
 */
#pragma once

#include "history/rows.h"
#include "util/error.h"

struct sqlite3;

enum {
	KL_HISTORY_APPLICATION = 0x6b6c6869, /* "klhi" */
	KL_HISTORY_VERSION = 3,
};

/* *ret: 0: an empty file. -EBADMSG: no history, or not of these versions; err says which. */
int kl_schema_version(struct sqlite3 *db, int *ret, struct kl_error *err);

/* Makes the tables of this version of those of the one that is there, in one transaction. */
int kl_schema_migrate(struct sqlite3 *db, int from, int to, struct kl_error *err);

/* The statement for a row. */
const char *kl_schema_insert(enum kl_row row);

/* What forgets all before a time: the statements have one value, in ns. NULL behind the last one. */
extern const char *const kl_schema_prune[];
