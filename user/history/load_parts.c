// SPDX-License-Identifier: GPL-2.0-only
/* Parts of five minutes: what each session counted, and copies. */
#include <errno.h>

#include "core/diagnosis_observed.h"
#include "history/copies.h"
#include "history/counts.h"
#include "history/load_internal.h"

/*
 * Parts are read several at a time, a stretch of each in turn: they name their sessions in much the
 * same order, and a session is fetched from memory once for all of them.
 */
enum {
	TOGETHER = 16,
	STRETCH = 256, /* sessions */
};

struct together {
	struct kl_load l;
	struct kl_bytes part[TOGETHER];
	size_t count;
};

static bool unpack_stretch(struct kl_load *l, struct kl_unpack *u)
{
	uint64_t id = 0;

	for (int i = 0; i < STRETCH && (id = kl_session_counts_next(u)) && !u->bad; i++)
		kl_session_counts_unpack(u, kl_load_use_session(l, id));
	return id && !u->bad;
}

static void unpack_together(struct together *t)
{
	struct kl_unpack u[TOGETHER] = {};
	bool more[TOGETHER] = {}, any = t->count;

	for (size_t i = 0; i < t->count; i++) {
		u[i] = (struct kl_unpack){ .at = t->part[i].data,
					   .end = t->part[i].data + t->part[i].len };
		more[i] = true;
	}
	while (any) {
		any = false;
		for (size_t i = 0; i < t->count; i++)
			any |= more[i] = more[i] && unpack_stretch(&t->l, &u[i]);
	}
	for (size_t i = 0; i < t->count; i++) {
		t->l.unreadable += u[i].bad;
		t->part[i].len = 0;
	}
	t->count = 0;
}

static int take_part(struct kl_load *l, sqlite3_stmt *q)
{
	struct together *t = (struct together *)l;
	struct kl_unpack u = kl_column_bytes(q, 4);
	uint64_t start_ns = kl_column_number(q, 0);
	uint64_t until_ns = kl_extent_until(&l->extent, start_ns, kl_column_number(q, 1));

	l->v->duration_s += (double)kl_since(until_ns, start_ns) / 1e9;
	if (kl_column_number(q, 2) > l->level && kl_column_number(q, 2) < KL_COPY_LEVELS)
		l->level = (unsigned)kl_column_number(q, 2);
	l->copies_unlisted += kl_column_number(q, 3);
	kl_bytes_add(&t->part[t->count], u.at, (size_t)(u.end - u.at));
	if (t->part[t->count++].failed)
		return -ENOMEM;
	if (t->count == TOGETHER)
		unpack_together(t);
	return 0;
}

struct levels {
	struct kl_load l;
	uint64_t count[KL_COPY_LEVELS];
};

static int take_level(struct kl_load *l, sqlite3_stmt *q)
{
	uint64_t level = kl_column_number(q, 0);

	if (level < KL_COPY_LEVELS)
		((struct levels *)l)->count[level] = kl_column_number(q, 1);
	return 0;
}

/* As many as are compared. */
static int choose_level(struct kl_load *l)
{
	struct levels levels = { .l = *l };
	uint64_t above = 0;
	unsigned level = KL_COPY_LEVELS;
	int r = kl_load_each(&levels.l,
			     "SELECT level, sum(count) FROM copies WHERE start_ns BETWEEN ?1 AND ?2"
			     " GROUP BY level",
			     take_level);

	while (!r && level > l->level && above + levels.count[level - 1] <= KL_HISTORY_COPIES)
		above += levels.count[--level];
	if (!r && level > l->level)
		l->level = level;
	return r;
}

static int take_copies(struct kl_load *l, sqlite3_stmt *q)
{
	bool lost = kl_column_number(q, 0) == KL_COPY_LOST;
	struct kl_unpack u = kl_column_bytes(q, 1);
	struct kl_observed o;
	uint64_t last_ns = 0;
	int r = 0;

	if (!lost && kl_column_number(q, 0) < l->level)
		return 0;
	if (lost && l->v->d.observed_count > KL_HISTORY_COPIES + KL_HISTORY_COPIES_LOST)
		l->copies_unlisted++;
	else
		while ((r = kl_copies_unpack(&u, &last_ns, &o)) == 1) {
			if (kl_diagnosis_observe(&l->v->d, &o))
				return -ENOMEM;
		}
	l->unreadable += r < 0;
	return 0;
}

int kl_load_parts(struct kl_load *l)
{
	struct together t = { .l = *l };
	int r = kl_load_each(&t.l,
			     "SELECT start_ns, until_ns, copies_level, copies_unlisted, sessions"
			     " FROM part WHERE start_ns BETWEEN ?1 AND ?2",
			     take_part);

	unpack_together(&t);
	for (size_t i = 0; i < TOGETHER; i++)
		kl_bytes_done(&t.part[i]);
	*l = t.l;
	r = r ?: choose_level(l);
	if (r)
		return r;
	r = kl_load_each(l, "SELECT level, packed FROM copies WHERE start_ns BETWEEN ?1 AND ?2",
			 take_copies);
	l->v->d.observed_stride = 1U << l->level;
	return r;
}
