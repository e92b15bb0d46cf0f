// SPDX-License-Identifier: GPL-2.0-only
/* history/clock.h: a wrong clock makes nothing old, and hides nothing that is not ahead. */
#include <criterion/criterion.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "history/clock.h"
#include "history/history.h"
#include "history/load.h"
#include "history/store.h"

#define MINUTE (60 * KL_NS_PER_S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define BEGIN (1700000000ULL * KL_NS_PER_S)

/* ---- How far a clock is believed ---- */

struct stretch {
	uint64_t from_ns, length_ns;
};

/* Parts of five minutes, as many as are asked for, from the last one back. */
static struct kl_lived lived_in(const struct stretch *s, size_t count)
{
	struct kl_lived l = {};

	while (count--) {
		uint64_t parts = s[count].length_ns / KL_HISTORY_PART_NS;

		while (parts--) {
			uint64_t start_ns = s[count].from_ns + parts * KL_HISTORY_PART_NS;

			if (!kl_lived_add(&l, start_ns, start_ns + KL_HISTORY_PART_NS))
				return l;
		}
	}
	return l;
}

Test(history_clock, what_is_kept_without_a_break_is_believed)
{
	const struct stretch one = { BEGIN, 3 * HOUR }, many = { BEGIN, 30 * DAY };
	struct kl_lived l = lived_in(&one, 1);

	cr_expect_eq(kl_lived_now(&l, BEGIN + 3 * HOUR), BEGIN + 3 * HOUR);
	cr_expect_not(kl_lived_doubts(&l));
	l = lived_in(&many, 1);
	cr_expect_eq(l.kept_ns, DAY);
	cr_expect_eq(kl_lived_now(&l, BEGIN + 30 * DAY), BEGIN + 30 * DAY);
	/* Never is it later than the clock, which may be behind. */
	cr_expect_eq(kl_lived_now(&l, BEGIN), BEGIN);
	l = (struct kl_lived){};
	cr_expect_eq(kl_lived_now(&l, BEGIN), BEGIN);
}

Test(history_clock, a_clock_that_is_ahead_is_not_believed_before_a_day_was_kept_by_it)
{
	const uint64_t ahead = BEGIN + 50 * DAY;
	struct stretch s[] = { { BEGIN, 10 * DAY }, { ahead, 5 * MINUTE } };
	struct kl_lived l = lived_in(s, 2);

	cr_expect_eq(kl_lived_now(&l, ahead + 5 * MINUTE), BEGIN + 10 * DAY + 5 * MINUTE);
	cr_expect(kl_lived_doubts(&l));
	cr_expect_eq(l.longest.from_ns, BEGIN + 10 * DAY);
	cr_expect_eq(l.longest.to_ns, ahead);
	s[1].length_ns = 23 * HOUR;
	l = lived_in(s, 2);
	cr_expect_eq(kl_lived_now(&l, ahead + 23 * HOUR), BEGIN + 10 * DAY + 23 * HOUR);
	s[1].length_ns = DAY;
	l = lived_in(s, 2);
	cr_expect_eq(kl_lived_now(&l, ahead + DAY), ahead + DAY);
	cr_expect_not(kl_lived_doubts(&l));
}

Test(history_clock, starting_again_makes_it_no_better)
{
	const uint64_t ahead = BEGIN + 50 * DAY;
	const struct stretch s[] = { { BEGIN, 10 * DAY },
				     { ahead, HOUR },
				     { ahead + 2 * HOUR, HOUR },
				     { ahead + 4 * HOUR, HOUR } };
	struct kl_lived l = lived_in(s, 4);

	cr_expect_eq(kl_lived_now(&l, ahead + 5 * HOUR), BEGIN + 10 * DAY + 3 * HOUR);
	cr_expect_eq(l.longest.to_ns, ahead);
}

Test(history_clock, short_pauses_are_not_worth_a_word)
{
	const struct stretch s[] = { { BEGIN, 8 * HOUR },
				     { BEGIN + DAY, 8 * HOUR },
				     { BEGIN + 2 * DAY, 8 * HOUR } };
	struct kl_lived l = lived_in(s, 3);

	cr_expect_not(kl_lived_doubts(&l));
	cr_expect_eq(kl_lived_now(&l, BEGIN + 2 * DAY + 8 * HOUR), BEGIN + DAY);
}

Test(history_clock, a_part_that_the_clock_was_set_in_was_not_that_long)
{
	struct kl_lived l = {};

	cr_expect(kl_lived_add(&l, BEGIN, BEGIN + 40 * DAY));
	cr_expect_eq(kl_lived_now(&l, BEGIN + 40 * DAY), BEGIN + HOUR);
	/* Nor shorter than nothing. */
	l = (struct kl_lived){};
	cr_expect(kl_lived_add(&l, BEGIN, BEGIN - HOUR));
	cr_expect_eq(kl_lived_now(&l, BEGIN + HOUR), BEGIN);
}

/* ---- From when to when ---- */

Test(history_clock, what_lies_ahead_is_left_out)
{
	struct kl_extent e = kl_extent_begin(BEGIN + HOUR);

	kl_extent_add(&e, BEGIN + 40 * DAY, BEGIN + 40 * DAY + 1);
	kl_extent_add(&e, BEGIN, BEGIN + 5 * MINUTE);
	kl_extent_add(&e, BEGIN + HOUR, BEGIN + HOUR + 5 * MINUTE);
	kl_extent_add(&e, BEGIN + 30 * DAY, BEGIN + 30 * DAY + 1);
	kl_extent_end(&e);
	cr_expect_eq(e.first_ns, BEGIN);
	cr_expect_eq(e.to_ns, BEGIN + HOUR + 5 * MINUTE);
	cr_expect_eq(e.limit_ns, BEGIN + HOUR + KL_AHEAD_NS);
	cr_expect_eq(e.ahead, 2);
	cr_expect_eq(e.ahead_from_ns, BEGIN + 30 * DAY);
	cr_expect_eq(e.ahead_to_ns, BEGIN + 40 * DAY + 1);
}

Test(history_clock, where_all_lies_ahead_nothing_is_left_out)
{
	struct kl_extent e = kl_extent_begin(BEGIN);

	kl_extent_add(&e, BEGIN + DAY, BEGIN + DAY + MINUTE);
	kl_extent_add(&e, BEGIN + 2 * DAY, BEGIN + 2 * DAY + MINUTE);
	kl_extent_end(&e);
	cr_expect_eq(e.first_ns, BEGIN + DAY);
	cr_expect_eq(e.to_ns, BEGIN + 2 * DAY + MINUTE);
	cr_expect_eq(e.limit_ns, INT64_MAX);
	cr_expect_eq(e.ahead, 0);
	e = kl_extent_begin(BEGIN);
	kl_extent_end(&e);
	cr_expect_eq(e.to_ns, 0);
	e = kl_extent_begin(UINT64_MAX);
	cr_expect_eq(e.limit_ns, INT64_MAX);
}

Test(history_clock, a_part_that_ends_ahead_ends_where_it_may_have)
{
	struct kl_extent e = kl_extent_begin(BEGIN + DAY);

	kl_extent_add(&e, BEGIN, BEGIN + 40 * DAY);
	kl_extent_end(&e);
	cr_expect_eq(e.to_ns, BEGIN + KL_HISTORY_PART_NS);
	cr_expect_eq(e.ahead, 0);
	cr_expect_eq(kl_extent_until(&e, BEGIN + DAY + 1, BEGIN + 40 * DAY), e.limit_ns);
}

/* ---- In a file ---- */

struct file {
	char path[40];
	struct kl_store *store;
};

static void open_file(struct file *f, uint64_t keep_ns)
{
	struct kl_store_config config = { .keep_ns = keep_ns };
	struct kl_error err = {};

	strcpy(f->path, "/tmp/kaloss-clock-XXXXXX");
	close(mkstemp(f->path));
	config.path = f->path;
	cr_assert_eq(kl_store_open(&config, &f->store, &err), 0, "%s", err.text);
}

static void close_file(struct file *f)
{
	char path[60];

	kl_store_close(f->store);
	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s%s", f->path,
			 (const char *const[]){ "", "-wal", "-shm" }[i]);
		unlink(path);
	}
}

/* A part of so many minutes, and a loss in it. */
static void put(struct file *f, uint64_t start_ns, uint64_t length_ns, unsigned seq)
{
	char text[900];
	char *why = NULL;
	sqlite3 *db = NULL;

	snprintf(text, sizeof(text),
		 "INSERT INTO part VALUES (%llu, 1, %llu, 0, 0, x'');"
		 "INSERT OR IGNORE INTO run (id, start_ns, end_ns) VALUES (%u, %llu, %llu);"
		 "INSERT INTO minute_count VALUES (%llu, 1, 'to_cucm', 'sccp_keepalive', 10, 9, 1, "
		 "0,"
		 " 0, 0);"
		 "INSERT INTO loss (session, told_ns, time_ns, direction, place, kind, seq,"
		 " seq_other, length, copies_access, copies_cucm, idle_known, probable)"
		 " VALUES (1, %llu, %llu, 'to_cucm', 'between', 'sccp_keepalive', %u, 7, 12, 1, 0,"
		 " 0, 0);",
		 (unsigned long long)start_ns, (unsigned long long)(start_ns + length_ns), seq,
		 (unsigned long long)start_ns, (unsigned long long)(start_ns + length_ns),
		 (unsigned long long)start_ns, (unsigned long long)start_ns,
		 (unsigned long long)start_ns, seq);
	cr_assert_eq(sqlite3_open(f->path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, text, NULL, NULL, &why), SQLITE_OK, "%s", why);
	sqlite3_close(db);
}

static int64_t ask(const struct file *f, const char *sql)
{
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	int64_t n = -1;

	cr_assert_eq(sqlite3_open(f->path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	if (sqlite3_step(q) == SQLITE_ROW)
		n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

static int64_t losses(const struct file *f)
{
	return ask(f, "SELECT count(*) FROM loss");
}

static struct kl_pause forget_all(struct file *f, uint64_t now_ns)
{
	struct kl_pause doubt;
	struct kl_error err = {};
	int r, rounds = 0;

	while ((r = kl_store_forget(f->store, now_ns, &doubt, &err)) == 1)
		cr_assert_lt(rounds++, 10000);
	cr_expect_eq(r, 0, "%s", err.text);
	return doubt;
}

Test(history_clock, losses_survive_a_clock_that_is_ahead_and_not_a_month_off)
{
	const uint64_t ahead = BEGIN + 40 * DAY;
	struct kl_pause doubt;
	struct file f;

	open_file(&f, 30 * DAY);
	for (unsigned i = 0; i < 4; i++)
		put(&f, BEGIN + i * HOUR, HOUR, i + 1);
	doubt = forget_all(&f, BEGIN + 4 * HOUR);
	cr_expect_eq(doubt.to_ns, 0);
	put(&f, ahead, MINUTE, 5);
	doubt = forget_all(&f, ahead + MINUTE);
	cr_expect_eq(losses(&f), 5);
	cr_expect_eq(doubt.from_ns, BEGIN + 4 * HOUR);
	cr_expect_eq(doubt.to_ns, ahead);
	/* A later start by the same clock deletes nothing either. */
	put(&f, ahead + 2 * HOUR, HOUR, 6);
	doubt = forget_all(&f, ahead + 3 * HOUR);
	cr_expect_eq(losses(&f), 6);
	cr_expect_eq(doubt.to_ns, ahead);
	/* Once it is right again, nothing of that is of any account. */
	doubt = forget_all(&f, BEGIN + 5 * HOUR);
	cr_expect_eq(doubt.to_ns, 0);
	/* After a day by it, it is believed: the host was off. */
	for (unsigned i = 3; i < 27; i++)
		put(&f, ahead + i * HOUR, HOUR, i + 10);
	doubt = forget_all(&f, ahead + 27 * HOUR);
	cr_expect_eq(losses(&f), 26);
	cr_expect_eq(doubt.to_ns, 0);
	close_file(&f);
}

static void read_it(const struct file *f, uint64_t since_ns, uint64_t now_ns,
		    struct kl_history_view *ret)
{
	struct kl_error err = {};

	cr_assert_eq(kl_history_read(f->path, since_ns, now_ns, ret, &err), 0, "%s", err.text);
}

static bool has_remark(const struct kl_history_view *v, const char *words)
{
	for (size_t i = 0; i < v->remark_count; i++) {
		if (strstr(v->remarks[i], words))
			return true;
	}
	return false;
}

Test(history_clock, the_last_hour_is_not_one_of_the_future)
{
	struct kl_history_view v;
	struct file f;

	open_file(&f, 0);
	put(&f, BEGIN, 5 * MINUTE, 1);
	put(&f, BEGIN + 3 * HOUR, 5 * MINUTE, 2);
	put(&f, BEGIN + 40 * DAY, 5 * MINUTE, 3);
	read_it(&f, HOUR, BEGIN + 3 * HOUR + 6 * MINUTE, &v);
	cr_expect_eq(v.from_ns, BEGIN + 3 * HOUR);
	cr_expect_eq(v.to_ns, BEGIN + 3 * HOUR + 5 * MINUTE);
	cr_assert_eq(v.d.lost_count, 1);
	cr_expect_eq(v.d.lost[0].seq, 2);
	cr_expect_eq(v.d.total.direction[0].sent, 10);
	cr_expect_eq(v.duration_s, 300);
	cr_expect(has_remark(&v, "1 of its parts, from "), "%s", v.remarks[0]);
	cr_expect(has_remark(&v, "ahead of this host's clock"));
	cr_expect_not(has_remark(&v, "did not run from 2023-12"));
	kl_history_view_done(&v);
	/* All of it is all that does not lie ahead. */
	read_it(&f, 0, BEGIN + 4 * HOUR, &v);
	cr_expect_eq(v.d.lost_count, 2);
	kl_history_view_done(&v);
	close_file(&f);
}

Test(history_clock, a_file_from_a_host_whose_clock_is_ahead_is_read_as_it_is)
{
	struct kl_history_view v;
	struct file f;

	open_file(&f, 0);
	put(&f, BEGIN, 5 * MINUTE, 1);
	put(&f, BEGIN + 3 * HOUR, 5 * MINUTE, 2);
	read_it(&f, HOUR, BEGIN - DAY, &v);
	cr_expect_eq(v.d.lost_count, 1);
	cr_expect_eq(v.to_ns, BEGIN + 3 * HOUR + 5 * MINUTE);
	cr_expect_not(has_remark(&v, "ahead of"));
	kl_history_view_done(&v);
	/* A few minutes are nothing. */
	read_it(&f, 0, BEGIN + 3 * HOUR - 4 * MINUTE, &v);
	cr_expect_eq(v.d.lost_count, 2);
	cr_expect_not(has_remark(&v, "ahead of"));
	kl_history_view_done(&v);
	close_file(&f);
}

/* ---- While it is written ---- */

struct writer {
	struct file file;
	struct kl_history *history;
	struct kl_sessions *sessions;
};

static void begin_to_write(struct writer *w, uint64_t keep_ns, uint64_t now_ns)
{
	const struct kl_sessions_config sessions = { .two_sided = true };
	const struct kl_history_config config = { .path = w->file.path,
						  .keep_ns = keep_ns,
						  .batch_ns = 1 };
	struct kl_error err = {};

	kl_store_close(w->file.store);
	w->file.store = NULL;
	cr_assert_eq(kl_sessions_new(&sessions, &w->sessions), 0);
	cr_assert_eq(kl_history_open(&config, &w->history, &err), 0, "%s", err.text);
	kl_history_begin(w->history, HOUR, now_ns - HOUR);
}

static struct kl_history_tick tick_of(const struct writer *w, uint64_t now_ns, uint64_t offset_ns)
{
	static const struct kl_counters counters;
	static const struct kl_tally_own own;
	static const struct kl_evidence has;
	static const uint64_t nothing[KL_DIRECTIONS][KL_WHERES];

	return (struct kl_history_tick){ .now_ns = now_ns,
					 .offset_ns = offset_ns,
					 .counters = &counters,
					 .own = &own,
					 .inferred = nothing,
					 .sessions = w->sessions,
					 .has = &has };
}

static void end_writing(struct writer *w)
{
	kl_history_close(w->history);
	kl_sessions_free(w->sessions);
	close_file(&w->file);
}

Test(history_clock, a_part_ends_by_the_clock_that_it_began_by)
{
	struct kl_history_tick tick;
	struct writer w = {};

	open_file(&w.file, 0);
	begin_to_write(&w, 0, BEGIN);
	tick = tick_of(&w, HOUR + KL_NS_PER_S, BEGIN - HOUR + 40 * DAY);
	kl_history_tick(w.history, &tick);
	tick.now_ns += KL_NS_PER_S;
	kl_history_end(w.history, &tick);
	kl_history_close(w.history);
	w.history = NULL;
	cr_expect_eq(ask(&w.file, "SELECT count(*) FROM part"), 2);
	cr_expect_eq(ask(&w.file, "SELECT min(until_ns) FROM part"), BEGIN + KL_NS_PER_S);
	cr_expect_eq(ask(&w.file, "SELECT min(until_ns) FROM minute"), BEGIN + KL_NS_PER_S);
	cr_expect_eq(ask(&w.file, "SELECT max(until_ns) FROM part"),
		     BEGIN + 40 * DAY + 2 * KL_NS_PER_S);
	kl_sessions_free(w.sessions);
	close_file(&w.file);
}

/* One batch, and then none: an hour a second. */
Test(history_clock, what_is_too_old_goes_while_there_is_nothing_to_write)
{
	struct kl_history_tick tick;
	struct writer w = {};
	int tries = 200;

	open_file(&w.file, 0);
	for (unsigned i = 0; i < 8; i++)
		put(&w.file, BEGIN + i * HOUR / 2, HOUR / 2, i + 1);
	begin_to_write(&w, 2 * HOUR, BEGIN + 4 * HOUR);
	tick = tick_of(&w, HOUR + KL_NS_PER_S, BEGIN + 3 * HOUR);
	kl_history_tick(w.history, &tick);
	while (losses(&w.file) > 4 && tries--)
		usleep(50000);
	cr_expect_eq(losses(&w.file), 4);
	end_writing(&w);
}

/* ---- The bound ---- */

Test(history_clock, one_part_of_a_wrong_clock_costs_no_more_room_than_any)
{
	const struct kl_store_config config = { .max_bytes = KL_STORE_BYTES_MIN };
	static const uint8_t data[200000];
	struct kl_store_config with = config;
	struct kl_rows rows = {};
	struct kl_error err = {};
	struct file f;

	open_file(&f, 0);
	kl_store_close(f.store);
	with.path = f.path;
	cr_assert_eq(kl_store_open(&with, &f.store, &err), 0, "%s", err.text);
	put(&f, BEGIN + 20000 * DAY, 5 * MINUTE, 1);
	for (unsigned i = 0; i < 100; i++) {
		kl_rows_clear(&rows);
		kl_rows_begin(&rows, KL_ROW_PART);
		kl_rows_number(&rows, (int64_t)(BEGIN + i * KL_HISTORY_PART_NS));
		kl_rows_number(&rows, 1);
		kl_rows_number(&rows, (int64_t)(BEGIN + (i + 1) * KL_HISTORY_PART_NS));
		kl_rows_number(&rows, 0);
		kl_rows_number(&rows, 0);
		kl_rows_bytes(&rows, data, sizeof(data));
		kl_rows_end(&rows);
		cr_assert_eq(kl_store_apply(f.store, &rows, &err), 0, "%s", err.text);
		if (i >= 50)
			cr_assert_gt(ask(&f, "SELECT count(*) FROM part"), 40, "%u", i);
	}
	cr_expect_lt(ask(&f, "SELECT count(*) FROM part"), 100);
	kl_rows_done(&rows);
	close_file(&f);
}
