// SPDX-License-Identifier: GPL-2.0-only
#include "history/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "history/load_internal.h"
#include "history/store.h"
#include "util/duration.h"

enum {
	SESSIONS_AWAKE = 1 << 7, /* each that is found is looked for among them */
};

/* Runs that follow each other within this time leave nothing out. */
#define RESTART_NS (2 * KL_NS_PER_S)

/* ---- From when to when ---- */

static int take_extent(struct kl_load *l, sqlite3_stmt *q)
{
	kl_extent_add(&l->extent, kl_column_number(q, 0), kl_column_number(q, 1));
	return 0;
}

static int take_begin(struct kl_load *l, sqlite3_stmt *q)
{
	uint64_t start_ns = kl_column_number(q, 0);

	if (kl_extent_until(&l->extent, start_ns, kl_column_number(q, 1)) <= l->wanted_ns)
		return 0;
	l->v->from_ns = start_ns;
	return 1;
}

static void say_ahead(struct kl_load *l, const struct kl_extent *e)
{
	char from[40], to[40];

	if (!e->ahead)
		return;
	kl_format_time(e->ahead_from_ns, from, sizeof(from));
	kl_format_time(e->ahead_to_ns, to, sizeof(to));
	kl_load_remark(l,
		       "%" PRIu64
		       " of its parts, from %s to %s, lie ahead of this host's clock and "
		       "are left out",
		       e->ahead, from, to);
}

static int find_extent(struct kl_load *l, uint64_t since_ns, uint64_t now_ns)
{
	uint64_t first_ns;
	int r;

	l->extent = kl_extent_begin(now_ns);
	r = kl_load_each(l, "SELECT start_ns, until_ns FROM part", take_extent);
	if (r)
		return r;
	kl_extent_end(&l->extent);
	if (!l->extent.to_ns)
		return kl_fail(l->err, -ENODATA, "nothing was written to it yet");
	say_ahead(l, &l->extent);
	first_ns = l->v->from_ns = l->extent.first_ns;
	l->v->to_ns = l->extent.to_ns;
	l->wanted_ns = since_ns ? kl_since(l->v->to_ns, since_ns) : 0;
	r = kl_load_each(l, "SELECT start_ns, until_ns FROM part ORDER BY start_ns", take_begin);
	if (r < 0)
		return r;
	if (since_ns && l->wanted_ns < first_ns) {
		char begin[40];

		kl_format_time(first_ns, begin, sizeof(begin));
		kl_load_remark(l, "The history begins at %s", begin);
	}
	return 0;
}

/* ---- What is missing ---- */

static int take_gap(struct kl_load *l, sqlite3_stmt *q)
{
	char from[40], to[40];

	kl_format_time(kl_column_number(q, 0), from, sizeof(from));
	kl_format_time(kl_column_number(q, 1), to, sizeof(to));
	kl_load_remark(l, "%" PRIu64 " records from %s to %s are not in the history: %s",
		       kl_column_number(q, 3), from, to, kl_column_text(q, 2));
	return 0;
}

static int take_pause(struct kl_load *l, sqlite3_stmt *q)
{
	char from[40], to[40];

	kl_format_time(kl_column_number(q, 0), from, sizeof(from));
	kl_format_time(kl_column_number(q, 1), to, sizeof(to));
	kl_load_remark(l, "kaloss %s did not run from %s to %s%s",
		       kl_column_number(q, 3) ? "join" : "watch", from, to,
		       kl_column_number(q, 2) ? "" : ", after it was ended without warning");
	return 0;
}

static int take_agent_gap(struct kl_load *l, sqlite3_stmt *q)
{
	char from[40], to[40];

	kl_format_time(kl_column_number(q, 3), from, sizeof(from));
	kl_format_time(kl_column_number(q, 4), to, sizeof(to));
	l->v->d.total.integrity.gaps++;
	kl_load_remark(l, "Agent %s of site %s (%s side) did not cover %s to %s: %s",
		       kl_column_text(q, 1), kl_column_text(q, 0), kl_column_text(q, 2), from, to,
		       kl_column_text(q, 5));
	return 0;
}

static int take_remark(struct kl_load *l, sqlite3_stmt *q)
{
	kl_load_remark(l, "%s", kl_column_text(q, 0));
	return 0;
}

static int read_remarks(struct kl_load *l)
{
	char sql[600];

	snprintf(sql, sizeof(sql),
		 "SELECT before, start_ns, ended, joiner IS NOT NULL FROM (SELECT start_ns, joiner,"
		 " lag(end_ns) OVER w AS"
		 " before, lag(ended) OVER w AS ended FROM " KL_LOAD_RUNS
		 " WINDOW w AS (ORDER BY id)) WHERE before IS NOT NULL AND start_ns > before + %llu"
		 " AND start_ns <= ?2",
		 RESTART_NS);
	if (l->copies_unlisted)
		kl_load_remark(l,
			       "%" PRIu64
			       " lots of lost copies found no room in what losses are compared "
			       "with; every loss is listed",
			       l->copies_unlisted);
	if (l->unreadable)
		kl_load_remark(l, "%" PRIu64 " of its parts could not be read", l->unreadable);
	return kl_load_each(l,
			"SELECT from_ns, to_ns, reason, records FROM gap WHERE to_ns > ?1"
			" AND from_ns <= ?2"
			" ORDER BY from_ns",
			take_gap)
		       ?: kl_load_each(l, sql, take_pause)
		       ?: kl_load_each(l,
				   "SELECT site, agent, side, from_ns, to_ns, why FROM agent_gap"
				   " WHERE told_ns BETWEEN ?1 AND ?2 ORDER BY from_ns",
				   take_agent_gap)
		       ?: kl_load_each(l,
				   "SELECT DISTINCT text FROM remark WHERE run IN (SELECT id FROM "
				   KL_LOAD_RUNS ")",
				   take_remark);
}

/* ---- All of it ---- */

static int load(struct kl_load *l, uint64_t since_ns, uint64_t now_ns)
{
	struct kl_history_view *v = l->v;
	int r = find_extent(l, since_ns, now_ns) ?: kl_load_counts(l) ?: kl_load_sessions(l) ?: kl_load_parts(l)
			?: kl_load_losses(l) ?: kl_load_evidence(l) ?: kl_load_restore_sessions(l)
			?: kl_load_dropped(l) ?: read_remarks(l);

	if (r)
		return r;
	v->d.first_ns = v->from_ns;
	v->d.last_ns = v->to_ns;
	kl_diagnosis_finish(&v->d);
	return 0;
}

int kl_history_read(const char *path, uint64_t since_ns, uint64_t now_ns,
		    struct kl_history_view *ret, struct kl_error *err)
{
	const struct kl_sessions_config config = { .two_sided = true, .awake = SESSIONS_AWAKE };
	struct kl_error why = {};
	struct kl_load l = { .v = ret, .err = &why };
	int r;

	*ret = (struct kl_history_view){ .d = { .two_sided = true } };
	r = kl_store_open_to_read(path, &l.db, err);
	if (r)
		return r;
	r = kl_sessions_new(&config, &ret->sessions);
	ret->d.sessions = ret->sessions;
	/* All of it as it is at one moment. */
	if (!r)
		r = sqlite3_exec(l.db, "BEGIN", NULL, NULL, NULL) ? kl_load_fail(&l)
								  : load(&l, since_ns, now_ns);
	sqlite3_close(l.db);
	free(l.sessions);
	free(l.place);
	if (r)
		kl_history_view_done(ret);
	return r ? kl_fail(err, r, "%s: %s", path, why.text) : 0;
}

void kl_history_view_done(struct kl_history_view *v)
{
	kl_diagnosis_done(&v->d);
	kl_sessions_free(v->sessions);
	*v = (struct kl_history_view){};
}
