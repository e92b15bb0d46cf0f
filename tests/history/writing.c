// SPDX-License-Identifier: GPL-2.0-only
#include "writing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "history/load.h"
#include "util/duration.h"

unsigned passed, failed;

void expect(bool ok, const char *what)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	*(ok ? &passed : &failed) += 1;
}

/* ---- Who writes ---- */

static void note(const char *line, void *arg)
{
	struct writer *w = arg;

	if (w->lines < 8)
		snprintf(w->said[w->lines++], sizeof(w->said[0]), "%s", line);
}

bool has_said(const struct writer *w, const char *words)
{
	for (int i = 0; i < w->lines; i++) {
		if (strstr(w->said[i], words))
			return true;
	}
	return false;
}

void open_writer(struct writer *w, const struct writing *with)
{
	const struct kl_sessions_config sessions = { .two_sided = true };
	uint64_t step_ns = with->step_ns ?: KL_NS_PER_S;
	/* A batch a tick, and a part every few of them. */
	const struct kl_history_config config = { .path = with->path,
						  .keep_ns = with->keep_ns,
						  .max_bytes = with->max_bytes,
						  .batch_ns = 1,
						  .part_ns = 5 * step_ns,
						  .say = note,
						  .arg = w };
	struct kl_conn conn = { .ends = { .phone = { 2 },
					  .cucm = { 1 },
					  .phone_port = 40000,
					  .cucm_port = 2000,
					  .family = 4 } };
	struct kl_error err = {};
	bool one_way;

	*w = (struct writer){ .seq = with->seq,
			      .step_ns = step_ns,
			      .now_ns = step_ns * (1 + (uint64_t)with->seq / LOSSES) };
	if (kl_sessions_new(&sessions, &w->sessions) ||
	    kl_sessions_meet(w->sessions, 1, &conn, w->now_ns, &one_way) ||
	    kl_history_open(&config, &w->history, &err)) {
		fprintf(stderr, "%s\n", err.text);
		_exit(2);
	}
	kl_history_begin(w->history, w->now_ns, OFFSET);
}

static void tick(struct writer *w, bool last)
{
	static const struct kl_tally_own own;
	static const struct kl_evidence has;
	static const uint64_t nothing[KL_DIRECTIONS][KL_WHERES];
	const struct kl_history_tick t = { .now_ns = w->now_ns,
					   .offset_ns = OFFSET,
					   .counters = &w->counters,
					   .own = &own,
					   .inferred = nothing,
					   .phones = 1,
					   .sessions = w->sessions,
					   .has = &has };

	(last ? kl_history_end : kl_history_tick)(w->history, &t);
}

void write_nothing(struct writer *w)
{
	tick(w, false);
}

void end_writing(struct writer *w)
{
	tick(w, true);
}

void write_some(struct writer *w)
{
	const struct kl_session *session = kl_sessions_find(w->sessions, 1);

	w->now_ns += w->step_ns;
	for (uint32_t i = 0; i < COPIES; i++) {
		const struct kl_story story = { .type = KL_STORY_SEGMENT,
						.time_ns = w->now_ns,
						.session = session,
						.kind = KL_SCCP_KEEPALIVE,
						.seq = w->seq * 1000 + i,
						.length = 12 };

		kl_history_story(w->history, &story, NULL);
	}
	for (int i = 0; i < LOSSES; i++) {
		const struct kl_lost lost = { .time_ns = w->now_ns,
					      .conn_id = 1,
					      .ends = session->ends,
					      .kind = KL_SCCP_KEEPALIVE,
					      .seq = ++w->seq,
					      .length = 12,
					      .copies = { 1, 0 } };

		w->counters.tally[KL_SENT][0][KL_SCCP_KEEPALIVE]++;
		w->counters.tally[KL_LOST_BETWEEN][0][KL_SCCP_KEEPALIVE]++;
		kl_history_lost(w->history, &lost, NULL);
	}
	tick(w, false);
}

/* ---- Who looks ---- */

int64_t ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int64_t ret = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		ret = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return ret;
}

bool is_whole(sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	bool ok = false;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &q, NULL) == SQLITE_OK &&
	    sqlite3_step(q) == SQLITE_ROW)
		ok = !strcmp((const char *)sqlite3_column_text(q, 0), "ok");
	sqlite3_finalize(q);
	return ok;
}

/* It ended before there was a table, or a file: then nothing was ever said to be written. */
static bool was_never_made(const struct kl_error *err)
{
	return strstr(err->text, "empty: ") || strstr(err->text, "No such file");
}

uint32_t look(const struct writing *with, uint64_t written, struct found *ret)
{
	uint32_t promised = with->seq + (uint32_t)(written / RECORDS * LOSSES), there;
	int64_t first, last, count;
	struct kl_history_view view;
	struct kl_error err = {};
	sqlite3 *db = NULL;
	bool reads = !kl_history_read(with->path, 1, UINT64_MAX, &view, &err);

	if (!reads && !promised && was_never_made(&err)) {
		ret->opened++;
		ret->whole++;
		ret->read++;
		return 0;
	}
	if (reads)
		kl_history_view_done(&view);
	if (reads || (!promised && strstr(err.text, "nothing was written")))
		ret->read++;
	else
		fprintf(stderr, "%s\n", err.text);
	ret->opened += sqlite3_open_v2(with->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;
	ret->whole += is_whole(db);
	count = ask(db, "SELECT count(*) FROM loss");
	first = ask(db, "SELECT min(seq) FROM loss");
	last = ask(db, "SELECT max(seq) FROM loss");
	sqlite3_close(db);
	there = last > 0 ? (uint32_t)last : 0;
	/* All that is there is there without a break, and from the first one on where none must go. */
	if (there < promised || (there && count != last - first + 1) ||
	    (there && first != 1 && !with->max_bytes && !with->keep_ns)) {
		fprintf(stderr, "%" PRId64 " losses, %" PRId64 " to %" PRId64 ", want up to %u\n",
			count, first, last, promised);
		ret->missing++;
	}
	/* A batch is there wholly or not at all. */
	ret->half += there % LOSSES != 0 || written % RECORDS != 0;
	ret->written += written;
	ret->behind += there > promised;
	ret->shorter += first > 1;
	return there;
}

void remove_history(const char *path)
{
	char name[300];

	unlink(path);
	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
}
