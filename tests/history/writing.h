/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A writer of a history that is made to stop, and what is in its file then. Each tick tells so many
 * losses, numbered without a break from 1 on, and waits in no queue: a tick is a batch.
 */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "history/history.h"

enum {
	LOSSES = 20, /* a tick */
	COPIES = 200,
	RECORDS = LOSSES + COPIES,
};

#define OFFSET (1700000000ULL * KL_NS_PER_S)

extern unsigned passed, failed;

/* Prints a line of the test, and counts it. */
void expect(bool ok, const char *what);

struct writing {
	const char *path;
	uint32_t seq; /* of the last loss that is there already */
	uint64_t max_bytes, keep_ns;
	uint64_t step_ns; /* from tick to tick; 0: a second */
};

struct writer {
	struct kl_history *history;
	struct kl_sessions *sessions;
	struct kl_counters counters;
	uint64_t now_ns, step_ns;
	uint32_t seq; /* of the last loss */
	char said[8][400];
	int lines;
};

/* Ends the process where it cannot be opened. */
void open_writer(struct writer *w, const struct writing *with);
void write_some(struct writer *w);
/* A tick without any; what the writer has to say is said. */
void write_nothing(struct writer *w);
/* The last tick, in good order; the history is still open. */
void end_writing(struct writer *w);
bool has_said(const struct writer *w, const char *words);

/* What was found of so many files. */
struct found {
	uint64_t opened, whole, missing, half, read;
	uint64_t written, behind; /* records; beyond what was said to be written */
	uint64_t shorter;	  /* the oldest losses are gone */
};

/*
 * What is in the file: of the losses behind with->seq so many records were said to be written. All of
 * them must be there, and all before them, but for the oldest ones where the file has a bound.
 * Returns the last loss in it.
 */
uint32_t look(const struct writing *with, uint64_t written, struct found *ret);

int64_t ask(sqlite3 *db, const char *sql);
bool is_whole(sqlite3 *db);
void remove_history(const char *path);
