// SPDX-License-Identifier: GPL-2.0-only
/* Parts of five minutes: what each session counted, and copies. */
#include "core/diagnosis_observed.h"
#include "history/copies.h"
#include "history/counts.h"
#include "history/load_internal.h"

static int take_part(struct kl_load *l, sqlite3_stmt *q)
{
	struct kl_unpack u = kl_column_bytes(q, 4);
	uint64_t id;
	uint64_t start_ns = kl_column_number(q, 0);
	uint64_t until_ns = kl_extent_until(&l->extent, start_ns, kl_column_number(q, 1));

	l->v->duration_s += (double)kl_since(until_ns, start_ns) / 1e9;
	if (kl_column_number(q, 2) > l->level && kl_column_number(q, 2) < KL_COPY_LEVELS)
		l->level = (unsigned)kl_column_number(q, 2);
	l->copies_unlisted += kl_column_number(q, 3);
	while ((id = kl_session_counts_next(&u)) && !u.bad)
		kl_session_counts_unpack(&u, kl_load_use_session(l, id));
	l->unreadable += u.bad;
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
	int r = kl_load_each(l,
			     "SELECT start_ns, until_ns, copies_level, copies_unlisted, sessions"
			     " FROM part WHERE start_ns BETWEEN ?1 AND ?2",
			     take_part)
			?: choose_level(l);

	if (r)
		return r;
	r = kl_load_each(l, "SELECT level, packed FROM copies WHERE start_ns BETWEEN ?1 AND ?2",
			 take_copies);
	l->v->d.observed_stride = 1U << l->level;
	return r;
}
